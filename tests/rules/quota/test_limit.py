"""One dimension with the default estimator: configured limits are ceilings, throttles lower it, quiet time lifts it."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest

from aws_bedrock_inference.rules.quota.learning import EvidenceEstimator
from aws_bedrock_inference.rules.quota.limit import Limit
from aws_bedrock_inference.rules.quota.observed import Throttle


def limit(estimate: float = 6000.0, **options: Any) -> Limit:
    windowed = options.pop("windowed", True)
    return Limit(EvidenceEstimator(estimate, **{"burst": 5.0, "ceiling": estimate} | options), windowed=windowed)


def pressed(it: Limit, seconds: float, calls: float = 10.0, step: float = 0.1) -> None:
    """Let time pass in which the limit holds calls back and the full limit is used."""
    for _ in range(round(seconds / step)):
        it.absorb()
        it.held_back = True
        it.used = it.estimate * it.share
        it.renew(step, 0.0, calls)


def full_minute(it: Limit, used: float) -> None:
    """Throttle a row that lasts ten seconds, after a minute that took `used`."""
    it.used = used
    for in_a_row in range(1, 14):
        it.throttled(Throttle(in_a_row, used, used, refused_probes=max(0, in_a_row - 3)))
        it.renew(1.0, 0.0, 10.0)


def test_a_configured_limit_is_never_exceeded_and_is_restored_after_throttles() -> None:
    it = limit()
    pressed(it, 600)
    assert it.estimate == 6000
    full_minute(it, 4000)
    assert it.estimate == 4000
    pressed(it, 600)
    assert it.estimate == 6000


def test_an_estimated_limit_doubles_about_every_second_until_the_first_throttle() -> None:
    it = limit(1200.0, ceiling=inf, known=False)
    pressed(it, 1.0)
    assert it.estimate == pytest.approx(2400, rel=0.15)
    pressed(it, 9.0)
    assert it.estimate > 100_000
    known = []
    for _ in range(2):
        it.throttled(Throttle(1, 30_000, 30_000))
        known.append(it.known)
    assert known == [False, True]
    assert 6_000 < it.estimate < 30_000


def test_a_limit_that_holds_no_call_back_is_not_raised() -> None:
    it = limit(1200.0, ceiling=inf, known=False)
    for _ in range(100):
        it.renew(1.0, 0.0, 1.0)
    assert it.estimate == 1200


def test_a_raised_quota_is_discovered_within_ninety_seconds() -> None:
    it = limit(ceiling=12_000.0)
    full_minute(it, 6000)
    pressed(it, 90)
    assert it.estimate >= 11_000


def test_one_series_of_throttles_changes_nothing_and_repeated_series_lower_the_limit() -> None:
    it = limit(burst=0.4)
    estimates = []
    for _ in range(4):
        for in_a_row in (1, 2, 3):
            it.throttled(Throttle(in_a_row, 3000, 3000))
        it.renew(1.0, 0.0, 10.0)
        estimates.append(it.estimate)
    assert estimates[:2] == [6000, 6000]
    assert 2700 < estimates[3] <= estimates[2] < 6000


def test_a_series_of_throttles_over_many_seconds_shows_the_limit() -> None:
    it = limit()
    full_minute(it, 4500)
    assert it.estimate == pytest.approx(4500)


def test_an_empty_dimension_has_nothing_available_until_it_refills() -> None:
    it = limit(windowed=False)
    it.drain()
    assert it.free == 0
    it.renew(2.0, 0.0, 1.0)
    assert it.free == pytest.approx(200)
    it.renew(60.0, 0.0, 1.0)
    assert it.free == pytest.approx(it.capacity) == pytest.approx(500)


def test_unused_quota_is_admitted_slightly_faster_when_the_minute_has_room() -> None:
    it = limit(60_000)
    it.drain()
    it.pace = 500.0  # half the rate, for two seconds
    it.renew(2.0, 0.0, 10.0)
    assert it.level == 1000
    it.pace = inf
    it.renew(1.0, 0.0, 10.0)
    assert it.level == 2200
    it.renew(10.0, 0.0, 10.0)
    assert it.level == it.capacity  # no more is saved than the bucket holds


def test_a_share_scales_rate_and_burst() -> None:
    it = limit(windowed=False)
    it.lease(0.25, 6000)
    assert (it.rate, it.capacity) == (25.0, 125.0)
    it.renew(60.0, 0.0, 1.0)
    assert it.free == pytest.approx(125)


def test_one_call_always_fits_however_small_the_limit() -> None:
    it = limit(1.0)
    assert it.capacity == 1.0
    assert limit(0.001).capacity == 1.0


def test_a_minute_above_a_lowered_limit_expires_without_a_full_stop() -> None:
    it = limit()
    it.used = 6000
    it.lease(1.0, 3000)
    free = []
    for _ in range(60):
        it.absorb()
        it.free -= max(0.0, it.free)
        it.absorb()
        it.renew(1.0, 100.0, 1.0)
        free.append(it.free)
    assert sum(1 for one in free if one > 0) > 50
    assert it.used <= 3000 + 100


def test_reservations_that_fill_the_minute_may_exceed_it_by_the_expected_refunds() -> None:
    it = limit()
    it.used = 6000
    room = it.room
    for refund in (0.0, 300.0):
        it.refund = refund
        for _ in range(60):
            it.held_back = True
            it.renew(1.0, 0.0, 1.0, reserved=True)
        assert it.room == pytest.approx(room + refund)
    wide = it.room
    for _ in range(4):
        it.throttled(Throttle(1, 6000, 6000))
    assert room <= it.room - (it.estimate - 6000) < wide
    assert it.estimate == 6000


def test_a_day_without_a_throttle_does_not_break_the_estimate() -> None:
    it = limit(ceiling=12_000.0)
    full_minute(it, 6000)
    pressed(it, 86_400, step=10.0)
    assert it.estimate == 12_000
