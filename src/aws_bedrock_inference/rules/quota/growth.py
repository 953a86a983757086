"""The growth of an estimate while the limit holds calls back."""

from __future__ import annotations

UNKNOWN_INCREASE = 0.7  # a second: an estimate that rests on nothing about doubles

# A told rate grows from a level to its double in so many seconds. A level differs from the rate by at least this part.
SPAN = 60.0
NEAR = 0.002

# A rate that is not told grows by this part a second at this many calls a second, and by the same number of calls at
# any rate, up to a factor. This brings several processes that share a limit to equal parts. So many calls without a
# decrease double the growth.
EVENLY = 0.003
EVEN_CALLS = 6.0
EVEN_MOST = 2.0
FASTER_AFTER = 300.0


class Growth:
    """Growth since the last decrease, which was to below `level`: seconds of a configured rate, else calls."""

    def __init__(self, level: float) -> None:
        self.level, self._drop, self._grown = level, 0.0, 0.0

    def lowered(self, to: float, level: float) -> None:
        """Start to grow from `to`: to `level` and beyond."""
        self.level, self._drop, self._grown = level, max(NEAR, 1.0 - to / level), 0.0

    def rest(self, seconds: float = 0.0) -> None:
        """Start again after so many seconds."""
        self._grown = -seconds

    def told(self, estimate: float, seconds: float) -> float:
        """Return what a told rate has grown to: quickly at first, slowly near the level, then quickly."""
        self._grown += seconds
        way: float = self._grown / SPAN - self._drop**0.25
        return max(estimate, self.level * (1.0 + way * abs(way) ** 3))

    def found(self, estimate: float, seconds: float, calls: float) -> float:
        """Return the value to which an estimate that is not told has grown at so many `calls` a second."""
        self._grown += calls * seconds
        evenly = EVENLY * EVEN_CALLS / max(EVEN_CALLS / EVEN_MOST, calls)
        return estimate * (1.0 + evenly * (1.0 + (self._grown / FASTER_AFTER) ** 2) * seconds)
