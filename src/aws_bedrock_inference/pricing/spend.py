"""The money that calls may cost together, as a semaphore of dollars: what is in flight is reserved.

The object is of one process. One that processes share would answer the same three questions from a store.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.forks import Locked

if TYPE_CHECKING:
    from collections.abc import Callable


class Hold:
    """The reservation of one call, which a driver can wait for. `admitted` is None while the call waits."""

    __slots__ = ("_lock", "_wake", "admitted", "expected", "most")

    def __init__(self, lock: Any, most: float) -> None:
        self._lock = lock
        self._wake: Callable[[], object] | None = None
        self.admitted: bool | None = None
        self.most = most
        self.expected = 0.0

    def attach(self, wake: Callable[[], object]) -> bool:
        """Register `wake`; False when the wait is over already."""
        with self._lock:
            self._wake = wake
            return self.admitted is None

    def wake(self) -> bool:
        """Wake the call that waits; False if it has gone with its event loop. Called without the lock."""
        try:
            if self._wake is not None:
                self._wake()
        except RuntimeError:
            return False
        return True


class Spend(Locked):
    """Money in US dollars: `spent` of `limit`, and what the calls in flight are expected to cost.

    A call that may cost `most` is expected to cost the part of it that the calls before did on average; the first one
    all of it. It is admitted if it fits, or if nothing else is in flight: so the limit is exceeded by one call at most,
    or by what calls in flight cost above the average. Once `limit` is reached, all are refused.
    """

    def __init__(self, limit: float, spent: float = 0.0) -> None:
        super().__init__()
        self.limit = limit
        self.spent = spent
        self._paid = 0.0  # of the calls that ended, and the most that they could have cost
        self._asked = 0.0
        self._in_flight: set[Hold] = set()
        self._queue: deque[Hold] = deque()

    def after_fork(self) -> None:
        """Forget the parent's calls."""
        super().after_fork()
        self._in_flight = set()
        self._queue = deque()

    @property
    def exhausted(self) -> bool:
        """True if no further call is admitted."""
        return self.spent >= self.limit

    def enter(self, most: float) -> Hold:
        """Ask for `most`, the most that a call may cost."""
        hold = Hold(self._lock, most)
        with self._lock:
            self._queue.append(hold)
            decided = self._decide()
        self._tell(decided, hold)
        return hold

    def leave(self, hold: Hold, cost: float | None) -> None:
        """End a call that has cost `cost`, None if that is not known: then it counts as it was expected to. One that
        was not admitted gives up.
        """
        with self._lock:
            if hold in self._in_flight:
                self._in_flight.remove(hold)
                self.spent += hold.expected if cost is None else cost
                if cost:
                    self._paid += cost
                    self._asked += hold.most
            elif hold in self._queue:
                self._queue.remove(hold)
            decided = self._decide()
        self._tell(decided)

    def _decide(self) -> list[Hold]:
        """Admit from the head of the queue what fits, or refuse all. Needs the lock."""
        decided = []
        while self._queue:
            hold = self._queue[0]
            hold.expected = hold.most * min(1.0, self._paid / self._asked if self._asked else 1.0)
            if not self.exhausted:
                reserved = sum(each.expected for each in self._in_flight)
                if self._in_flight and self.spent + reserved + hold.expected > self.limit:
                    break
                self._in_flight.add(hold)
            hold.admitted = not self.exhausted
            decided.append(self._queue.popleft())
        return decided

    def _tell(self, decided: list[Hold], but: Hold | None = None) -> None:
        for hold in decided:
            if hold is not but and not hold.wake():
                self.leave(hold, 0.0)  # its event loop was closed: nobody sends it
