"""Count one dimension of a quota: what it has used, and what its limit leaves free now.

AWS does not publish how it counts: it may use a bucket of a minute, a bucket of seconds, a fixed minute or a sliding
minute. Calls that keep within a small bucket *and* within the minute before now keep within all four, so both are
counted here. If the start of fixed minutes is known (`minutes`), these are counted instead of the bucket. An estimator
supplies the limit (`learning`).
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_bedrock_inference.rules.quota.observed import Estimator, Throttle

MINUTE = 60.0

# Without a limit, this much is free at once; a float that large still counts single units exactly.
PLENTY = 1e12

# The part of each minute that stays free, because the reservations of calls in flight are counted only roughly.
MARGIN = 0.0005

# Of a burst, this many seconds' worth stay back, so that a call may go as soon as those before it are paid for, and pay
# for itself afterwards: large calls then wait no longer than small ones.
CREDIT = 1.0

# What a slow pace has saved may go so much faster than the rate later, if the minute has room: slower than what an
# estimator takes for a burst.
FASTER = 1.2


class Limit:
    """A bucket and a minute of one dimension, with the limit of an estimator.

    `estimate` is in units a minute, of which `share` is ours: `rate` units a second, `capacity` at once. CREDIT
    seconds' worth stay back where minutes are counted (`windowed`). `free` is what may be taken now. Takers lower it,
    and settlements raise it, until `renew` counts again. `pace` is a lower rate, in units a second, for as long as the
    minute needs it. `held_back` is true if a call had to wait for this dimension. Where fixed minutes count, `before`
    is what `used` contains of earlier minutes, and `unused` is what calls in flight will probably not use of their
    reservations; otherwise `before` is None.
    """

    __slots__ = (
        "_allowed",
        "_excess",
        "_excess_ends",
        "_saved",
        "_was_free",
        "admitted",
        "before",
        "burst",
        "calls",
        "capacity",
        "credit",
        "estimate",
        "estimator",
        "free",
        "held_back",
        "level",
        "minute",
        "pace",
        "rate",
        "reserved",
        "returned",
        "share",
        "slack",
        "told",
        "unused",
        "used",
        "windowed",
    )

    def __init__(self, estimator: Estimator, *, least: float = 1.0, windowed: bool = True, told: bool = True) -> None:
        self.estimator = estimator
        self.told = told
        self.windowed = windowed
        self.share = 1.0
        self.pace = inf
        self.used = 0.0
        self.returned = 0.0
        self.calls = 0.0
        self.admitted = 0.0
        self.held_back = False
        self.reserved = False
        self.free = self._was_free = 0.0
        self._excess = 0.0
        self._excess_ends = 0.0
        self._saved = 0.0
        self.before: float | None = None
        self.unused = 0.0
        self.estimate = self.slack = self.burst = -inf
        self._follow()
        self.level = PLENTY if self.estimate == inf else max(least, self.estimate * (self.burst - self.credit) / MINUTE)
        self._count()

    @property
    def known(self) -> bool:
        """True if the estimate has a basis."""
        return self.estimator.known

    @property
    def fixed(self) -> bool:
        """True if the start of the service's minutes is known, and each is filled then."""
        return self.before is not None

    @property
    def room(self) -> float:
        """The units that the minute before now leaves free, and the fixed minute where that is known."""
        if self.before is None:
            return self._allowed + self._excess - self.used
        return self.minute + min(self.unused, self.before) - self.used

    def needs(self, amount: float) -> float:
        """Return the level at which `amount` may be taken. An amount above the capacity needs a full bucket. If no
        limit is told, it needs less: there, refused large calls distinguish a limit from noise.
        """
        if not self.told and amount > self.capacity:
            amount = self.capacity
        needed = amount - self.credit * self.rate
        return 0.0 if needed < 0.0 else needed if needed < self.capacity else self.capacity

    def lease(self, share: float, estimate: float | None, noise: float = 0.0) -> None:
        """Have `share` of a limit, of which others have found `estimate` and `noise`; None and 0 if nothing new."""
        before = self.estimate * self.share
        self.share = share
        if noise:
            self.estimator.adopt_noise(noise)
        if estimate is not None:
            self.estimator.adopt(estimate)
        self._follow(share=True)
        if self.estimate * share < before:
            self._let_excess_run_out()

    def absorb(self) -> float:
        """Book what was taken and given back since the last time; return what the current slot has taken of it."""
        net = self._was_free - self.free
        self.level -= net
        self.used += net
        taken = net + self.returned
        self.returned = 0.0
        self._was_free = self.free
        return taken

    def renew(
        self, seconds: float, expired: float, calls: float, *, reserved: bool = False, admitted: float = 0.0
    ) -> None:
        """Let `seconds` pass, in which `expired` units left the minute; `calls` is how many a second there are,
        `admitted` how many there have been, `reserved` whether calls in flight have reserved much of the minute. What
        was taken has just been absorbed.
        """
        self.admitted = admitted
        if seconds > 0.0:
            self.calls = calls
            self.reserved = (
                reserved
                and self.held_back
                and self.before is None
                and (self.pace < self.rate or self.room < self.level)
            )
        self.used -= expired
        if seconds > 0.0:
            self.estimator.elapsed(seconds, self)
            self.held_back = False
            self._follow()
        if self.estimate < inf:
            self._refill(seconds)
            self._excess = max(0.0, self._excess - self._excess_ends * seconds)
        self._count()

    def throttled(self, throttle: Throttle) -> None:
        """Learn from a throttle; the burst is gone where it was too large."""
        drained = self.estimator.throttled(throttle, self)
        self._follow()
        if drained:
            self.drain()
        self._let_excess_run_out()

    def fill(self) -> float:
        """Count the fixed minute as full: the service refused a call. Return what was counted as free."""
        room = max(0.0, self.room)
        if self.before is not None:
            self.before -= room
        self._count()
        return room

    def drain(self) -> None:
        """Empty the bucket: the service refused a call."""
        if self.estimate < inf:
            self.level = min(self.level, 0.0)
            self._saved = 0.0
            self._count()

    def _refill(self, seconds: float) -> None:
        """Fill the bucket at the pace. What it would hold beyond that at the rate is saved for when the pace is faster:
        a gap in the minute comes again after a minute, and would cost as much each time.
        """
        rate, pace = self.rate, self.pace
        if pace < rate:
            self.level += seconds * pace
            self._saved += seconds * (rate - pace)
        else:
            more = min(self._saved, seconds * (min(pace, FASTER * rate) - rate)) if self._saved else 0.0
            self.level += seconds * rate + more
            self._saved -= more
        if self.level > 1.0:
            self.level = min(self.level, self.capacity)
        elif self.before is not None:
            self.level = max(0.0, self.level)
        if self._saved:
            self._saved = max(0.0, min(self._saved, self.capacity - self.level))

    def _follow(self, *, share: bool = False) -> None:
        """Count by what the estimator answers now."""
        estimator = self.estimator
        estimate, slack, burst = estimator.estimate, estimator.slack, estimator.burst
        if estimate == self.estimate and slack == self.slack and burst == self.burst and not share:
            return
        self.estimate, self.slack, self.burst = estimate, slack, burst
        self.credit = min(CREDIT, burst / 2.0) if self.windowed else 0.0
        self.rate = estimate * self.share / MINUTE
        capacity = self.rate * (burst - self.credit)
        self.capacity = capacity if capacity > 1.0 else 1.0
        self.minute = estimate * self.share * (1.0 - MARGIN)
        self._allowed = self.minute + slack * estimate * self.share

    def _let_excess_run_out(self) -> None:
        """Let a minute run out that holds more than the limit now allows, instead of stopping all calls."""
        self._excess = max(0.0, self.used - max(self.estimate * self.share, self._allowed))
        self._excess_ends = self._excess / MINUTE

    def _count(self) -> None:
        free = PLENTY
        if self.before is not None:
            free = self.room
        elif self.estimate < inf:
            free = self.level
            if self.windowed and self.room < free:
                free = self.room
        self.free = self._was_free = free
