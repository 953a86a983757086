"""No counting method admits more than it declares, for any sequence of reservations and settlements."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws_bedrock_inference.simulator.quota import DISCIPLINES, MINUTE, TOKENS, Bucket, Pool, Quota, Ticket

LIMIT = 6000.0
# What any minute may settle at most: `bucket` a full bucket and its refill, `fixed` the ends of two windows.
MOST = {"bucket": 2.0, "tight": 1 + 5 / 60, "fixed": 2.0, "sliding": 1.0}

requests = st.lists(
    st.tuples(st.floats(0, 30), st.floats(1, LIMIT), st.floats(0, 1)),
    min_size=1,
    max_size=60,
)


@pytest.mark.parametrize("discipline", DISCIPLINES)
@given(asked=requests)
def test_no_minute_admits_more_than_the_declared_burst(discipline: Any, asked: Any) -> None:
    pool, now = Pool(Quota(tpm=LIMIT), discipline, 0.0), 0.0
    taken: list[tuple[float, float]] = []
    for pause, reserved, share in asked:
        now += pause
        ticket = pool.admit(reserved, now)
        if isinstance(ticket, Ticket):
            ticket.settle(reserved * share, now)
            taken.append((now, reserved * share))
    # `tight` admits a request above its bucket only if the bucket is full, so one such request is its burst.
    burst = max((tokens for _, tokens in taken), default=0) if discipline == "tight" else 0
    for start, _ in taken:
        minute = sum(tokens for at, tokens in taken if start <= at < start + MINUTE)
        assert minute <= MOST[discipline] * LIMIT + burst + 1e-6


@pytest.mark.parametrize("discipline", DISCIPLINES)
def test_unused_tokens_are_refunded_immediately_and_only_once(discipline: Any) -> None:
    pool = Pool(Quota(tpm=LIMIT), discipline, 0.0)
    ticket = pool.admit(LIMIT, 0.0)
    assert isinstance(ticket, Ticket)
    assert pool.admit(LIMIT, 0.0) == TOKENS
    ticket.settle(0, 0.0)
    ticket.settle(0, 0.0)
    assert isinstance(pool.admit(LIMIT, 0.0), Ticket)
    assert pool.admit(1, 0.0) == TOKENS


@pytest.mark.parametrize("discipline", DISCIPLINES)
def test_an_excess_is_charged(discipline: Any) -> None:
    pool = Pool(Quota(tpm=LIMIT), discipline, 0.0)
    ticket = pool.admit(1, 0.0)
    assert isinstance(ticket, Ticket)
    ticket.settle(LIMIT, 0.0)
    assert pool.admit(LIMIT / 10, 0.0) == TOKENS


def test_a_quota_of_zero_admits_nothing_and_none_everything() -> None:
    assert Pool(Quota(rpm=0), "bucket", 0.0).admit(1, 0.0) == "requests"
    assert isinstance(Pool(Quota(), "bucket", 0.0).admit(1e12, 0.0), Ticket)


def test_a_request_above_the_limit_is_refused_even_if_nothing_is_used() -> None:
    for discipline in DISCIPLINES:
        assert Pool(Quota(tpm=LIMIT), discipline, 0.0).admit(LIMIT + 1, 0.0) == TOKENS


@pytest.mark.parametrize("discipline", DISCIPLINES)
def test_a_lowered_limit_applies_immediately_and_counts_earlier_usage(discipline: Any) -> None:
    pool = Pool(Quota(tpm=LIMIT), discipline, 0.0)
    assert isinstance(pool.admit(LIMIT / 2, 0.0), Ticket)
    pool.change(Quota(tpm=LIMIT / 2), 0.0)
    assert pool.admit(LIMIT / 2 + 1, 120.0) == TOKENS
    assert isinstance(pool.admit(LIMIT / 2, 120.0), Ticket)
    assert pool.admit(LIMIT / 60, 120.0) == TOKENS


# The amount available immediately if LIMIT is used up and then doubled: buckets refill, windows admit the difference.
FREED = {"bucket": 0.0, "tight": -LIMIT * 11 / 12, "fixed": LIMIT, "sliding": LIMIT}


@pytest.mark.parametrize("discipline", DISCIPLINES)
def test_a_raised_limit_makes_the_unused_difference_available(discipline: Any) -> None:
    pool = Pool(Quota(tpm=LIMIT), discipline, 0.0)
    assert isinstance(pool.admit(LIMIT, 0.0), Ticket)
    pool.change(Quota(tpm=2 * LIMIT), 10.0)
    refilled = 10 * LIMIT / 60 if discipline in {"bucket", "tight"} else 0.0
    free = FREED[discipline] + refilled
    assert pool.admit(max(0.0, free) + 1, 10.0) == TOKENS
    if free > 0:
        assert isinstance(pool.admit(free, 10.0), Ticket)
    assert isinstance(pool.admit(LIMIT, 60.0), Ticket)


@pytest.mark.parametrize("seconds", [60.0, 5.0])
def test_a_bucket_refills_at_the_rate_of_its_time_and_never_above_its_capacity(seconds: float) -> None:
    bucket = Bucket(LIMIT, seconds, 0.0)
    bucket.take(bucket.capacity, 0.0)
    bucket.change(LIMIT / 2, 1.0)
    assert bucket.level(1.0) == pytest.approx(LIMIT / 60)
    assert bucket.level(3.0) == pytest.approx(2 * LIMIT / 60)
    assert bucket.level(1000.0) == bucket.capacity == LIMIT / 2 * seconds / 60
    bucket.change(LIMIT / 4, 1000.0)
    assert bucket.level(1000.0) == bucket.capacity == LIMIT / 4 * seconds / 60


@pytest.mark.parametrize("discipline", DISCIPLINES)
def test_a_reservation_from_before_a_change_is_settled_after_it(discipline: Any) -> None:
    pool = Pool(Quota(tpm=LIMIT), discipline, 0.0)
    ticket = pool.admit(LIMIT / 2, 0.0)
    assert isinstance(ticket, Ticket)
    pool.change(Quota(tpm=LIMIT / 2), 0.0)
    ticket.settle(0.0, 0.0)
    assert isinstance(pool.admit(LIMIT / 2, 0.0), Ticket)


def test_a_change_does_not_affect_other_limits_and_a_new_limit_counts_from_its_time() -> None:
    pool = Pool(Quota(rpm=1), "sliding", 0.0)
    assert isinstance(pool.admit(LIMIT, 0.0), Ticket)
    pool.change(Quota(tpm=LIMIT), 1.0)
    assert pool.admit(1, 1.0) == "requests"
    assert isinstance(pool.admit(LIMIT, 60.0), Ticket)


@pytest.mark.parametrize("limit", [-1.0, float("inf"), float("nan")])
def test_an_invalid_limit_is_refused(limit: float) -> None:
    with pytest.raises(ValueError, match=r"tpm is .*; set a number of 0 or more, or omit it for no limit"):
        Quota(tpm=limit)
