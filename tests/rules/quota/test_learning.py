"""The estimator of a limit behind its seam: observations in, answers out, recorded and run again."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

import pytest
from support.replay import Answer, Observation, replay

from aws_bedrock_inference.rules.quota.learning import AimdEstimator, Throttle
from aws_bedrock_inference.rules.quota.ledger import Ledger

if TYPE_CHECKING:
    from aws_bedrock_inference.rules.quota.learning import Counts


class Fixed:
    """A dummy that learns nothing."""

    def __init__(self, estimate: float, *, burst: float, ceiling: float = inf, known: bool = True) -> None:
        self.estimate = min(estimate, ceiling)
        self.burst = burst
        self.slack = 0.0
        self.known = known

    def elapsed(self, seconds: float, counts: Counts) -> None: ...
    def throttled(self, throttle: Throttle, counts: Counts) -> None: ...
    def adopt(self, estimate: float) -> None: ...


class Recorder(AimdEstimator):
    """The default, which records what it observes and what it answers."""

    def __init__(self, estimate: float, **options: Any) -> None:
        super().__init__(estimate, **options)
        self.at = 0.0
        self.trace: list[Observation] = []
        self.answers: list[Answer] = []

    def record(self, counts: Counts | None, **more: Any) -> None:
        names = ("used", "calls", "share", "held_back", "reserved", "windowed") if counts is not None else ()
        fields = {"used": 0.0} | {name: getattr(counts, name) for name in names} | more
        self.trace.append(Observation(self.at, **fields))
        self.answers.append(Answer(self.estimate, self.burst, self.slack))

    def elapsed(self, seconds: float, counts: Counts) -> None:
        super().elapsed(seconds, counts)
        self.at += seconds
        self.record(counts)

    def throttled(self, throttle: Throttle, counts: Counts) -> None:
        super().throttled(throttle, counts)
        self.record(counts, throttle=throttle)

    def adopt(self, estimate: float) -> None:
        super().adopt(estimate)
        self.record(None, adopted=estimate)


def test_a_trace_recorded_from_a_ledger_gives_the_same_answers_again() -> None:
    book = Ledger(rpm=None, tpm=60_000, now=0.0, firm=False, estimator=Recorder)
    now, throttles = 0.0, 0
    for order in range(900):
        now += 0.125
        ticket = book.reserve(300, order, now)
        while not ticket.admitted:
            now = max(now, book.claim(ticket, now))
        if order % 90 in (50, 51, 52):
            book.throttled(ticket, "tokens", now + 0.1)
            throttles += 1
        else:
            book.settle(ticket, 200, now)
    book.lease(0.5, {"tokens": 30_000.0}, now)
    recorded: Any = book.window.tokens.estimator
    assert throttles == 30
    again = replay(AimdEstimator(60_000, burst=5.0), recorded.trace)
    assert [answer.estimate for answer in again] == pytest.approx([answer.estimate for answer in recorded.answers])
    assert again[-1].estimate == 30_000
    assert len({round(answer.estimate) for answer in again}) > 30


TRACE = [
    Observation(1.0, 6000),
    Observation(2.0, 6000, throttle=Throttle(1, 6000, 6000)),
    Observation(3.0, 6000),
    Observation(4.0, 6000, throttle=Throttle(2, 3000, 5000)),
    Observation(5.0, 6000, throttle=Throttle(3, 3000, 4700)),
    Observation(9.0, 4000, held_back=False),
    Observation(10.0, 4000, adopted=3000.0),
]


def test_the_default_follows_its_states() -> None:
    estimates = [answer.estimate for answer in replay(AimdEstimator(6000, burst=5.0, ceiling=6000), TRACE)]
    start, one, converged, two, more, idle, adopted = estimates
    assert start == 6000
    assert one == pytest.approx(6000 * (1 - 0.023))
    assert one < converged <= 6000
    assert two == pytest.approx(0.85 * converged, rel=0.05)
    assert more == 4700
    assert idle == more
    assert adopted == 3000


def test_an_estimator_that_is_put_in_its_place_decides_alone() -> None:
    assert replay(Fixed(6000, burst=2.0), TRACE) == [Answer(6000, 2.0, 0.0)] * len(TRACE)
    book = Ledger(rpm=None, tpm=60_000, now=0.0, burst=2.0, estimator=Fixed)
    for now in (0.0, 10.0, 20.0):
        book.throttled(book.reserve(100, 0.0, now), "tokens", now + 0.1)
    assert book.snapshot(21.0).estimates == {"requests": inf, "tokens": 60_000}


@pytest.mark.parametrize(
    ("state", "options", "trace", "estimate", "slack"),
    [
        ("unknown", {"known": False}, [Observation(1.0, 0)], 1020, 0),
        ("unknown, throttled", {"known": False}, [Observation(0.0, 500, throttle=Throttle(1, 500, 500))], 350, 0),
        ("not held back", {}, [Observation(50.0, 600, held_back=False)], 600, 0),
        ("reserved", {"ceiling": 600}, [Observation(10.0, 600, reserved=True)], 600, 0.05),
        (
            "slack before rate",
            {"ceiling": 600},
            [Observation(10.0, 600, reserved=True, throttle=Throttle(1, 600, 600))],
            600,
            0.04,
        ),
    ],
)
def test_what_each_state_does_to_rate_and_slack(
    state: str, options: Any, trace: Any, estimate: float, slack: float
) -> None:
    (answer,) = replay(AimdEstimator(600, burst=5.0, **options), trace)
    assert (answer.estimate, answer.slack) == pytest.approx((estimate, slack)), state
    assert answer.burst == 5.0


def test_a_quiet_minute_is_followed_by_a_probe_and_a_throttle_ends_it() -> None:
    trace = [Observation(0.0, 600, throttle=Throttle(1, 600, 600))]
    trace += [Observation(float(second), 600.0, calls=100.0) for second in range(1, 91)]
    estimates = [answer.estimate for answer in replay(AimdEstimator(600, burst=5.0), trace)]
    assert estimates[62] < 800
    assert estimates[90] > 1100
    assert max(estimates) <= 1200
    after = replay(AimdEstimator(600, burst=5.0), [*trace, Observation(91.0, 600, throttle=Throttle(1, 600, 600))])
    assert after[-1].estimate < after[-2].estimate
