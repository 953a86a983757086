"""The learned burndown, minute by minute, without a service."""

from __future__ import annotations

import logging

import pytest
from support.doubles import ROUTE

from aws_bedrock_inference.events import BurndownChanged
from aws_bedrock_inference.log import log
from aws_bedrock_inference.policies import Quota
from aws_bedrock_inference.rules.quota.burndown import Burndown
from aws_bedrock_inference.rules.quota.learning import EvidenceEstimator
from aws_bedrock_inference.rules.quota.limit import Limit

TPM = 60_000.0


class Traffic:
    """Calls of 100 tokens of input and 20 of output that wait for a limit of 60,000 tokens a minute, and fill it."""

    def __init__(self, table: float = 10.0, told: float = TPM) -> None:
        self.burndown = Burndown(table, told, now=0.0)
        self.limit = Limit(EvidenceEstimator(TPM, burst=5.0, ceiling=TPM))
        self.now = self.calls = 0.0

    def goes(self, seconds: int, *, fill: float = 1.0, waits: bool = True) -> None:
        burndown = self.burndown
        for _ in range(seconds):
            self.now += 1.0
            charge = 100.0 + 20.0 * burndown.rate
            calls = fill * TPM / 60.0 / charge
            self.calls += calls
            burndown.charged += calls * charge
            burndown.output += calls * 20.0
            if waits:
                burndown.held(1.0)
            if self.now >= burndown.due:
                burndown.look(self.now, self.limit, self.calls)

    def is_throttled(self, times: int, in_a_row: int = 1) -> float:
        return sum(self.burndown.throttled(self.now, 0.0, in_a_row, self.limit) for _ in range(times))


def test_no_lower_burndown_is_tried_in_the_first_minute_then_small_steps_each_half_minute() -> None:
    traffic = Traffic()
    traffic.goes(59)
    assert traffic.burndown.rate == 10.0
    traffic.goes(1)
    rates = [traffic.burndown.rate]
    for _ in range(3):
        traffic.goes(30)
        rates.append(traffic.burndown.rate)
    assert rates == pytest.approx([9.0, 8.1, 7.29, 6.561])
    assert traffic.burndown.factor == pytest.approx(0.6561)


@pytest.mark.parametrize(
    ("told", "fill", "waits"),
    [(float("inf"), 1.0, True), (TPM, 0.5, True), (TPM, 1.0, False)],
    ids=["no limit is told", "reservations fill the minute", "nothing waits"],
)
def test_no_lower_burndown_is_tried_if_the_result_would_be_meaningless(told: float, fill: float, waits: bool) -> None:  # noqa: FBT001
    traffic = Traffic(told=told)
    traffic.goes(600, fill=fill, waits=waits)
    assert traffic.burndown.rate == 10.0


def test_the_burndown_is_at_least_one() -> None:
    traffic = Traffic(table=1.5)
    traffic.goes(900)
    assert traffic.burndown.rate == 1.0


def test_throttles_undo_the_steps_of_a_minute_and_charge_the_difference() -> None:
    traffic = Traffic()
    traffic.goes(95)
    assert traffic.burndown.rate == pytest.approx(8.1)
    owed = traffic.is_throttled(6)
    assert traffic.burndown.rate == pytest.approx(10.0)
    assert 0.0 < owed <= 0.1 * TPM
    assert traffic.burndown.reason == "throttles arrived during a trial of 8.1"


def test_each_failed_step_makes_the_pause_longer_and_the_next_step_smaller() -> None:
    traffic = Traffic()
    traffic.goes(62)
    traffic.is_throttled(6)
    traffic.goes(60)
    assert traffic.burndown.rate == 10.0
    traffic.goes(10)
    assert traffic.burndown.rate == pytest.approx(9.5)
    traffic.is_throttled(6)
    traffic.goes(235)
    assert traffic.burndown.rate == 10.0
    traffic.goes(15)
    assert traffic.burndown.rate == pytest.approx(9.5)


def test_two_throttles_stop_the_steps_and_undo_none() -> None:
    traffic = Traffic()
    traffic.goes(62)
    traffic.is_throttled(2)
    traffic.goes(20)
    assert traffic.burndown.rate == pytest.approx(9.0)


def outage(traffic: Traffic, seconds: int = 2) -> None:
    """Throttle all calls for some seconds, also the probes after pauses."""
    burndown, limit = traffic.burndown, traffic.limit
    for count in range(1, 4):
        burndown.throttled(traffic.now, 0.0, count, limit)
    for half in range(1, 2 * seconds + 1):
        burndown.throttled(traffic.now + half / 2, 0.0, 3 + half, limit, half)
    traffic.goes(seconds + 1)


def test_an_outage_during_a_trial_undoes_no_step() -> None:
    """Regression: with outages, a table that is three times too high was not corrected in half an hour."""
    traffic = Traffic()
    traffic.goes(62)
    for pause in (23, 38):
        outage(traffic)
        traffic.goes(pause)
    assert traffic.burndown.rate < 9.0
    traffic.is_throttled(1)
    assert traffic.burndown.rate < 9.0


def test_outages_at_the_same_second_of_the_minute_are_full_minutes_and_undo_the_steps() -> None:
    traffic = Traffic()
    traffic.goes(62)
    lowest = 10.0
    for _ in range(3):
        outage(traffic)
        traffic.goes(57)
        lowest = min(lowest, traffic.burndown.rate)
    outage(traffic)
    traffic.is_throttled(1)
    assert lowest < 9.0
    assert traffic.burndown.rate > lowest


def test_throttles_of_calls_sent_before_a_failed_step_are_ignored() -> None:
    traffic = Traffic()
    traffic.goes(62)
    traffic.is_throttled(6)
    failed = traffic.burndown.rate
    traffic.now += 1.0
    for _ in range(9):
        traffic.burndown.throttled(traffic.now, 2.0, 1, traffic.limit)
    assert traffic.burndown.rate == failed


def test_throttles_in_minutes_far_from_full_raise_the_burndown() -> None:
    traffic = Traffic(table=5.0)
    traffic.limit.used = 0.5 * TPM
    traffic.goes(90, fill=0.5)
    traffic.is_throttled(8)
    # Half the minute passed at 100 + 20 x 5 each: 150 calls; they fill it at 100 + 20 x 15, and a tenth is added.
    assert traffic.burndown.rate == pytest.approx(15.0 * 1.1, rel=0.02)
    assert traffic.burndown.reason == "5 was too low: throttled minutes were far from full"
    assert traffic.limit.estimator.reason.startswith("as configured")


def test_throttles_in_a_minute_without_waiting_calls_do_not_raise_the_burndown() -> None:
    traffic = Traffic(table=5.0)
    traffic.limit.used = 0.5 * TPM
    traffic.goes(90, fill=0.5, waits=False)
    traffic.is_throttled(8)
    assert traffic.burndown.rate == 5.0


def test_seconds_without_calls_are_not_counted_as_waiting() -> None:
    traffic = Traffic(table=5.0)
    traffic.limit.used = 0.5 * TPM
    traffic.goes(30, fill=0.5)
    traffic.now += 30.0  # no call arrives, so nothing is checked
    traffic.goes(1, fill=0.5)
    traffic.is_throttled(8)
    assert traffic.burndown.rate == 5.0


@pytest.mark.parametrize(("moments", "raised"), [(0, True), (3, False)])
def test_what_bad_moments_took_of_a_minute_is_no_reason_to_raise_it(moments: int, raised: bool) -> None:  # noqa: FBT001
    traffic = Traffic(table=5.0)
    traffic.limit.used = 0.75 * TPM
    traffic.goes(90 - 10 * moments, fill=0.75)
    for _ in range(moments):
        traffic.is_throttled(1)
        traffic.goes(4, fill=0.0)
        traffic.is_throttled(1, in_a_row=3)
        traffic.goes(6, fill=0.75)
    traffic.is_throttled(8)
    assert (traffic.burndown.rate > 5.0) is raised


def test_the_burndown_is_never_raised_above_four_times_the_table() -> None:
    traffic = Traffic(table=5.0)
    traffic.limit.used = 0.1 * TPM
    traffic.goes(90, fill=0.1)
    traffic.is_throttled(8)
    assert traffic.burndown.rate == 20.0


def test_a_burndown_set_by_the_user_is_not_changed() -> None:
    quota = Quota(tpm=100_000)
    quota.set_burndown("us." + ROUTE.base if ROUTE.base else ROUTE.model, 7)
    ledger = quota.ledger(ROUTE, 0.0)
    assert ledger.window.burndown.rate == 7.0
    quota.set_burndown(ROUTE.base or ROUTE.model, 3)
    assert ledger.window.burndown.rate == 3.0
    assert "an output token counts as 3" in quota.explain(0.0)
    assert "(as set with set_burndown)" in quota.explain(0.0)


@pytest.mark.parametrize("wrong", [0, -1, "5", None])
def test_an_impossible_burndown_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="tokens of quota that one output token uses, above 0"):
        Quota(tpm=1000).set_burndown("amazon.nova-lite-v1:0", wrong)  # type: ignore[arg-type]


def test_each_change_of_the_burndown_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "aws_bedrock_inference")
    log(BurndownChanged(ROUTE, 4.5, 5.0, "a trial: with 5, the limit was not used fully"))
    (record,) = caplog.records
    assert "an output token counts as 4.5 tokens of the quota, not 5 as in the table: a trial" in record.getMessage()
    assert record.levelno == logging.INFO
