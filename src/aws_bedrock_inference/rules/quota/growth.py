"""The growth of an estimated limit while the limit delays calls."""

from __future__ import annotations

UNKNOWN_INCREASE = 0.7  # per second: an estimate without evidence nearly doubles

# A told limit is configured, listed by Service Quotas, or found by another process with the same store. Its estimate
# grows from a level to twice the level in this many seconds. A level is the value to which the estimate grows back
# after a decrease. Each decrease counts as at least the fraction NEAR of the level.
SPAN = 60.0
NEAR = 0.002

# The estimate of any other limit grows by this fraction per second at EVEN_CALLS calls per second. At other rates,
# it grows by the same number of calls per second, up to EVEN_MOST times this fraction. So several processes that share
# a limit get about equal parts. After FASTER_AFTER calls without a decrease, the growth is doubled.
EVENLY = 0.003
EVEN_CALLS = 6.0
EVEN_MOST = 2.0
FASTER_AFTER = 300.0


class Growth:
    """The growth of an estimated limit after a decrease.

    A "told" limit is configured, listed by Service Quotas, or found by another process. Its estimate first grows back
    to `level`. Beyond `level`, it grows faster with each second since the decrease.

    Any other limit is "found". Its estimate grows faster with each call since the decrease.
    """

    def __init__(self, level: float) -> None:
        self.level, self._drop, self._grown = level, 0.0, 0.0

    def lowered(self, to: float, level: float) -> None:
        """Record that the estimated limit was lowered to `to`. From then on, the estimate grows back to `level`, and
        then beyond.
        """
        self.level, self._drop, self._grown = level, max(NEAR, 1.0 - to / level), 0.0

    def rest(self, seconds: float = 0.0) -> None:
        """Stop the growth of the estimated limit for this number of seconds. After that, the estimate grows as it does
        directly after a decrease.
        """
        self._grown = -seconds

    def told(self, estimate: float, seconds: float) -> float:
        """Return the new estimate of a told limit, `seconds` seconds after the last update. A told limit is configured,
        listed by Service Quotas, or found by another process.

        After a decrease, the estimate first grows quickly. It grows slowly near `level`, the value to which it grows
        back. Beyond `level`, it grows quickly again.
        """
        self._grown += seconds
        way: float = self._grown / SPAN - self._drop**0.25
        return max(estimate, self.level * (1.0 + way * abs(way) ** 3))

    def found(self, estimate: float, seconds: float, calls: float) -> float:
        """Return the new estimate of a limit that only this process has found, `seconds` seconds after the last update.
        `calls` is the number of calls per second.
        """
        self._grown += calls * seconds
        evenly = EVENLY * EVEN_CALLS / max(EVEN_CALLS / EVEN_MOST, calls)
        return estimate * (1.0 + evenly * (1.0 + (self._grown / FASTER_AFTER) ** 2) * seconds)
