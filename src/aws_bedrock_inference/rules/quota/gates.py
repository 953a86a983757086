"""What holds calls back besides requests and tokens per minute: throttles in a row, a spent day, a service short of
capacity.
"""

from __future__ import annotations

from math import inf

# After a second throttle in a row everything stands still: 1 s, doubling up to 4 s. Then one call goes first, and the
# others follow if that was not refused: what the service refuses, it refuses within PROBE.
PAUSE_FIRST = 1.0
PAUSE_LONGEST = 4.0
PROBE = 0.3

# A row of throttles longer than this is no full minute any more: nobody should wait for its end without knowing.
HOPELESS = 90.0

A_DAY = 86_400.0

# How long a quota of tokens per day that the service called spent is left alone before one call tries it again. AWS
# does not say when a day ends; it may be a sliding one, and an increase may come at any time.
PARKED = 900.0

# A capacity error cuts the calls under way to this share; as many successes as may be under way give one call back.
# From twice what it was cut from there is no limit any more.
# One such error in ten or more is the service's everyday; it takes two with fewer than seven successes for each.
CAPACITY_CUT = 0.7
CAPACITY_ERRORS = 2.0
CAPACITY_FORGIVEN = 0.15
CAPACITY_OVER = 2.0


class Standstill:
    """Throttles in a row, and the pauses they make. `strikes` counts them; a success after them ends the row."""

    __slots__ = ("_probing", "_since", "_struck_at", "strikes", "until")

    def __init__(self) -> None:
        self.strikes = 0
        self.until = -inf
        self._since = -inf
        self._struck_at = -inf
        self._probing = False

    def struck(self, admitted_at: float, now: float) -> bool:
        """Count a throttle of a call let go at `admitted_at`; False if it went before the last throttle was known."""
        if admitted_at <= self._struck_at:
            return False
        if not self.strikes:
            self._since = now
        self.strikes += 1
        self._struck_at = now
        if self.strikes > 1:
            self.park(now + min(PAUSE_LONGEST, PAUSE_FIRST * 2.0 ** min(self.strikes - 2, 32)))
        return True

    def hopeless(self, now: float) -> bool:
        """Whether nothing has succeeded for longer than a minute window could explain."""
        return self.strikes > 1 and now > self._since + HOPELESS

    def park(self, until: float) -> None:
        """Stand still until `until`; then one call goes first."""
        self.until = max(until, self.until)
        self._probing = True

    def over(self, now: float) -> bool:
        """Whether nothing is left of it."""
        if now >= self.until and not self._probing:
            self.until = -inf
        return self.until == -inf and not self.strikes

    def passed(self, admitted_at: float) -> None:
        """End the row if a call that was let go after the last throttle succeeded."""
        if admitted_at > self._struck_at:
            self.strikes = 0

    def going(self, now: float) -> None:
        """Let a call go; the first one after a pause goes alone."""
        if self._probing:
            self._probing = False
            self.until = now + PROBE


class Day:
    """Tokens per day, where they are limited. `ends` is a reading of the ledger's clock."""

    __slots__ = ("ends", "limit", "used")

    def __init__(self, limit: float, ends: float) -> None:
        self.limit = limit
        self.ends = ends
        self.used = 0.0

    def wait_for(self, tokens: float, now: float) -> float:
        """Return the seconds until `tokens` more may be used."""
        while now >= self.ends:
            self.ends += A_DAY
            self.used = 0.0
        return 0.0 if self.used + tokens <= self.limit else self.ends - now


class Concurrency:
    """How many calls may be under way. Not limited unless `ceiling` says so, until the service lacks capacity."""

    __slots__ = ("_cut_at", "_cut_from", "_errors", "ceiling", "flying", "most")

    def __init__(self, ceiling: float = inf) -> None:
        self.ceiling = ceiling
        self.most = ceiling
        self.flying = 0
        self._cut_at = -inf
        self._cut_from = 0.0
        self._errors = 0.0

    @property
    def calm(self) -> bool:
        """Whether there is neither a limit nor a reason to expect one."""
        return self.most == inf and not self._errors

    def short(self, admitted_at: float, now: float) -> None:
        """Send fewer calls at once, after the service said it has no capacity. Calls of one crowd count once."""
        if admitted_at <= self._cut_at:
            return
        self._errors += 1.0
        if self._errors >= CAPACITY_ERRORS:
            self._errors = 0.0
            self._cut_at = now
            self._cut_from = min(self.most, self.flying)
            self.most = max(1.0, CAPACITY_CUT * self._cut_from)

    def passed(self) -> None:
        """Allow a little more again."""
        self._errors = max(0.0, self._errors - CAPACITY_FORGIVEN)
        if self.most < self.ceiling:
            self.most = min(self.ceiling, self.most + 1.0 / self.most)
            if self.most >= CAPACITY_OVER * self._cut_from:
                self.most = self.ceiling
