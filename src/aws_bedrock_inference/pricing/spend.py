"""The money that calls may cost together, as a semaphore of dollars: what calls in flight will cost is reserved.

The object is of one process. One that processes share would answer `enter`, `leave` and `exhausted` from a store.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.forks import Locked
from aws_bedrock_inference.pricing.rates import DOLLAR

if TYPE_CHECKING:
    from collections.abc import Callable


class Hold:
    """The reservation of one call, which a driver can wait for. `admitted` is None while the call waits.

    `most` is what the call may cost, `expected` what is reserved for it, both in units of 1e-12 dollars.
    """

    __slots__ = ("_lock", "_wake", "admitted", "expected", "most")

    def __init__(self, lock: Any, most: int) -> None:
        self._lock = lock
        self._wake: Callable[[], object] | None = None
        self.admitted: bool | None = None
        self.most = most
        self.expected = most

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
    """Money in US dollars: the part of `limit` that is `spent`, and the part that calls in flight will need.

    A call that may cost `most` is expected to cost the part of it that the calls before did on average; the first one
    all of it. It is admitted if it fits, or if nothing else is in flight: so the limit is exceeded by one call at most,
    or by what calls in flight cost above the average. Once `limit` is reached, all are refused.

    Sums are kept in whole units of 1e-12 dollars, since ten times 0.1 must be 1.
    """

    def __init__(self, limit: float, spent: float = 0.0) -> None:
        super().__init__()
        self.limit = limit
        self._limit = _units(limit)
        self._spent = _units(spent)
        self._paid = self._asked = 0  # by the calls that ended: what they cost, and the most that they could have
        self._in_flight: set[Hold] = set()
        self._reserved = 0
        self._queue: deque[Hold] = deque()

    def after_fork(self) -> None:
        """Forget the parent's calls."""
        super().after_fork()
        self._in_flight, self._reserved, self._queue = set(), 0, deque()

    @property
    def spent(self) -> float:
        """The sum of what the calls that ended have cost, and of what was spent before."""
        return self._spent / DOLLAR

    @property
    def exhausted(self) -> bool:
        """True if no further call is admitted."""
        return self._spent >= self._limit

    def enter(self, most: float) -> Hold:
        """Ask for `most`, the most that a call may cost."""
        hold = Hold(self._lock, _units(most))
        with self._lock:
            self._queue.append(hold)
            decided = self._decide()
        self._tell(decided)
        return hold

    def leave(self, hold: Hold, cost: float | None) -> None:
        """End a call that has cost `cost`, None if that is not known: then it counts as it was expected to. One that
        still waits gives up, and one that was refused has cost nothing.
        """
        with self._lock:
            if hold in self._in_flight:
                self._in_flight.remove(hold)
                self._reserved -= hold.expected
                paid = hold.expected if cost is None else _units(cost)
                self._spent += paid
                if cost:
                    self._paid += paid
                    self._asked += hold.most
            elif hold.admitted is None:
                self._queue.remove(hold)
            decided = self._decide()
        self._tell(decided)

    def _decide(self) -> list[Hold]:
        """Admit from the head of the queue what fits, or refuse all; return those. Needs the lock."""
        decided = []
        while self._queue:
            hold = self._queue[0]
            if not self.exhausted:
                if self._paid < self._asked:
                    hold.expected = hold.most * self._paid // self._asked
                if self._in_flight and self._spent + self._reserved + hold.expected > self._limit:
                    break
                self._in_flight.add(hold)
                self._reserved += hold.expected
            hold.admitted = hold in self._in_flight
            decided.append(self._queue.popleft())
        return decided

    def _tell(self, decided: list[Hold]) -> None:
        for hold in decided:
            if not hold.wake():
                self.leave(hold, 0.0)  # its event loop was closed: nobody sends it


def _units(dollars: float) -> int:
    return round(dollars * DOLLAR)
