"""The queue of calls that wait for quota, ordered by priority. Within a priority, tenants are served in turn (`line`).

Calls of a low priority do not wait until all other calls are admitted. While they wait, each admitted call of a higher
priority adds a part of its tokens (by default 1/19) to an amount. When this amount is enough for the first waiting call
of the low priority, this call is served next. For example, after calls with 19,000 tokens in total, the amount is
1,000, and a waiting call with 1,000 tokens is served. The low priority then gets 5 % of all 20,000 tokens.
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
"""The weights of tenants, by priority and name of the tenant."""

# The guaranteed fraction of the quota for a priority with waiting calls. Its calls continue with this fraction, and
# higher priorities hardly lose anything.
SHARE = 0.05

# A waiting call checks the queue again after this many seconds. Normally the ledger wakes it. But all calls rely on the
# timer of the first call in the queue, and the first call may belong to an event loop that was closed.
LOOK = 30.0


class Queue:
    """The tickets of the waiting calls by priority. The smallest priority number is served first.

    `shares` contains the guaranteed fractions of the quota by priority; each other priority has the fraction `SHARE`.

    Tenants are served in proportion to their `weights`. Without a shared quota, each weight is 1. In a shared quota,
    one tenant can have calls in several processes. The tenant's weight in a process is then the number of its calls
    there, divided by the number of its calls in all processes. For example, a tenant with 2 of its 8 calls in this
    process has the weight 0.25. With the weight 1 in each process, the tenant would get more quota because it uses
    several processes.

    Methods that only read do not need the ledger's lock.
    """

    def __init__(self, shares: Mapping[float, float] | None = None) -> None:
        self._shares = dict(shares or {})
        self._lines: dict[float, Line] = {}
        self._number = count()
        self.weights: Weights = {}

    def __len__(self) -> int:
        return sum(line.calls for line in tuple(self._lines.values()))

    def push(self, ticket: Ticket, order: float) -> None:
        """Add the `ticket` of a call at its priority. If 64 other priorities already have waiting calls, add the ticket
        at one of these (see `ticket.level`).
        """
        line = self._lines.get(ticket.priority)
        if line is None:
            kept = {at: other for at, other in self._lines.items() if other.calls}
            ticket.priority = level(ticket.priority, kept)
            line = kept.get(ticket.priority) or Line()
            self._lines = dict(sorted({**kept, ticket.priority: line}.items()))
        line.push(ticket, order, next(self._number))

    def clear(self) -> None:
        """Remove the tickets of all waiting calls."""
        self._lines = {}

    def leave(self, ticket: Ticket) -> None:
        """Remove the `ticket` of a call that no longer waits. The caller then marks the ticket as having left."""
        line = self._lines.get(ticket.priority)
        if line is not None:
            line.leave(ticket)

    def settled(self, ticket: Ticket, used: float) -> None:
        """Record the number of tokens that an admitted call has `used` of its reservation."""
        line = self._lines.get(ticket.priority)
        if line is not None:
            line.settled(ticket.tenant, ticket.tokens, used)

    def head(self) -> Ticket | None:
        """Return the ticket of the call that is served next, or None."""
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
        """Remove the `ticket` that `head()` returned (the next call). Add a part of its tokens to `earned` of each
        lower priority with waiting calls (see `Line`).
        """
        for priority, line in self._lines.items():
            if priority == ticket.priority:
                weight = self.weights.get((priority, ticket.tenant), 1.0) if self.weights else 1.0
                line.earned = max(0.0, line.earned - ticket.tokens)
                line.pop(weight, next(self._number))
            elif priority > ticket.priority and line.calls:
                share = self._shares.get(priority, SHARE)
                line.earned += share / (1.0 - share) * ticket.tokens

    def ahead(self, priority: float, tenant: str = "") -> int:
        """Return the position in the queue of the last waiting call of `tenant` at `priority`. The call that is served
        next has the position 1. If no such call waits, return the number of calls that would be served before a new
        one.
        """
        return sum(
            line.calls if at < priority else line.ahead(tenant)
            for at, line in tuple(self._lines.items())
            if at <= priority
        )

    def waiting(self) -> dict[float, tuple[int, float]]:
        """Return, for each priority, the number of waiting calls and the tokens that they need."""
        return {at: (line.calls, line.tokens) for at, line in tuple(self._lines.items()) if line.calls}

    def by_tenant(self) -> dict[tuple[float, str], tuple[int, float]]:
        """Return, for each priority and tenant, the number of waiting calls and the tokens that they need."""
        return {
            (at, tenant.name): (tenant.calls, tenant.tokens)
            for at, line in tuple(self._lines.items())
            for tenant in tuple(line.tenants.values())
            if tenant.calls
        }
