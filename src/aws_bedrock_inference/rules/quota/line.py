"""The calls that wait at one priority (a "line"). Tenants are served in turn, and the calls of one tenant keep their
order.

Each tenant has a number, its turn. The next call is from the tenant with the smallest turn. Each admitted call
increases the turn of its tenant by the tokens that the call is expected to use (start-time fair queueing). For example,
tenants A and B have the turn 0. After a call of A with 1,000 tokens, the turn of A is 1,000, so B is next.

A tenant that is new, or that returns after a pause, starts at the turn of the tenant that was served last. Its first
call therefore waits for at most one call of each other tenant, and the tenant does not get more quota because it
paused. In any period in which two tenants both wait, they get the same number of tokens, except for at most one call of
each.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_bedrock_inference.rules.quota.ticket import Ticket

# The expected use is an average over about this many calls of a tenant. It is at least this fraction of a call's
# reservation, even if the earlier calls of the tenant have used less.
REMEMBERED = 64
LEAST_USED = 0.01

# The cost of counting one tenant in a loop, measured in additions of list items.
ADDED = 16

# The number of tenants without waiting calls that are remembered before any of them is removed.
IDLE = 64


class Use:
    """The tokens that recent calls of a tenant have reserved and used, to predict the use of its next call."""

    __slots__ = ("calls", "reserved", "used")

    def __init__(self) -> None:
        self.calls = 0
        self.reserved = 0.0
        self.used = 0.0

    def add(self, reserved: float, used: float) -> None:
        """Count a call that has ended: the tokens that it had reserved, and the tokens that it used."""
        self.calls += 1
        self.reserved += reserved
        self.used += used
        if self.calls >= REMEMBERED:
            self.calls //= 2
            self.reserved /= 2.0
            self.used /= 2.0


class Tenant:
    """The calls of one tenant that wait at one priority. `turn` is a number that grows with the tokens of each admitted
    call of the tenant. The tenant with the smallest turn is served next. `standing` is True if the tenant is in its
    line's heap of tenants with waiting calls.
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
        """Return the ticket of the tenant's first call that still waits, or None. Remove tickets that have left the
        queue.
        """
        while self.heap and self.heap[0][2].left:
            heapq.heappop(self.heap)
        return self.heap[0][2] if self.heap else None


class Line:
    """The calls that wait at one priority. While they wait, each admitted call of a higher priority adds a part of its
    tokens to `earned` (by default about 5 %). As soon as `earned` is enough for the first waiting call of this line,
    this call is served next. So it does not wait until the higher priorities have no more calls.
    """

    __slots__ = ("_deeper", "_last", "_most", "_now", "_turns", "_use", "calls", "earned", "tenants", "tokens")

    def __init__(self) -> None:
        self.tenants: dict[str, Tenant] = {}
        self.calls = 0
        self.tokens = 0.0
        self.earned = 0.0
        self._turns: list[tuple[float, int, Tenant]] = []
        self._now = 0.0  # the turn (virtual time) of the tenant that was served last
        self._last = 0.0  # the largest turn of any tenant
        self._use = Use()
        self._most = IDLE
        self._deeper: list[int] = []  # at index i: how many tenants have more than i calls

    def push(self, ticket: Ticket, order: float, number: int) -> None:
        """Add the `ticket` of a waiting call. Among the calls of one tenant, the call with the smallest `order` is
        served first.

        `number` must be larger than in all earlier calls of this method. It is used in two cases: two calls have the
        same `order`, or two tenants have the same turn (see `Tenant`). In both cases, the smaller number is first.
        """
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
        """Return the ticket of the call that is served next, or None."""
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
        """Remove the ticket that `head()` returned (the next call). `weight` is the weight of its tenant. Tenants get
        tokens in proportion to their weights. Among tenants with the same turn, the smallest `number` is first.
        """
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
        """Remove the call of `ticket` from the counts of this line, because the call no longer waits. If no call of the
        line waits now, set `earned` to 0, so that later calls cannot use tokens that were earned before.
        """
        tenant = self.tenants.get(ticket.tenant)
        if tenant is None or not tenant.calls:
            return  # the ticket waited in the parent process of this fork
        tenant.calls -= 1
        tenant.tokens = tenant.tokens - ticket.tokens if tenant.calls else 0.0
        self._deeper[tenant.calls] -= 1
        self.calls -= 1
        self.tokens = self.tokens - ticket.tokens if self.calls else 0.0
        if not self.calls:
            self.earned = 0.0

    def settled(self, name: str, reserved: float, used: float) -> None:
        """Record the tokens that a call of the tenant `name` had reserved and has used, to predict the use of its next
        calls. If no call waits, no prediction is needed, and nothing is recorded.
        """
        tenant = self.tenants.get(name)
        if tenant is not None and self.calls:
            tenant.use.add(reserved, used)
            self._use.add(reserved, used)

    def ahead(self, name: str) -> int:
        """Return the position in this line of the last waiting call of the tenant `name`. The call that is served next
        has the position 1. If the tenant has no waiting call, return the number of calls that would be served before
        its next call.
        """
        tenants = self.tenants
        own = tenants[name].calls if name in tenants else 0
        depth = max(1, own)
        if depth < ADDED * len(tenants):
            return sum(self._deeper[:depth])
        return sum(min(tenant.calls, depth) for tenant in tuple(tenants.values()))

    def _charge(self, tenant: Tenant, tokens: float) -> float:
        """Return the number of tokens that a call with a reservation of `tokens` is expected to use. If the tenant has
        no earlier calls, the calls of other tenants determine this number.
        """
        use, line = tenant.use, self._use
        usual = line.used / line.reserved if line.reserved else 1.0
        expected = (use.used + usual * tokens) / (use.reserved + tokens) if tokens else 1.0
        return max(LEAST_USED, expected) * max(1.0, tokens)

    def _come(self, name: str) -> Tenant:
        """Add a tenant and return it. If there are too many tenants, first remove some that have no waiting calls.

        A tenant is removed only if its number `turn` (see `Tenant`) is at most the number of the tenant that was served
        last. If such a tenant returns, it starts at the number of the tenant that was served last, whether it was
        removed or not. So the removal does not change when it is served.
        """
        if len(self.tenants) >= self._most:
            self.tenants = {
                other: tenant for other, tenant in self.tenants.items() if tenant.standing or tenant.turn > self._now
            }
            self._most = IDLE + 2 * len(self.tenants)
        tenant = self.tenants[name] = Tenant(name)
        return tenant
