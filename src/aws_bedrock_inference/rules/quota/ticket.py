"""One call before the ledger, and what such calls have used by priority and tenant."""

from __future__ import annotations

from bisect import bisect
from math import inf
from typing import TYPE_CHECKING

from aws_bedrock_inference.rules.quota.fair_shares import OTHERS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from aws_bedrock_inference.rules.quota.slot import Slot

# Priorities that are told apart at one time. Programs may number their calls; a queue of lines with one call each would
# make every admission look at all of them.
LEVELS = 64

# Pairs of priority and tenant whose use is told apart.
TENANTS = 1024

# Half of the use is forgotten in so many seconds, and its sum is brought up to date after so many.
HALF = 30.0
RESTART = 30.0


class Ticket:
    """One call's place in the queue, then its reservation. Waited on by a driver through `attach`."""

    __slots__ = ("_wake", "_woken", "admitted_at", "left", "priority", "slot", "tenant", "tokens")

    def __init__(self, tokens: float, priority: float, now: float, tenant: str = "") -> None:
        self.tokens = tokens
        self.priority = priority
        self.tenant = tenant
        self.slot: Slot | None = None
        self.admitted_at = now
        self.left = True  # unless it stands in the queue
        self._woken = False
        self._wake: Callable[[], object] | None = None

    @property
    def admitted(self) -> bool:
        """True if the call is admitted and has not ended."""
        return self.slot is not None

    def attach(self, wake: Callable[[], object]) -> bool:
        """Register who is to be woken; False when that is due already."""
        self._wake = wake
        return not self._woken

    def wake(self) -> None:
        """End the wait on this ticket. Set before called: whoever attaches meanwhile sees one of the two."""
        self._woken = True
        if self._wake is not None:
            self._wake()

    def rest(self) -> None:
        """Wait anew."""
        self._woken = False


def wake(tickets: Iterable[Ticket], but: Ticket | None = None) -> list[Ticket]:
    """End the wait on each of `tickets`; return those that nobody waits on any more, as in an event loop that was
    closed. Each stands alone: who wakes is a bystander, and hears nothing of it.
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
    """Return the level at which `priority` counts: its own, or, where there are `LEVELS` others, the next one of these,
    the last for the last.
    """
    if priority in levels or len(levels) < LEVELS:
        return priority
    ordered = sorted(levels)
    return ordered[min(bisect(ordered, priority), len(ordered) - 1)]


class Consumers:
    """The recent use of each priority and tenant, in tokens; half of it is forgotten every 30 seconds, so that the sum
    is about that of the last minute. Of more than `LEVELS` priorities, neighbours are counted as one; of more than
    `TENANTS`, the later ones.
    """

    __slots__ = ("_began", "_levels", "_used")

    def __init__(self) -> None:
        # As if all had been used at `_began`: what is used later counts for more, and nothing old has to be lowered.
        self._used: dict[tuple[float, str], float] = {}
        self._levels: set[float] = set()
        self._began = -inf

    def add(self, priority: float, used: float, now: float, tenant: str = "") -> None:
        """Count `used` tokens."""
        if now - self._began > RESTART:
            self._begin(now)
        key = (priority, tenant)
        if key not in self._used:
            priority = level(priority, self._levels)
            self._levels.add(priority)
            key = (priority, tenant if len(self._used) < TENANTS else OTHERS)
        self._used[key] = self._used.get(key, 0.0) + used * 2.0 ** ((now - self._began) / HALF)

    def minute(self, now: float) -> dict[float, int]:
        """Return tokens a minute by priority."""
        total: dict[float, float] = {}
        for (priority, _), used in self.by_tenant(now).items():
            total[priority] = total.get(priority, 0.0) + used
        return {priority: round(used) for priority, used in total.items()}

    def by_tenant(self, now: float) -> dict[tuple[float, str], float]:
        """Return tokens a minute by priority and tenant, those below one left out."""
        if len(self._used) > LEVELS:
            self._begin(now)
        kept = 2.0 ** ((self._began - now) / HALF)
        return {key: used * kept for key, used in self._used.items() if used * kept >= 1.0}

    def _begin(self, now: float) -> None:
        kept = 2.0 ** ((self._began - now) / HALF)
        self._used = {key: used * kept for key, used in self._used.items() if used * kept >= 1.0}
        self._levels = {priority for priority, _ in self._used}
        self._began = now
