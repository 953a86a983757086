"""Limit the total cost of many calls in US dollars. Each call reserves its expected cost before it is sent. If the rest
of the limit is smaller than this reservation, the call waits until other calls have ended.

A `Spend` object contains the limit and the cost so far. Each process has its own `Spend`, so the limit applies to each
process separately.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.forks import Locked
from aws_bedrock_inference.pricing.rates import DOLLAR

if TYPE_CHECKING:
    from collections.abc import Callable


class Hold:
    """The reservation of one call. `admitted` is None while the call waits. It is True if the call can be sent, and
    False if the call is refused.

    `most` is the highest possible cost of the call, and `expected` is the reserved cost. Both are in units of 1e-12
    dollars.
    """

    __slots__ = ("_lock", "_wake", "admitted", "expected", "most")

    def __init__(self, lock: Any, most: int) -> None:
        self._lock = lock
        self._wake: Callable[[], object] | None = None
        self.admitted: bool | None = None
        self.most = most
        self.expected = most

    def attach(self, wake: Callable[[], object]) -> bool:
        """Register the function `wake`, which wakes the waiting call, and return True. Return False if the call no
        longer waits.
        """
        with self._lock:
            self._wake = wake
            return self.admitted is None

    def wake(self) -> bool:
        """Wake the waiting call. Return True if this succeeded, and False if the call's event loop has closed. The
        thread that calls this method must not hold the lock of the `Spend` object.
        """
        try:
            if self._wake is not None:
                self._wake()
        except RuntimeError:
            return False
        return True


class Spend(Locked):
    """The cost of all calls in US dollars: the amount that was spent, and the amount that calls in flight have
    reserved.

    Until one call has ended, each call reserves `most`, its highest possible cost. Later calls reserve only a fraction
    of `most`, because answers are usually shorter than the maximum. For example, if the ended calls could have cost 10
    dollars and have cost 2 dollars, each new call reserves a fifth of its `most`.

    A call is admitted if its reservation fits into the rest of `limit`, or if no other call is in flight. The limit can
    therefore be exceeded in two cases: a single call costs more than the rest of the limit, or calls in flight cost
    more than they reserved. After the limit is reached, all calls are refused.

    Amounts are stored in whole units of 1e-12 dollars, so that ten times 0.1 is exactly 1.
    """

    def __init__(self, limit: float, spent: float = 0.0) -> None:
        super().__init__()
        self.limit = limit
        self._limit = _units(limit)
        self._spent = _units(spent)
        self._paid = self._asked = 0  # the sums for finished calls: their cost, and their highest possible cost
        self._in_flight: set[Hold] = set()
        self._reserved = 0
        self._queue: deque[Hold] = deque()

    def after_fork(self) -> None:
        """In a forked child, forget the parent's calls in flight and in the queue. The spent amount remains."""
        super().after_fork()
        self._in_flight, self._reserved, self._queue = set(), 0, deque()

    @property
    def spent(self) -> float:
        """The cost of all finished calls in US dollars, including the amount with which this object was created."""
        return self._spent / DOLLAR

    @property
    def exhausted(self) -> bool:
        """True if the limit is reached, so that no further call is admitted."""
        return self._spent >= self._limit

    def enter(self, most: float) -> Hold:
        """Request a reservation for a call whose highest possible cost is `most` US dollars."""
        hold = Hold(self._lock, _units(most))
        with self._lock:
            self._queue.append(hold)
            decided = self._decide()
        self._wake_all(decided)
        return hold

    def leave(self, hold: Hold, cost: float | None) -> None:
        """End the call with the reservation `hold`. `cost` is the call's cost in US dollars. If `cost` is None, the
        reserved amount is charged.

        A call that still waits is removed from the queue. A refused call costs nothing.
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
        """Admit calls from the front of the queue while their reservations fit into the limit. After the limit is
        reached, refuse all calls.

        Return the admitted and refused calls. The caller must hold the lock.
        """
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
