"""The estimator of a limit behind its interface: observations go in, estimates come out; traces can be replayed."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

import pytest
from support.replay import Answer, Observation, replay

from aws_bedrock_inference.rules.quota.growth import Growth
from aws_bedrock_inference.rules.quota.learning import EvidenceEstimator
from aws_bedrock_inference.rules.quota.ledger import Ledger
from aws_bedrock_inference.rules.quota.observed import Throttle

if TYPE_CHECKING:
    from aws_bedrock_inference.rules.quota.observed import Counts


class Fixed:
    """A dummy that learns nothing."""

    def __init__(self, estimate: float, *, burst: float, ceiling: float = inf, known: bool = True) -> None:
        self.estimate = min(estimate, ceiling)
        self.ceiling = ceiling
        self.burst = burst
        self.slack = 0.0
        self.known = known
        self.reason = "fixed"
        self.noise = 0.0

    def elapsed(self, seconds: float, counts: Counts) -> None: ...
    def throttled(self, throttle: Throttle, counts: Counts) -> bool:
        return False

    def overfull(self, used: float, minute: float) -> bool:
        return False

    def adopt(self, estimate: float) -> None: ...
    def adopt_noise(self, noise: float) -> None: ...


class Recorder(EvidenceEstimator):
    """The default estimator, which records its observations and estimates."""

    def __init__(self, estimate: float, **options: Any) -> None:
        super().__init__(estimate, **options)
        self.at = 0.0
        self.trace: list[Observation] = []
        self.answers: list[Answer] = []

    def record(self, counts: Counts | None, **more: Any) -> None:
        names = ("calls", "admitted", "held_back", "reserved", "used", "minute") if counts is not None else ()
        fields = {name: getattr(counts, name) for name in names} | more
        self.trace.append(Observation(self.at, **fields))
        self.answers.append(Answer(self.estimate, self.burst, self.slack))

    def elapsed(self, seconds: float, counts: Counts) -> None:
        super().elapsed(seconds, counts)
        self.at += seconds
        self.record(counts)

    def throttled(self, throttle: Throttle, counts: Counts) -> bool:
        drained = super().throttled(throttle, counts)
        self.record(counts, throttle=throttle)
        return drained

    def adopt(self, estimate: float) -> None:
        super().adopt(estimate)
        self.record(None, adopted=estimate)


def test_a_recorded_trace_gives_the_same_estimates_again() -> None:
    book = Ledger(rpm=None, tpm=60_000, now=0.0, listed=("requests", "tokens"), estimator=Recorder)
    now, throttles = 0.0, 0
    for order in range(900):
        now += 0.125
        ticket = book.reserve(300, order, now)
        while not ticket.admitted:
            now = max(now, book.claim(ticket, now))
        if order % 90 in range(50, 62, 3):
            book.throttled(ticket, "tokens", now + 0.1)
            throttles += 1
        else:
            book.settle(ticket, 200, now)
    book.lease(0.5, {"tokens": 3_000.0}, now)
    recorded: Any = book.window.tokens.estimator
    assert throttles == 40
    again = replay(EvidenceEstimator(60_000, burst=5.0), recorded.trace)
    assert [answer.estimate for answer in again] == pytest.approx([answer.estimate for answer in recorded.answers])
    assert again[-1].estimate == 3_000
    assert len({round(answer.estimate) for answer in again}) > 30


def busy(
    until: float, *, after: float = 0.0, every: int = 0, calls: float = 20.0, size: float = 1.0
) -> list[Observation]:
    """Return tenths of seconds in which the limit holds calls back and every `every`-th call is throttled; that call
    is so many times as large as the others."""
    trace = []
    for tick in range(round(after * 10) + 1, round(until * 10) + 1):
        admitted = tick * calls / 10
        trace.append(Observation(tick / 10, admitted, calls=calls))
        if every and admitted // every > (admitted - calls / 10) // every:
            trace.append(Observation(tick / 10, admitted, calls=calls, throttle=Throttle(1, 6000, 6000, size=size)))
    return trace


def final(trace: list[Observation], **options: Any) -> Any:
    made = EvidenceEstimator(6000, **{"burst": 5.0, "ceiling": 6000} | options)
    replay(made, trace)
    return made


def row(at: float, until: float, used: float, *, probes: bool = True) -> list[Observation]:
    """Return a row of throttles, one each half second. Calls pause after the third. Either all others are probes, or
    the probes are accepted, and the calls after them are refused.
    """
    times = [at + number / 2 for number in range(round((until - at) * 2) + 1)]
    return [
        Observation(
            time,
            20 * time,
            throttle=Throttle(
                *(count, used, used),
                refused_probes=probes * max(0, count - 3),
                probe_accepted=not probes and count > 3,
            ),
        )
        for count, time in enumerate(times, 1)
    ]


def lowest(trace: list[Observation]) -> float:
    """Return the lowest estimate of an estimator whose burst is already small."""
    return min(answer.estimate for answer in replay(EvidenceEstimator(6000, burst=0.4, ceiling=6000), trace))


def test_one_throttle_does_not_change_the_estimate() -> None:
    assert final([*busy(10), *busy(20, after=10, every=199)]).estimate == 6000


def test_a_listed_limit_is_called_listed_until_the_service_has_accepted_more() -> None:
    """Regression: after the first wait, 60 a minute were described as above the listed 60."""
    assert final(busy(10), ceiling=inf).reason == "as listed by Service Quotas"
    assert final(busy(40), ceiling=inf).reason.startswith("above the limit that Service Quotas lists")


def test_throttles_that_continue_at_a_lower_rate_are_noise_and_the_rate_is_restored() -> None:
    noisy = final(busy(60, every=30))
    assert noisy.estimate == 6000
    assert noisy.evidence.noise == pytest.approx(1 / 30, rel=0.5)
    assert "whatever the rate is" in noisy.reason


def test_throttles_that_stop_at_a_lower_rate_confirm_the_lower_limit() -> None:
    trace = busy(2, every=10)
    tried = final(trace, burst=0.4)
    assert tried.estimate < 5800
    assert "a trial with fewer calls" in tried.reason
    found = final([*trace, *busy(15, after=2)], burst=0.4)
    assert tried.estimate <= found.estimate < 6000
    assert found.evidence.noise == 0.0


def test_throttles_that_end_with_a_smaller_burst_were_due_to_the_burst() -> None:
    trace = busy(2, every=10)
    tried = final(trace)
    assert (tried.estimate, tried.burst) == (6000, pytest.approx(1.25, rel=0.05))
    found = final([*trace, *busy(30, after=2)])
    assert (found.estimate, found.evidence.noise) == (6000, 0.0)
    assert found.burst < 2.0
    assert final([*trace, *busy(60, after=2, every=10)]).burst > 4.9  # throttles went on: it was not to blame


def test_a_cluster_of_throttles_counts_soon_after_a_decision_but_not_after_long_noise() -> None:
    def after(seconds: int) -> float:
        """Return the estimate after so much noise, and then ten throttles of fifty calls."""
        trace = busy(seconds, every=30)
        for tick in range(1, 11):
            now, admitted = seconds + tick / 4, (seconds + tick / 4) * 20.0
            trace.append(Observation(now, admitted, calls=20.0))
            trace.append(Observation(now, admitted, calls=20.0, throttle=Throttle(1, 6000, 6000)))
        return float(final(trace, burst=0.4).estimate)

    assert after(300) == 6000
    assert after(30) < 6000


def test_the_noise_level_averages_throttles_that_proved_harmless() -> None:
    assert final(busy(200, every=30)).evidence.noise == pytest.approx(1 / 30, rel=0.15)
    assert final([*busy(100, every=30), *busy(200, after=100, every=50)]).evidence.noise == pytest.approx(0.02, rel=0.3)


def test_throttles_of_large_calls_are_not_noise_if_no_limit_is_configured() -> None:
    evenly = final(busy(120, every=30), ceiling=inf)
    largely = final(busy(120, every=30, size=1.8), ceiling=inf)
    assert evenly.evidence.noise > 0.01
    assert largely.evidence.noise == 0.0
    assert largely.estimate < evenly.estimate / 2


def test_an_estimated_limit_grows_by_the_same_number_of_calls_at_any_traffic() -> None:
    def grown(calls: float) -> float:
        """Return by how many calls a second the rate grows in 10 s."""
        growth, estimate = Growth(6000), 6000.0
        for _ in range(100):
            estimate = growth.found(estimate, 0.1, calls)
        return (estimate / 6000 - 1.0) * calls

    assert grown(12.0) == pytest.approx(grown(4.0), rel=0.06)


def test_noise_that_stops_is_forgotten() -> None:
    noisy = busy(60, every=30)
    assert final([*noisy, *busy(180, after=60)]).evidence.noise < 0.01


def test_a_short_burst_of_throttles_changes_nothing() -> None:
    moment = final([*busy(60), *row(60, 64, 6000), *busy(70, after=64)])
    assert (moment.estimate, moment.burst) == (6000, 5.0)


def test_short_problems_of_the_service_lower_nothing_however_often_they_come() -> None:
    """Regression: a few outages of 2 to 5 seconds reduced the burst to a quarter of a second, and then the rate."""
    outages = [row(at, at + 3, 6000) for at in range(60, 120, 12)]
    after = final([*busy(60), *(seen for outage in outages for seen in outage), *busy(121, after=120)])
    assert (after.estimate, after.burst) == (6000, 5.0)


def test_refused_calls_after_accepted_probes_reduce_the_burst() -> None:
    after = final([*busy(60), *row(60, 63, 6000, probes=False)])
    assert after.estimate == 6000
    assert after.burst == pytest.approx(1.25, rel=0.01)


def test_refused_calls_after_an_accepted_probe_empty_the_bucket_and_refused_probes_do_not() -> None:
    seen = Observation(60.0, 1200.0)
    for accepted in (True, False):
        estimator = EvidenceEstimator(6000, burst=5.0, ceiling=6000)
        last = Throttle(4, 6000, 6000, refused_probes=not accepted, probe_accepted=accepted)
        drained = [
            estimator.throttled(throttle, seen) for throttle in (*(Throttle(n, 6000, 6000) for n in (1, 2, 3)), last)
        ]
        assert drained == [False, False, False, accepted]


def test_a_series_of_throttles_over_many_seconds_shows_the_limit_per_minute() -> None:
    assert final([*busy(60), *row(60, 70, 4000)]).estimate == 4000


def test_a_throttle_of_a_call_sent_before_the_last_change_is_ignored() -> None:
    trace = busy(10, every=10)
    late = [Observation(10.0, 200.0, throttle=Throttle(1, 6000, 6000, age=9.9)) for _ in range(50)]
    assert final([*trace, *late]).estimate == final(trace).estimate


def test_throttles_of_a_burst_lower_the_burst_and_not_the_rate() -> None:
    crowd = [Observation(1.0, 50.0, throttle=Throttle(0, 6000, 6000, shortly=12_000, calls=20.0)) for _ in range(5)]
    after = final(crowd)
    assert (after.estimate, after.burst) == (6000, 2.5)
    assert final([*crowd, *busy(1200, after=1)]).burst == 5.0


def test_a_configured_limit_is_a_ceiling_and_an_estimated_one_is_probed_upwards() -> None:
    trace = [*busy(10, every=10), *busy(200, after=10)]
    assert final(trace).estimate == 6000
    assert final(trace, ceiling=inf).estimate > 12_000


def test_an_estimate_does_not_grow_while_it_holds_no_call_back() -> None:
    trace = [seen._replace(held_back=False) for seen in busy(100)]
    assert final(trace, ceiling=inf, known=False).estimate == 6000


def test_a_limit_found_by_others_replaces_the_estimate_and_only_a_lower_one_ends_a_trial() -> None:
    assert final([Observation(1.0, 20.0, adopted=3000.0)]).estimate == 3000
    trying = busy(2, every=10)
    assert final([*trying, Observation(2.0, 40.0, adopted=6000.0)]).estimate == final(trying).estimate
    assert final([*trying, Observation(2.0, 40.0, adopted=1000.0)]).estimate == 1000


def test_a_slow_increase_by_others_keeps_the_evidence_and_their_noise_ends_a_trial() -> None:
    doubting = busy(20, every=25)[:-20]
    slowly = [each._replace(adopted=6000.0 + at) if at % 10 == 5 else each for at, each in enumerate(doubting)]
    assert final(slowly, ceiling=inf).evidence.noise == final(doubting, ceiling=inf).evidence.noise > 0.0

    trying = final(busy(2, every=10), burst=0.4)
    assert trying.estimate < 6000
    trying.adopt_noise(0.1)
    assert (trying.estimate, trying.evidence.noise) == (6000, 0.1)
    trying.adopt(5000.0)
    assert trying.estimate == 6000  # another member still repeats what the trial here had tried


def test_a_replaced_estimator_decides_alone() -> None:
    trace = [*busy(10, every=10), *row(10, 20, 1000)]
    assert replay(Fixed(6000, burst=2.0), trace) == [Answer(6000, 2.0, 0.0)] * len(trace)
    book = Ledger(rpm=None, tpm=60_000, now=0.0, burst=2.0, estimator=Fixed)
    for now in (0.0, 10.0, 20.0):
        book.throttled(book.reserve(100, 0.0, now), "tokens", now + 0.1)
    assert book.snapshot(21.0).estimates == {"requests": inf, "tokens": 60_000}


def reserving(until: float, *, after: float = 0.0, used: float = 6000.0, every: int = 0) -> list[Observation]:
    """Return what `busy` does, with `used` tokens in the minute, most of them reserved."""
    return [seen._replace(reserved=True, used=used) for seen in busy(until, after=after, every=every)]


def test_reservations_get_room_while_they_fill_the_minute() -> None:
    assert final(reserving(4)).slack == pytest.approx(0.2)
    assert final(reserving(200)).slack == 4.0


def test_a_service_that_counts_the_minute_refuses_what_exceeds_it_and_nothing_else_is_blamed() -> None:
    trace = [*reserving(4), *reserving(5, after=4, used=6100.0, every=4)]
    found = final(trace)
    assert (found.slack, found.estimate, found.burst, found.evidence.noise) == (0.0, 6000, 5.0, 0.0)
    assert final([*trace, *reserving(60, after=5)]).slack == 0.0
    assert final([*trace, *reserving(70, after=5)]).slack > 0.0  # it is tried again


def test_what_has_gone_through_for_longer_than_a_minute_proves_that_no_minute_is_counted() -> None:
    trace = [*reserving(4), *reserving(70, after=4, used=7000.0)]
    assert final([*trace, *reserving(75, after=70, used=7500.0, every=6)]).slack > 3.0


def test_repeated_rows_also_at_a_lower_rate_show_that_reservations_fill_the_minute() -> None:
    """Regression: the rate fell to a quarter, because more than the limit had been accepted for over a minute before
    the service began to count the minute.
    """
    accepted = [*reserving(4), *reserving(70, after=4, used=7000.0)]
    rows = [*row(70.1, 72.1, 3000, probes=False), *row(72.2, 75.2, 3000, probes=False)]
    overfull = final([*accepted, *(seen._replace(used=7000.0) for seen in rows)], burst=0.4)
    assert (overfull.estimate, overfull.slack) == (0.99 * 6000, 0.0)
    within = [*accepted, *(seen._replace(used=5000.0) for seen in rows)]
    assert lowest(within) < 5000  # the minute is not overfull, so the rate is too high


def test_a_row_after_accepted_probes_lowers_the_rate_at_most_once() -> None:
    """Regression: when a service refused 70 % of all calls for 40 seconds, the rate fell to 4 % and stayed there."""
    refused = row(60.1, 65.6, 3000, probes=False)
    assert lowest([*busy(60), *refused]) == pytest.approx(0.8 * 6000)


def test_many_outages_within_a_minute_reduce_the_burst() -> None:
    """Regression: a service that refused all calls for two seconds after each burst was used to 29 %."""
    outages = [row(60.1 + 8 * n, 62.6 + 8 * n, 6000) for n in range(6)]
    for count, burst in ((5, 5.0), (6, 1.25)):
        after = final([*busy(60), *(seen for outage in outages[:count] for seen in outage)])
        assert (after.estimate, after.burst) == (6000, pytest.approx(burst, rel=0.02))
