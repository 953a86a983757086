"""The order of the queue: higher priorities first, first come first served within a priority, and no starvation."""

from __future__ import annotations

from typing import Any

import pytest

from aws_bedrock_inference.rules.quota.queue import Queue
from aws_bedrock_inference.rules.quota.ticket import Ticket

INTERACTIVE, NORMAL, BATCH = 0.0, 1.0, 2.0


def push(queue: Queue, priority: float, order: float = 0.0, tokens: float = 100.0) -> Ticket:
    ticket = Ticket(tokens, priority, 0.0)
    queue.push(ticket, order)
    return ticket


def serve(queue: Queue) -> Ticket:
    ticket = queue.head()
    assert ticket is not None
    queue.pop(ticket)
    return ticket


def served_while_interactive_never_ends(queue: Queue, calls: int, tokens: float = 100.0) -> list[float]:
    """Serve `calls`, with always one interactive call of `tokens` more in the line."""
    priorities = []
    push(queue, INTERACTIVE, tokens=tokens)
    for _ in range(calls):
        ticket = serve(queue)
        priorities.append(ticket.priority)
        if ticket.priority == INTERACTIVE:
            push(queue, INTERACTIVE, tokens=tokens)
    return priorities


@pytest.mark.parametrize(
    ("standing", "served"),
    [
        ([(NORMAL, 3.0), (NORMAL, 1.0), (NORMAL, 2.0)], [1, 2, 0]),
        ([(BATCH, 1.0), (NORMAL, 2.0), (INTERACTIVE, 3.0)], [2, 1, 0]),
        ([(BATCH, 1.0), (INTERACTIVE, 5.0), (BATCH, 0.0), (INTERACTIVE, 4.0)], [3, 1, 2, 0]),
        ([(NORMAL, 1.0), (NORMAL, 1.0), (NORMAL, 1.0)], [0, 1, 2]),
        ([(1.5, 0.0), (1.4, 9.0)], [1, 0]),
    ],
    ids=["by arrival", "by priority", "both", "as they came", "any number is a priority"],
)
def test_calls_are_served_in_order(standing: list[tuple[float, float]], served: list[int]) -> None:
    queue = Queue()
    tickets = [push(queue, priority, order) for priority, order in standing]
    assert [tickets.index(serve(queue)) for _ in standing] == served
    assert queue.head() is None
    assert len(queue) == 0


@pytest.mark.parametrize(("shares", "batch"), [(None, 5), ({BATCH: 0.2}, 20), ({BATCH: 0.5}, 50), ({BATCH: 0.0}, 0)])
def test_batch_calls_get_their_share_next_to_endless_interactive_calls(shares: Any, batch: int) -> None:
    queue = Queue(shares)
    for order in range(60):
        push(queue, BATCH, order)
    priorities = served_while_interactive_never_ends(queue, 100)
    assert priorities.count(BATCH) == batch


def test_a_share_is_counted_in_tokens_so_that_large_batch_calls_go_less_often() -> None:
    queue = Queue()
    push(queue, BATCH, tokens=1000)
    priorities = served_while_interactive_never_ends(queue, 201)
    assert priorities.index(BATCH) == 190


def test_a_priority_earns_credit_only_while_its_calls_wait() -> None:
    queue = Queue()
    served_while_interactive_never_ends(queue, 1000)
    push(queue, BATCH)
    assert served_while_interactive_never_ends(queue, 19) == [INTERACTIVE] * 19
    assert serve(queue).priority == BATCH
    push(queue, BATCH)
    assert served_while_interactive_never_ends(queue, 18) == [INTERACTIVE] * 18


def test_every_lower_priority_earns_credit_and_the_higher_one_goes_first() -> None:
    queue = Queue({NORMAL: 0.2, BATCH: 0.2})
    push(queue, BATCH)
    push(queue, NORMAL)
    assert served_while_interactive_never_ends(queue, 6) == [INTERACTIVE] * 4 + [NORMAL, BATCH]


def test_a_call_that_left_is_never_next() -> None:
    queue = Queue()
    gone, stays = push(queue, NORMAL, 0.0), push(queue, NORMAL, 1.0)
    queue.leave(gone)
    gone.left = True
    assert queue.head() is stays
    assert len(queue) == 1


def test_the_calls_and_tokens_ahead_of_a_newcomer_are_reported() -> None:
    queue = Queue()
    push(queue, INTERACTIVE)
    push(queue, NORMAL, tokens=300)
    push(queue, NORMAL, tokens=200)
    assert [queue.ahead(priority) for priority in (INTERACTIVE, NORMAL, BATCH)] == [1, 3, 3]
    assert queue.waiting() == {INTERACTIVE: (1, 100.0), NORMAL: (2, 500.0)}
    serve(queue)
    serve(queue)
    assert queue.waiting() == {NORMAL: (1, 200.0)}
