"""The reason in words for which the next waiting call is not sent now."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import pytest

from aws_bedrock_inference.rules.quota.gates import CAPACITY_ERRORS, Day
from aws_bedrock_inference.rules.quota.ledger import Ledger

if TYPE_CHECKING:
    from aws_bedrock_inference.rules.quota.ticket import Ticket


def quota(
    *, tpm: float | None = 60_000.0, rpm: float | None = None, concurrency: float = inf, day: float = inf
) -> Ledger:
    return Ledger(rpm=rpm, tpm=tpm, now=0.0, concurrency=concurrency, day=Day(day, ends=3600.0))


def send(book: Ledger, now: float = 0.0, tokens: float = 500.0, calls: int = 1) -> list[Ticket]:
    return [book.reserve(tokens, now, now) for _ in range(calls)]


def test_no_call_waits() -> None:
    book = quota()
    send(book)
    assert book.snapshot(0.0).pace == "the callers determine the rate: no call is waiting"


def test_calls_wait_for_even_pacing() -> None:
    book = quota()
    send(book, calls=20)
    assert book.snapshot(0.0).pace == "calls are spread evenly over the minute, at the limit of tokens per minute"


@pytest.mark.parametrize(
    ("used", "words"),
    [
        (6_000.0, "the limit of tokens per minute is reached"),
        (None, "the limit of tokens per minute is reached, but most tokens are only reserved, so a lower max_tokens"),
    ],
)
def test_calls_wait_for_a_full_minute(used: float | None, words: str) -> None:
    book = Ledger(rpm=None, tpm=60_000.0, now=0.0, burst=60.0)
    for ticket in send(book, tokens=6_000.0, calls=10):
        if used and ticket.admitted:
            book.settle(ticket, used, 0.0)
    book.snapshot(30.0)
    send(book, 30.0, tokens=7_000.0, calls=10)
    assert book.snapshot(30.0).pace.startswith(words)


def test_calls_wait_for_requests_per_minute() -> None:
    book = quota(tpm=None, rpm=60.0)
    send(book, calls=20)
    assert book.snapshot(0.0).pace.endswith("at the limit of requests per minute")


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        (0.0, "a pause of at most 4 s after 3 throttles in a row"),
        (30.0, "the service requested a wait, which ends in 30 s"),
    ],
)
def test_calls_wait_for_a_pause(stated: float, words: str) -> None:
    book = quota()
    for now in (0.0, 0.1, 0.2):
        [ticket] = send(book, now)
        book.throttled(ticket, "tokens", now + 0.05, stated if now == 0.2 else 0.0)
    send(book, 0.25)
    assert book.snapshot(0.25).pace.startswith(words)


def test_calls_wait_for_the_daily_quota_that_the_service_reported() -> None:
    book = quota()
    [ticket] = send(book)
    book.throttled(ticket, "tokens-per-day", 0.1)
    send(book, 0.2)
    assert book.snapshot(0.2).pace.startswith("AWS reported an exhausted daily quota")


@pytest.mark.parametrize(
    ("used", "words"),
    [(900.0, "tpd, the configured daily quota, is exhausted"), (None, "calls in flight have reserved the rest of tpd")],
)
def test_calls_wait_for_the_configured_daily_quota(used: float | None, words: str) -> None:
    book = quota(day=1_000.0)
    [ticket] = send(book, tokens=900.0)
    if used is not None:
        book.settle(ticket, used, 0.0)
    send(book)
    assert book.snapshot(0.0).pace.startswith(words)


def test_calls_wait_for_calls_in_flight() -> None:
    book = quota(concurrency=2)
    send(book, calls=3)
    assert book.snapshot(0.0).pace == "2 calls are in flight, the maximum that concurrency permits"


def test_calls_wait_because_the_service_lacked_capacity() -> None:
    book = quota()
    tickets = send(book, calls=6)
    for ticket in tickets[: int(CAPACITY_ERRORS)]:
        book.on_capacity_error(ticket, 1.0)
    send(book, 1.0, calls=6)
    assert book.snapshot(1.0).pace.startswith("the service lacked capacity, so at most 3 calls are in flight together")


def test_calls_wait_for_the_share_of_a_shared_quota() -> None:
    book = quota()
    book.lease(0.5, {}, 0.0, 1.0)
    send(book, 2.0)
    assert book.snapshot(2.0).pace == "this process has no share of the shared quota now, and waits for the store"
