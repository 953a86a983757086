"""Tenants of one priority take turns: the next call, the calls ahead of a newcomer, and the usage of each tenant."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aws_bedrock_inference.rules.quota.ledger import Ledger
from aws_bedrock_inference.rules.quota.line import IDLE
from aws_bedrock_inference.rules.quota.queue import Queue
from aws_bedrock_inference.rules.quota.ticket import Ticket

NORMAL, BATCH = 1.0, 2.0


def push(queue: Queue, tenant: str, tokens: float = 100.0, order: float = 0.0, priority: float = NORMAL) -> Ticket:
    ticket = Ticket(tokens, priority, 0.0, tenant)
    queue.push(ticket, order)
    return ticket


def serve(queue: Queue) -> Ticket:
    ticket = queue.head()
    assert ticket is not None
    queue.pop(ticket)
    return ticket


def served(queue: Queue, calls: int) -> list[str]:
    return [serve(queue).tenant for _ in range(calls)]


def test_tenants_take_turns_and_each_has_its_own_order() -> None:
    queue = Queue()
    late, early = push(queue, "a", order=2.0), push(queue, "a", order=1.0)
    other = push(queue, "b", order=3.0)
    assert [serve(queue), serve(queue), serve(queue)] == [early, other, late]
    assert queue.head() is None
    assert len(queue) == 0


def test_a_late_call_waits_for_one_call_of_each_other_tenant() -> None:
    queue = Queue()
    for _ in range(1000):
        push(queue, "loud")
        push(queue, "louder")
    served(queue, 501)
    push(queue, "quiet")
    assert "quiet" in served(queue, 3)
    push(queue, "quiet")
    assert "quiet" in served(queue, 3)


def test_an_absent_tenant_accumulates_no_credit() -> None:
    queue = Queue()
    for _ in range(1000):
        push(queue, "loud")
    served(queue, 500)
    for _ in range(100):
        push(queue, "quiet")
    assert Counter(served(queue, 20)) == {"loud": 10, "quiet": 10}


def test_tenants_share_tokens_and_not_numbers_of_calls() -> None:
    queue = Queue()
    for _ in range(100):
        push(queue, "large", 1000.0)
        push(queue, "small", 100.0)
    assert Counter(served(queue, 55)) == {"large": 5, "small": 50}


def test_calls_without_a_tenant_form_one_tenant() -> None:
    queue = Queue()
    for _ in range(10):
        push(queue, "")
        push(queue, "acme")
    assert Counter(served(queue, 10)) == {"": 5, "acme": 5}


def test_a_higher_priority_goes_first_whatever_its_tenant() -> None:
    queue = Queue({BATCH: 0.0})
    push(queue, "quiet", priority=BATCH)
    for _ in range(5):
        push(queue, "loud")
    assert served(queue, 6) == ["loud"] * 5 + ["quiet"]


def test_tenants_of_a_lower_priority_share_what_it_earns() -> None:
    queue = Queue({BATCH: 0.5})
    for _ in range(100):
        push(queue, "urgent")
        push(queue, "a", priority=BATCH)
    for _ in range(20):
        push(queue, "b", priority=BATCH)
    assert Counter(served(queue, 80)) == {"urgent": 40, "a": 20, "b": 20}


def test_the_weight_of_a_tenant_is_the_part_of_its_calls_in_this_process() -> None:
    queue = Queue()
    queue.weights = {(NORMAL, "everywhere"): 0.25}
    for _ in range(100):
        push(queue, "everywhere")
        push(queue, "here")
    assert Counter(served(queue, 50)) == {"everywhere": 10, "here": 40}


def test_used_tokens_count_and_not_reserved_ones() -> None:
    book = Ledger(rpm=None, tpm=60_000, now=0.0)
    standing = {"careful": 0, "careless": 0}
    used: Counter[str] = Counter()
    waiting: list[Any] = []
    now = 0.0

    def stand(tenant: str, reserved: float) -> None:
        ticket = book.reserve(reserved, now, now, NORMAL, tenant)
        if not ticket.admitted:
            book.claim(ticket, now)
        waiting.append((ticket, tenant, reserved))
        standing[tenant] += 1

    for _ in range(20):
        stand("careless", 2000.0)
        stand("careful", 200.0)
    for _ in range(12_000):
        now += 0.02
        for item in [item for item in waiting if item[0].admitted]:
            ticket, tenant, reserved = item
            waiting.remove(item)
            book.settle(ticket, 150.0, now)
            used[tenant] += now > 60.0
            stand(tenant, reserved)
        head = book.queue.head()
        if head is not None:
            book.claim(head, now)
    assert used["careless"] / sum(used.values()) == pytest.approx(0.5, abs=0.05)


def test_the_number_of_calls_ahead_is_reported() -> None:
    queue = Queue()
    for _ in range(10_000):
        push(queue, "loud")
    push(queue, "urgent", priority=0.0)
    assert queue.ahead(NORMAL, "quiet") == 2
    push(queue, "quiet")
    assert queue.ahead(NORMAL, "quiet") == 3
    assert queue.ahead(NORMAL, "loud") == 10_002
    assert queue.ahead(BATCH, "quiet") == len(queue) == 10_002


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=60))
def test_the_calls_ahead_are_those_of_other_tenants_up_to_the_own_turn(steps: Any) -> None:
    queue = Queue()
    standing: list[Ticket] = []
    for name, leaves in steps:
        if leaves and standing:
            gone = standing.pop(name % len(standing))
            queue.leave(gone)
            gone.left = True
        else:
            standing.append(push(queue, str(name)))
    calls = Counter(ticket.tenant for ticket in standing)
    for name in map(str, range(6)):
        deep = max(1, calls[name])
        assert queue.ahead(NORMAL, name) == sum(min(count, deep) for count in calls.values())
    assert {tenant: count for (_, tenant), (count, _) in queue.by_tenant().items()} == calls


CALLS = st.lists(st.tuples(st.integers(0, 3), st.floats(1.0, 1000.0)), min_size=1, max_size=80)


@given(CALLS, st.data())
@settings(max_examples=200)
def test_two_waiting_tenants_get_equal_amounts_within_one_call(calls: Any, data: Any) -> None:
    """Two tenants that wait during the same period get equal amounts, within the largest call of each; and calls are
    served as long as any tenant waits."""
    queue = Queue()
    largest: Counter[str] = Counter()
    standing: Counter[str] = Counter()
    history: list[tuple[set[str], str, float]] = []
    coming = list(calls)
    while coming or standing.total():
        if coming and (not standing.total() or data.draw(st.booleans())):
            name, tokens = coming.pop()
            push(queue, str(name), tokens)
            standing[str(name)] += 1
            largest[str(name)] = max(largest[str(name)], tokens)
        else:
            waited = {name for name, count in standing.items() if count}
            ticket = serve(queue)
            standing[ticket.tenant] -= 1
            history.append((waited, ticket.tenant, ticket.tokens))
    for one, other in ((one, other) for one in largest for other in largest if one < other):
        got = {one: 0.0, other: 0.0}
        ahead: list[float] = []
        for waited, name, tokens in history:
            if not {one, other} <= waited:
                got, ahead = {one: 0.0, other: 0.0}, []
                continue
            ahead.append(got[one] - got[other])
            if name in got:
                got[name] += tokens
            least, most = min(ahead), max(ahead)
            now = got[one] - got[other]
            assert max(now - least, most - now) <= largest[one] + largest[other] + 1e-6


def test_a_tenant_is_forgotten_with_its_last_call() -> None:
    queue = Queue()
    for number in range(10 * IDLE):
        push(queue, f"tenant {number}")
        serve(queue)
    (line,) = queue._lines.values()
    assert len(line.tenants) <= 2 * IDLE


def test_a_queue_of_many_tenants_is_served_in_order_of_arrival() -> None:
    queue = Queue()
    names = [f"tenant {number}" for number in range(3000)]
    for name in names:
        push(queue, name)
    assert served(queue, len(names)) == names


def test_a_call_of_the_parent_does_not_affect_the_queue_of_a_forked_child() -> None:
    book = Ledger(rpm=None, tpm=600, now=0.0)
    for _ in range(3):
        book.reserve(600.0, 0.0, 0.0, NORMAL, "acme")
    parents = book.queue.head()
    assert parents is not None
    book.after_fork()
    childs = book.reserve(600.0, 0.0, 0.0, NORMAL, "globex")
    book.cancel(parents, 0.0, sent=False)
    assert not childs.admitted
    assert book.ahead() == 1
