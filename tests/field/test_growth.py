"""Model IDs, priorities and tenants come from callers: they neither fill the memory nor slow other calls down."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest
from support.doubles import session
from support.wire import Wire

from aws_bedrock_inference import AsyncBedrockClient, BedrockClient
from aws_bedrock_inference.clients.routes import ROUTES
from aws_bedrock_inference.rules.quota.fair_shares import OTHERS
from aws_bedrock_inference.rules.quota.ledger import Ledger
from aws_bedrock_inference.rules.quota.queue import Queue
from aws_bedrock_inference.rules.quota.snapshot import NAMED
from aws_bedrock_inference.rules.quota.ticket import LEVELS, TENANTS, Ticket


@pytest.mark.parametrize("kind", [BedrockClient, AsyncBedrockClient])
def test_the_number_of_remembered_model_ids_is_bounded(kind: Any) -> None:
    with Wire(b"") as wire:
        client = kind("amazon.nova-lite-v1:0", session=session(), endpoint_url=wire.url)
        for number in range(3 * ROUTES):
            assert client._route(f"us.tenant{number}.model").pool == "geographic"
        assert len(client._routes.used) <= ROUTES


def queue_of(priorities: list[float]) -> tuple[Queue, list[Ticket]]:
    queue = Queue()
    tickets = [Ticket(1.0, priority, 0.0) for priority in priorities]
    for order, ticket in enumerate(tickets):
        queue.push(ticket, float(order))
    return queue, tickets


def served(queue: Queue) -> list[Ticket]:
    order = []
    while (head := queue.head()) is not None:
        queue.pop(head)
        order.append(head)
    return order


def test_the_number_of_distinct_priorities_in_a_queue_is_bounded() -> None:
    queue, tickets = queue_of([float(number) for number in range(10 * LEVELS)])
    assert len(queue.waiting()) == LEVELS
    assert len(queue) == len(tickets)
    assert len(served(queue)) == len(tickets)
    assert len(queue) == 0


def test_a_merged_priority_never_passes_more_urgent_calls() -> None:
    queue, _ = queue_of([float(10 * number) for number in range(LEVELS)])
    for priority, level in ((15.0, 20.0), (-5.0, 0.0), (1e9, 10.0 * (LEVELS - 1)), (inf, 10.0 * (LEVELS - 1))):
        ticket = Ticket(1.0, priority, 0.0)
        queue.push(ticket, 1000.0)
        assert ticket.priority == level
        queue.leave(ticket)
        ticket.left = True


def test_a_few_priorities_are_not_merged() -> None:
    queue, tickets = queue_of([3.0, 1.5, 2.0, 1.5])
    assert [ticket.priority for ticket in served(queue)] == [1.5, 1.5, 2.0, 3.0]
    assert [ticket.priority for ticket in tickets] == [3.0, 1.5, 2.0, 1.5]


def test_a_new_priority_for_each_call_does_not_grow_the_usage_record() -> None:
    ledger = Ledger(rpm=None, tpm=1e12, now=0.0)
    for number in range(10 * LEVELS):
        ticket = ledger.reserve(100.0, 0.0, 0.0, priority=float(number + 2))
        ledger.settle(ticket, 100.0, 0.0)
    consumers = ledger.snapshot(0.0).consumers
    assert len(consumers) == LEVELS
    assert sum(consumers.values()) == 100 * 10 * LEVELS


def test_a_new_tenant_for_each_call_grows_neither_the_usage_record_nor_the_report() -> None:
    ledger = Ledger(rpm=None, tpm=1e9, now=0.0)
    ledger.watch()
    for number in range(3 * TENANTS):
        ledger.settle(ledger.reserve(100.0, 0.0, 0.0, tenant=f"tenant {number}"), 100.0, 0.0)
    assert ledger.snapshot(0.0).consumers == {1.0: 100 * 3 * TENANTS}
    assert len(ledger.consumers._used) == TENANTS + 1
    told = ledger.needs(0.0).told
    assert len(told) == NAMED + 1
    assert sum(need.calls for need in told if need.tenant == OTHERS) >= TENANTS - NAMED


def test_only_the_waiting_tenants_with_the_largest_needs_are_reported_by_name() -> None:
    ledger = Ledger(rpm=None, tpm=6000, now=0.0)
    ledger.watch()
    for number in range(1000):
        ledger.reserve(100.0 + number, float(number), 0.0, tenant=f"tenant {number}")
    needs = ledger.needs(0.0)
    assert {need.tenant for need in needs.told} == {OTHERS} | {f"tenant {1000 - NAMED + n}" for n in range(NAMED)}
    assert needs.waiting == {(need.priority, need.tenant) for need in needs.told}
