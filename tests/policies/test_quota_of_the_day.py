"""Tokens per day are one quota for all models of a Region."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest
from support.doubles import call, failed

from aws_bedrock_inference import Deadline, Outcome, Pipeline, Quota, Retry, Route, Usage
from aws_bedrock_inference.call import Estimate
from aws_bedrock_inference.drivers.virtual import VirtualDriver
from aws_bedrock_inference.flow import send
from aws_bedrock_inference.knowledge.classify import answered

SPENT = failed(answered("ThrottlingException", "Too many tokens per day, please wait before trying again.", status=429))
OK = Outcome(usage=Usage(100, 100))


class Account:
    """A service with one daily quota for all models, and models whose own quota is held at 0."""

    def __init__(self, *, allowed: int, held: str = "", region: str = "us-east-1") -> None:
        self.allowed = allowed
        self.held = held
        self.region = region
        self.sent: list[tuple[float, str]] = []
        self.driver = VirtualDriver(self.answer)

    def answer(self, one: Any, now: float) -> Any:
        self.sent.append((now, one.route.model))
        if one.route.model == self.held:
            return 0.1, SPENT
        if one.route.region != self.region:
            return 0.1, OK
        self.allowed -= 1
        return 0.1, OK if self.allowed >= 0 else SPENT

    def run(self, quota: Quota, *calls: tuple[float, str, str], deadline: float = 60.0) -> list[str | None]:
        """Return the codes with which the calls at (time, model, Region) ended."""
        step = Pipeline(Deadline(deadline), Retry(chance=lambda: 0.5), quota).around(send, self.driver.clock)
        tasks = [
            self.driver.spawn(step(call(arrived=at, route=Route(model, region, "123456789012"))), after=at)
            for at, model, region in calls
        ]
        self.driver.run()
        return [task.result.fault and task.result.fault.code for task in tasks]

    def models(self) -> list[str]:
        return [model for _, model in self.sent]


EAST, WEST = "us-east-1", "eu-west-1"


def test_a_day_exhausted_by_one_model_stops_the_others_of_the_region() -> None:
    account = Account(allowed=3)
    calls = [(0.0, "b", EAST), (1.0, "a", EAST), (2.0, "a", EAST), (3.0, "a", EAST)]
    calls += [(4.0, "b", EAST), (5.0, "c", EAST), (6.0, "c", WEST)]
    codes = account.run(Quota(tpm=60_000_000), *calls)
    assert codes == [None, None, None, "ThrottlingException", "QuotaExhausted", "QuotaExhausted", None]
    assert account.models() == ["b", "a", "a", "a", "c"]


def test_after_a_pause_one_call_probes_and_all_continue_if_it_is_answered() -> None:
    account = Account(allowed=1)
    quota = Quota(tpm=60_000_000)
    account.run(quota, (0.0, "a", EAST), (1.0, "a", EAST))
    account.allowed = 100
    calls = [(now, model, EAST) for now in (2.0, 2.1) for model in ("b", "c")]
    assert account.run(quota, *calls, deadline=7200.0) == [None] * 4
    later = [now for now, _ in account.sent[2:]]
    assert len(later) == 4
    assert min(later) >= 900.0


def test_a_model_that_was_never_answered_does_not_stop_the_others() -> None:
    """AWS holds the quota of models in new accounts at 0, with the same error message."""
    account = Account(allowed=100, held="held")
    codes = account.run(Quota(tpm=60_000_000), (0.0, "held", EAST), (1.0, "b", EAST), (2.0, "held", EAST))
    assert codes == ["ThrottlingException", None, "QuotaExhausted"]


def test_a_model_stops_the_others_only_once_after_each_answer() -> None:
    account = Account(allowed=100)
    quota = Quota(tpm=60_000_000)
    account.run(quota, (0.0, "a", EAST))
    account.held = "a"
    assert account.run(quota, (1.0, "a", EAST), (2.0, "b", EAST)) == ["ThrottlingException", "QuotaExhausted"]
    calls = [(950.0, "a", EAST), (951.0, "b", EAST)]
    assert account.run(quota, *calls) == ["ThrottlingException", None]


def test_tokens_of_all_models_of_a_region_count_for_one_day() -> None:
    account = Account(allowed=100)
    calls = [(float(index), f"model-{index}", EAST) for index in range(7)] + [(8.0, "model-0", WEST)]
    codes = account.run(Quota(tpd=1000), *calls)
    assert codes == [None] * 5 + ["QuotaExhausted"] * 2 + [None]


def test_tokens_reserved_by_one_model_are_not_available_to_another() -> None:
    account = Account(allowed=100)
    calls = [(0.0, f"model-{index}", EAST) for index in range(7)]
    codes = account.run(Quota(tpd=1000), *calls)
    assert codes.count(None) == 5


def sized(tokens: int, at: float, model: str = "a", account: str = "123456789012") -> Any:
    one = call(arrived=at, route=Route(model, EAST, account))
    return one._replace(estimate=Estimate(input_tokens=tokens, output_tokens=0))


def run_sized(quota: Quota, seconds: float, *calls: Any, deadline: float = inf) -> tuple[list[str | None], list[float]]:
    """Return the codes of `calls` and when they were sent; each takes `seconds` and uses its full reservation."""
    sent: list[float] = []

    def answer(one: Any, now: float) -> Any:
        sent.append(now)
        return seconds, Outcome(usage=Usage(one.estimate.input_tokens, 0))

    driver = VirtualDriver(answer)
    step = Pipeline(Deadline(deadline), quota).around(send, driver.clock)
    tasks = [driver.spawn(step(one), after=one.arrived) for one in calls]
    driver.run()
    return [task.result.fault and task.result.fault.code for task in tasks], sent


def test_a_call_larger_than_the_day_is_refused_and_delays_no_other() -> None:
    quota = Quota(tpd=1000)
    codes, sent = run_sized(quota, 1.0, sized(1001, 0.0), *(sized(10, float(at)) for at in range(1, 4)))
    assert codes == ["QuotaExhausted", None, None, None]
    assert sent == [1.0, 2.0, 3.0]


def test_a_daily_quota_above_the_quota_per_minute_changes_no_refusal() -> None:
    codes, _ = run_sized(Quota(tpm=1000, tpd=100_000), 1.0, sized(1001, 0.0), sized(500, 0.0))
    assert codes == ["QuotaExhausted", None]


def test_a_call_waits_for_another_model_s_reservation_only_while_it_lasts() -> None:
    """The day ends after hours, and the queue checks again after half a minute: neither is the time when tokens
    return."""

    def answer(one: Any, now: float) -> Any:
        sent.append(now)
        return 20.5, Outcome(usage=Usage(10, 0))

    sent: list[float] = []
    driver = VirtualDriver(answer)
    step = Pipeline(Deadline(900.0), Quota(tpd=1000)).around(send, driver.clock)
    tasks = [driver.spawn(step(one), after=one.arrived) for one in (sized(900, 0.0, "a"), sized(500, 1.0, "b"))]
    driver.run()
    assert [task.result.fault for task in tasks] == [None, None]
    assert 20.5 <= sent[1] <= 21.5


def test_each_of_three_days_allows_the_same_tokens() -> None:
    calls = [sized(10, minute * 600.0, "ab"[minute % 2]) for minute in range(3 * 144)]
    codes, sent = run_sized(Quota(tpd=500), 0.1, *calls, deadline=60.0)
    assert codes.count(None) == len(sent)
    assert 150 <= len(sent) <= 200  # of 50 a day, in three days that are parts of four
    assert {code for code in codes if code} == {"QuotaExhausted"}


def test_accounts_named_by_callers_do_not_grow_the_state() -> None:
    quota = Quota()
    run_sized(quota, 0.1, *(sized(1, at / 10, account=f"{at:012d}") for at in range(3000)))
    assert len(quota._days) < 1200


def test_the_refusal_says_that_all_models_share_the_day() -> None:
    account = Account(allowed=1)
    quota = Quota(tpm=60_000_000)
    account.run(quota, (0.0, "a", EAST), (1.0, "a", EAST))
    step = Pipeline(Deadline(60.0), quota).around(send, account.driver.clock)
    task = account.driver.spawn(step(call(arrived=2.0, route=Route("b", EAST, "123456789012"))), after=2.0)
    account.driver.run()
    fault = task.result.fault
    assert fault is not None
    assert "all models of us-east-1 share" in fault.message
    assert "another Region" in fault.advice


@pytest.mark.parametrize("other", ["210987654321", ""])
def test_each_account_has_its_own_day(other: str) -> None:
    account = Account(allowed=1)
    quota = Quota(tpm=60_000_000)
    account.run(quota, (0.0, "a", EAST), (1.0, "a", EAST))
    account.allowed = 100
    step = Pipeline(Deadline(60.0), quota).around(send, account.driver.clock)
    task = account.driver.spawn(step(call(arrived=2.0, route=Route("b", EAST, other))), after=2.0)
    account.driver.run()
    assert task.result.fault is None
