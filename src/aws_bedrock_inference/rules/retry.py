"""Decide whether a failed call is retried. The decision depends on the fault, the earlier attempts, the retry budget (a
limit for the retries of all calls together), and the deadline.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from aws_bedrock_inference.bounds import is_number, shown
from aws_bedrock_inference.fault import Decision
from aws_bedrock_inference.forks import Locked
from aws_bedrock_inference.rules.backoff import Jitter, delay

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_bedrock_inference.call import Attempt, Outcome
    from aws_bedrock_inference.clock import Chance
    from aws_bedrock_inference.fault import Fault


@dataclass(frozen=True, slots=True)
class Again:
    """The decision to retry after `wait` seconds. `cost` is the number of units that the retry takes from the retry
    budget, which all calls share.
    """

    wait: float
    cost: int


@dataclass(frozen=True, slots=True)
class Stop:
    """The decision not to retry. `reason` completes the message "gave up: …"."""

    reason: str


LEFT_TO_CALLER = "retries are left to the caller"
"""The reason why a call with `Retry(attempts=1)` is not retried: only the caller retries such a call."""

LATE = "the next attempt would start after the deadline"


class Budget(Locked):
    """A limit for the retries of all calls together, so that an outage does not multiply the load.

    * `capacity`, default 500: the number of units in a full budget.

    A retry costs 14 units, or 5 units if it follows a throttle. If no call succeeds, a full budget is therefore enough
    for about 35 retries, or for 100 retries after throttles.

    A call that succeeds after retries returns the cost of its last retry to the budget. Retries that cost nothing
    are not considered. A call that succeeds without a retry that cost units adds 1 unit. The numbers are those of
    AWS SDK retry 2.1 (botocore 1.44.5, retries/quota.py).

    Raises `ValueError` for an invalid capacity.
    """

    def __init__(self, capacity: int = 500) -> None:
        if not is_number(capacity, least=0, infinite=True):
            raise ValueError(
                f"Budget({shown(capacity)}): pass a number of units, 0 or more; a retry costs 14 units, or 5 after a "
                "throttle"
            )
        self.capacity = capacity
        self.available = capacity
        super().__init__()

    def take(self, cost: int) -> bool:
        """Use `cost` units of the retry budget and return True. If fewer than `cost` units are available, use no unit
        and return False.
        """
        with self._lock:
            if cost > self.available:
                return False
            self.available -= cost
            return True

    def give(self, units: int) -> None:
        """Return `units` units to the retry budget, up to its capacity."""
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
    """Return the decision whether a call is retried after `outcome`, which ended with `fault`. `earlier` contains the
    failed attempts before this one.

    Attempts are counted separately for each error code, because each code has its own maximum of attempts. In addition,
    `most` is the maximum of all attempts together. If `most` is 1, nothing is retried.

    A fault is `paced` if it is a throttle and the quota policy delays the next attempt. If the call has a deadline, it
    is retried after paced throttles until the deadline. These retries use no units of the retry budget, and the paced
    throttles do not count against `most`. If the call has no deadline, paced throttles count as all other faults do.

    A call is not retried if the wait would end after the deadline, or if a stream has already delivered an event.
    """
    if fault.decision is Decision.FAIL or outcome.emitted:
        already = "a part of the answer was already delivered"
        return Stop(already if outcome.emitted else "the same request would fail again")
    stated = fault.stated_wait
    late = f"{LATE}; the stated wait is {stated:,.4g} s" if stated else LATE
    same = [attempt for attempt in earlier if attempt.fault.code == fault.code]
    if fault.paced and most > 1 and deadline < inf:
        wait = delay(fault, len(same) + 1, 0.0, jitter=jitter, chance=chance)
        return Again(wait, 0) if now + wait < deadline else Stop(late)
    counted = [attempt for attempt in earlier if not attempt.fault.paced] if deadline < inf else earlier
    if len(same) + 1 >= fault.hint.attempts or len(counted) + 1 >= most:
        return Stop("no attempts are left" if most > 1 else LEFT_TO_CALLER)
    wait = delay(fault, len(same) + 1, same[-1].wait if same else 0.0, jitter=jitter, chance=chance)
    if now + wait >= deadline:
        return Stop(late)
    if not budget.take(fault.hint.cost):
        return Stop("the shared retry budget is exhausted")
    return Again(wait, fault.hint.cost)
