"""Whether to try again: one decision from the fault, the attempts so far, the shared budget and the deadline."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from aws_bedrock_inference.fault import Decision
from aws_bedrock_inference.rules.backoff import Jitter, delay

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_bedrock_inference.call import Attempt, Outcome
    from aws_bedrock_inference.clock import Chance
    from aws_bedrock_inference.fault import Fault


@dataclass(frozen=True, slots=True)
class Again:
    """Try once more after `wait` seconds; `cost` was taken from the budget."""

    wait: float
    cost: int


@dataclass(frozen=True, slots=True)
class Stop:
    """Do not try again; `reason` completes "gave up: …"."""

    reason: str


class Budget:
    """What all calls together may spend on repeats, so that an outage does not multiply the load.

    500 units, 14 a repeat, 5 a repeat after a throttle: about 35 or 100 repeats without a success in between. A
    success gives back what its own last repeat cost, a success at the first attempt gives 1 (AWS SDK retry 2.1;
    botocore 1.44.5, retries/quota.py).
    """

    def __init__(self, capacity: int = 500) -> None:
        self.capacity = capacity
        self.available = capacity
        self._lock = threading.Lock()

    def take(self, cost: int) -> bool:
        """Take `cost` units, or nothing and return False when there are not as many."""
        with self._lock:
            if cost > self.available:
                return False
            self.available -= cost
            return True

    def give(self, units: int) -> None:
        """Give units back, up to the capacity."""
        if self.available < self.capacity:
            with self._lock:
                self.available = min(self.capacity, self.available + units)


def decide(
    outcome: Outcome,
    fault: Fault,
    earlier: Sequence[Attempt],
    *,
    now: float,
    deadline: float,
    most: int,
    budget: Budget,
    jitter: Jitter,
    chance: Chance,
) -> Again | Stop:
    """Return what to do after `outcome`, which ended with `fault`.

    Attempts are counted for each code on its own, since each has its own rule; `most` bounds them all, but for
    throttles that the quota paces: those end with the deadline, and cost the service hardly anything. A wait that
    could not end before the deadline is not started, and a stream that has already given something is not repeated.
    """
    if fault.decision is Decision.FAIL or outcome.emitted:
        already = "part of the answer had already been handed over"
        return Stop(already if outcome.emitted else "the same request would fail again")
    if fault.paced and now < deadline < inf:
        return Again(0.0, 0)
    same = [attempt for attempt in earlier if attempt.fault.code == fault.code]
    if len(same) + 1 >= fault.hint.attempts or len(earlier) + 1 >= most:
        return Stop("all attempts are used up")
    wait = delay(fault, len(same) + 1, same[-1].wait if same else 0.0, jitter=jitter, chance=chance)
    if now + wait >= deadline:
        return Stop("the deadline is too close for another attempt")
    if not budget.take(fault.hint.cost):
        return Stop("the shared retry budget is spent")
    return Again(wait, fault.hint.cost)
