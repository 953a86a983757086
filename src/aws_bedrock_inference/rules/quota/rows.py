"""Rows of throttles: hardly a call passes between them."""

from __future__ import annotations

from math import exp, inf

# A row has at least so many throttles. A row of so many more was not caused by the rate.
OUTAGE = 3
PROVEN = 5

# Only a full minute explains a longer row, in seconds.
LONG = 6.0

# If rows lower the rate again within so many seconds, the rate is too high for longer than a moment.
REPEATED = 60.0

# Rows are forgotten in so many seconds.
FORGOTTEN = 30.0


class Rows:
    """The recent rows, and the `estimate` and the evidence from `before` the present row."""

    def __init__(self, estimate: float) -> None:
        self.before = 0.0, 0.0
        self.estimate = estimate
        self._began = self._counted_at = -inf
        self._counted = False
        self._lately = 0.0
        self._lowered_at = -inf

    def begin(self, now: float, before: tuple[float, float], estimate: float) -> None:
        """Begin a row, with its first throttle."""
        self._began, self._counted = now, False
        self.before, self.estimate = before, estimate

    def again(self, now: float, enough: float) -> bool | None:
        """Count the present row; return whether that makes `enough` of them lately, and None if it was counted."""
        if self._counted:
            return None
        self._counted = True
        self._lately = self._lately * exp((self._counted_at - now) / FORGOTTEN) + 1.0
        self._counted_at = now
        if self._lately < enough:
            return False
        self._lately = 1.0
        return True

    def level(self, now: float, level: float, lately: float) -> float:
        """Return the level to which a rate grows back that rows lower now: `level`. If rows lowered the rate a short
        time ago, too, return at most what the last minute carried.
        """
        again = now - self._lowered_at < REPEATED
        self._lowered_at = now
        return min(level, lately) if again else level

    def lasted(self, now: float) -> float:
        """Return how long the present row has lasted, in seconds."""
        return now - self._began
