"""The calls that wait at one priority: its tenants take turns, and each tenant's calls go in order of arrival.

A turn is a place in virtual time (start-time fair queueing). Each call moves its tenant on by the tokens that it is
expected to use, and the tenant that is least far goes next. Who comes anew, or comes back, begins where the others are
now: it waits for at most one call of each, however many they have, and nothing is saved up by staying away. Over any
time two tenants that both wait get the same but for one call of each.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_bedrock_inference.rules.quota.ticket import Ticket

# A tenant's answers are remembered for about so many calls, and a call counts for at least this part of what it
# reserves, whatever its tenant's calls have used.
REMEMBERED = 64
LEAST_USED = 0.01

# To add up so many numbers of a list takes as long as to look at one tenant.
ADDED = 16

# Tenants without a waiting call that are remembered before any is forgotten.
IDLE = 64


class Use:
    """The use of recent calls, and their reservations, in tokens."""

    __slots__ = ("calls", "reserved", "used")

    def __init__(self) -> None:
        self.calls = 0
        self.reserved = 0.0
        self.used = 0.0

    def add(self, reserved: float, used: float) -> None:
        """Count a call that has ended."""
        self.calls += 1
        self.reserved += reserved
        self.used += used
        if self.calls >= REMEMBERED:
            self.calls //= 2
            self.reserved /= 2.0
            self.used /= 2.0


class Tenant:
    """The calls of one tenant that wait at one priority. `turn` is where it stands; `standing` says that `Line` knows
    it as one of those who wait.
    """

    __slots__ = ("calls", "heap", "name", "standing", "tokens", "turn", "use")

    def __init__(self, name: str) -> None:
        self.name = name
        self.heap: list[tuple[float, int, Ticket]] = []
        self.calls = 0
        self.tokens = 0.0
        self.turn = 0.0
        self.standing = False
        self.use = Use()

    def head(self) -> Ticket | None:
        """Return who is first, and forget who has left."""
        while self.heap and self.heap[0][2].left:
            heapq.heappop(self.heap)
        return self.heap[0][2] if self.heap else None


class Line:
    """The calls that wait at one priority. `earned` is what they may use before higher ones, in tokens."""

    __slots__ = ("_deeper", "_last", "_most", "_now", "_turns", "_use", "calls", "earned", "tenants", "tokens")

    def __init__(self) -> None:
        self.tenants: dict[str, Tenant] = {}
        self.calls = 0
        self.tokens = 0.0
        self.earned = 0.0
        self._turns: list[tuple[float, int, Tenant]] = []
        self._now = 0.0  # the turn of who went last
        self._last = 0.0  # the last turn that anybody has
        self._use = Use()
        self._most = IDLE
        self._deeper: list[int] = []  # at i: how many tenants have more than i calls

    def push(self, ticket: Ticket, order: float, number: int) -> None:
        """Let `ticket` wait; `number` is larger than any before."""
        tenant = self.tenants.get(ticket.tenant) or self._come(ticket.tenant)
        if not self.calls:
            self._now = self._last
        if not tenant.standing:
            tenant.standing = True
            tenant.turn = max(tenant.turn, self._now)
            heapq.heappush(self._turns, (tenant.turn, number, tenant))
        ticket.left = False
        heapq.heappush(tenant.heap, (order, number, ticket))
        if tenant.calls == len(self._deeper):
            self._deeper.append(0)
        self._deeper[tenant.calls] += 1
        tenant.calls += 1
        tenant.tokens += ticket.tokens
        self.calls += 1
        self.tokens += ticket.tokens

    def head(self) -> Ticket | None:
        """Return who is next."""
        turns = self._turns
        while turns:
            tenant = turns[0][2]
            ticket = tenant.head()
            if ticket is not None:
                return ticket
            tenant.standing = False
            heapq.heappop(turns)
        return None

    def pop(self, weight: float, number: int) -> None:
        """Take `head()` out; `weight` is its tenant's."""
        turn, _, tenant = self._turns[0]
        _, _, ticket = heapq.heappop(tenant.heap)
        self._now = turn
        tenant.turn = turn + self._charge(tenant, ticket.tokens) / weight
        self._last = max(self._last, tenant.turn)
        if tenant.heap:
            heapq.heapreplace(self._turns, (tenant.turn, number, tenant))
        else:
            tenant.standing = False
            heapq.heappop(self._turns)
        self.leave(ticket)

    def leave(self, ticket: Ticket) -> None:
        """Count `ticket`, which waits, no more. Where nobody waits, nothing is earned."""
        tenant = self.tenants.get(ticket.tenant)
        if tenant is None or not tenant.calls:
            return  # it waited in the parent of this process
        tenant.calls -= 1
        tenant.tokens = tenant.tokens - ticket.tokens if tenant.calls else 0.0
        self._deeper[tenant.calls] -= 1
        self.calls -= 1
        self.tokens = self.tokens - ticket.tokens if self.calls else 0.0
        if not self.calls:
            self.earned = 0.0

    def settled(self, name: str, reserved: float, used: float) -> None:
        """Learn what a call of tenant `name` has used, where others wait."""
        tenant = self.tenants.get(name)
        if tenant is not None and self.calls:
            tenant.use.add(reserved, used)
            self._use.add(reserved, used)

    def ahead(self, name: str) -> int:
        """Return how many are served until the last call of tenant `name`, or its first, that one included."""
        tenants = self.tenants
        own = tenants[name].calls if name in tenants else 0
        depth = max(1, own)
        if depth < ADDED * len(tenants):
            return sum(self._deeper[:depth])
        return sum(min(tenant.calls, depth) for tenant in tuple(tenants.values()))

    def _charge(self, tenant: Tenant, tokens: float) -> float:
        """Return what a call of `tenant` counts for: what it is expected to use, the first one as much as others."""
        use, line = tenant.use, self._use
        usual = line.used / line.reserved if line.reserved else 1.0
        expected = (use.used + usual * tokens) / (use.reserved + tokens) if tokens else 1.0
        return max(LEAST_USED, expected) * max(1.0, tokens)

    def _come(self, name: str) -> Tenant:
        """Return a new tenant; forget those that a new one would equal."""
        if len(self.tenants) >= self._most:
            self.tenants = {
                other: tenant for other, tenant in self.tenants.items() if tenant.standing or tenant.turn > self._now
            }
            self._most = IDLE + 2 * len(self.tenants)
        tenant = self.tenants[name] = Tenant(name)
        return tenant
