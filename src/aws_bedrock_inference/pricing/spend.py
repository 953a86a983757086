"""The cost limit for all calls together, as a semaphore of US dollars: the expected cost of calls in flight is
reserved.

An object belongs to one process. A limit that processes share would implement `enter`, `leave` and `exhausted` with a
store.
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

    `most` is the highest cost of the call, `expected` the reserved cost, both in units of 1e-12 dollars.
    """

    __slots__ = ("_lock", "_wake", "admitted", "expected", "most")

    def __init__(self, lock: Any, most: int) -> None:
        self._lock = lock
        self._wake: Callable[[], object] | None = None
        self.admitted: bool | None = None
        self.most = most
        self.expected = most

    def attach(self, wake: Callable[[], object]) -> bool:
        """Register `wake`, and return True; return False if the wait is already over."""
        with self._lock:
            self._wake = wake
            return self.admitted is None

    def wake(self) -> bool:
        """Wake the waiting call; return False if its event loop has closed. Call this method without the lock."""
        try:
            if self._wake is not None:
                self._wake()
        except RuntimeError:
            return False
        return True


class Spend(Locked):
    """Money in US dollars: the part of `limit` that is already `spent`, and the part that is reserved for calls in
    flight.

    The expected cost of a call is `most`, its highest possible cost, times the average share that earlier calls cost
    of theirs; the first call is expected to cost `most`. A call is admitted if its expected cost fits, or if no other
    call is in flight. So the limit is exceeded by one call at most, or by the amount by which calls in flight cost
    more than the average. After `limit` is reached, all calls are refused.

    Sums are stored in whole units of 1e-12 dollars, so that ten times 0.1 is exactly 1.
    """

    def __init__(self, limit: float, spent: float = 0.0) -> None:
        super().__init__()
        self.limit = limit
        self._limit = _units(limit)
        self._spent = _units(spent)
        self._paid = self._asked = 0  # of finished calls: their cost, and their highest possible cost
        self._in_flight: set[Hold] = set()
        self._reserved = 0
        self._queue: deque[Hold] = deque()

    def after_fork(self) -> None:
        """Forget the parent's calls."""
        super().after_fork()
        self._in_flight, self._reserved, self._queue = set(), 0, deque()

    @property
    def spent(self) -> float:
        """The cost of all finished calls, plus the amount that was spent before."""
        return self._spent / DOLLAR

    @property
    def exhausted(self) -> bool:
        """True if no further call is admitted."""
        return self._spent >= self._limit

    def enter(self, most: float) -> Hold:
        """Request a reservation for a call that costs at most `most`."""
        hold = Hold(self._lock, _units(most))
        with self._lock:
            self._queue.append(hold)
            decided = self._decide()
        self._wake_all(decided)
        return hold

    def leave(self, hold: Hold, cost: float | None) -> None:
        """End a call that has cost `cost`, or its expected cost if `cost` is None. A call that still waits leaves the
        queue, and a refused call has cost nothing.
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
        self._wake_all(decided)

    def _decide(self) -> list[Hold]:
        """Admit calls from the head of the queue while they fit, or refuse all; return these calls. Needs the lock."""
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

    def _wake_all(self, decided: list[Hold]) -> None:
        for hold in decided:
            if not hold.wake():
                self.leave(hold, 0.0)  # its event loop has closed, so the call is never sent


def _units(dollars: float) -> int:
    return round(dollars * DOLLAR)
