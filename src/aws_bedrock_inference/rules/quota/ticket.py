"""The ticket of one call (its place in the queue for quota), and the recent use of calls by priority and tenant."""

from __future__ import annotations

from bisect import bisect
from math import inf, log
from typing import TYPE_CHECKING

from aws_bedrock_inference.rules.quota.fair_shares import OTHERS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from aws_bedrock_inference.rules.quota.slot import Slot

# The maximum number of different priorities at one time. Programs can give each call a separate number, and each
# admission looks at all priorities, so a larger number would make it slow.
LEVELS = 64

# The maximum number of pairs of priority and tenant that are counted separately.
TENANTS = 1024

# The weight of a use halves every HALF seconds. With this number, a steady use of n tokens per minute has the weighted
# sum n. The stored sums are updated after RESTART seconds.
HALF = 60.0 * log(2.0)
RESTART = 30.0


class Ticket:
    """The place of one call in the queue. After the call is admitted, the ticket represents the tokens that the call
    has reserved. The code that waits for the call's admission calls `attach`.
    """

    __slots__ = ("_wake", "_woken", "admitted_at", "left", "priority", "slot", "tenant", "tokens")

    def __init__(self, tokens: float, priority: float, now: float, tenant: str = "") -> None:
        self.tokens = tokens
        self.priority = priority
        self.tenant = tenant
        self.slot: Slot | None = None
        self.admitted_at = now
        self.left = True  # False while the ticket is in the queue
        self._woken = False
        self._wake: Callable[[], object] | None = None

    @property
    def admitted(self) -> bool:
        """True if the call is admitted and has not ended."""
        return self.slot is not None

    def attach(self, wake: Callable[[], object]) -> bool:
        """Register the function `wake`, which the ticket calls to end the wait. Return False if the wait has already
        ended, otherwise True.
        """
        self._wake = wake
        return not self._woken

    def wake(self) -> None:
        """End the wait of this ticket's call. The method first sets a flag, and then calls the function that `attach`
        has registered.

        If `attach` runs in another thread at the same time, the wake is not lost. `attach` first registers its
        function, and then reads the flag. Therefore this method calls the function, or `attach` returns False, or both.
        """
        self._woken = True
        if self._wake is not None:
            self._wake()

    def rest(self) -> None:
        """Reset the ticket, so that its call can wait again."""
        self._woken = False


def wake(tickets: Iterable[Ticket], but: Ticket | None = None) -> list[Ticket]:
    """End the wait of the call of each ticket in `tickets`, except for the ticket `but`. Return the tickets whose
    waiting code cannot be reached, for example because its event loop was closed. An error at one ticket does not
    affect the other tickets or the caller.
    """
    gone = []
    for ticket in tickets:
        if ticket is not but:
            try:
                ticket.wake()
            except Exception:  # noqa: BLE001 - whatever it is, this waiter cannot be reached
                gone.append(ticket)
    return gone


def level(priority: float, levels: Collection[float]) -> float:
    """Return the priority at which a call of `priority` waits or is counted. `levels` contains the priorities that are
    already in use.

    Normally, the result is `priority` itself. But at most 64 priorities (`LEVELS`) can be in use, because each
    admission examines all of them. If `priority` would be one too many, the result is the next larger priority in
    `levels`. If `levels` contains no larger one, the result is the largest.
    """
    if priority in levels or len(levels) < LEVELS:
        return priority
    ordered = sorted(levels)
    return ordered[min(bisect(ordered, priority), len(ordered) - 1)]


class Consumers:
    """The recent use of each priority and tenant, in tokens. The weight of a use halves every 42 seconds: 1,000 tokens
    count as 500 after 42 seconds. With this weight, the sum at a constant rate is the number of tokens per minute. For
    example, it is 600 at 10 tokens per second.

    If there are more than `LEVELS` priorities, further priorities are counted under existing ones (see `level`). If
    there are more than `TENANTS` pairs of priority and tenant, the later tenants are counted together.
    """

    __slots__ = ("_began", "_levels", "_used")

    def __init__(self) -> None:
        # The weight of earlier use must halve in `HALF` seconds. Instead of lowering all sums again and again, `add`
        # multiplies new use by a factor, which is 1 at `_began` and doubles in `HALF` seconds.
        self._used: dict[tuple[float, str], float] = {}
        self._levels: set[float] = set()
        self._began = -inf

    def add(self, priority: float, used: float, now: float, tenant: str = "") -> None:
        """Count `used` tokens for a priority and a tenant."""
        if now - self._began > RESTART:
            self._begin(now)
        key = (priority, tenant)
        if key not in self._used:
            priority = level(priority, self._levels)
            self._levels.add(priority)
            key = (priority, tenant if len(self._used) < TENANTS else OTHERS)
        self._used[key] = self._used.get(key, 0.0) + used * 2.0 ** ((now - self._began) / HALF)

    def minute(self, now: float) -> dict[float, int]:
        """Return the recent use of each priority, in tokens. `Consumers` explains how uses are weighted."""
        total: dict[float, float] = {}
        for (priority, _), used in self.by_tenant(now).items():
            total[priority] = total.get(priority, 0.0) + used
        return {priority: round(used) for priority, used in total.items()}

    def by_tenant(self, now: float) -> dict[tuple[float, str], float]:
        """Return the recent use of each priority and tenant, in tokens. `Consumers` explains how uses are weighted.
        Uses below one token are left out.
        """
        if len(self._used) > LEVELS:
            self._begin(now)
        kept = 2.0 ** ((self._began - now) / HALF)
        return {key: used * kept for key, used in self._used.items() if used * kept >= 1.0}

    def _begin(self, now: float) -> None:
        kept = 2.0 ** ((self._began - now) / HALF)
        self._used = {key: used * kept for key, used in self._used.items() if used * kept >= 1.0}
        self._levels = {priority for priority, _ in self._used}
        self._began = now
