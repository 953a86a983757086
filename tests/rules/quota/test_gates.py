"""Pauses after consecutive throttles, the tokens per day, and the number of calls in flight."""

from __future__ import annotations

from math import inf

import pytest

from aws_bedrock_inference.rules.quota.gates import Concurrency, Day, Pause


class TestPause:
    @pytest.mark.parametrize(
        ("told", "expected"), [(True, [0.0, 0.0, 0.5, 0.75, 1.0, 4.0]), (False, [0.0, 0.0, 3.0, 4.0, 4.0, 4.0])]
    )
    def test_pauses_grow_from_the_third_consecutive_throttle(self, told: bool, expected: list[float]) -> None:  # noqa: FBT001
        pause = Pause(told=told)
        pauses = []
        for now in (0.0, 1.0, 2.0, 3.0, 4.0, 40.0):
            assert pause.record_throttle(now - 0.1, now)
            pauses.append(max(0.0, pause.until - now))
        assert pauses == expected

    def test_an_admitted_call_between_throttles_ends_their_series(self) -> None:
        pause = Pause()
        for admitted, in_a_row in ((1.0, 1), (2.0, 2), (7.0, 3), (12.0, 4), (18.0, 1)):
            pause.record_throttle(admitted - 0.5, admitted, admitted=admitted)
            assert pause.in_a_row == in_a_row

    def test_a_call_sent_before_the_last_throttle_does_not_count(self) -> None:
        pause = Pause()
        assert pause.record_throttle(0.0, 1.0)
        assert not pause.record_throttle(0.5, 1.1)
        assert not pause.record_throttle(1.0, 1.2)
        pause.on_success(1.0)
        assert pause.in_a_row == 1
        pause.on_success(1.1)
        assert pause.in_a_row == 0

    def test_after_a_pause_one_call_probes_and_the_others_follow_its_success(self) -> None:
        pause = Pause()
        for now in (1.0, 1.5, 2.0):
            pause.record_throttle(now - 0.1, now)
        assert pause.until == 2.5
        pause.on_admit(3.5)
        assert pause.until == pytest.approx(3.8)
        pause.on_admit(3.9)
        assert pause.until == pytest.approx(3.8)
        assert not pause.over(3.9)
        pause.on_success(3.5)
        assert pause.over(3.9)

    def test_refused_probes_are_counted_until_one_is_accepted(self) -> None:
        pause = Pause()
        refused = []
        for now in (1.0, 1.5, 2.0):
            pause.record_throttle(now - 0.1, now)
            refused.append(pause.refused_probes)
        for now in (3.0, 4.0, 5.0):
            pause.on_admit(now)
            if now < 5.0:
                pause.record_throttle(now, now + 0.1)
                refused.append(pause.refused_probes)
        pause.on_admit(5.4)  # the third probe is accepted, and the next call is refused
        pause.record_throttle(5.4, 5.5)
        assert [*refused, pause.refused_probes] == [0, 0, 0, 1, 2, 0]
        assert pause.probe_accepted

    @pytest.mark.parametrize(
        ("failed", "took", "refused", "accepted"),
        [
            (False, 0.1, 0, True),
            (True, 0.1, 1, False),  # the probe failed with another error
            (False, 0.6, 0, False),  # the refusal of the probe may still arrive
        ],
    )
    def test_a_probe_without_a_success_is_accepted_only_if_a_refusal_would_have_arrived(
        self,
        failed: bool,  # noqa: FBT001
        took: float,
        refused: int,
        accepted: bool,  # noqa: FBT001
    ) -> None:
        """Regression: during an outage with 503 and slow 429 answers, probes that were not refused seemed accepted, and
        the rate fell to a thousandth.
        """
        pause = Pause()
        for now in (1.0, 2.0, 3.0):
            pause.record_throttle(now - took, now)
        pause.on_admit(4.0)
        if failed:
            pause.on_failure(4.0, overloaded=True)
        pause.record_throttle(4.3, 4.4)
        assert (pause.refused_probes, pause.probe_accepted) == (refused, accepted)

    @pytest.mark.parametrize(("told", "pause_after"), [(True, 0.5), (False, 4.0)])
    def test_an_accepted_probe_shortens_the_pauses_if_a_limit_is_told(self, told: bool, pause_after: float) -> None:  # noqa: FBT001
        """Regression: a bucket smaller than a call let one call through after each pause, and each pause was longer."""
        pause = Pause(told=told)
        for now in (0.0, 0.5, 1.0):
            pause.record_throttle(now - 0.1, now)
        for cycle in range(1, 9):
            pause.on_admit(8.0 * cycle)
            for now in (8.0 * cycle + 0.5, 8.0 * cycle + 0.8, 8.0 * cycle + 1.1):
                pause.record_throttle(now - 0.1, now)
        assert pause.until - now == pytest.approx(pause_after)
        assert pause.in_a_row == 27

    def test_a_pause_does_not_shorten_a_longer_wait(self) -> None:
        pause = Pause()
        pause.park(900.0)
        for now in (1.0, 1.5, 2.0):
            pause.record_throttle(now - 0.1, now)
        assert pause.until == 900.0


class TestDay:
    @pytest.mark.parametrize(
        ("used", "tokens", "now", "wait"),
        [
            (0, 1000, 0.0, 0.0),
            (400, 600, 0.0, 0.0),
            (400, 601, 0.0, 3600.0),
            (1000, 1, 3000.0, 600.0),
            (1000, 1000, 3600.0, 0.0),
            (1000, 1000, 3600.0 + 2.5 * 86_400, 0.0),
        ],
    )
    def test_calls_wait_for_the_end_of_an_exhausted_day(self, used: int, tokens: int, now: float, wait: float) -> None:
        day = Day(1000, 3600.0)
        day.used = used
        assert day.wait_for(tokens, now) == wait

    def test_the_ends_of_days_are_one_day_apart(self) -> None:
        day = Day(1000, 3600.0)
        assert day.wait_for(0, 90_001.0) == 0.0
        day.used = 1000
        assert day.wait_for(1, 90_001.0) == pytest.approx(3600.0 + 2 * 86_400 - 90_001)


class TestDayOfManyLedgers:
    def test_reserved_tokens_count_as_used_in_a_forked_child(self) -> None:
        day = Day(1000, 3600.0)
        assert day.reserve(400, 0.0) == 0.0
        day.settle(100, 50)
        day.after_fork()
        assert (day.used, day.reserved) == (350, 0)

    def test_tokens_that_exceed_the_day_are_not_reserved(self) -> None:
        day = Day(1000, 3600.0)
        assert [day.reserve(600, 0.0), day.reserve(600, 0.0), day.reserve(400, 0.0)] == [0.0, 1.0, 0.0]
        assert day.reserved == 1000
        day.settle(600, 900)
        assert [day.wait_now(100, 10.0), day.wait_now(101, 10.0)] == [1.0, 3590.0]

    def test_a_day_is_idle_if_a_new_one_would_behave_the_same(self) -> None:
        day = Day(1000, 3600.0)
        assert day.idle(0.0)
        day.reserve(10, 0.0)
        assert not day.idle(0.0)
        day.settle(10, 5)
        assert not day.idle(0.0)
        assert day.idle(3600.0)
        day.exhausted_until = 4000.0
        assert not day.idle(3600.0)

    def test_a_day_without_a_limit_counts_nothing(self) -> None:
        day = Day()
        assert day.reserve(400, 0.0) == 0.0
        day.settle(0, 400)
        assert (day.used, day.reserved) == (0, 0)
        assert day.wait_for(1e12, 1e9) == 0.0

    def test_the_pause_of_the_day_does_not_shorten_the_pause_of_a_ledger(self) -> None:
        day, first, second = Day(), Pause(), Pause()
        first.on_success(0.0)
        first.exhaust(0.0, day)
        second.exhaust(500.0, day)
        second.follow(day, 600.0)
        assert (day.exhausted_until, second.exhausted_until) == (900.0, 1400.0)


def lacks(calls: Concurrency, admitted_at: float, now: float) -> None:
    """Three capacity errors: two may come together by chance."""
    for _ in range(3):
        calls.on_capacity_error(admitted_at, now)


class TestConcurrency:
    def test_concurrency_is_unlimited_until_the_service_lacks_capacity(self) -> None:
        calls = Concurrency()
        calls.in_flight = 100
        assert calls.most == inf
        lacks(calls, 0.0, 1.0)
        assert calls.most == pytest.approx(70.0)

    def test_errors_of_simultaneous_calls_count_once(self) -> None:
        calls = Concurrency()
        calls.in_flight = 100
        for _ in range(20):
            calls.on_capacity_error(0.5, 1.0)
        assert calls.most == pytest.approx(70.0)
        calls.in_flight = 70
        lacks(calls, 1.5, 2.0)
        assert calls.most == pytest.approx(49.0)

    def test_a_rare_error_does_not_lower_the_concurrency(self) -> None:
        calls = Concurrency()
        calls.in_flight = 100
        for now in range(1, 200):
            calls.on_capacity_error(now - 0.5, float(now))
            for _ in range(10):
                calls.on_success()
        assert calls.most == inf
        assert calls.calm

    def test_two_coincident_errors_do_not_lower_the_concurrency(self) -> None:
        calls = Concurrency()
        calls.in_flight = 100
        for now in range(1, 200):
            calls.on_capacity_error(now - 0.5, float(now))
            calls.on_capacity_error(now - 0.5, float(now))
            for _ in range(14):
                calls.on_success()
        assert calls.most == inf

    def test_the_concurrency_limit_is_at_least_one(self) -> None:
        calls = Concurrency()
        for now in range(1, 20):
            calls.in_flight = 1
            calls.on_capacity_error(now - 0.5, float(now))
        assert calls.most == 1.0

    def test_successes_raise_the_concurrency_until_it_is_unlimited(self) -> None:
        calls = Concurrency()
        calls.in_flight = 10
        lacks(calls, 0.0, 1.0)
        for _ in range(7):
            calls.on_success()
        assert calls.most == pytest.approx(8.0, abs=0.1)
        for _ in range(200):
            calls.on_success()
        assert calls.most == inf

    def test_the_concurrency_returns_to_its_configured_limit(self) -> None:
        calls = Concurrency(20)
        calls.in_flight = 20
        lacks(calls, 0.0, 1.0)
        assert calls.most == pytest.approx(14.0)
        for _ in range(1000):
            calls.on_success()
        assert calls.most == pytest.approx(20, abs=0.1)
