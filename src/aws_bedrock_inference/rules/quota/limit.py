"""One dimension of a quota: what is believed of its limit, and what that allows now.

How the service counts is not published: it may be a bucket of a minute, a bucket of seconds, a fixed minute or a
sliding one. What keeps within a small bucket *and* within the minute before now keeps within all four, so both are
counted here. The limit itself is a belief: a throttle lowers it, and while it is what holds calls back and nothing is
throttled it grows, never above the ceiling.

The figures below were found in simulation, with one and with four clients that know nothing of each other, under all
four disciplines (bench/quota.py); they are no facts about AWS.
"""

from __future__ import annotations

from math import inf

MINUTE = 60.0

# A believed limit of none allows this much at once; a float that large still counts single units exactly.
PLENTY = 1e12

# Until the first throttle nothing is known, and the limit doubles every second; the first one cuts to what went through
# lately, times START.
GROWTH_UNKNOWN = 0.7
START = 0.7

# Throttles alone never cut to less than so many calls a minute: a service that refuses everything says nothing of the
# quota.
LEAST_CALLS = 6.0

# A throttle cuts by `swing`. It starts wide, so that several who share a limit soon have equal parts, and settles.
SWING_FIRST = 0.3
SWING_TOLD = 0.02
SWING_LEAST = 0.12
SWING_SETTLES = 0.9

# The second throttle in a row shows that the cut was too small: the limit is what went through in the last seconds, but
# not less than this share of what it was.
CUT_SECOND = 0.85

# From the third on, after a pause of a second or more, only a minute window explains them: then the limit is what went
# through in the last minute. That is exact, so that later swings can be small.
CUT_MORE = 0.75
SWING_STILL = 0.03
SWING_STILLS = 0.6
SWING_WIDENS = 1.15

# Growth back, in calls a second each second for a swing of 1: the same for large and small, as fairness needs. It slows
# down where throttles come more often than every SPACING calls. It ends REACH swings above the last throttled level,
# and nearer to it where swings are small.
GROWTH = 0.4
SPACING = 50.0
SPACING_WEIGHT = 0.2
REACH = 4.0

# A row of throttles may be a bad minute of the service, not a lower quota. So a limit that was cut far below what went
# through before them comes back quickly; where it was told, nearly to there.
GROWTH_BACK = 0.04
BACK = 0.8
BACK_TOLD = 0.95

# From QUIET seconds without a throttle on, longer than a minute window can hide one, the quota may have become larger:
# growth, at least GROWTH_QUIET of the limit a second, doubles every two seconds, to find a doubled quota within 90 s. A
# minute counts only if it was used about as much as the one that was throttled.
QUIET = 62.0
GROWTH_QUIET = 0.002
GROWTH_DOUBLES = 2.0
DOUBLINGS_MOST = 10.0
GROWTH_MOST = 0.12
SWING_QUIET = 0.1
TESTED = 0.93


# Where answers take long and max_tokens is far above what they use, reservations fill the minute with what will never
# be used. A bucket does not mind: so the minute is let grow by this share a second, and a throttle takes a part back.
SLACK_GROWTH = 0.005
SLACK_MOST = 4.0
SLACK_LEAST = 0.02
SLACK_CUT = 0.8

# What stays free of each minute, because what calls under way have reserved is counted only roughly.
MARGIN = 0.0005

# Of a burst, this many seconds' worth stay back, so that a call may go as soon as those before it are paid for, and pay
# for itself afterwards: large calls then wait no longer than small ones.
CREDIT = 1.0


class Limit:
    """What one dimension allows.

    `believed` units a minute, never above `ceiling`; `burst` is how many seconds' worth may go at once, of which CREDIT
    stays back where minutes are counted (`windowed`); `share` is the part of it that is ours. `free` is what may be
    taken now: takers lower it, and whoever gives back raises it, until `renew` counts anew. `pace` is a lower rate, in
    units a second, for as long as the minute needs it.
    """

    __slots__ = (
        "_calls",
        "_excess",
        "_full",
        "_glide",
        "_mark",
        "_quiet",
        "_spacing",
        "_swing",
        "_was_free",
        "believed",
        "burst",
        "ceiling",
        "credit",
        "free",
        "hungry",
        "known",
        "level",
        "pace",
        "returned",
        "share",
        "slack",
        "used",
        "windowed",
    )

    def __init__(
        self,
        believed: float,
        *,
        burst: float,
        ceiling: float = inf,
        known: bool = True,
        least: float = 1.0,
        windowed: bool = True,
    ) -> None:
        self.believed = believed
        self.credit = min(CREDIT, burst / 2.0) if windowed else 0.0
        self.burst = burst - self.credit
        self.ceiling = ceiling
        self.known = known
        self.windowed = windowed
        self.share = 1.0
        self.slack = 0.0
        self.pace = inf
        self.used = 0.0
        self.returned = 0.0
        self.hungry = False
        self.level = PLENTY if believed == inf else max(least, believed * self.burst / MINUTE)
        self._swing = SWING_FIRST if ceiling == inf else SWING_TOLD
        self._mark = believed
        self._full = 0.0
        self._quiet = 0.0
        self._calls = 0.0
        self._spacing = SPACING
        self._excess = 0.0
        self._glide = 0.0
        self.free = self._was_free = 0.0
        self._count()

    @property
    def rate(self) -> float:
        """Units a second."""
        return self.believed * self.share / MINUTE

    @property
    def capacity(self) -> float:
        """The most that may go at once; one unit always may."""
        capacity = self.believed * self.share / MINUTE * self.burst
        return capacity if capacity > 1.0 else 1.0

    def needs(self, amount: float) -> float:
        """Return the level at which `amount` may go. What is larger than the capacity goes when that is full."""
        capacity, rate = self.capacity, self.believed * self.share / MINUTE
        needed = (amount if amount < capacity else capacity) - self.credit * rate
        return needed if needed > 0.0 else 0.0

    @property
    def minute(self) -> float:
        """What a whole minute is counted to hold."""
        return self.believed * self.share * (1.0 - MARGIN)

    @property
    def room(self) -> float:
        """What the minute before now leaves."""
        return self.minute + self.slack * self.believed * self.share + self._excess - self.used

    def lease(self, share: float, believed: float | None) -> None:
        """Have `share` of a limit that all who share it believe to be `believed`; None when they know none. What one of
        them has met in a throttle counts as met here.
        """
        before, held = self.believed, self.believed * self.share
        self.share = share
        if believed is not None:
            self.believed = min(self.ceiling, believed)
            if not self.known or self.believed < before:
                self._mark = min(self._mark, max(before, self.believed) if self.known else self.believed)
                self._quiet = 0.0
            self.known = True
        if self.believed * share < held:
            self.glide()

    def absorb(self) -> float:
        """Book what was taken and given back since the last time; return what the current slot has taken of it."""
        net = self._was_free - self.free
        self.level -= net
        self.used += net
        taken = net + self.returned
        self.returned = 0.0
        self._was_free = self.free
        return taken

    def renew(self, seconds: float, expired: float, calls: float) -> None:
        """Let `seconds` pass, in which `expired` units left the minute; `calls` is how many a second there are. What
        was taken has just been absorbed.
        """
        self.used -= expired
        if self.believed < inf:
            if self.hungry and seconds > 0.0:
                self._grow(seconds, calls)
            rate = self.believed * self.share / MINUTE
            self.level += seconds * (rate if rate < self.pace else self.pace)
            self.level = min(self.level, self.capacity) if self.level > 1.0 else self.level
            self._excess = max(0.0, self._excess - self._glide * seconds)
        self._count()

    def cut(self, strike: int, recently: float, lately: float, refused: float = 1.0) -> None:
        """Believe less, after the `strike`-th throttle in a row. `recently` is what the last seconds have used,
        `lately` what the last minute has, both as units a minute; `refused` is what the throttled call wanted.
        """
        least = min(self.believed, LEAST_CALLS * refused)
        used = self.used / self.share
        self._full = min(used, self.believed)
        self._mark = min(self.believed, max(recently, used))
        if not self.known:
            self.known = True
            self._mark = self.believed if START * recently < least else self._mark
            self.believed = min(self.believed, START * recently)
        elif strike == 1 and self.slack > SLACK_LEAST:
            self.slack *= SLACK_CUT
        elif strike == 1:
            settled = self._swing * SWING_SETTLES
            self._swing = (
                max(SWING_LEAST, settled) if settled > SWING_LEAST else min(SWING_LEAST, self._swing * SWING_WIDENS)
            )
            self._spacing += SPACING_WEIGHT * (max(1.0, self._calls) - self._spacing)
            self._calls = 0.0
            self.believed *= 1.0 - self._swing
        elif strike == 2:  # noqa: PLR2004 - the second in a row
            self.believed = max(CUT_SECOND * self.believed, min(recently, self.believed))
        else:
            self.believed = max(CUT_MORE * self.believed, min(lately, self.believed))
            self._swing = max(SWING_STILL, self._swing * SWING_STILLS)
        self.believed = max(least, self.believed)
        self._quiet = 0.0
        self.glide()

    def widen(self, seconds: float) -> None:
        """Let reservations take more than the minute holds, after `seconds` in which nothing but they held calls back:
        only minute windows count what is merely reserved against the minute.
        """
        if self.hungry and self.known and (self.pace < self.rate or self.room < self.level):
            self.slack = min(SLACK_MOST, self.slack + SLACK_GROWTH * seconds)

    def glide(self) -> None:
        """Let a minute that already holds more than the limit now allows run out, instead of standing still."""
        self._excess = max(0.0, self.used - self.believed * self.share)
        self._glide = self._excess / MINUTE

    def drain(self) -> None:
        """Believe the service that nothing is left."""
        if self.believed < inf:
            self.level = min(self.level, 0.0)
            self._count()

    def _count(self) -> None:
        free = PLENTY
        if self.believed < inf:
            free = self.level
            if self.windowed and self.room < free:
                free = self.room
        self.free = self._was_free = free

    def _grow(self, seconds: float, calls: float) -> None:
        self.hungry = False
        if not self.known:
            self.believed *= 1.0 + GROWTH_UNKNOWN * seconds
            return
        if self._quiet > QUIET or not self.windowed or self.used >= TESTED * self._full * self.share:
            self._quiet += seconds
        self._calls += calls * seconds
        growth = self._swing * GROWTH / max(calls, 0.1) * min(1.0, (self._spacing / SPACING) ** 2)
        if self.believed < self._mark * (BACK_TOLD if self.ceiling < inf else BACK):
            growth = max(growth, GROWTH_BACK)
        top = self._mark * (1.0 + REACH * self._swing * min(1.0, self._swing / SWING_LEAST))
        if self._quiet > QUIET:
            doublings = min(DOUBLINGS_MOST, (self._quiet - QUIET) / GROWTH_DOUBLES)
            growth = min(GROWTH_MOST, max(growth, GROWTH_QUIET) * 2.0**doublings)
            top = 2.0 * self.used / self.share
            self._swing = max(self._swing, SWING_QUIET) if self.believed < self.ceiling else self._swing
        self.believed = min(self.ceiling, max(self.believed, top), self.believed * (1.0 + growth * seconds))
