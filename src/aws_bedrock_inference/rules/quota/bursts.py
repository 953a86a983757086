"""Learn the burst: the amount of quota that calls can use without a pause between them.

A limit of 600 requests per minute is 10 requests per second on average. If the calls before a throttle were sent much
faster than this average, the burst may be too large.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_bedrock_inference.rules.quota.observed import Throttle

# The burst (the quota used without a pause) is blamed for a throttle if the calls before this throttle were this many
# times as fast as the rate. Several of these throttles within SECONDS halve the burst. A burst near LEAST is not
# halved, because so small a burst is not the cause of throttles.
AHEAD = 1.3
THROTTLES = 2.0
PART = 0.1
SECONDS = 1.0
LEAST = 0.25
MEANS = 1.2

# In a trial, the burst is divided by this number to see whether throttles stop. A burst below this many seconds is not
# divided.
SMALLER = 4.0
SMALL = 0.5


class Burst:
    """The burst: the amount of quota that calls can use without a pause between them.

    `seconds` is the size of the burst: 5 means the quota of 5 seconds. With a limit of 600 requests per minute, this is
    50 requests. `most` is the maximum of `seconds`.
    """

    def __init__(self, most: float, regrows: float) -> None:
        self._regrows = regrows
        self.seconds = self.most = most
        self._began = self._changed_at = -inf
        self._throttles = 0.0

    def grow(self, seconds: float) -> float:
        """Increase a reduced burst (the quota that calls can use without a pause), because `seconds` seconds have
        passed. Return the new size of the burst: 5 means the quota of 5 seconds.
        """
        self.seconds = min(self.most, self.seconds * (1.0 + seconds / self._regrows))
        return self.seconds

    def reduce(self) -> None:
        """Reduce the burst (the quota that calls can use without a pause), to see whether throttles stop."""
        self.seconds = max(LEAST, self.seconds / SMALLER)

    def explains(self, throttle: Throttle, rate: float) -> bool:
        """Return True if the burst explains a throttle; otherwise return False. The burst is the quota that calls can
        use without a pause between them.

        The burst explains the throttle if calls used quota much faster than `rate` just before the throttle. If the
        burst is already too small to be reduced, the result is False.
        """
        return throttle.shortly > AHEAD * rate and self.seconds > MEANS * LEAST

    def blame(self, throttle: Throttle, now: float) -> bool:
        """Count a throttle that was caused by the burst (the quota that calls can use without a pause). After several
        of these throttles within a second, halve the burst and return True. Otherwise return False.
        """
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
