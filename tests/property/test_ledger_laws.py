"""Properties of the ledger for every order of events: no tokens appear or leak, and calls are served in order."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.doubles import ROUTE, call

from aws_bedrock_inference.call import Outcome, Usage
from aws_bedrock_inference.drivers.virtual import VirtualDriver
from aws_bedrock_inference.flow import send
from aws_bedrock_inference.policies import Quota
from aws_bedrock_inference.rules.quota.ledger import Ledger


class LedgerLaws(RuleBasedStateMachine):
    """Callers that behave like drivers: a caller that is woken, or whose timer fires, claims its ticket."""

    @initialize(
        rpm=st.one_of(st.none(), st.integers(60, 6000)),
        tpm=st.one_of(st.none(), st.integers(600, 600_000)),
        listed=st.sets(st.sampled_from(["requests", "tokens"])),
        concurrency=st.sampled_from([inf, 3]),
    )
    def open(self, rpm: int | None, tpm: int | None, listed: set[str], concurrency: float) -> None:
        self.now = 0.0
        self.largest = 0.4 * (tpm or 50_000)
        self.limits = {"requests": float(rpm or inf), "tokens": float(tpm or inf)}
        self.book: Any = Ledger(rpm=rpm, tpm=tpm, now=0.0, listed=listed, concurrency=concurrency)
        self.alarms: dict[Any, float] = {}
        self.woken: set[Any] = set()
        self.in_flight: list[Any] = []
        self.order = 0

    @rule(
        part=st.floats(0.0, 1.0),
        priority=st.sampled_from([0.0, 1.0, 1.0, 2.0]),
        tenant=st.sampled_from(["", "acme", "globex"]),
    )
    def reserve(self, part: float, priority: float, tenant: str) -> None:
        self.order += 1
        tokens = float(int(1 + part * self.largest))
        ticket = self.book.reserve(tokens, float(self.order), self.now, priority, tenant)
        if ticket.admitted:
            self.in_flight.append(ticket)
        else:
            self.claim(ticket)

    def claim(self, ticket: Any) -> None:
        self.woken.discard(ticket)
        due = self.book.claim(ticket, self.now)
        assert due >= self.now
        assert ticket.admitted == (due == self.now)
        if ticket.admitted:
            self.alarms.pop(ticket, None)
            self.in_flight.append(ticket)
        else:
            self.alarms[ticket] = due
            if not ticket.attach(lambda: self.woken.add(ticket)):
                self.woken.add(ticket)

    def everybody_awake_claims(self) -> None:
        while self.woken:
            self.claim(min(self.woken, key=lambda ticket: ticket.priority))

    @rule(seconds=st.floats(0.01, 70.0))
    def pass_time(self, seconds: float) -> None:
        until = self.now + seconds
        self.everybody_awake_claims()
        while self.alarms and min(self.alarms.values()) <= until:
            ticket = min(self.alarms, key=lambda one: self.alarms[one])
            self.now = max(self.now, self.alarms[ticket])
            self.claim(ticket)
            self.everybody_awake_claims()
        self.now = until

    def taken(self, which: int) -> Any:
        return self.in_flight.pop(which % len(self.in_flight))

    @precondition(lambda self: self.in_flight)
    @rule(which=st.integers(0, 99), share=st.floats(0.0, 1.5))
    def settle(self, which: int, share: float) -> None:
        ticket = self.taken(which)
        self.book.settle(ticket, ticket.tokens * share, self.now)

    @precondition(lambda self: self.in_flight)
    @rule(which=st.integers(0, 99), sent=st.booleans())
    def fail(self, which: int, sent: bool) -> None:  # noqa: FBT001
        self.book.cancel(self.taken(which), self.now, sent=sent)

    @precondition(lambda self: self.in_flight)
    @rule(which=st.integers(0, 99))
    def short(self, which: int) -> None:
        self.book.on_capacity_error(self.taken(which), self.now)

    @precondition(lambda self: self.in_flight)
    @rule(which=st.integers(0, 99), limit=st.sampled_from(["requests", "tokens", "tokens", None]))
    def throttled(self, which: int, limit: Any) -> None:
        assert self.book.throttled(self.taken(which), limit, self.now) in ("requests", "tokens")

    @precondition(lambda self: self.alarms)
    @rule(which=st.integers(0, 99))
    def leave(self, which: int) -> None:
        ticket = list(self.alarms)[which % len(self.alarms)]
        if ticket.admitted:
            self.claim(ticket)
        else:
            del self.alarms[ticket]
            self.woken.discard(ticket)
            self.book.cancel(ticket, self.now, sent=False)
            self.woken.discard(ticket)

    @rule(share=st.sampled_from([0.1, 0.5, 1.0]), estimate=st.sampled_from([1.0, 0.7]))
    def lease(self, share: float, estimate: float) -> None:
        limits = {name: limit.estimate * estimate for name, limit in self.book.window.dimensions if limit.known}
        self.book.lease(share, limits, self.now)

    @invariant()
    def nothing_is_created(self) -> None:
        if hasattr(self, "book"):
            account = self.book.window
            under_way = [ticket for ticket in (*self.in_flight, *self.alarms) if ticket.admitted]
            assert self.book.concurrency.in_flight == len(under_way)
            assert account.outstanding == pytest.approx(sum(ticket.tokens for ticket in under_way), abs=1e-3)
            self.book.available(self.now)
            for _, limit in account.dimensions:
                if limit.estimate < inf:
                    assert limit.free <= limit.capacity * (1 + 1e-9) or limit.free <= 1.0

    @invariant()
    def the_head_of_the_queue_is_awake_or_has_an_alarm_or_another_call_s_end_brings_its_turn(self) -> None:
        if hasattr(self, "book") and (head := self.book.queue.head()) is not None:
            held_by_others = self.book.concurrency.in_flight >= self.book.concurrency.most
            assert head in self.woken or self.alarms[head] < inf or held_by_others

    def teardown(self) -> None:
        if not hasattr(self, "book"):
            return
        self.book.lease(1.0, self.limits, self.now)
        for _ in range(60):
            while self.in_flight:
                self.settle(0, 0.5)
            if not self.alarms:
                break
            self.pass_time(60.0)
        assert not self.alarms, "somebody never had a turn"
        self.now += 61.0
        self.book.available(self.now)
        account = self.book.window
        assert len(self.book.queue) == self.book.concurrency.in_flight == 0
        assert account.outstanding == pytest.approx(0.0, abs=1e-3)
        assert [limit.used for _, limit in account.dimensions] == pytest.approx([0.0, 0.0], abs=1e-3)


TestLedgerLaws = LedgerLaws.TestCase
TestLedgerLaws.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)

TRAFFIC = st.lists(
    st.tuples(st.floats(0.0, 5.0), st.integers(1, 4000), st.floats(0.0, 1.5), st.floats(0.0, 30.0)),
    min_size=1,
    max_size=120,
)


@given(traffic=TRAFFIC)
def test_no_window_admits_more_than_the_limit(traffic: Any) -> None:
    """In every window of the service, the admitted amount minus refunds fits the amount of five seconds plus the
    rate; a minute fits the limit plus one call."""
    rpm, tpm = 120.0, 24_000.0
    policy = Quota(rpm=rpm, tpm=tpm)
    ledgered: list[tuple[float, float, int]] = []

    def service(one: Any, now: float) -> Any:
        share, seconds = one.params["share"], one.params["seconds"]
        used = int(one.estimate.reservation * min(share, 1.0))
        ledgered.append((now, float(used), 1))
        return seconds, Outcome(usage=Usage(used, 0))

    driver = VirtualDriver(service)
    step = policy.around(send, driver.clock)
    start = 0.0
    for gap, tokens, share, seconds in traffic:
        start += gap
        one = call(tokens=tokens, output=0, arrived=start)._replace(params={"share": share, "seconds": seconds})
        driver.spawn(step(one), after=start)
    driver.run()
    assert len(ledgered) == len(traffic)
    largest = max(tokens for _, tokens, _, _ in traffic)
    for window, most in ((5.0, 10.0), (30.0, 35.0), (60.0, 60.0)):
        for opening, _, _ in ledgered:
            inside = [entry for entry in ledgered if opening <= entry[0] < opening + window]
            assert sum(entry[2] for entry in inside) <= rpm / 60 * most + 1
            assert sum(entry[1] for entry in inside) <= tpm / 60 * most + largest


@given(traffic=TRAFFIC)
def test_calls_are_served_in_order_of_arrival(traffic: Any) -> None:
    served: list[float] = []

    def service(one: Any, now: float) -> Any:
        served.append(one.arrived)
        return one.params["seconds"], Outcome(usage=Usage(one.estimate.reservation, 0))

    driver = VirtualDriver(service)
    step = Quota(rpm=60, tpm=24_000).around(send, driver.clock)
    start = 0.0
    for gap, tokens, _, seconds in traffic:
        start += gap + 0.001
        driver.spawn(
            step(call(tokens=tokens, output=0, arrived=start)._replace(params={"seconds": seconds})), after=start
        )
    driver.run()
    assert served == sorted(served)
    assert len(served) == len(traffic)


@given(traffic=TRAFFIC, leave=st.sets(st.integers(0, 119)))
def test_no_waiting_call_is_lost_when_others_leave_the_queue(traffic: Any, leave: set[int]) -> None:
    driver = VirtualDriver(lambda one, _: (one.params["seconds"], Outcome(usage=Usage(1, 0))))
    policy = Quota(rpm=60, tpm=24_000)
    step = policy.around(send, driver.clock)
    tasks = [
        driver.spawn(step(call(tokens=tokens, output=0, arrived=0.0)._replace(params={"seconds": seconds})))
        for _, tokens, _, seconds in traffic
    ]
    driver.run(until=0.5)
    for index in leave & set(range(len(tasks))):
        if not tasks[index].done:
            driver.interrupt(tasks[index], KeyboardInterrupt())
    driver.run()
    assert all(task.done for task in tasks)
    assert all(task.error is None or isinstance(task.error, KeyboardInterrupt) for task in tasks)
    ledger = policy.ledger(ROUTE, driver.now)
    assert ledger.window.outstanding == pytest.approx(0.0)
    assert len(ledger.queue) == 0
