"""Fixed minutes are recognized by what is refused and what passes; then each is filled at its start."""

from __future__ import annotations

import heapq
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from support.doubles import ROUTE

from aws_bedrock_inference.call import Call, Estimate, Outcome, Usage
from aws_bedrock_inference.drivers.virtual import VirtualDriver
from aws_bedrock_inference.flow import Pipeline, send
from aws_bedrock_inference.knowledge.classify import answered
from aws_bedrock_inference.policies import Quota, Retry
from aws_bedrock_inference.rules.quota.learning import EvidenceEstimator
from aws_bedrock_inference.rules.quota.limit import Limit
from aws_bedrock_inference.rules.quota.minutes import Minutes
from aws_bedrock_inference.rules.quota.slot import Slot
from aws_bedrock_inference.simulator.quota import Bucket, Fixed, Sliding

if TYPE_CHECKING:
    from aws_bedrock_inference.rules.quota.ledger import Ledger

TPM = 120_000.0
BEGINS = 23.0
THROTTLED = answered("ThrottlingException", "Too many tokens, please wait before trying again.", status=429)


class Service:
    """A service that reserves 2,000 tokens for answers of 600, which take half a minute or a moment."""

    def __init__(self, limit: Any, noise: float = 0.0) -> None:
        self.limit = limit
        self.noise = noise
        self.chance = Random(7)  # noqa: S311 - the same in every run
        self.ends: list[Any] = []
        self.used: list[tuple[float, float]] = []
        self.refused: list[float] = []

    def __call__(self, call: Call, now: float) -> tuple[float, Outcome]:
        while self.ends and self.ends[0][0] <= now:
            end, _, taking, back = heapq.heappop(self.ends)
            self.limit.adjust(taking, -back, end)
        if self.chance.random() < self.noise:
            return 0.02, Outcome(fault=THROTTLED)
        if not self.limit.fits(2000.0, now):
            self.refused.append(now)
            return 0.02, Outcome(fault=THROTTLED)
        seconds = self.chance.uniform(20.0, 40.0) if self.chance.random() < 0.5 else 0.5
        heapq.heappush(self.ends, (now + seconds, len(self.used), self.limit.take(2000.0, now), 1400.0))
        self.used.append((now, 600.0))
        return seconds, Outcome(usage=Usage(100, 500))

    def most(self) -> float:
        """Return the most that any minute used."""
        return max(sum(tokens for at, tokens in self.used if start <= at < start + 60.0) for start, _ in self.used)


def run(service: Service, seconds: float, change: Any = None) -> Ledger:
    """Let 150 callers send what they can for `seconds`, after which `change` is the service's limit for as long."""
    driver = VirtualDriver(service)
    quota = Quota(tpm=int(TPM))
    policies = Pipeline(Retry(chance=service.chance.random), quota)

    def caller() -> Any:
        while True:
            yield from policies.around(send, driver.clock)(
                Call("converse", {}, ROUTE, Estimate(100, 1900), arrived=driver.now)
            )

    for _ in range(150):
        driver.spawn(caller(), after=service.chance.random())
    driver.run(until=seconds)
    if change is not None:
        service.limit, service.ends = change, []
        service.refused.clear()
        driver.run(until=2 * seconds)
    return quota.ledger(ROUTE, driver.now)


def fixed() -> Fixed:
    return Fixed(TPM, 60.0, BEGINS - 60.0)


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_fixed_minutes_are_filled_as_soon_as_they_begin(noise: float) -> None:
    service = Service(fixed(), noise)
    book = run(service, 900.0)
    minutes = book.window.minutes
    assert "counts fixed minutes" in book.snapshot(900.0).reasons["tokens"]
    assert minutes.phase is not None
    assert minutes.phase <= BEGINS <= minutes.phase + minutes.unsure <= BEGINS + 8.0
    starts = sum(1 for at, _ in service.used if at >= 480.0 and (at - BEGINS) % 60.0 < 15.0)
    assert starts > 0.5 * sum(1 for at, _ in service.used if at >= 480.0)
    assert len(service.refused) < 0.03 * len(service.used)


def test_full_minutes_use_at_most_a_few_calls_more_than_the_limit_in_any_minute() -> None:
    service = Service(fixed())
    run(service, 600.0)
    assert service.most() <= 1.025 * TPM


@pytest.mark.parametrize("noise", [0.0, 0.03])
@pytest.mark.parametrize("limit", [Sliding(TPM, 60.0), Bucket(TPM, 60.0, 0.0), Bucket(TPM, 5.0, 0.0)])
def test_no_minutes_are_seen_where_there_are_none(limit: Any, noise: float) -> None:
    assert run(Service(limit, noise), 600.0).window.minutes.phase is None


@pytest.mark.parametrize("limit", [Sliding(TPM, 60.0), Bucket(TPM, 5.0, 600.0), Fixed(TPM, 60.0, BEGINS - 90.0)])
def test_what_was_learned_is_corrected_when_the_service_changes(limit: Any) -> None:
    service = Service(fixed())
    minutes = run(service, 600.0, limit).window.minutes
    later = isinstance(limit, Fixed)
    assert minutes.phase is None or (later and minutes.phase <= BEGINS + 30.0 <= minutes.phase + minutes.unsure)
    assert sum(1 for at in service.refused if at < 660.0) < 200  # 150 calls wait


@pytest.mark.parametrize("exact", [True, False])
def test_a_minute_that_may_be_counted_too_high_does_not_disprove_a_sliding_minute(*, exact: bool) -> None:
    minutes = Minutes(TPM, 0.0)
    slots = [Slot(second) for second in range(1, 56)]
    for slot in slots:
        slot.tokens = 1.2 * TPM / len(slots)
    minutes.turn(slots, Limit(EvidenceEstimator(TPM, burst=5.0, ceiling=TPM)), 58.0, exact=exact)
    assert (minutes._against[-1] > 0.0) is exact  # the evidence against a sliding minute
