"""One call before the ledger, and what such calls have used by priority."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from aws_bedrock_inference.rules.quota.window import Slot


class Ticket:
    """One call's place in the queue, then its reservation. Waited on by a driver through `attach`."""

    __slots__ = ("_wake", "_woken", "admitted_at", "left", "priority", "slot", "tokens")

    def __init__(self, tokens: float, priority: float, now: float) -> None:
        self.tokens = tokens
        self.priority = priority
        self.slot: Slot | None = None
        self.admitted_at = now
        self.left = False
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


def wake(tickets: Iterable[Ticket], but: Ticket | None = None) -> None:
    """End the wait on each of `tickets`."""
    for ticket in tickets:
        if ticket is not but:
            ticket.wake()


class Consumers:
    """The recent use of each priority, in tokens; half of it is forgotten every 30 seconds, so that the sum is about
    that of the last minute.
    """

    __slots__ = ("_at", "_used")

    def __init__(self) -> None:
        self._used: dict[float, float] = {}
        self._at = -inf

    def add(self, priority: float, used: float, now: float) -> None:
        """Count `used` tokens."""
        self._age(now)
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
