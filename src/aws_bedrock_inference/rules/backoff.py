"""The wait before the next attempt, computed as in AWS SDK retry 2.1, with four kinds of jitter."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_bedrock_inference.clock import Chance
    from aws_bedrock_inference.fault import Fault, Hint

Jitter = Callable[["Hint", int, float, "Chance"], float]


def ceiling(hint: Hint, retry: int) -> float:
    """Return the longest wait before the `retry`-th retry (1 is the first), in seconds."""
    return min(hint.cap, hint.base * 2.0 ** min(retry - 1, 64))


def full(hint: Hint, retry: int, previous: float, chance: Chance) -> float:  # noqa: ARG001 - one signature for all
    """Return a random wait between 0 and the ceiling. It spreads simultaneous retries best, and is what the AWS SDKs
    use.
    """
    return chance() * ceiling(hint, retry)


def equal(hint: Hint, retry: int, previous: float, chance: Chance) -> float:  # noqa: ARG001 - one signature for all
    """Return a random wait between half the ceiling and the ceiling, for faults where a short wait is useless."""
    half = ceiling(hint, retry) / 2
    return half + chance() * half


def decorrelated(hint: Hint, retry: int, previous: float, chance: Chance) -> float:  # noqa: ARG001 - one signature for all
    """Return a random wait between the base and three times the previous wait."""
    highest = max(hint.base, 3 * previous)
    return min(hint.cap, hint.base + chance() * (highest - hint.base))


def near(hint: Hint, retry: int, previous: float, chance: Chance) -> float:  # noqa: ARG001 - one signature for all
    """Return the ceiling, plus or minus up to a fifth, but at most the cap: plain back-off, spread a little."""
    return min(hint.cap, ceiling(hint, retry) * (0.8 + 0.4 * chance()))


JITTERS: dict[str, Jitter] = {"full": full, "equal": equal, "decorrelated": decorrelated, "near": near}


def delay(fault: Fault, retry: int, previous: float, *, jitter: Jitter, chance: Chance) -> float:
    """Return the seconds to wait before the `retry`-th retry after `fault`.

    The wait is at least the one that the service states, and at least the fault's floor. A fault that is already paced
    waits only as long as the service states.
    """
    if fault.paced:
        return fault.stated_wait
    return max(fault.hint.floor, jitter(fault.hint, retry, previous, chance), fault.stated_wait)
