"""One quota dimension as a token bucket: it fills at a steady rate, and what is reserved from it can be settled
later.
"""

from __future__ import annotations

# Waits shorter than this many seconds are none: time added up in floating point must not leave a waiter a billionth
# short.
TOLERANCE = 1e-6


class Bucket:
    """Fills with `per_minute` units a minute up to `capacity`.

    It may be overdrawn: an amount larger than the capacity is let go from a full bucket, and a settlement may turn
    out higher than its reservation. The debt is then paid off by time.
    """

    __slots__ = ("_at", "capacity", "level", "rate")

    def __init__(self, per_minute: float, capacity: float, now: float) -> None:
        self.rate = per_minute / 60.0
        self.capacity = capacity
        self.level = capacity
        self._at = now

    def wait_for(self, amount: float, now: float) -> float:
        """Return the seconds until `amount` can be taken; 0 when it can be now."""
        if now > self._at:
            level = self.level + (now - self._at) * self.rate
            self.level = level if level < self.capacity else self.capacity
            self._at = now
        wait = ((amount if amount < self.capacity else self.capacity) - self.level) / self.rate
        return wait if wait > TOLERANCE else 0.0

    def take(self, amount: float) -> None:
        """Take `amount`, which `wait_for` has just found to be there."""
        self.level -= amount

    def give(self, amount: float, now: float) -> None:
        """Give back what a reservation did not use; a negative amount is a settlement above the reservation."""
        level = self.level + (now - self._at) * self.rate + amount if now > self._at else self.level + amount
        self.level = level if level < self.capacity else self.capacity
        self._at = max(now, self._at)

    def drain(self) -> None:
        """Believe the service that nothing is left."""
        self.level = min(self.level, 0.0)
