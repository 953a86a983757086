"""Properties of the estimated limit for every order of throttles: calls are always possible."""

from __future__ import annotations

from math import inf
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from support.replay import Observation, replay

from aws_bedrock_inference.rules.quota.learning import EvidenceEstimator
from aws_bedrock_inference.rules.quota.ledger import Ledger
from aws_bedrock_inference.rules.quota.observed import Throttle

USED = st.just(0.0) | st.floats(0.0, 1e6)
THROTTLES = st.builds(
    Throttle, st.integers(0, 6), USED, USED, st.just(0.0) | st.floats(0.0, 1e6), USED, st.floats(0.0, 99.0)
)
OBSERVED = st.lists(
    st.tuples(st.floats(0.0, 40.0), st.floats(0.0, 99.0), st.none() | THROTTLES, st.none() | st.floats(0.01, 1e6)),
    max_size=60,
)
NOTHING_USED = [(1.0, 0.0, Throttle(1, 0.0, 0.0, refused), None) for refused in (300.0, 0.0, 0.0)]
UNKNOWN = {"estimate": inf, "known": False}
TOLD = {"estimate": 600.0, "ceiling": 600.0}
STARTS = [UNKNOWN, {"estimate": 600.0, "known": False}, {"estimate": 600.0}, TOLD]
ROWS = [(seconds, 1.0, Throttle(in_a_row, 0.0, 0.0), None) for seconds in (9.0, 1.0) for in_a_row in range(1, 6)]


@given(OBSERVED, st.sampled_from(STARTS))
@example(NOTHING_USED, UNKNOWN)
@example(ROWS, UNKNOWN)
@example(ROWS * 4, TOLD)
def test_every_estimate_is_above_zero(observed: Any, start: dict[str, Any]) -> None:
    trace, at, admitted = [], 0.0, 0.0
    for seconds, calls, throttle, adopted in observed:
        at, admitted = at + seconds, admitted + calls
        trace.append(Observation(at, admitted, throttle=throttle, adopted=adopted))
    made = EvidenceEstimator(burst=5.0, **start)
    for answer in replay(made, trace):
        assert 0.0 < answer.estimate <= made.ceiling
        assert 0.0 < answer.burst <= 5.0
        assert 0.0 <= answer.slack <= 4.0


def test_a_call_gets_its_turn_even_after_throttles_without_any_usage() -> None:
    """Token throttles before any token was used show that the limit is low, not that it is 0."""
    book: Any = Ledger(rpm=60, tpm=None, now=0.0, listed=("requests", "tokens"))
    for second in range(1, 9):
        now = 10.0 * second
        book.throttled(book.reserve(300.0, 0.0, now - 1.0), "tokens", now)
    assert 0.0 < book.window.tokens.estimate < inf
    waiting = book.reserve(300.0, 0.0, now)
    turns = 0
    while not waiting.admitted and turns < 9:
        now = book.claim(waiting, now)
        turns += 1
    assert waiting.admitted
    assert now < 200.0
