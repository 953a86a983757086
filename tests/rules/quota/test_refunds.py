"""The refunds that are expected of calls in flight."""

from __future__ import annotations

import pytest

from aws_bedrock_inference.rules.quota.refunds import HALF, Refunds
from aws_bedrock_inference.rules.quota.slot import Slot


def slots(*reserved: float) -> list[Slot]:
    made = [Slot(float(end)) for end in range(len(reserved))]
    for slot, tokens in zip(made, reserved, strict=True):
        slot.reserved = tokens
    return made


def test_nothing_is_expected_before_a_call_has_ended() -> None:
    assert Refunds().expected(slots(1000.0)) == 0.0


def test_calls_count_by_the_seconds_that_they_were_in_flight() -> None:
    refunds = Refunds()
    refunds.ended(60.0, 4000.0, 3000.0)
    for _ in range(9):  # nine short calls are in flight as long as 6.3 s of the long one
        refunds.ended(0.7, 400.0, 0.0)
    assert refunds.expected(slots(6000.0, 2000.0)) == pytest.approx(8000.0 * 0.75, rel=0.02)


def test_calls_that_used_more_than_they_reserved_let_nothing_be_expected() -> None:
    refunds = Refunds()
    refunds.ended(1.0, 100.0, -50.0)
    assert refunds.expected(slots(1000.0)) == 0.0


def test_a_change_of_the_calls_is_learned_within_minutes() -> None:
    refunds = Refunds()
    refunds.ended(60.0, 4000.0, 3000.0)
    refunds.fade(4 * HALF)
    refunds.ended(60.0, 4000.0, 0.0)
    assert refunds.expected(slots(1000.0)) == pytest.approx(750.0 / 17)
