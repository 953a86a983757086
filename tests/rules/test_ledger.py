from __future__ import annotations

from math import inf
from typing import Any

import pytest

from aws_bedrock_inference.rules.ledger import Ledger


def ledger(rpm: Any = None, tpm: Any = None, burst: float = 5.0) -> Any:
    return Ledger(rpm=rpm, tpm=tpm, burst=burst, now=0.0)


def test_a_burst_goes_at_once_and_the_rest_at_the_rate() -> None:
    book = ledger(rpm=60)
    tickets = [book.reserve(0, order, 0.0) for order in range(7)]
    assert [ticket.admitted for ticket in tickets] == [True] * 5 + [False] * 2
    assert book.claim(tickets[5], 0.0) == pytest.approx(1.0)
    assert book.claim(tickets[6], 0.0) == inf


def test_the_head_is_admitted_when_its_time_has_come_and_the_next_is_woken_to_set_its_alarm() -> None:
    book = ledger(rpm=60)
    _, first, second = [book.reserve(0, order, 0.0) for order in range(7)][4:]
    woken = []
    book.claim(second, 0.0)
    second.attach(lambda: woken.append("second"))
    book.claim(first, 0.0)
    book.claim(first, 1.0)
    assert first.admitted
    assert woken == ["second"]
    assert book.claim(second, 1.0) == pytest.approx(2.0)


def test_reserves_input_and_maximum_and_gives_back_what_was_not_used() -> None:
    book = ledger(tpm=6000, burst=60.0)
    big = book.reserve(5000, 0.0, 0.0)
    waiting = book.reserve(4000, 1.0, 0.0)
    assert not waiting.admitted
    book.settle(big, 1000, 0.0)
    assert waiting.admitted


def test_a_settlement_above_the_reservation_is_a_debt() -> None:
    book = ledger(tpm=6000, burst=60.0)
    book.settle(book.reserve(5000, 0.0, 0.0), 12_000, 0.0)
    late = book.reserve(1000, 1.0, 0.0)
    assert book.claim(late, 0.0) == pytest.approx(70.0)


def test_a_refund_wakes_the_head_to_set_an_earlier_alarm() -> None:
    book = ledger(tpm=6000, burst=60.0)
    big = book.reserve(6000, 0.0, 0.0)
    waiting = book.reserve(4000, 1.0, 0.0)
    assert book.claim(waiting, 0.0) == pytest.approx(40.0)
    woken = []
    assert waiting.attach(lambda: woken.append(1))
    book.settle(big, 3000, 0.0)
    assert woken == [1]
    assert book.claim(waiting, 0.0) == pytest.approx(10.0)


def test_a_wake_before_the_driver_attached_is_not_lost() -> None:
    book = ledger(rpm=60, burst=1.0)
    first = book.reserve(0, 0.0, 0.0)
    waiting = book.reserve(0, 1.0, 0.0)
    book.claim(waiting, 0.0)
    book.cancel(first, 0.0, sent=False)
    assert waiting.attach(lambda: None) is False


def test_a_repeat_keeps_its_place_before_calls_that_arrived_later() -> None:
    book = ledger(rpm=60, burst=1.0)
    book.reserve(0, 0.0, 0.0)
    later = book.reserve(0, 5.0, 0.0)
    repeat = book.reserve(0, 1.0, 0.0)
    assert book.claim(later, 0.0) == inf
    assert book.claim(repeat, 0.0) == pytest.approx(1.0)


def test_who_leaves_the_queue_lets_the_next_one_in() -> None:
    book = ledger(tpm=6000, burst=60.0)
    book.reserve(5000, 0.0, 0.0)
    impatient = book.reserve(4000, 1.0, 0.0)
    small = book.reserve(500, 2.0, 0.0)
    assert not small.admitted
    book.cancel(impatient, 0.0, sent=False)
    assert small.admitted


def test_a_call_that_never_arrived_gives_its_request_back() -> None:
    book = ledger(rpm=60, burst=1.0)
    book.cancel(book.reserve(0, 0.0, 0.0), 0.0, sent=True)
    waiting = book.reserve(0, 1.0, 0.0)
    assert not waiting.admitted
    book.cancel(waiting, 0.0, sent=False)
    book = ledger(rpm=60, burst=1.0)
    book.cancel(book.reserve(0, 0.0, 0.0), 0.0, sent=False)
    assert book.reserve(0, 1.0, 0.0).admitted


def test_a_call_larger_than_the_burst_goes_from_a_full_bucket_and_leaves_a_debt() -> None:
    book = ledger(tpm=6000)
    assert book.reserve(3000, 0.0, 0.0).admitted
    assert book.claim(book.reserve(100, 1.0, 0.0), 0.0) == pytest.approx((3000 - 500 + 100) / 100)


def test_a_throttle_empties_the_dimension_it_names() -> None:
    book = ledger(rpm=600, tpm=60_000)
    book.throttled(book.reserve(100, 0.0, 0.0), "tokens", 0.0)
    assert book.claim(book.reserve(1000, 1.0, 0.0), 0.0) == pytest.approx(1.0)


def test_throttles_in_a_row_make_it_stand_still_longer_and_longer_and_a_success_ends_that() -> None:
    book = ledger()
    now, struck, pauses = 0.0, 0.0, []
    for _ in range(8):
        now += 0.1
        ticket = book.reserve(0, now, now)
        if not ticket.admitted:
            due = book.claim(ticket, now)
            pauses.append(due - struck)
            now = due
            book.claim(ticket, now)
        now += 0.1
        struck = now
        book.throttled(ticket, None, now)
    assert pauses == pytest.approx([1, 2, 4, 8, 16, 20])
    ticket = book.reserve(0, now, now)
    now = book.claim(ticket, now)
    book.claim(ticket, now)
    book.settle(ticket, 0, now + 1)
    book.throttled(book.reserve(0, now, now + 2), None, now + 3)
    assert book.reserve(0, now, now + 3).admitted


def test_throttles_of_one_crowd_count_once() -> None:
    book = ledger()
    crowd = [book.reserve(0, 0.0, 0.0) for _ in range(50)]
    for ticket in crowd:
        book.throttled(ticket, None, 1.0)
    assert book.reserve(0, 1.0, 1.0).admitted


def test_the_earliest_admission_counts_on_everything_outstanding_to_come_back() -> None:
    book = ledger(tpm=6000, burst=60.0)
    book.reserve(6000, 0.0, 0.0)
    assert book.earliest(3000, 0.0) == 0.0
    book = ledger(tpm=6000, burst=60.0)
    book.settle(book.reserve(6000, 0.0, 0.0), 9000, 0.0)
    assert book.earliest(3000, 0.0) == pytest.approx(60.0)
