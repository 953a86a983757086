"""The refunds that are expected of calls in flight."""

from __future__ import annotations

import pytest

from aws_bedrock_inference.rules.quota.refunds import HALF, Refunds
from aws_bedrock_inference.rules.quota.slot import Slot


def slots(*reserved: float) -> list[Slot]:
    made = [Slot(float(end)) for end in range(len(reserved))]
    for slot, tokens in zip(made, reserved, strict=True):
        slot.reserved, slot.in_flight = tokens, 1
    return made


def test_nothing_is_expected_before_a_call_has_ended() -> None:
    assert Refunds().expected(slots(1000.0)) == 0.0


def test_calls_count_by_the_seconds_that_they_were_in_flight() -> None:
    refunds = Refunds()
    refunds.ended(60.0, 4000.0, 3000.0)
    for _ in range(9):  # nine short calls are in flight as long as 6.3 s of the long one
        refunds.ended(0.7, 400.0, 0.0)
    assert refunds.expected(slots(4000.0, 4000.0)) == pytest.approx(8000.0 * 0.75, rel=0.1)


def test_calls_that_used_more_than_they_reserved_let_nothing_be_expected() -> None:
    refunds = Refunds()
    refunds.ended(1.0, 100.0, -50.0)
    assert refunds.expected(slots(1000.0)) == 0.0


def test_a_change_of_the_calls_is_learned_within_minutes() -> None:
    refunds = Refunds()
    refunds.ended(60.0, 4000.0, 3000.0)
    refunds.fade(4 * HALF)
    refunds.ended(60.0, 4000.0, 0.0)
    assert refunds.expected(slots(4000.0)) == pytest.approx(3000.0 / 17)


def test_smaller_reservations_than_before_are_not_expected_to_leave_the_same_part() -> None:
    refunds = Refunds()
    refunds.ended(60.0, 4000.0, 2500.0)
    assert refunds.expected(slots(4000.0)) == pytest.approx(2500.0)
    assert refunds.expected(slots(2000.0)) == pytest.approx(500.0)
    assert refunds.expected(slots(1500.0)) == 0.0


@pytest.mark.parametrize("seconds", [-3600.0, -0.05, 0.0])
def test_a_call_that_ends_in_its_slot_or_before_it_counts_for_nothing(seconds: float) -> None:
    refunds = Refunds()
    refunds.ended(seconds, 4000.0, 4000.0)
    assert refunds.expected(slots(4000.0)) == 0.0


def test_a_call_counts_for_at_most_the_minute_in_which_it_was_counted() -> None:
    refunds = Refunds()
    refunds.ended(850.0, 4000.0, 0.0)
    refunds.ended(60.0, 4000.0, 4000.0)
    assert refunds.expected(slots(4000.0)) == pytest.approx(2000.0)
