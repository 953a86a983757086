"""Learn the burst. A throttle just after calls were sent faster than the rate is caused by the burst."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_bedrock_inference.rules.quota.observed import Throttle

# A throttle while calls are sent so much faster than the rate is caused by the burst. Several throttles of one burst
# halve it, unless it is so small that the throttles prove nothing.
AHEAD = 1.3
THROTTLES = 2.0
PART = 0.1
SECONDS = 1.0
LEAST = 0.25
MEANS = 1.2

# A trial divides the burst by so much, unless it has fewer seconds than this.
SMALLER = 4.0
SMALL = 0.5


class Burst:
    """`seconds` of the rate that may go at once, at most `most`."""

    def __init__(self, most: float, regrows: float) -> None:
        self._regrows = regrows
        self.seconds = self.most = most
        self._began = self._changed_at = -inf
        self._throttles = 0.0

    def grow(self, seconds: float) -> float:
        """Let time pass; return the burst."""
        self.seconds = min(self.most, self.seconds * (1.0 + seconds / self._regrows))
        return self.seconds

    def reduce(self) -> None:
        """Try a much smaller burst."""
        self.seconds = max(LEAST, self.seconds / SMALLER)

    def explains(self, throttle: Throttle, rate: float) -> bool:
        """Return whether a throttle came while calls went much faster than `rate`, and the burst can be smaller."""
        return throttle.shortly > AHEAD * rate and self.seconds > MEANS * LEAST

    def blame(self, throttle: Throttle, now: float) -> bool:
        """Count such a throttle; return whether the burst is smaller now."""
        if throttle.age > now - self._changed_at:
            return False
        if now - self._began > SECONDS:
            self._throttles = 0.0
            self._began = now
        self._throttles += 1.0
        if self._throttles <= THROTTLES + PART * throttle.calls:
            return False
        self.seconds = max(LEAST, self.seconds / 2.0)
        self._changed_at = now
        return True
