"""Count the use of one dimension of a quota (requests or tokens), and compute how much of its limit is free now. An
estimator supplies the limit (`learning`).

AWS does not publish how it counts the use of a quota. It can use a small or a large token bucket, minutes with a fixed
start, or the last 60 seconds (a sliding minute). Calls are accepted by each of these methods if they stay within a
small bucket *and* within the limit of the last 60 seconds. Therefore this module counts both. If the start of fixed
minutes is known (`minutes`), this module counts only these minutes.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_bedrock_inference.rules.quota.observed import Estimator, Throttle

MINUTE = 60.0

# Without a limit, this many units (requests or tokens) are free. A float of this size still counts individual units
# exactly.
PLENTY = 1e12

# This fraction of each minute stays free, because reservations of calls in flight are counted only approximately.
MARGIN = 0.0005

# The quota of this many seconds is held back from a burst. A call can then start before the bucket contains all its
# tokens, and the missing tokens are added afterwards. So large calls wait no longer than small ones.
CREDIT = 1.0

# If calls were slower than the limit allows, the unused quota is saved. The saved quota is used later, at this multiple
# of the rate, if it fits into the minute. The multiple is below the one that an estimator treats as a burst.
FASTER = 1.2


class Limit:
    """The token bucket and the use of the last minute for one dimension (requests or tokens). An estimator supplies the
    limit. A unit is a request or a token.

    * `estimate`: the limit in units per minute, for all processes together.
    * `share`: the fraction of `estimate` that this process can use.
    * `rate`: the limit of this process in units per second.
    * `capacity`: the size of the bucket in units.
    * `windowed`: True if the last minute is counted in addition to the bucket.
    * `credit`: a number of seconds. A call can start while the bucket still lacks the quota of these seconds. In
      return, the bucket is smaller by the same quota. If `windowed` is False, `credit` is 0.
    * `free`: the units that can be used now. A reservation lowers `free`, and a refund raises it. `renew` computes
      `free` again from the bucket and the last minute.
    * `pace`: the highest rate of the next calls, in units per second. It is below `rate` if calls at `rate` would use
      all free units of the minute before further units become free.
    * `held_back`: True if a call had to wait for this dimension.
    * `used`: the units that calls have used or reserved in the last 60 seconds.
    * `before`: the part of `used` that belongs to earlier minutes of the service. If it is unknown when these minutes
      start, `before` is None.
    * `refund`: the part of `used` that calls in flight have reserved and will probably refund.
    """

    __slots__ = (
        "_excess",
        "_excess_ends",
        "_over",
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
        "refund",
        "reserved",
        "returned",
        "share",
        "slack",
        "told",
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
        self.refund = 0.0
        self.estimate = self.slack = self.burst = -inf
        self._follow()
        self.level = PLENTY if self.estimate == inf else max(least, self.estimate * (self.burst - self.credit) / MINUTE)
        self._count()

    @property
    def known(self) -> bool:
        """True if the estimated limit is based on a configured limit or on evidence, such as throttles."""
        return self.estimator.known

    @property
    def fixed(self) -> bool:
        """True if the start of the service's minutes is known. Calls then fill each minute at its start."""
        return self.before is not None

    @property
    def room(self) -> float:
        """The number of units (requests or tokens) that can be used now: the limit minus the use of the last 60
        seconds. If the service counts minutes with a fixed start, and this start is known, only the use in the present
        minute is subtracted.
        """
        if self.before is None:
            return self._allowed + self._excess - self.used
        return self.minute + min(self.refund, self.before) - self.used

    @property
    def _allowed(self) -> float:
        """The number of units (requests or tokens) that can be used or reserved in a minute: the limit plus the slack.
        The slack is the number of units by which reservations can exceed the limit. If the calls in flight will
        probably refund fewer units than the slack, only the expected refunds are added to the limit. For example, the
        slack is 500 units, but only 200 units will be refunded: 200 units are added.
        """
        return self.minute + min(self._over, self.refund)

    def needs(self, amount: float) -> float:
        """Return the number of units (requests or tokens) that the bucket must contain before a call of `amount` can
        start. This is `amount` minus the quota of `credit` seconds, which is added to the bucket after the start. If
        the bucket is too small for this number, the call needs a full bucket.

        If the limit is neither configured nor listed, a call that is larger than the bucket needs less: a full bucket
        minus the quota of `credit` seconds. The service may refuse such a call. These refusals help to distinguish a
        limit from noise (random throttles).
        """
        if not self.told and amount > self.capacity:
            amount = self.capacity
        needed = amount - self.credit * self.rate
        return 0.0 if needed < 0.0 else needed if needed < self.capacity else self.capacity

    def lease(self, share: float, estimate: float | None, noise: float = 0.0) -> None:
        """Use the fraction `share` of the limit. `estimate` is the limit that other members of the quota estimate, or
        None. `noise` is the fraction of random throttles that other members found, or 0.
        """
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
        """Count the units (requests or tokens) that calls have reserved and refunded since the last call of this
        method. Return the reserved units minus the refunded units, for the calls of the present slot (a short part of
        the minute). Refunds of calls from earlier slots are not part of the result.
        """
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
        """Advance the time by `seconds`. The caller must call `absorb` first.

        * `expired`: the units (requests or tokens) that no longer count, because calls used them more than a minute
          ago.
        * `calls`: the number of calls per second.
        * `reserved`: True if calls in flight have reserved more than a tenth of the limit per minute.
        * `admitted`: the number of calls that were admitted since the process began to use the quota.
        """
        self.admitted = admitted
        if seconds > 0.0:
            self.calls = calls
            self.reserved = (
                reserved
                and self.held_back
                and self.before is None
                and self._over <= self.refund
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
        """Pass a throttle to the estimator of the limit, and empty the token bucket if the estimator requests it. One
        reason for such a request: calls used too much quota within a moment, and this caused the throttle.
        """
        drained = self.estimator.throttled(throttle, self)
        self._follow()
        if drained:
            self.drain()
        self._let_excess_run_out()

    def fill(self) -> float:
        """Count the present fixed minute as full, because the service refused a call. Return the number of units
        (requests or tokens) that were free in this minute according to this process.
        """
        room = max(0.0, self.room)
        if self.before is not None:
            self.before -= room
        self._count()
        return room

    def drain(self) -> None:
        """Empty the token bucket that this process counts. The service refused a call, so the bucket of the service is
        probably empty.
        """
        if self.estimate < inf:
            self.level = min(self.level, 0.0)
            self._saved = 0.0
            self._count()

    def _refill(self, seconds: float) -> None:
        """Add the units of `seconds` to the bucket, at the pace (the highest rate of the next calls).

        While the pace is below the limit's rate, save the units that are not added, and add them later at a faster
        rate. Otherwise a slow time would repeat in each later minute, because a unit becomes free a minute after a call
        used it. For example, no call was sent from 12:00:20 to 12:00:30. Then no unit becomes free from 12:01:20 to
        12:01:30, and calls are slow again.
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
        self._over = slack * estimate * self.share

    def _let_excess_run_out(self) -> None:
        """After a decrease of the limit, the last minute can contain more units than the new limit allows. Permit these
        extra units, and reduce the permitted number to zero within a minute. Otherwise all calls would stop until the
        last minute contains fewer units.
        """
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
