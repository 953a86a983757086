"""One call before the ledger, and what such calls have used by priority."""

from __future__ import annotations

from bisect import bisect
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from aws_bedrock_inference.rules.quota.window import Slot

# Priorities that are told apart at one time. Programs may number their calls; a queue of lines with one call each would
# make every admission look at all of them.
LEVELS = 64


class Ticket:
    """One call's place in the queue, then its reservation. Waited on by a driver through `attach`."""

    __slots__ = ("_wake", "_woken", "admitted_at", "left", "priority", "slot", "tokens")

    def __init__(self, tokens: float, priority: float, now: float) -> None:
        self.tokens = tokens
        self.priority = priority
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
    """The recent use of each priority, in tokens; half of it is forgotten every 30 seconds, so that the sum is about
    that of the last minute. Of more than `LEVELS` priorities, neighbours are counted as one.
    """

    __slots__ = ("_at", "_used")

    def __init__(self) -> None:
        self._used: dict[float, float] = {}
        self._at = -inf

    def add(self, priority: float, used: float, now: float) -> None:
        """Count `used` tokens."""
        self._age(now)
        priority = level(priority, self._used)
        self._used[priority] = self._used.get(priority, 0.0) + used

    def minute(self, now: float) -> dict[float, int]:
        """Return tokens a minute by priority."""
        self._age(now)
        return {priority: int(used) for priority, used in self._used.items() if used >= 1.0}

    def _age(self, now: float) -> None:
        if now > self._at:
            kept = 0.5 ** ((now - self._at) / 30.0)
            self._used = {priority: used * kept for priority, used in self._used.items() if used >= 1.0}
            self._at = now
