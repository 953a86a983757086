"""Learning of the burndown in virtual time: callers never stop, and the service does not count as the table says."""

from __future__ import annotations

from math import inf, log
from random import Random
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.doubles import ROUTE

from aws_bedrock_inference.call import Call, Estimate, Outcome, Usage
from aws_bedrock_inference.drivers.virtual import VirtualDriver
from aws_bedrock_inference.flow import Pipeline, Sleep
from aws_bedrock_inference.knowledge.classify import answered
from aws_bedrock_inference.policies import Deadline, Quota, Retry
from aws_bedrock_inference.simulator.quota import DISCIPLINES, Bucket, Limit

TPM = 400_000
THROTTLE = answered("ThrottlingException", "Too many tokens, please wait before trying again.", status=429)


class Sent(NamedTuple):
    admitted: float
    ended: float
    weighed: float
    charged: float


class Service:
    """Weighs output `truly` so many times; callers estimate `table`. It throttles `noise` of the calls for nothing, and
    throttles all calls in outages of 2 to 5 seconds, which come every `outages` seconds on average.
    """

    def __init__(
        self,
        discipline: str,
        table: float,
        truly: float,
        *,
        noise: float = 0.0,
        outages: float = inf,
        seed: int = 1,
        workers: int = 24,
    ) -> None:
        self.driver = VirtualDriver(lambda *_: (0.0, Outcome()))
        self.chance = Random(seed)  # noqa: S311 - the same in every run
        new: Any = DISCIPLINES.get(discipline, lambda limit, now: Bucket(limit, float(discipline), now))
        self.limit: Limit = new(TPM, 0.0)
        self.table, self.truly, self.noise, self.outages = table, truly, noise, outages
        self.outage = (outages / 2, outages / 2 + 3.0)
        self.quota = Quota(tpm=TPM)
        self.sent: list[Sent] = []
        self.throttled: list[float] = []
        self.workers = workers

    def run(self, until: float) -> Service:
        policies = Pipeline(Deadline(900.0), Retry(chance=self.chance.random), self.quota)
        step = policies.around(self.serve, self.driver.clock)
        tasks = [self.driver.spawn(self.caller(step), after=self.chance.random()) for _ in range(self.workers)]
        self.driver.run(until=until)
        assert [task.error for task in tasks if task.done] == []
        return self

    def caller(self, step: Any) -> Any:
        chance = self.chance
        while True:
            prompt = min(2000, max(40, int(chance.lognormvariate(log(300) - 0.32, 0.8))))
            answer = min(400, max(5, int(chance.lognormvariate(log(150) - 0.08, 0.4))))
            estimate = Estimate(prompt, 400, burndown=self.table)
            call = Call("converse", {"of": (prompt, answer)}, ROUTE, estimate, arrived=self.driver.now)
            yield from step(call)

    def serve(self, call: Call) -> Any:
        prompt, answer = call.params["of"]
        admitted = self.driver.now
        yield Sleep(self.chance.uniform(0.001, 0.02))
        noise = self.chance.random() < self.noise or self.out()
        if noise or not self.limit.fits(prompt + 400, self.driver.now):
            if not noise:
                self.throttled.append(self.driver.now)
            return Outcome(fault=THROTTLE)
        taking = self.limit.take(prompt + 400, self.driver.now)
        yield Sleep(0.7 * self.chance.lognormvariate(0, 0.3))
        weighed = prompt + answer * self.truly
        self.limit.adjust(taking, weighed - prompt - 400, self.driver.now)
        (pool,) = self.quota._ledgers.values()
        charged = prompt + answer * pool.burndown.rate
        self.sent.append(Sent(admitted, self.driver.now, weighed, charged))
        return Outcome(value={}, usage=Usage(prompt, answer))

    def out(self) -> bool:
        start, end = self.outage
        if self.driver.now >= end:
            start = self.driver.now + self.chance.expovariate(1.0 / self.outages)
            self.outage = start, start + self.chance.uniform(2.0, 5.0)
        return start <= self.driver.now < end

    @property
    def learned(self) -> float:
        (pool,) = self.quota._ledgers.values()
        return pool.burndown.rate

    def use(self, start: float, end: float) -> float:
        """Return the used fraction of the quota that the service allows."""
        return sum(sent.weighed for sent in self.sent if start <= sent.ended < end) / (TPM * (end - start) / 60)

    def refused(self, start: float, end: float) -> float:
        """Return throttles that were no noise for each call that was served."""
        served = sum(start <= sent.ended < end for sent in self.sent)
        return sum(start <= at < end for at in self.throttled) / max(1, served)


@pytest.mark.parametrize(
    ("discipline", "noise", "table", "truly"), [("fixed", 0.0, 9.0, 3.0), ("sliding", 0.0, 3.0, 1.0)]
)
def test_a_third_of_the_burndown_is_learned_within_ten_minutes(
    discipline: str, noise: float, table: float, truly: float
) -> None:
    service = Service(discipline, table, truly, noise=noise).run(720)
    assert service.use(60, 120) < 0.7
    assert service.use(600, 720) >= 0.8
    assert service.refused(60, 720) <= 0.02
    assert service.learned == pytest.approx(truly, rel=0.3)


@pytest.mark.parametrize(("discipline", "seed"), [("60", 2), ("sliding", 2), ("2", 1)])
def test_a_third_of_the_burndown_is_learned_despite_outages(discipline: str, seed: int) -> None:
    """Regression: each outage undid the steps, and calls used 60 % of the quota."""
    service = Service(discipline, table=3.0, truly=1.0, outages=70.0, seed=seed).run(720)
    assert service.use(600, 720) >= 0.9
    assert service.refused(60, 720) <= 0.02
    assert service.learned < 1.2


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_outages_do_not_change_a_burndown_that_is_right(seed: int) -> None:
    service = Service("1", table=5.0, truly=5.0, outages=70.0, seed=seed).run(720)
    assert service.refused(60, 720) <= 0.0125
    assert service.learned == 5.0


@pytest.mark.parametrize(("discipline", "noise"), [("5", 0.0), ("sliding", 0.03)])
def test_three_times_the_burndown_is_learned_within_ten_minutes(discipline: str, noise: float) -> None:
    service = Service(discipline, table=1.0, truly=3.0, noise=noise).run(720)
    assert service.use(600, 720) >= 0.9
    assert service.refused(120, 720) <= 0.025
    assert service.learned == pytest.approx(3.0, rel=0.15)


@pytest.mark.parametrize("discipline", ["1", "sliding"])
def test_a_correct_table_loses_hardly_any_throughput(discipline: str) -> None:
    service = Service(discipline, table=5.0, truly=5.0).run(600)
    assert service.use(60, 600) >= 0.98
    assert service.refused(60, 600) <= 0.0125  # throttles of a row are weighed when the row has ended
    assert service.learned > 4.0


def test_a_service_with_a_bucket_of_one_minute_does_not_distort_the_estimate() -> None:
    service = Service("60", table=5.0, truly=5.0).run(900)
    assert service.use(60, 900) >= 0.98
    assert service.refused(60, 900) <= 0.01
    assert service.learned == pytest.approx(5.0, rel=0.1)


def test_a_burndown_set_by_the_user_is_never_lowered() -> None:
    service = Service("sliding", table=15.0, truly=1.0)
    service.quota.set_burndown(ROUTE.model, 5)
    service.run(300)
    assert service.learned == 5.0
    assert service.throttled == []
    assert "an output token counts as 5, not 15 when a call ends (as set with set_burndown)" in service.quota.explain(
        300.0
    )


@settings(max_examples=8, deadline=None)
@given(
    discipline=st.sampled_from(["1", "5", "60", "fixed", "sliding"]),
    table=st.sampled_from([1.0, 2.5]),
    truly=st.sampled_from([1.0, 2.0]),
    noise=st.sampled_from([0.0, 0.03]),
    seed=st.integers(0, 1000),
)
def test_no_minute_exceeds_the_configured_limit(
    discipline: str, table: float, truly: float, noise: float, seed: int
) -> None:
    service = Service(discipline, table, truly, noise=noise, seed=seed, workers=20).run(150)
    sent = sorted(service.sent)
    first, minute = 0, 0.0
    for last in sent:
        minute += last.charged
        while sent[first].admitted <= last.admitted - 60.0:
            minute -= sent[first].charged
            first += 1
        assert minute <= 1.005 * TPM  # what calls in flight use above their reservation
