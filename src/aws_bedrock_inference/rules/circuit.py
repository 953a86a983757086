"""The rule of the circuit breaker. It decides when to stop the calls to an unhealthy service, and how to detect that
the service has recovered. A probe is a call that is admitted to test the service.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import Enum
from itertools import count
from math import ceil

from aws_bedrock_inference.forks import renew_after_fork

SLOTS = 10

MOST_DOUBLINGS = 16  # doublings of the probes; after these, practically all calls are admitted
FORGOTTEN = 600.0  # seconds without a probe, after which an open circuit may be deleted
SHORTEST_PERIOD = 1.0  # seconds between two doublings
SHORTEST_WAIT = 0.001  # seconds; a refusal without a wait would be retried immediately


class State(Enum):
    """The state of a circuit: a closed circuit admits all calls, an open one admits none, and a half-open one admits
    only a few probes.
    """

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Verdict(Enum):
    """The result of an admitted call, as the circuit breaker counts it. IGNORED means that the result does not show
    whether the service is healthy: the call was cancelled or throttled, or the caller's input was wrong.
    """

    OK = "ok"
    FAILED = "failed"
    IGNORED = "ignored"


# These members are read here once, because every call needs them and each read of an Enum member takes as long as a
# function call.
_CLOSED, _OPEN, _HALF_OPEN = State
_OK, _FAILED, _IGNORED = Verdict


@dataclass(frozen=True, slots=True)
class Ticket:
    """The permission of a circuit breaker for one call. `generation` is the circuit's generation when the call was
    admitted. Each change of the circuit's state (closed, open, half-open) begins a new generation. The result of the
    call is counted only if the generation is still the same.
    """

    generation: int
    probe: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """The refusal of a call by a circuit breaker. A new attempt makes sense after `wait` seconds."""

    wait: float


class Circuit:
    """A circuit breaker. It opens (refuses all calls) when two conditions are met within `window` seconds. At least
    `failures` calls failed, and the failed calls were at least the fraction `ratio` of all calls.

    Calls in flight count as successful, because errors return sooner than answers. So a few quick errors at the start
    of a burst do not open the circuit.

    After `recovery` seconds, an open circuit admits `probes` calls (the probes) to test the service. If at least the
    fraction `ratio` of the probes fails, the circuit opens again. The circuit closes when so many probes have succeeded
    that the failures cannot reach this fraction any more. With 3 probes and a `ratio` of 0.5, two successes are enough.
    So one rare failure of a probe does not keep the circuit open.

    A probe can be a call whose answer takes a minute, while other calls take a second. The circuit must not wait for
    this probe alone. Therefore the circuit doubles the number of admitted probes every `recovery` seconds, until enough
    probes have ended. If `recovery` is less than 1, the number doubles every second.

    Each change of state begins a new generation. The results of calls from an older generation are ignored.
    """

    def __init__(self, *, failures: int, ratio: float, window: float, recovery: float, probes: int) -> None:
        self.failures = failures
        self.ratio = ratio
        self.recovery = recovery
        self.probes = probes
        self._enough = probes - ceil(ratio * probes) + 1
        self.state = _CLOSED
        self._lock = threading.Lock()
        self._slots_per_second = SLOTS / window
        self._opened = 0.0
        self._probed_since = 0.0
        self._begin(_CLOSED, generation=0)
        renew_after_fork(self)

    def after_fork(self) -> None:
        """In a forked child process, keep the state, and no longer wait for the results of calls that the parent
        process sent.
        """
        self._lock = threading.Lock()
        self._begin(self.state, self._pass.generation + 1)

    def admit(self, now: float) -> Ticket | Refusal:
        """Return a `Ticket` (the permission for one call) if a call can be sent now, or a `Refusal`."""
        if self.state is _CLOSED:
            self._admitted = next(self._count)
            return self._pass
        with self._lock:
            return self._admit_to_probe(now)

    def report(self, ticket: Ticket, verdict: Verdict, now: float) -> State | None:
        """Record the result of the call that was admitted with this `ticket`. Return the new state of the circuit if
        the result changes the state, otherwise None.
        """
        with self._lock:
            if ticket.generation != self._pass.generation:
                return None
            if ticket.probe:
                return self._probed(verdict, now)
            self._reported += 1
            if verdict is _IGNORED:
                return None
            slot = int(now * self._slots_per_second)
            if slot != self._slot:
                self._advance(slot)
            if verdict is _OK:
                self._ok[slot % SLOTS] += 1
                return None
            self._failed[slot % SLOTS] += 1
            failed = sum(self._failed)
            in_flight = self._admitted - self._reported
            if failed < self.failures or failed < self.ratio * (failed + sum(self._ok) + in_flight):
                return None
            return self._open(now)

    def failed(self, now: float) -> int:
        """Return the number of calls that failed in the last `window` seconds, while the circuit was closed."""
        with self._lock:
            slot = int(now * self._slots_per_second)
            if slot != self._slot:
                self._advance(slot)
            return sum(self._failed)

    def idle(self, now: float) -> bool:
        """Return True if this object can be deleted, so that the next call starts with a new, closed circuit; otherwise
        return False.

        A closed circuit can be deleted if no calls are in flight and no failure is recent. An open or half-open circuit
        can be deleted if no probe is in flight, and it opened more than 10 minutes plus `recovery` ago. Its state is
        then out of date.
        """
        recent = self.failed(now) if self.state is _CLOSED else now < self._opened + self.recovery + FORGOTTEN
        with self._lock:
            probing = self._probes - self._recovered - self._relapsed
            return not recent and self._admitted <= self._reported and not probing

    def _admit_to_probe(self, now: float) -> Ticket | Refusal:
        if self.state is _OPEN:
            if now < self._opened + self.recovery:
                return Refusal(self._opened + self.recovery - now)
            self._begin(_HALF_OPEN, self._pass.generation + 1)
            self._probed_since = now
        elif self.state is _CLOSED:
            return self._pass
        period = max(self.recovery, SHORTEST_PERIOD)
        doublings = int((now - self._probed_since) / period)
        if self._probes >= self.probes * 2 ** min(doublings, MOST_DOUBLINGS):
            until = self._probed_since + (doublings + 1) * period
            return Refusal(min(period / 2, max(until - now, SHORTEST_WAIT)))
        self._probes += 1
        return Ticket(self._pass.generation, probe=True)

    def _probed(self, verdict: Verdict, now: float) -> State | None:
        self._probes -= verdict is _IGNORED
        self._relapsed += verdict is _FAILED
        self._recovered += verdict is _OK
        if verdict is _FAILED and self._relapsed >= self.ratio * max(self.probes, self._probes):
            return self._open(now)
        if self._recovered >= self._enough:
            return self._begin(_CLOSED, self._pass.generation + 1)
        return None

    def _open(self, now: float) -> State:
        self._opened = now
        return self._begin(_OPEN, self._pass.generation + 1)

    def _begin(self, state: State, generation: int) -> State:
        self._pass = Ticket(generation)
        self._count = count(1)
        self._admitted = self._reported = 0
        self._probes = self._recovered = self._relapsed = 0
        self._slot = -1
        self._ok = [0] * SLOTS
        self._failed = [0] * SLOTS
        self.state = state
        return state

    def _advance(self, slot: int) -> None:
        for passed in range(max(self._slot + 1, slot - SLOTS + 1), slot + 1):
            self._ok[passed % SLOTS] = self._failed[passed % SLOTS] = 0
        self._slot = max(slot, self._slot)
