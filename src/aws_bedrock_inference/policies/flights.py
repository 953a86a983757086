"""Let equal calls that are made at the same time share one request, which is called a flight.

One of the calls, the leader, sends the request for all of them. The other calls, its followers, wait for one of three
results:

* the answer;
* the leader's fault, if each equal request would fail in the same way;
* a notice that the leader has ended without an answer and without such a fault. Only the first follower receives this
  notice. This follower is then the leader.

If `LEADERS` leaders of one flight have failed, each remaining follower sends its own request.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from math import inf
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.forks import Locked

if TYPE_CHECKING:
    from collections.abc import Callable

# If this number of leaders of one flight has failed, each follower sends its own request. With a higher number, the
# last follower would wait too long.
LEADERS = 3


class Verdict(Enum):
    """The next step of a call that waits for an equal call, if it has received neither an answer nor a fault.

    * `WAIT`: it continues to wait.
    * `LEAD`: it sends the request for all calls that wait.
    * `ALONE`: it sends its own request, only for itself.
    * `AGAIN`: it joins or starts a new shared request. The call that sends the present request has run for so long
      that it has probably stopped without a result.
    """

    WAIT = "wait"
    LEAD = "lead"
    ALONE = "alone"
    AGAIN = "again"


class Follower:
    """A call that waits for an equal call, the leader. The leader sends one request for both. `verdict` is what the
    follower receives: an answer, a fault or a `Verdict`. Until then, it is `Verdict.WAIT`.
    """

    __slots__ = ("_lock", "_wake", "verdict")

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self._wake: Callable[[], object] | None = None
        self.verdict: Any = Verdict.WAIT

    def attach(self, wake: Callable[[], object]) -> bool:
        """Register the function `wake`, which wakes the waiting call, and return True. Return False if the waiting call
        already has a result.
        """
        with self._lock:
            self._wake = wake
            return self.verdict is Verdict.WAIT

    def wake(self) -> bool:
        """Wake the waiting call. Return True if this succeeded, and False if the call's event loop has closed. The
        thread that calls this method must not hold the lock of the `Flights` object.
        """
        wake = self._wake
        try:
            if wake is not None:
                wake()
        except RuntimeError:
            return False
        return True


class Flight:
    """The request that equal calls with one key share.

    * `expired`: an expired answer that was found in the cache's store, or None.
    * `looked`: True if a call has already looked for an answer in the store.
    * `led_since`: the time at which the current leader (the call that sends the request) started.
    * `held_since`: the time at which the leader's caller received the latest stream item. After the caller has
      processed this item, the value is infinity.
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
    """The flights (shared requests) of one cache. A forked child process starts without flights, because the requests
    of the parent process continue only in the parent.
    """

    def __init__(self) -> None:
        super().__init__()
        self._flights: dict[str, Flight] = {}

    def after_fork(self) -> None:
        """Forget the flights (shared requests) of the parent process."""
        super().after_fork()
        self._flights = {}

    def join(self, key: str, now: float) -> tuple[Flight, Follower | None]:
        """Add a call to the flight (shared request) with this key.

        If there is such a flight, return it with a new follower, which waits for the result. If there is none, return a
        new flight and None: the call is then the leader, which sends the request.
        """
        with self._lock:
            flight = self._flights.get(key)
            if flight is None:
                flight = self._flights[key] = Flight(key, now)
                return flight, None
            follower = Follower(self._lock)
            flight.followers.append(follower)
            return flight, follower

    def leave(self, flight: Flight, follower: Follower) -> Any:
        """Remove `follower` (a waiting call) from its flight (the shared request), and return its result."""
        with self._lock:
            if follower.verdict is Verdict.WAIT and follower in flight.followers:
                flight.followers.remove(follower)
            return follower.verdict

    def forget(self, flight: Flight) -> None:
        """Remove a flight (shared request), so that the next equal call starts a new flight. This method is used if the
        leader (the call that sends the request) has run for so long that it has probably stopped without a result.
        """
        with self._lock:
            if self._flights.get(flight.key) is flight:
                del self._flights[flight.key]

    def land(self, flight: Flight, verdict: Any) -> None:
        """End the flight (the shared request), and set the result of all followers (waiting calls): an answer, a fault,
        or `ALONE` (each call sends its own request).
        """
        with self._lock:
            if self._flights.get(flight.key) is flight:
                del self._flights[flight.key]
            followers, flight.followers = flight.followers, deque()
            for follower in followers:
                follower.verdict = verdict
        for follower in followers:
            follower.wake()

    def hand_over(self, flight: Flight, *, failed: bool) -> None:
        """Make the next follower (a waiting call) the leader, which sends the request. A follower whose event loop has
        closed cannot be woken, and is skipped. If `LEADERS` leaders have failed, each follower sends its own request.

        `failed` is True if the present leader failed. `failed` is False if the leader was cancelled, or if the program
        stopped reading the leader's stream.
        """
        flight.held_since = inf
        flight.failures += failed
        if flight.failures >= LEADERS:
            return self.land(flight, Verdict.ALONE)
        while True:
            with self._lock:
                if not flight.followers:
                    if self._flights.get(flight.key) is flight:
                        del self._flights[flight.key]
                    return None
                follower = flight.followers.popleft()
                follower.verdict = Verdict.LEAD
            if follower.wake():
                return None
