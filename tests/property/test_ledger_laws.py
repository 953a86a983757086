"""What must hold for every order of events: nothing is created, nothing leaks, everybody is served in order."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule
from tests_support import ROUTE, call

from aws_bedrock_inference.call import Outcome, Usage
from aws_bedrock_inference.flow import send
from aws_bedrock_inference.policies import Quota
from aws_bedrock_inference.rules.ledger import Ledger
from aws_bedrock_inference.virtual import VirtualDriver


class LedgerLaws(RuleBasedStateMachine):
    """Tokens in the bucket + tokens out = tokens that time has brought, at every step."""

    admitted = Bundle("admitted")
    waiting = Bundle("waiting")

    @initialize(rpm=st.integers(60, 6000), tpm=st.integers(600, 600_000), burst=st.sampled_from([1.0, 5.0, 60.0]))
    def open(self, rpm: float, tpm: float, burst: float) -> None:
        self.now = 0.0
        self.book: Any = Ledger(rpm=rpm, tpm=tpm, burst=burst, now=0.0)
        self.order = 0
        self.out = 0.0
        self.spent = 0.0

    def sort(self, ticket: Any) -> Any:
        self.out += ticket.tokens if ticket.admitted else 0.0
        return ticket

    @rule(target=waiting, tokens=st.integers(0, 20_000))
    def reserve(self, tokens: int) -> Any:
        self.order += 1
        return self.book.reserve(min(tokens, int(self.book.tpm)), float(self.order), self.now)

    @rule(seconds=st.floats(0.001, 120.0))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule(target=admitted, ticket=consumes(waiting))
    def claim(self, ticket: Any) -> Any:
        due = self.book.claim(ticket, self.now)
        assert ticket.admitted == (due == self.now)
        assert due >= self.now
        return ticket

    @rule(ticket=consumes(admitted), share=st.floats(0.0, 3.0))
    def settle(self, ticket: Any, share: float) -> None:
        if ticket.admitted:
            self.book.settle(ticket, ticket.tokens * share, self.now)
        else:
            self.book.cancel(ticket, self.now, sent=False)

    @rule(ticket=consumes(admitted))
    def throttle(self, ticket: Any) -> None:
        if ticket.admitted:
            self.book.throttled(ticket, "tokens", self.now)
        else:
            self.book.cancel(ticket, self.now, sent=False)

    @invariant()
    def nothing_is_created(self) -> None:
        if hasattr(self, "book"):
            tokens = self.book._tokens
            assert tokens.level <= tokens.capacity
            assert self.book._requests.level <= self.book._requests.capacity
            assert self.book._outstanding >= -1e-6

    @invariant()
    def the_head_of_the_queue_always_has_a_time(self) -> None:
        if hasattr(self, "book") and self.book._queue:
            head = self.book._queue[0][2]
            assert self.book._wait_for(head.tokens, self.now) < inf

    def teardown(self) -> None:
        if not hasattr(self, "book"):
            return
        while self.book._queue:
            head = self.book._queue[0][2]
            due = self.book.claim(head, self.now)
            if head.admitted:
                self.book.settle(head, head.tokens, self.now)
            self.now = max(self.now, due)


TestLedgerLaws = LedgerLaws.TestCase
TestLedgerLaws.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)

TRAFFIC = st.lists(
    st.tuples(st.floats(0.0, 5.0), st.integers(1, 4000), st.floats(0.0, 1.5), st.floats(0.0, 30.0)),
    min_size=1,
    max_size=120,
)


@pytest.mark.parametrize("window", [5.0, 60.0], ids=["tight", "minute"])
@given(traffic=TRAFFIC, burst=st.sampled_from([1.0, 5.0, 60.0]))
def test_no_window_is_over_admitted_by_more_than_the_burst(window: float, traffic: Any, burst: float) -> None:
    """Whatever window the service counts in: what was admitted less what came back fits the rate, the
    burst and one call's debt.
    """
    rpm, tpm = 120.0, 24_000.0
    policy = Quota(rpm=rpm, tpm=tpm, burst=burst)
    ledgered: list[tuple[float, float, int]] = []

    def service(one: Any, now: float) -> Any:
        share, seconds = one.params["share"], one.params["seconds"]
        used = int(one.estimate.reservation * min(share, 1.0))
        ledgered.append((now, float(one.estimate.reservation), 1))
        ledgered.append((now + seconds, float(used - one.estimate.reservation), 0))
        return seconds, Outcome(usage=Usage(used, 0))

    driver = VirtualDriver(service)
    step = policy.around(send, driver.clock)
    start = 0.0
    for gap, tokens, share, seconds in traffic:
        start += gap
        one = call(tokens=tokens, output=0, arrived=start)._replace(params={"share": share, "seconds": seconds})
        driver.spawn(step(one), after=start)
    driver.run()
    assert sum(requests for *_, requests in ledgered) == len(traffic)
    largest = max(tokens for _, tokens, _, _ in traffic)
    for opening, _, _ in ledgered:
        inside = [entry for entry in ledgered if opening <= entry[0] <= opening + window]
        assert sum(entry[2] for entry in inside) <= rpm / 60 * (window + burst) + 1 + 1e-6
        assert sum(entry[1] for entry in inside) <= tpm / 60 * (window + burst) + largest + 1e-3


@given(traffic=TRAFFIC)
def test_first_come_first_served(traffic: Any) -> None:
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
def test_nobody_is_forgotten_when_others_leave(traffic: Any, leave: set[int]) -> None:
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
    assert ledger._outstanding == pytest.approx(0.0)
    assert ledger.queued == 0
