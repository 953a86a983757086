"""The rule of the circuit breaker: when to stop calling an unhealthy service, and how to detect its recovery."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import Enum
from itertools import count
from math import ceil

from aws_bedrock_inference.forks import renew_after_fork

SLOTS = 10

MOST_DOUBLINGS = 16  # of the probes: as good as all calls
FORGOTTEN = 600.0  # seconds after which an open circuit that nobody probed says nothing any more
SHORTEST_PERIOD = 1.0  # seconds between two doublings
SHORTEST_WAIT = 0.001  # seconds: a refusal that names no wait would be tried again at once


class State(Enum):
    """The state of a circuit: closed admits all calls, open none, half-open a few probes."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Verdict(Enum):
    """The result of an admitted call. IGNORED says nothing about the service: the call was cancelled or throttled, or
    the caller's input was bad.
    """

    OK = "ok"
    FAILED = "failed"
    IGNORED = "ignored"


# Every call passes here, and looking a member up in its Enum costs as much as calling a function.
_CLOSED, _OPEN, _HALF_OPEN = State
_OK, _FAILED, _IGNORED = Verdict


@dataclass(frozen=True, slots=True)
class Ticket:
    """Leave to make one call, valid for one generation of the circuit."""

    generation: int
    probe: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """No leave now; asking again makes sense after `wait` seconds."""

    wait: float


class Circuit:
    """A circuit that opens when at least `failures` calls and the share `ratio` of all calls failed within `window`
    seconds.

    Calls in flight count as not failed: errors return sooner than answers, and a few quick errors at the start of a
    burst say little about the rest.

    After `recovery` seconds it admits `probes` calls and judges them by the same `ratio`: it opens again when that
    share of them has failed, and closes as soon as so many have succeeded that it could not have happened among the
    first. So one rare fault of a probe does not keep it open. A probe may be a generation that takes a minute, which
    must not hold up calls that take a second: each further `recovery` seconds (1 at least) without a decision double
    the number of probes. Each change of state begins a new generation, and the answer to a call of an older one counts
    for nothing.
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
        """Keep the state, and expect no report of the parent's calls."""
        self._lock = threading.Lock()
        self._begin(self.state, self._pass.generation + 1)

    def admit(self, now: float) -> Ticket | Refusal:
        """Ask for leave to make a call."""
        if self.state is _CLOSED:
            self._admitted = next(self._count)
            return self._pass
        with self._lock:
            return self._admit_to_probe(now)

    def report(self, ticket: Ticket, verdict: Verdict, now: float) -> State | None:
        """Say how the call of `ticket` ended; returns the new state if that changed it."""
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
            under_way = self._admitted - self._reported
            if failed < self.failures or failed < self.ratio * (failed + sum(self._ok) + under_way):
                return None
            return self._open(now)

    def failed(self, now: float) -> int:
        """Return how many calls failed within the window, as far as the circuit is closed."""
        with self._lock:
            slot = int(now * self._slots_per_second)
            if slot != self._slot:
                self._advance(slot)
            return sum(self._failed)

    def idle(self, now: float) -> bool:
        """Return whether a new circuit would act the same: no calls are in flight and no failure is recent. A circuit
        that opened long ago is one that nobody needs any more.
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
