"""Queue of calls waiting for quota, ordered by priority, then arrival.

So that nobody starves, whoever waits behind a higher priority earns a share of what that one is given, and goes next
once this pays for the call.
"""

from __future__ import annotations

import heapq
from itertools import count
from typing import TYPE_CHECKING

from aws_bedrock_inference.rules.quota.ticket import level

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_bedrock_inference.rules.quota.ticket import Ticket

# The part of the quota that a waiting priority has for sure: enough to go on, too little to be felt by higher ones.
SHARE = 0.05

# Who waits looks again after so many seconds: the head, on whose alarm all others rely, may be in a closed event loop.
LOOK = 30.0


class Line:
    """The calls that wait at one priority, in order of arrival, so that a repeated call keeps its place."""

    __slots__ = ("calls", "earned", "heap", "tokens")

    def __init__(self) -> None:
        self.heap: list[tuple[float, int, Ticket]] = []
        self.calls = 0
        self.tokens = 0.0
        self.earned = 0.0

    def head(self) -> Ticket | None:
        """Return who is first, and forget who has left."""
        while self.heap and self.heap[0][2].left:
            heapq.heappop(self.heap)
        return self.heap[0][2] if self.heap else None

    def count(self, calls: int, tokens: float) -> None:
        """Let so many more or fewer wait. Where nobody waits, nothing is earned."""
        self.calls += calls
        self.tokens = self.tokens + tokens if self.calls else 0.0
        self.earned = self.earned if self.calls else 0.0


class Queue:
    """Tickets by priority, the smallest number first.

    `shares` says what part of the quota a priority has while higher ones are served, where that is not `SHARE`.
    Read-only methods do not need the ledger's lock.
    """

    def __init__(self, shares: Mapping[float, float] | None = None) -> None:
        self._shares = dict(shares or {})
        self._lines: dict[float, Line] = {}
        self._turn = count()

    def __len__(self) -> int:
        return sum(line.calls for line in tuple(self._lines.values()))

    def push(self, ticket: Ticket, order: float) -> None:
        """Add `ticket` at its priority, or at the next one where too many are told apart."""
        line = self._lines.get(ticket.priority)
        if line is None:
            kept = {at: other for at, other in self._lines.items() if other.calls}
            ticket.priority = level(ticket.priority, kept)
            line = kept.get(ticket.priority) or Line()
            self._lines = dict(sorted({**kept, ticket.priority: line}.items()))
        ticket.left = False
        heapq.heappush(line.heap, (order, next(self._turn), ticket))
        line.count(1, ticket.tokens)

    def clear(self) -> None:
        """Forget who waits."""
        self._lines = {}

    def leave(self, ticket: Ticket) -> None:
        """Remove a `ticket` that waits no longer; it is about to be marked as left."""
        line = self._lines.get(ticket.priority)
        if line is not None:
            line.count(-1, -ticket.tokens)

    def head(self) -> Ticket | None:
        """Return who is next."""
        first = None
        for line in self._lines.values():
            ticket = line.head()
            if ticket is not None:
                if first is None:
                    first = ticket
                elif 0.0 < line.earned >= ticket.tokens:
                    return ticket
        return first

    def pop(self, ticket: Ticket) -> None:
        """Take `ticket`, which is `head()`, out; whoever waits behind it earns its share."""
        for priority, line in self._lines.items():
            if priority == ticket.priority:
                heapq.heappop(line.heap)
                line.earned = max(0.0, line.earned - ticket.tokens)
                line.count(-1, -ticket.tokens)
            elif priority > ticket.priority and line.calls:
                share = self._shares.get(priority, SHARE)
                line.earned += share / (1.0 - share) * ticket.tokens

    def ahead(self, priority: float) -> int:
        """Return how many wait before a newcomer of `priority`."""
        return sum(line.calls for at, line in tuple(self._lines.items()) if at <= priority)

    def waiting(self) -> dict[float, tuple[int, float]]:
        """Return how many wait at each priority, and how many tokens they want."""
        return {at: (line.calls, line.tokens) for at, line in tuple(self._lines.items()) if line.calls}
