"""Queue of calls waiting for quota, ordered by priority; within one, tenants take turns (`line`).

So that nobody starves, whoever waits behind a higher priority earns a share of what that one is given, and goes next
once this pays for the call.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, TypeAlias

from aws_bedrock_inference.rules.quota.line import Line
from aws_bedrock_inference.rules.quota.ticket import level

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_bedrock_inference.rules.quota.ticket import Ticket

Weights: TypeAlias = "Mapping[tuple[float, str], float]"
"""Weights of tenants, by priority and name."""

# The part of the quota that a waiting priority has for sure: enough to go on, too little to be felt by higher ones.
SHARE = 0.05

# Who waits looks again after so many seconds: the head, on whose alarm all others rely, may be in a closed event loop.
LOOK = 30.0


class Queue:
    """Tickets by priority, the smallest number first.

    `shares` says what part of the quota a priority has while higher ones are served, where that is not `SHARE`.
    `weights` are those that are not 1: in a quota that is shared, the part of a tenant's calls that is in this process.
    Read-only methods do not need the ledger's lock.
    """

    def __init__(self, shares: Mapping[float, float] | None = None) -> None:
        self._shares = dict(shares or {})
        self._lines: dict[float, Line] = {}
        self._number = count()
        self.weights: Weights = {}

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
        line.push(ticket, order, next(self._number))

    def clear(self) -> None:
        """Forget who waits."""
        self._lines = {}

    def leave(self, ticket: Ticket) -> None:
        """Remove a `ticket` that waits no longer; it is about to be marked as left."""
        line = self._lines.get(ticket.priority)
        if line is not None:
            line.leave(ticket)

    def settled(self, ticket: Ticket, used: float) -> None:
        """Learn what an admitted call has used of what it reserved."""
        line = self._lines.get(ticket.priority)
        if line is not None:
            line.settled(ticket.tenant, ticket.tokens, used)

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
                weight = self.weights.get((priority, ticket.tenant), 1.0) if self.weights else 1.0
                line.earned = max(0.0, line.earned - ticket.tokens)
                line.pop(weight, next(self._number))
            elif priority > ticket.priority and line.calls:
                share = self._shares.get(priority, SHARE)
                line.earned += share / (1.0 - share) * ticket.tokens

    def ahead(self, priority: float, tenant: str = "") -> int:
        """Return how many are served until the last call of `tenant` at `priority`, that one included."""
        return sum(
            line.calls if at < priority else line.ahead(tenant)
            for at, line in tuple(self._lines.items())
            if at <= priority
        )

    def waiting(self) -> dict[float, tuple[int, float]]:
        """Return how many wait at each priority, and how many tokens they want."""
        return {at: (line.calls, line.tokens) for at, line in tuple(self._lines.items()) if line.calls}

    def by_tenant(self) -> dict[tuple[float, str], tuple[int, float]]:
        """Return how many of each tenant wait at each priority, and how many tokens they want."""
        return {
            (at, tenant.name): (tenant.calls, tenant.tokens)
            for at, line in tuple(self._lines.items())
            for tenant in tuple(line.tenants.values())
            if tenant.calls
        }
