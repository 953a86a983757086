"""A configured `tpm` is a ceiling of each minute, also when answers take long and use little of `max_tokens`."""

from __future__ import annotations

from collections import deque
from random import Random
from typing import Any

import pytest
from support.doubles import ROUTE

from aws_bedrock_inference.call import Call, Estimate, Outcome, Usage
from aws_bedrock_inference.drivers.virtual import VirtualDriver
from aws_bedrock_inference.flow import Pipeline, Sleep
from aws_bedrock_inference.policies import Deadline, Quota

TPM = 200_000
CHANGE = 420.0
LONG, SHORT = (4000, 1500, 60.0), (300, 100, 0.7)  # max_tokens, mean use, seconds
EXACT = (1500, 1500, 60.0)


class Traffic:
    """Callers that never stop, of a service that refuses nothing: only the client keeps the minutes below `TPM`."""

    def __init__(self, before: tuple[int, int, float], after: tuple[int, int, float], seed: int) -> None:
        self.kinds = before, after
        self.chance = Random(seed)  # noqa: S311 - the same in every run
        self.driver = VirtualDriver(lambda *_: (0.0, Outcome()))
        self.sent: list[tuple[float, int]] = []

    def run(self, until: float) -> Traffic:
        step = Pipeline(Deadline(900.0), Quota(tpm=TPM)).around(self.serve, self.driver.clock)
        tasks = [self.driver.spawn(self.caller(step), after=self.chance.random()) for _ in range(250)]
        self.driver.run(until=until)
        assert [task.error for task in tasks if task.done] == []
        return self

    def caller(self, step: Any) -> Any:
        while True:
            most, usual, seconds = self.kinds[self.driver.now >= CHANGE]
            answer = min(most, int(usual * self.chance.uniform(0.6, 1.4)))
            params = {"of": (answer, seconds * self.chance.uniform(0.7, 1.3))}
            yield from step(Call("converse", params, ROUTE, Estimate(500, most), arrived=self.driver.now))

    def serve(self, call: Call) -> Any:
        answer, seconds = call.params["of"]
        self.sent.append((self.driver.now, 500 + answer))
        yield Sleep(seconds)
        return Outcome(value={}, usage=Usage(500, answer))

    def fullest_minute(self) -> float:
        minute: deque[tuple[float, int]] = deque()
        used, fullest = 0, 0
        for at, tokens in self.sent:
            minute.append((at, tokens))
            used += tokens
            while minute[0][0] <= at - 60.0:
                used -= minute.popleft()[1]
            fullest = max(fullest, used)
        return fullest / TPM

    def use(self, start: float, end: float) -> float:
        return sum(tokens for at, tokens in self.sent if start <= at < end) / (TPM * (end - start) / 60.0)


@pytest.mark.parametrize("seed", [1, 3])
def test_one_minute_answers_use_the_quota_and_no_minute_exceeds_it(seed: int) -> None:
    traffic = Traffic(LONG, LONG, seed).run(900.0)
    assert traffic.fullest_minute() < 1.06
    assert traffic.use(420.0, 900.0) > 0.9


def test_a_lower_max_tokens_with_the_same_answers_does_not_spend_the_quota_twice() -> None:
    traffic = Traffic(LONG, EXACT, 1).run(900.0)
    assert traffic.fullest_minute() < 1.06
    assert traffic.use(420.0, 900.0) > 0.9


def test_a_change_from_long_to_short_answers_does_not_spend_the_quota_twice() -> None:
    assert Traffic(LONG, SHORT, 1).run(700.0).fullest_minute() < 1.06
