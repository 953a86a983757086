"""Regression tests of the ledger."""

from __future__ import annotations

from typing import Any

import pytest

from aws_bedrock_inference.rules.quota.gates import Concurrency
from aws_bedrock_inference.rules.quota.ledger import Ledger
from aws_bedrock_inference.rules.quota.queue import Queue
from aws_bedrock_inference.rules.quota.ticket import Ticket


def admitted_at(book: Any, ticket: Any, now: float) -> float:
    for _ in range(1000):
        due = book.claim(ticket, now)
        if ticket.admitted:
            return now
        now = due
    raise AssertionError


def test_a_quota_that_was_full_for_an_hour_without_a_throttle_continues() -> None:
    book = Ledger(rpm=600, tpm=None, now=0.0)
    now = 0.0
    while now < 3600.0:
        ticket = book.reserve(0, now, now)
        now = now if ticket.admitted else admitted_at(book, ticket, now)
        book.settle(ticket, 0, now)


def test_a_token_throttle_of_the_first_call_does_not_block_all_later_calls() -> None:
    book = Ledger(rpm=None, tpm=None, now=0.0)
    book.throttled(book.reserve(8000, 0, 0.0), "tokens", 0.1)
    now = 0.2
    for order in range(5):
        ticket = book.reserve(8000, order, now)
        now = now if ticket.admitted else admitted_at(book, ticket, now)
        book.settle(ticket, 300, now + 1)
        now += 1
    assert now < 60


def test_a_call_that_left_the_queue_is_not_counted() -> None:
    queue = Queue()
    tickets = [Ticket(10, 1.0, 0.0) for _ in range(4)]
    for order, ticket in enumerate(tickets):
        queue.push(ticket, order)
    book = Ledger(rpm=60, tpm=None, now=0.0, burst=1.0, windowed=False)
    book.reserve(0, 0, 0.0)
    _head, *others = [book.reserve(0, order, 0.0) for order in range(4)]
    for ticket in others:
        book.cancel(ticket, 0.0, sent=False)
    assert book.queue.ahead(1.0) == len(book.queue) == 1


def test_a_batch_call_without_tokens_does_not_pass_interactive_calls() -> None:
    queue = Queue()
    urgent, batch = Ticket(100, 0.0, 0.0), Ticket(0, 2.0, 0.0)
    queue.push(urgent, 0.0)
    queue.push(batch, 0.0)
    assert queue.head() is urgent


def test_the_concurrency_returns_to_its_configured_limit_and_never_above() -> None:
    calls = Concurrency(20)
    calls.in_flight = 20
    calls.on_capacity_error(0.0, 1.0)
    for _ in range(1000):
        calls.on_success()
    assert calls.most == 20


def test_interactive_calls_are_counted_from_the_first_one() -> None:
    book = Ledger(rpm=600, tpm=60_000, now=0.0)
    book.settle(book.reserve(100, 0.0, 0.0, 0.0), 100, 0.0)
    assert book.consumers.minute(0.0) == {0.0: 100}


def test_a_call_longer_than_a_minute_leaves_no_state() -> None:
    book = Ledger(rpm=None, tpm=6000, now=0.0)
    slow = book.reserve(1000, 0.0, 0.0)
    book.available(70.0)
    book.settle(slow, 100, 70.0)
    book.available(200.0)
    assert book.window.tokens.used == pytest.approx(0.0)


def test_a_limit_found_by_another_member_ends_the_doubling_of_the_estimate() -> None:
    book = Ledger(rpm=None, tpm=None, now=0.0)
    book.lease(0.5, {"requests": 600.0}, 0.0)
    now = 0.0
    for order in range(60):
        ticket = book.reserve(0, order, now)
        now = now if ticket.admitted else admitted_at(book, ticket, now)
        book.settle(ticket, 0, now)
    assert book.window.requests.known
    assert book.window.requests.estimate < 800


def test_a_call_with_an_unknown_result_ends_no_series_of_throttles() -> None:
    book = Ledger(rpm=600, tpm=None, now=0.0)
    for now in (0.0, 1.0, 4.0):
        ticket = book.reserve(0, now, now)
        admitted = now if ticket.admitted else admitted_at(book, ticket, now)
        book.throttled(ticket, "requests", admitted)
    in_a_row = book.pause.in_a_row
    assert in_a_row > 1
    lost = book.reserve(0, 9.0, 20.0)
    book.abandon(lost, 21.0)
    assert book.pause.in_a_row == in_a_row


def test_a_priority_is_forgotten_with_its_last_call() -> None:
    queue = Queue()
    for number in range(1000):
        ticket = Ticket(1.0, float(number), 0.0)
        queue.push(ticket, 0.0)
        queue.pop(ticket)
    assert len(queue._lines) == 1


def test_a_call_that_is_ended_twice_is_counted_once() -> None:
    book = Ledger(rpm=600, tpm=600, now=0.0)
    ticket = book.reserve(10, 0.0, 0.0)
    book.settle(ticket, 10, 0.0)
    book.cancel(ticket, 0.0, sent=False)
    assert (len(book.queue), book.concurrency.in_flight) == (0, 0)


def test_a_call_with_an_unknown_result_counts_for_its_priority() -> None:
    book = Ledger(rpm=600, tpm=60_000, now=0.0)
    book.watch()
    book.abandon(book.reserve(300, 0.0, 0.0, 2.0), 0.0)
    book.settle(book.reserve(500, 0.0, 0.0, 0.0), 200, 0.0)
    assert book.snapshot(0.0).consumers == {0.0: 200, 2.0: 300}


def test_a_call_that_is_settled_twice_counts_once_for_its_priority() -> None:
    book = Ledger(rpm=600, tpm=60_000, now=0.0)
    ticket = book.reserve(300, 0.0, 0.0, 0.0)
    book.settle(ticket, 200, 0.0)
    book.settle(ticket, 200, 0.0)
    assert book.snapshot(0.0).consumers == {0.0: 200}


def test_a_snapshot_does_not_change_and_has_the_used_reserved_and_waiting_amounts() -> None:
    book = Ledger(rpm=600, tpm=6000, now=0.0)
    book.lease(0.5, {}, 0.0)
    in_flight = [book.reserve(100, float(order), 0.0, 0.0) for order in range(2)]
    waiting = [book.reserve(3000, float(order), 0.0, 2.0) for order in range(3)]
    taken = book.snapshot(0.0)
    for ticket in (*waiting, *in_flight):
        book.cancel(ticket, 1.0, sent=False)
    assert (taken.outstanding, taken.in_flight, taken.stalled) == (200, 2, False)
    assert taken.used == {"requests": 2.0, "tokens": 200.0}
    assert taken.estimates == {"requests": 300.0, "tokens": 3000.0}
    assert taken.waiting == {2.0: 3}
    assert (book.ahead(), book.ahead(0.0)) == (0, 0)


def test_the_needs_contain_the_waiting_calls_and_the_known_limits() -> None:
    book = Ledger(rpm=None, tpm=6000, now=0.0)
    book.watch()
    book.settle(book.reserve(300, 0.0, 0.0, 1.0), 300, 0.0)
    for order in range(3):
        book.reserve(3000, float(order), 0.0, 2.0)
    book.available(0.0)
    needs: Any = book.needs(0.0)
    assert needs.waiting == frozenset({(2.0, "")})
    assert needs.limits == (("tokens", 6000),)
    assert needs.told == (
        (1.0, pytest.approx(1.25 * 300 / 6000 + 0.01), 0.0, ""),
        (2.0, pytest.approx(0.01 + 9000 / 6000 * 30), 3.0, ""),
    )


@pytest.mark.parametrize("age", [1.0, 70.0], ids=["in the last minute", "older than a minute"])
def test_the_end_of_a_parents_call_changes_nothing_in_a_forked_child(age: float) -> None:
    book = Ledger(rpm=None, tpm=6000, now=0.0)
    parents = book.reserve(500.0, 0.0, 0.0)
    book.reserve(100.0, 0.0, age)
    book.after_fork()
    own = book.reserve(300.0, 0.0, age)
    before = book.snapshot(age)
    book.settle(parents, 200.0, age)
    assert book.snapshot(age) == before
    book.settle(own, 300.0, age)
    after = book.snapshot(age)
    assert (after.outstanding, after.in_flight) == (0.0, 0)
