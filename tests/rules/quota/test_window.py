"""Requests and tokens per minute together, over the last minute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from aws_bedrock_inference.rules.quota.burndown import Burndown
from aws_bedrock_inference.rules.quota.learning import EvidenceEstimator
from aws_bedrock_inference.rules.quota.snapshot import needed
from aws_bedrock_inference.rules.quota.window import Window

if TYPE_CHECKING:
    from aws_bedrock_inference.rules.quota.observed import Counts, Throttle


def window(rpm: Any = None, tpm: Any = None, **options: Any) -> Any:
    fields: Any = {"now": 0.0, "burst": 5.0, "listed": (), "windowed": True} | options
    return Window(rpm=rpm, tpm=tpm, **fields)


@pytest.mark.parametrize(
    ("rpm", "tpm", "taken", "tokens", "wait"),
    [
        (60, None, 5, 0, 1.0),
        (60, None, 4, 0, 0.0),
        (None, 6000, 5, 100, 1.0),
        (600, 6000, 5, 100, 1.0),
        (60, 6000, 5, 50, 1.0),
        (600, 60_000, 10, 10, 0.0),
    ],
    ids=["requests", "requests left", "tokens", "tokens, not requests", "requests, not tokens", "neither"],
)
def test_a_call_waits_for_the_dimension_that_holds_it_back(
    rpm: Any, tpm: Any, taken: int, tokens: float, wait: float
) -> None:
    book = window(rpm, tpm, windowed=False)
    for _ in range(taken):
        book.take(tokens)
    assert book.wait_for(tokens, 0.0) == pytest.approx(wait)


def test_reserved_amounts_count_for_a_minute() -> None:
    book = window(rpm=6000, tpm=6000)
    for second in range(60):
        book.refresh(float(second))
        book.give(book.take(90), 90, 0, 0)
    assert (book.tokens.used, book.requests.used) == (pytest.approx(59 * 90, abs=91), pytest.approx(60, abs=2))
    book.refresh(80.5)
    assert book.tokens.used == pytest.approx(39 * 90, abs=181)
    book.refresh(125.0)
    assert (book.tokens.used, book.requests.used) == (pytest.approx(0), pytest.approx(0))


def test_a_refund_frees_the_minute_of_its_reservation() -> None:
    book = window(tpm=6000)
    slot = book.take(5000)
    book.refresh(10.0)
    book.give(slot, 5000, 4000, 0)
    book.refresh(59.0)
    assert book.tokens.used == pytest.approx(1000)
    book.refresh(60.2)
    assert book.tokens.used == pytest.approx(0)


def test_a_refund_after_its_minute_changes_no_other_minute() -> None:
    book = window(tpm=6000)
    slot = book.take(1000)
    book.refresh(70.0)
    book.give(slot, 1000, 900, 0)
    book.refresh(71.0)
    assert book.tokens.used == pytest.approx(0)
    assert book.outstanding == 0


def test_the_recent_throughput_is_reported() -> None:
    book = window(tpm=600_000)
    for second in range(30):
        book.refresh(float(second))
        book.take(1000 if second < 20 else 100)
    book.refresh(30.0)
    assert book.lately("tokens", 30.0, 5.0) == pytest.approx(6000, rel=0.3)
    assert book.lately("tokens", 30.0, 60.0) == pytest.approx(21_000 * 2, rel=0.1)


def test_calls_ahead_are_counted_with_the_average_usage() -> None:
    book = window(tpm=6000, windowed=False)
    for _ in range(5):
        book.give(book.take(100), 100, 0, 0)
    book.refresh(0.0)
    assert book.earliest(100, 0) == pytest.approx(1.0)
    assert book.earliest(100, 10) == pytest.approx(11.0)


def test_without_a_configured_limit_requests_start_moderately_and_tokens_freely() -> None:
    book = window(listed=("requests", "tokens"))
    assert book.wait_for(1e9, 0.0) == 0.0
    for _ in range(120):
        book.take(1000)
    assert 0.0 < book.wait_for(1000, 0.0) < 60.0


def test_a_throttle_observation_has_the_relative_size_of_its_call() -> None:
    sizes = []

    class Seen(EvidenceEstimator):
        def throttled(self, throttle: Throttle, counts: Counts) -> bool:
            sizes.append(throttle.size)
            return super().throttled(throttle, counts)

    book = window(tpm=600_000, estimator=Seen)
    for second in range(20):
        slot = book.take(1000)
        book.refresh(float(second))
        book.give(slot, 1000, 600, 0)
    book.throttled("tokens", 2000, 20.0, 1, 0.1)
    book.throttled("requests", 2000, 20.0, 1, 0.1)
    assert sizes == [pytest.approx(2.0, rel=0.05), 1.0]


def test_refused_probes_prove_nothing_while_an_empty_bucket_may_still_be_too_small_for_the_call() -> None:
    """Regression: large calls were refused by an empty bucket after each pause, and this looked like an outage."""
    probes = []

    class Seen(EvidenceEstimator):
        def throttled(self, throttle: Throttle, counts: Counts) -> bool:
            probes.append(throttle.refused_probes)
            return super().throttled(throttle, counts)

    book = window(tpm=60_000, estimator=Seen)  # 500 tokens in the shortest pause
    for tokens, refused in ((900, 2), (2000, 2), (2000, 4)):
        book.throttled("tokens", tokens, 20.0, 3 + refused, 0.1, refused_probes=refused)
    assert probes == [2, 1, 4]


def test_members_of_a_store_share_their_noise_level_and_burndown() -> None:
    book = window(tpm=600_000)
    book.burndown = Burndown(5.0, 600_000.0)
    assert not needed(book, 0, {}, {}, ()).limits[2:]
    book.lease(0.5, {"burndown": 4.0, "noise of tokens": 0.03}, 0.0, 10.0, None)
    assert (book.burndown.rate, book.burndown.factor) == (4.0, 0.8)
    assert book.tokens.estimator.noise == 0.03
    assert {("burndown", 4.0), ("noise of tokens", 0.03)} <= set(needed(book, 0, {}, {}, ()).limits)


def test_a_burndown_set_by_the_user_is_not_shared_with_other_members() -> None:
    book = window(tpm=600_000)
    book.burndown = Burndown(5.0, 600_000.0)
    book.burndown.state(2.0)
    book.lease(0.5, {"burndown": 4.0}, 0.0, 10.0, None)
    assert book.burndown.rate == 2.0
    assert not [name for name, _ in needed(book, 0, {}, {}, ()).limits if name == "burndown"]


@pytest.mark.parametrize("tokens", [3000, 5999, 6000])
def test_a_call_as_large_as_the_limit_fits_into_an_empty_fixed_minute(tokens: int) -> None:
    book = window(tpm=6000)
    book.minutes.phase, book.minutes.due = 0.0, 1e9
    waits = [book.wait_for(tokens, step / 10) for step in range(1300)]
    assert book.tokens.fixed
    assert min(waits[10:]) == 0.0


def test_the_burndown_is_not_blamed_for_a_throttle_while_reservations_exceed_the_minute() -> None:
    class Overfull(EvidenceEstimator):
        def overfull(self, used: float, minute: float) -> bool:
            return used > minute

    def blamed(estimator: Any) -> int:
        book = window(tpm=60_000, burst=60.0, estimator=estimator)
        book.burndown = Burndown(5.0, 60_000.0)
        throttles: list[Any] = []

        def throttled(*throttle: Any) -> float:
            throttles.append(throttle)
            return 0.0

        book.burndown.throttled = throttled
        for second in range(59):
            book.take(1000)
            book.refresh(float(second))
        for tokens in (500, 2000):
            book.throttled("tokens", tokens, 59.0, 1, 0.1)
        return len(throttles)

    assert blamed(EvidenceEstimator) == 2
    assert blamed(Overfull) == 1  # only the call of 500 tokens fits into the minute
