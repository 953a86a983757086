"""Equal calls that are made at the same time: one of them, the leader, asks for all.

The others, its followers, wait. They are told the answer; or that a request of theirs would be refused as well; or that
the leader failed or left, and one of them is to lead. After `LEADERS` that failed they are all told to go alone.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from math import inf
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.forks import Locked

if TYPE_CHECKING:
    from collections.abc import Callable

# Leaders of one flight that may fail. More of them one after the other would let the last one wait for too long.
LEADERS = 3


class Told(Enum):
    """A verdict for a follower that is no answer."""

    WAIT = "wait"
    LEAD = "lead"
    ALONE = "alone"
    AGAIN = "again"


class Follower:
    """A call that waits for its leader: a `Waiter`. `told` is its verdict."""

    __slots__ = ("_lock", "_wake", "told")

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self._wake: Callable[[], object] | None = None
        self.told: Any = Told.WAIT

    def attach(self, wake: Callable[[], object]) -> bool:
        """Register `wake`; False when there is a verdict already."""
        with self._lock:
            self._wake = wake
            return self.told is Told.WAIT

    def wake(self) -> bool:
        """Wake the call that waits; False if it has gone with its event loop. Called without the lock."""
        wake = self._wake
        try:
            if wake is not None:
                wake()
        except RuntimeError:
            return False
        return True


class Flight:
    """The request for one key. `expired` is the answer that was found too old, `looked` says that the store was asked.

    `led_since` is when its leader began. `held_since` is when the leader, a stream, was given something that its
    consumer has not come back from; infinite while the leader waits for the service.
    """

    __slots__ = ("expired", "failures", "followers", "held_since", "key", "led_since", "looked")

    def __init__(self, key: str, now: float) -> None:
        self.key = key
        self.led_since = now
        self.followers: deque[Follower] = deque()
        self.failures = 0
        self.held_since = inf
        self.expired: Any = None
        self.looked = False


class Flights(Locked):
    """The flights of one cache. In a forked child there are none: those of the parent are its own."""

    def __init__(self) -> None:
        super().__init__()
        self._flights: dict[str, Flight] = {}

    def after_fork(self) -> None:
        """Forget the parent's flights."""
        super().after_fork()
        self._flights = {}

    def join(self, key: str, now: float) -> tuple[Flight, Follower | None]:
        """Return the flight for `key`, and a follower if somebody leads it already."""
        with self._lock:
            flight = self._flights.get(key)
            if flight is None:
                flight = self._flights[key] = Flight(key, now)
                return flight, None
            follower = Follower(self._lock)
            flight.followers.append(follower)
            return flight, follower

    def leave(self, flight: Flight, follower: Follower) -> Any:
        """Take `follower` out of the queue, and return what it had been told meanwhile."""
        with self._lock:
            if follower.told is Told.WAIT and follower in flight.followers:
                flight.followers.remove(follower)
            return follower.told

    def forget(self, flight: Flight) -> None:
        """Let the next call begin another flight, since nobody leads this one any more."""
        with self._lock:
            if self._flights.get(flight.key) is flight:
                del self._flights[flight.key]

    def land(self, flight: Flight, told: Any) -> None:
        """End the flight and tell all who wait: an answer, a fault, or to go alone."""
        with self._lock:
            if self._flights.get(flight.key) is flight:
                del self._flights[flight.key]
            followers, flight.followers = flight.followers, deque()
            for follower in followers:
                follower.told = told
        for follower in followers:
            follower.wake()

    def hand_over(self, flight: Flight, *, failed: bool) -> None:
        """Let the next follower lead, since the leader `failed` or left. Whoever cannot be woken has left as well."""
        flight.held_since = inf
        flight.failures += failed
        if flight.failures >= LEADERS:
            return self.land(flight, Told.ALONE)
        while True:
            with self._lock:
                if not flight.followers:
                    if self._flights.get(flight.key) is flight:
                        del self._flights[flight.key]
                    return None
                follower = flight.followers.popleft()
                follower.told = Told.LEAD
            if follower.wake():
                return None
