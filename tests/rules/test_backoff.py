from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.doubles import INTERNAL, NOT_READY, THROTTLE

from aws_bedrock_inference.rules.backoff import JITTERS, ceiling, delay, full


@pytest.mark.parametrize(
    ("fault", "ceilings"),
    [
        (INTERNAL, [0.05, 0.1, 0.2, 0.4]),
        (THROTTLE, [1, 2, 4, 8, 16, 20, 20]),
        (NOT_READY, [10, 20, 40, 60, 60]),
    ],
)
def test_ceilings_follow_retry_2_1_and_the_fault_s_own_schedule(fault: Any, ceilings: Any) -> None:
    assert [ceiling(fault.hint, retry) for retry in range(1, len(ceilings) + 1)] == pytest.approx(ceilings)


@pytest.mark.parametrize(
    ("jitter", "expected"),
    [("full", 0.5 * 4), ("equal", 3.0), ("decorrelated", 1 + 0.5 * (3 * 2 - 1))],
)
def test_each_kind_of_jitter_follows_its_formula(jitter: Any, expected: Any) -> None:
    assert delay(THROTTLE, 3, 2.0, jitter=JITTERS[jitter], chance=lambda: 0.5) == pytest.approx(expected)


def test_a_cold_model_is_never_called_again_immediately() -> None:
    assert delay(NOT_READY, 1, 0.0, jitter=full, chance=lambda: 0.0) == NOT_READY.hint.floor > 1


@pytest.mark.parametrize(
    ("suggested", "expected"),
    [(0.1, 0.5), (3.0, 3.0), (5.5, 5.5), (60.0, 60.0)],
)
def test_a_suggested_wait_is_obeyed(suggested: Any, expected: Any) -> None:
    fault = replace(THROTTLE, suggested_wait=suggested)
    assert delay(fault, 1, 0.0, jitter=full, chance=lambda: 0.5) == pytest.approx(expected)


def test_retry_after_is_obeyed() -> None:
    fault = replace(INTERNAL, retry_after=42.0)
    assert delay(fault, 1, 0.0, jitter=full, chance=lambda: 0.5) == 42.0


def test_a_fault_paced_by_the_quota_has_no_additional_wait() -> None:
    assert delay(replace(THROTTLE, paced=True), 4, 1.0, jitter=full, chance=lambda: 0.9) == 0.0


@given(
    retry=st.integers(1, 500),
    dice=st.floats(0, 1, exclude_max=True),
    jitter=st.sampled_from(sorted(JITTERS)),
    previous=st.floats(0, 20),
)
def test_no_wait_exceeds_the_maximum(retry: Any, dice: float, jitter: Any, previous: Any) -> None:
    assert 0.0 <= delay(THROTTLE, retry, previous, jitter=JITTERS[jitter], chance=lambda: dice) <= THROTTLE.hint.cap
