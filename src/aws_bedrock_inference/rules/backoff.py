"""Compute the wait before the next attempt (the backoff) as in AWS SDK retry 2.1, with four kinds of jitter (randomness
of the wait). The ceiling is the longest wait; it doubles with each retry up to a cap.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_bedrock_inference.clock import Chance
    from aws_bedrock_inference.fault import Fault, Hint

# A throttled call that the quota policy paces is sent again without a backoff this many times. The backoff of later
# retries doubles with each retry, up to PACED_LONGEST seconds.
PACED = 4
PACED_LONGEST = 4.0

Jitter = Callable[["Hint", int, float, "Chance"], float]


def ceiling(hint: Hint, retry: int) -> float:
    """Return the ceiling in seconds: the longest wait before the retry with the number `retry`. The first retry has
    the number 1.
    """
    return min(hint.cap, hint.base * 2.0 ** min(retry - 1, 64))


def full(hint: Hint, retry: int, previous: float, chance: Chance) -> float:  # noqa: ARG001 - one signature for all
    """Return a random wait between 0 and the ceiling (the longest wait before this retry). The AWS SDKs use this
    method, because it spreads simultaneous retries best.
    """
    return chance() * ceiling(hint, retry)


def equal(hint: Hint, retry: int, previous: float, chance: Chance) -> float:  # noqa: ARG001 - one signature for all
    """Return a random wait between half the ceiling and the ceiling (the longest wait before this retry). This method
    is used for faults after which a short wait is useless.
    """
    half = ceiling(hint, retry) / 2
    return half + chance() * half


def decorrelated(hint: Hint, retry: int, previous: float, chance: Chance) -> float:  # noqa: ARG001 - one signature for all
    """Return a random wait between the base (the shortest wait) and three times the previous wait, but at most the cap
    (the longest wait).
    """
    highest = max(hint.base, 3 * previous)
    return min(hint.cap, hint.base + chance() * (highest - hint.base))


def near(hint: Hint, retry: int, previous: float, chance: Chance) -> float:  # noqa: ARG001 - one signature for all
    """Return the ceiling (the longest wait before this retry), changed at random by up to 20 % up or down. The result
    never exceeds `hint.cap`, the longest wait of all retries. Of the four kinds of jitter, this one varies the wait
    least.
    """
    return min(hint.cap, ceiling(hint, retry) * (0.8 + 0.4 * chance()))


JITTERS: dict[str, Jitter] = {"full": full, "equal": equal, "decorrelated": decorrelated, "near": near}


def delay(fault: Fault, retry: int, previous: float, *, jitter: Jitter, chance: Chance) -> float:
    """Return the seconds to wait after `fault`, before the retry with the number `retry`. The wait is at least the time
    that the service requests.

    Usually, the wait is the result of `jitter`, but at least `fault.hint.floor`, the minimum wait of the fault.

    If the fault is `paced`, the quota policy decides when to send the call again, so `jitter` and the minimum wait are
    not used. The first four retries wait only as long as the service requests. If they all fail, the quota policy
    alone was not enough. Therefore each later retry waits for a random time of up to 4 seconds.
    """
    if fault.paced:
        longest = 0.0 if retry <= PACED else PACED_LONGEST * min(1.0, 0.5 ** (2 * PACED - retry))
        return max(chance() * longest, fault.stated_wait)
    return max(fault.hint.floor, jitter(fault.hint, retry, previous, chance), fault.stated_wait)
