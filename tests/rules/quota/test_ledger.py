"""One quota with all its dimensions: admission, the queue, and what the end of a call releases."""

from __future__ import annotations

from itertools import pairwise
from math import inf
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws_bedrock_inference.call import NORMAL, PRIORITIES
from aws_bedrock_inference.rules.quota.gates import Day
from aws_bedrock_inference.rules.quota.ledger import Ledger

if TYPE_CHECKING:
    from aws_bedrock_inference.rules.quota.ticket import Ticket


def ledger(rpm: Any = None, tpm: Any = None, **options: Any) -> Any:
    return Ledger(rpm=rpm, tpm=tpm, now=0.0, **options)


def bucket(rpm: Any = None, tpm: Any = None, burst: float = 60.0, **options: Any) -> Any:
    """A ledger that does not count minutes, so that times come out even."""
    return ledger(rpm, tpm, burst=burst, windowed=False, **options)


def admitted_at(book: Ledger, ticket: Ticket, now: float) -> float:
    """Let time pass from alarm to alarm until `ticket` may go; return when."""
    for _ in range(1000):
        due = book.claim(ticket, now)
        if ticket.admitted:
            return now
        assert now < due < inf
        now = due
    raise AssertionError("a thousand alarms, and still not admitted")


class TestQueue:
    def test_a_burst_is_admitted_immediately_and_the_rest_at_the_rate(self) -> None:
        book = ledger(rpm=60)
        tickets = [book.reserve(0, order, 0.0) for order in range(7)]
        assert [ticket.admitted for ticket in tickets] == [True] * 5 + [False] * 2
        assert book.claim(tickets[5], 0.0) == pytest.approx(1.0)
        assert book.claim(tickets[6], 0.0) == inf

    def test_the_head_of_the_queue_is_admitted_in_time_and_the_next_call_is_woken(self) -> None:
        book = bucket(rpm=60, burst=5.0)
        _, first, second = [book.reserve(0, order, 0.0) for order in range(7)][4:]
        woken = []
        book.claim(second, 0.0)
        second.attach(lambda: woken.append("second"))
        book.claim(first, 0.0)
        assert book.claim(first, 1.0) == 1.0
        assert first.admitted
        assert woken == ["second"]
        assert book.claim(second, 1.0) == pytest.approx(2.0)

    def test_a_wake_up_before_the_driver_is_attached_is_not_lost(self) -> None:
        book = bucket(rpm=60, burst=1.0)
        first = book.reserve(0, 0.0, 0.0)
        waiting = book.reserve(0, 1.0, 0.0)
        book.claim(waiting, 0.0)
        book.cancel(first, 0.0, sent=False)
        assert waiting.attach(lambda: None) is False

    def test_a_retry_keeps_its_place_before_calls_that_arrived_later(self) -> None:
        book = bucket(rpm=60, burst=1.0)
        book.reserve(0, 0.0, 0.0)
        later = book.reserve(0, 5.0, 0.0)
        repeat = book.reserve(0, 1.0, 0.0)
        assert book.claim(later, 0.0) == inf
        assert book.claim(repeat, 0.0) == pytest.approx(1.0)

    def test_a_call_that_leaves_the_queue_admits_the_next_one(self) -> None:
        book = bucket(tpm=6000)
        book.reserve(5000, 0.0, 0.0)
        impatient = book.reserve(4000, 1.0, 0.0)
        small = book.reserve(500, 2.0, 0.0)
        assert not small.admitted
        book.cancel(impatient, 0.0, sent=False)
        assert small.admitted
        assert len(book.queue) == 0

    def test_a_higher_priority_goes_first_and_takes_over_the_timer(self) -> None:
        book = bucket(tpm=6000)
        book.reserve(6000, -1.0, 0.0)
        batch = book.reserve(1000, 0.0, 0.0, PRIORITIES["batch"])
        assert book.claim(batch, 0.0) == pytest.approx(10.0)
        urgent = book.reserve(3000, 1.0, 0.0, PRIORITIES["interactive"])
        assert book.claim(urgent, 0.0) == pytest.approx(30.0)
        assert book.claim(batch, 10.0) == inf
        assert admitted_at(book, urgent, 10.0) == pytest.approx(30.0)
        assert admitted_at(book, batch, 30.0) == pytest.approx(40.0)

    def test_a_small_call_does_not_pass_a_waiting_large_one(self) -> None:
        book = bucket(tpm=6000)
        book.reserve(5000, 0.0, 0.0)
        large = book.reserve(4000, 1.0, 0.0)
        assert not book.reserve(1, 2.0, 0.0).admitted
        assert book.queue.head() is large


class TestSettlement:
    def test_input_and_maximum_are_reserved_and_the_unused_part_is_released(self) -> None:
        book = bucket(tpm=6000)
        big = book.reserve(5000, 0.0, 0.0)
        waiting = book.reserve(4000, 1.0, 0.0)
        assert not waiting.admitted
        book.settle(big, 1000, 0.0)
        assert waiting.admitted

    def test_a_settlement_above_the_reservation_is_a_debt(self) -> None:
        book = bucket(tpm=6000)
        book.settle(book.reserve(5000, 0.0, 0.0), 12_000, 0.0)
        late = book.reserve(1000, 1.0, 0.0)
        assert book.claim(late, 0.0) == pytest.approx(70.0)

    def test_a_refund_wakes_the_head_of_the_queue_earlier(self) -> None:
        book = bucket(tpm=6000)
        big = book.reserve(6000, 0.0, 0.0)
        waiting = book.reserve(4000, 1.0, 0.0)
        assert book.claim(waiting, 0.0) == pytest.approx(40.0)
        woken = []
        assert waiting.attach(lambda: woken.append(1))
        book.settle(big, 3000, 0.0)
        assert woken == [1]
        assert book.claim(waiting, 0.0) == pytest.approx(10.0)

    @pytest.mark.parametrize(("sent", "next_goes"), [(True, False), (False, True)])
    def test_a_call_that_never_arrived_releases_its_request(self, sent: bool, next_goes: bool) -> None:  # noqa: FBT001
        book = bucket(rpm=60, burst=1.0)
        book.cancel(book.reserve(0, 0.0, 0.0), 0.0, sent=sent)
        assert book.reserve(0, 1.0, 0.0).admitted is next_goes

    def test_a_call_larger_than_the_burst_needs_a_full_bucket_and_leaves_a_debt(self) -> None:
        book = bucket(tpm=6000, burst=5.0)
        assert book.reserve(3000, 0.0, 0.0).admitted
        assert book.claim(book.reserve(100, 1.0, 0.0), 0.0) == pytest.approx((3000 - 500 + 100) / 100)

    def test_ending_a_call_twice_changes_nothing(self) -> None:
        book = ledger(tpm=60_000)
        ticket = book.reserve(1000, 0.0, 0.0)
        book.settle(ticket, 400, 0.0)
        left = book.available(0.0)
        book.settle(ticket, 400, 0.0)
        book.cancel(ticket, 0.0, sent=False)
        assert book.available(0.0) == left
        assert book.concurrency.in_flight == 0


class TestMinute:
    def test_no_minute_exceeds_the_limit(self) -> None:
        """After a burst the rate is spread over the rest of the minute, so that calls do not stop when the minute is
        full."""
        book = ledger(rpm=60)
        now, gone = 0.0, []
        for order in range(240):
            ticket = book.reserve(0, order, now)
            now = now if ticket.admitted else admitted_at(book, ticket, now)
            gone.append(now)
            book.settle(ticket, 0, now)
        for start in gone:
            assert sum(start <= at < start + 60 for at in gone) <= 60
        gaps = [later - earlier for earlier, later in pairwise(gone)]
        assert max(gaps) < 10
        assert gone[-1] < 245

    def test_a_late_refund_is_removed_from_the_minute_of_its_reservation(self) -> None:
        book = ledger(tpm=6000)
        ticket = book.reserve(6000, 0.0, 0.0)
        waiting = book.reserve(3000, 1.0, 0.0)
        assert book.claim(waiting, 0.0) >= 60
        book.settle(ticket, 100, 30.0)
        assert waiting.admitted

    def test_an_expired_minute_leaves_no_state(self) -> None:
        book = ledger(rpm=600, tpm=60_000)
        for order in range(40):
            book.settle(book.reserve(100, order, 0.0), 90, 0.0)
        slow = book.reserve(100, 99.0, 0.0)
        assert book.window.tokens.used == pytest.approx(40 * 90)
        book.settle(slow, 70, 200.0)
        book.available(261.0)
        assert book.window.tokens.used == pytest.approx(0.0)
        assert book.window.requests.used == pytest.approx(0.0)
        assert book.window.outstanding == 0.0


class TestThrottles:
    def test_one_throttle_changes_nothing_and_a_long_series_lowers_the_named_dimension(self) -> None:
        book = ledger(rpm=600, tpm=60_000)
        before = book.available(0.0)
        assert book.throttled(book.reserve(100, 0.0, 0.0), "tokens", 0.0) == "tokens"
        assert book.available(0.0) == before
        assert book.window.tokens.estimate == 60_000
        now = 0.1
        for _ in range(24):
            ticket = book.reserve(100, now, now)
            now = admitted_at(book, ticket, now) + 0.1
            book.throttled(ticket, "tokens", now)
        assert book.window.tokens.burst == 5.0  # no burst explains that the calls after pauses were refused, too
        assert book.window.tokens.estimate == 30_000
        assert book.window.requests.estimate == 600

    @pytest.mark.parametrize(
        ("rpm", "tpm", "calls", "tokens", "found"),
        [
            (60, 600_000, 5, 100, "requests"),
            (6000, 6000, 4, 100, "tokens"),
            (60, None, 2, 100, "requests"),
            (None, 6000, 2, 100, "tokens"),
        ],
    )
    def test_an_unnamed_throttle_counts_for_the_fullest_dimension(
        self, rpm: Any, tpm: Any, calls: int, tokens: int, found: str
    ) -> None:
        book = ledger(rpm, tpm)
        tickets = [book.reserve(tokens, order, 0.0) for order in range(calls)]
        for ticket in tickets[1:]:
            book.settle(ticket, tokens, 0.0)
        assert book.throttled(tickets[0], None, 0.0) == found

    def test_consecutive_throttles_cause_growing_pauses_and_a_success_ends_them(self) -> None:
        book = ledger(rpm=600_000)
        now, struck, pauses = 0.0, 0.0, []
        for _ in range(7):
            now += 0.1
            ticket = book.reserve(0, now, now)
            if not ticket.admitted:
                now = admitted_at(book, ticket, now)
                pauses.append(now - struck)
            now += 0.1
            struck = now
            book.throttled(ticket, "requests", now)
        assert pauses == pytest.approx([0.5, 0.5, 0.5, 0.6], abs=0.1)
        ticket = book.reserve(0, now, now)
        now = admitted_at(book, ticket, now)
        book.settle(ticket, 0, now + 1)
        book.throttled(book.reserve(0, now, now + 2), "requests", now + 3)
        assert admitted_at(book, book.reserve(0, now, now + 3), now + 3) < now + 3.1

    def test_throttles_of_simultaneous_calls_count_once(self) -> None:
        book = ledger(rpm=600_000)
        crowd = [book.reserve(0, 0.0, 0.0) for _ in range(50)]
        book.throttled(crowd.pop(), "requests", 1.0)
        estimate = book.window.requests.estimate
        for ticket in crowd:
            book.throttled(ticket, "requests", 1.0)
        assert book.window.requests.estimate == estimate
        assert admitted_at(book, book.reserve(0, 1.0, 1.0), 1.0) < 1.1

    def test_after_a_pause_one_call_probes_and_the_others_follow(self) -> None:
        book = ledger(rpm=600_000)
        book.throttled(book.reserve(0, 0.0, 0.0), "requests", 0.1)
        book.throttled(book.reserve(0, 0.2, 0.2), "requests", 0.3)
        book.throttled(book.reserve(0, 0.4, 0.4), "requests", 0.5)
        probe, *others = [book.reserve(0, float(order), 0.6) for order in range(1, 10)]
        assert admitted_at(book, probe, 0.6) == pytest.approx(1.0)
        assert not any(ticket.admitted for ticket in others)
        assert admitted_at(book, others[0], 1.0) == pytest.approx(1.3)
        assert all(ticket.admitted for ticket in others)

    def test_an_exhausted_day_does_not_change_the_limit_per_minute(self) -> None:
        book = ledger(rpm=600, tpm=60_000)
        assert book.throttled(book.reserve(100, 0.0, 0.0), "tokens-per-day", 1.0) == "tokens-per-day"
        assert book.day_exhausted(2.0)
        assert (book.window.tokens.estimate, book.window.requests.estimate) == (60_000, 600)
        waiting = [book.reserve(100, 1.0, 2.0) for _ in range(3)]
        assert book.earliest(100, 2.0) == 901.0
        assert admitted_at(book, waiting[0], 2.0) == 901.0
        assert not waiting[1].admitted
        assert not book.day_exhausted(901.0)

    def test_a_day_with_a_known_earlier_end_is_waited_for_only_until_then(self) -> None:
        book = ledger(tpm=60_000, day=Day(1e9, 300.0))
        book.throttled(book.reserve(100, 0.0, 0.0), "tokens-per-day", 1.0)
        assert book.earliest(100, 2.0) == 300.0


class TestDayAndConcurrency:
    def test_reserved_tokens_count_for_the_day_until_they_are_settled(self) -> None:
        book = ledger(day=Day(1000, 3600.0))
        first = book.reserve(900, 0.0, 0.0)
        waiting = book.reserve(200, 1.0, 0.0)
        assert book.claim(waiting, 0.0) == 1.0  # what is reserved may come back
        book.settle(first, 800, 1.0)
        assert waiting.admitted
        assert book.claim(book.reserve(1, 2.0, 1.0), 1.0) == 2.0
        assert book.day_exhausted(1.0) is False
        book.settle(waiting, 200, 2.0)
        assert book.day_exhausted(2.0)

    def test_the_number_of_calls_in_flight_is_bounded(self) -> None:
        book = ledger(concurrency=2)
        tickets = [book.reserve(0, order, 0.0) for order in range(4)]
        assert [ticket.admitted for ticket in tickets] == [True, True, False, False]
        book.settle(tickets[0], 0, 5.0)
        assert [ticket.admitted for ticket in tickets[2:]] == [True, False]
        book.cancel(tickets[1], 5.0, sent=True)
        assert tickets[3].admitted

    def test_a_lack_of_capacity_lowers_the_concurrency_and_not_the_limit(self) -> None:
        book = ledger(tpm=60_000_000)
        crowd = [book.reserve(100, order, 0.0) for order in range(100)]
        for _ in range(3):
            book.on_capacity_error(crowd.pop(), 1.0)
        assert book.window.tokens.estimate == 60_000_000
        waiting = book.reserve(100, 200.0, 1.0)
        for ticket in crowd[:25]:
            book.settle(ticket, 100, 2.0)
        assert not waiting.admitted
        for ticket in crowd[25:32]:
            book.settle(ticket, 100, 2.0)
        assert waiting.admitted

    def test_the_concurrency_rises_when_capacity_returns(self) -> None:
        book = ledger(tpm=60_000_000)
        crowd = [book.reserve(100, order, 0.0) for order in range(10)]
        for ticket in crowd:
            book.on_capacity_error(ticket, 1.0)
        for order in range(300):
            book.settle(book.reserve(100, order, 2.0), 100, 2.0)
        assert all(book.reserve(100, order, 3.0).admitted for order in range(100))


class TestQuestions:
    def test_the_earliest_admission_assumes_that_all_reservations_are_refunded(self) -> None:
        book = bucket(tpm=6000)
        book.reserve(6000, 0.0, 0.0)
        assert book.earliest(3000, 0.0) == 0.0
        book = bucket(tpm=6000)
        book.settle(book.reserve(6000, 0.0, 0.0), 9000, 0.0)
        assert book.earliest(3000, 0.0) == pytest.approx(60.0)

    def test_the_earliest_admission_includes_the_calls_ahead(self) -> None:
        book = bucket(rpm=60, burst=1.0)
        for order in range(101):
            book.reserve(0, order, 0.0)
        assert book.earliest(0, 0.0, 99) == pytest.approx(100.0)  # the last waiting call
        assert book.earliest(0, 0.0, book.ahead(NORMAL)) == pytest.approx(101.0)  # a new call
        assert book.earliest(0, 0.0, book.ahead(PRIORITIES["interactive"])) == pytest.approx(1.0)

    def test_without_a_token_limit_tokens_are_always_available(self) -> None:
        assert ledger(rpm=60).available(0.0) == inf
        assert ledger(tpm=6000).available(0.0) == pytest.approx(500, rel=0.5)

    def test_the_usage_of_the_last_minute_is_reported_by_priority(self) -> None:
        book = ledger(tpm=600_000)
        book.watch()
        for priority, tokens in ((0.0, 300), (2.0, 200), (2.0, 100)):
            book.settle(book.reserve(tokens, 0.0, 0.0, priority), tokens, 1.0)
        assert book.consumers.minute(1.0) == {0.0: 300, 2.0: 300}
        assert book.consumers.minute(1000.0) == {}

    def test_a_steady_usage_is_reported_in_tokens_per_minute(self) -> None:
        book = ledger(tpm=600_000)
        book.watch()
        for second in range(600):
            book.settle(book.reserve(100, 0.0, second), 100, second)
        assert book.consumers.minute(599.5) == {1.0: pytest.approx(6000, rel=0.01)}


class TestLease:
    def test_a_lease_of_a_part_bounds_the_admitted_calls(self) -> None:
        book = bucket(tpm=6000)
        book.watch()
        book.lease(0.25, {}, 0.0)
        now = 0.0
        for order in range(8):
            ticket = book.reserve(500, order, now)
            now = admitted_at(book, ticket, now)
            book.settle(ticket, 500, now)
        assert now == pytest.approx((8 * 500 - 1500) / 25)

    def test_a_larger_share_admits_the_head_of_the_queue_sooner(self) -> None:
        book = bucket(tpm=6000, burst=5.0)
        book.lease(0.1, {}, 0.0)
        book.settle(book.reserve(1000, 0.0, 0.0), 1000, 0.0)
        waiting = book.reserve(50, 1.0, 0.0)
        before = book.claim(waiting, 0.0)
        woken = []
        assert waiting.attach(lambda: woken.append(1))
        book.lease(1.0, {}, 0.0)
        assert woken == [1]
        assert book.claim(waiting, 0.0) == pytest.approx(before / 10)

    def test_limits_learned_by_others_are_adopted_up_to_the_configured_limit(self) -> None:
        book = ledger(tpm=6000)
        book.lease(0.5, {"tokens": 3000.0}, 0.0)
        assert (book.window.tokens.estimate, book.window.tokens.rate) == (3000.0, 25.0)
        book.lease(0.5, {"tokens": 90_000.0}, 0.0)
        assert book.window.tokens.estimate == 6000.0


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "reserve", "settle", "cancel", "throttled", "short"]),
        st.floats(0.0, 3.0),
        st.integers(0, 2000),
        st.floats(0.0, 1.5),
    ),
    max_size=80,
)


@given(steps=STEPS, rpm=st.sampled_from([None, 60, 6000]), tpm=st.sampled_from([None, 6000, 600_000]))
def test_the_fast_path_and_the_slow_path_give_the_same_state(steps: Any, rpm: Any, tpm: Any) -> None:
    """A ledger that is watched has no short way."""
    short, long = ledger(rpm, tpm), ledger(rpm, tpm)
    long.watch()
    now, under_way = 0.0, []
    for order, (action, gap, tokens, share) in enumerate(steps):
        now += gap
        assert short.available(now) == pytest.approx(long.available(now))
        if action == "reserve":
            pair = [book.reserve(tokens, float(order), now) for book in (short, long)]
            under_way.append(pair)
        elif under_way:
            pair = under_way.pop(tokens % len(under_way))
            for book, ticket in zip((short, long), pair, strict=True):
                if action == "settle" and ticket.admitted:
                    book.settle(ticket, ticket.tokens * share, now)
                elif action == "throttled" and ticket.admitted:
                    book.throttled(ticket, "requests", now)
                elif action == "short" and ticket.admitted:
                    book.on_capacity_error(ticket, now)
                else:
                    book.cancel(ticket, now, sent=tokens % 2 == 0)
        assert [ticket.admitted for ticket, _ in under_way] == [ticket.admitted for _, ticket in under_way]
        assert seen(short) == pytest.approx(seen(long))


def seen(book: Ledger) -> list[float]:
    account = book.window
    counts = [account.outstanding, book.concurrency.in_flight, len(book.queue)]
    return counts + [value for _, limit in account.dimensions for value in (limit.free, limit.used, limit.estimate)]


@pytest.mark.parametrize(("how", "refused"), [("overloaded", 1), ("cancelled", 0), ("unknown", 0)])
def test_a_probe_that_ends_without_an_answer_does_not_count_as_accepted(how: str, refused: int) -> None:
    book = ledger(tpm=60_000)
    for now in (1.0, 2.0, 3.0):
        book.throttled(book.reserve(100, now, now), "tokens", now + 0.1)
    probe, late = book.reserve(100, 4.0, 4.0), book.reserve(100, 4.1, 4.1)
    assert (probe.admitted, late.admitted) == (True, False)
    if how == "overloaded":
        book.on_capacity_error(probe, 4.2)
    elif how == "cancelled":
        book.cancel(probe, 4.2, sent=True)
    else:
        book.abandon(probe, 4.2)
    book.claim(late, 4.5)
    book.throttled(late, "tokens", 4.6)
    assert (book.pause.refused_probes, book.pause.probe_accepted) == (refused, False)
