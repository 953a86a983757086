"""Who waits for quota, and who is next: higher priorities first, first come first served within one.

So that nobody starves, whoever waits behind a higher priority earns a share of what that one is given, and goes next
once this pays for the call.
"""

from __future__ import annotations

import heapq
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_bedrock_inference.rules.ledger import Ticket

# What a waiting priority earns of what higher ones are given: enough to go on, too little to be felt by them.
SHARE = 0.05


class Queue:
    """Tickets by priority (the smallest number first), then by when their call arrived, so that a repeat keeps its
    place.

    `shares` says what a priority earns while higher ones are served, 0 to 1, where that is not `SHARE`.
    """

    def __init__(self, shares: Mapping[float, float] | None = None) -> None:
        self._shares = dict(shares or {})
        self._lines: dict[float, list[tuple[float, int, Ticket]]] = {}
        self._earned: dict[float, float] = {}
        self._tokens: dict[float, float] = {}
        self._turn = count()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def push(self, ticket: Ticket, order: float) -> None:
        """Let `ticket` stand in its line."""
        line = self._lines.get(ticket.priority)
        if line is None:
            line = self._lines[ticket.priority] = []
            self._lines = dict(sorted(self._lines.items()))
            self._earned[ticket.priority] = self._tokens[ticket.priority] = 0.0
        heapq.heappush(line, (order, next(self._turn), ticket))
        self._tokens[ticket.priority] += ticket.tokens
        self._length += 1

    def head(self) -> Ticket | None:
        """Return who is next."""
        first = None
        for priority, line in self._lines.items():
            while line and line[0][2].left:
                self._drop(priority, line)
            if line:
                ticket = line[0][2]
                if first is None:
                    first = ticket
                elif self._earned[priority] >= ticket.tokens:
                    return ticket
        return first

    def pop(self, ticket: Ticket) -> None:
        """Take `ticket`, which is `head()`, out; whoever waits behind it earns its share."""
        for priority, line in self._lines.items():
            if priority == ticket.priority:
                self._drop(priority, line)
                self._earned[priority] = max(0.0, self._earned[priority] - ticket.tokens)
            elif priority > ticket.priority and line:
                self._earned[priority] += self._shares.get(priority, SHARE) * ticket.tokens
            if not line:
                self._earned[priority] = 0.0

    def ahead(self, priority: float) -> int:
        """Return how many stand before a newcomer of `priority`."""
        return sum(len(line) for level, line in self._lines.items() if level <= priority)

    def waiting(self) -> dict[float, tuple[int, float]]:
        """Return how many wait at each priority, and how many tokens they want."""
        return {priority: (len(line), self._tokens[priority]) for priority, line in tuple(self._lines.items()) if line}

    def _drop(self, priority: float, line: list[tuple[float, int, Ticket]]) -> None:
        ticket = heapq.heappop(line)[2]
        self._tokens[priority] = self._tokens[priority] - ticket.tokens if line else 0.0
        self._length -= 1
