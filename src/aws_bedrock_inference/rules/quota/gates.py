"""Hold calls back for what is not requests and tokens per minute: throttles in a row, an exhausted day, a service short
of capacity.
"""

from __future__ import annotations

from math import inf

from aws_bedrock_inference.forks import Locked

# Throttles are in a row if no more than THROUGH calls got through between them. After more than ROW all calls pause,
# for a part of the time that the row has lasted, within bounds in seconds. Where a limit is told, a row is most likely
# a bad moment that ends within seconds; elsewhere it is the limit. Then one call goes first, and the others follow if
# that was not refused: what the service refuses, it refuses within PROBE.
THROUGH = 4.0
ROW = 2
PAUSE_PART = 0.25
PAUSE_PART_UNTOLD = 1.5
PAUSE_FIRST = 0.5
PAUSE_LONGEST = 4.0
PROBE = 0.3

# A full minute does not explain a row of throttles longer than this: callers must learn of it instead of waiting.
STALLED = 90.0

A_DAY = 86_400.0

# The seconds after which a call looks again whether the tokens of the day that others have reserved have come back.
LOOK_AGAIN = 1.0

# The seconds for which a daily token quota that the service called exhausted rests before one call tries it again. AWS
# does not say when a day ends; it may be a sliding one, and an increase may come at any time.
PARKED = 900.0

# Capacity errors reduce the calls in flight to this share; as many successes as may be in flight allow one call more.
# From twice what it was reduced from, there is no limit any more.
# One such error in twenty-five is the service's everyday, and two of them soon come together by chance: it takes three,
# with fewer than seven successes for each.
CAPACITY_KEPT = 0.7
CAPACITY_ERRORS = 3.0
CAPACITY_FORGIVEN = 0.15
CAPACITY_OVER = 2.0


class Pause:
    """A row of throttles and the pauses that they make, `part` of the time that it has lasted; it counts `in_a_row`,
    and a success after them ends the row. `answered` says that a call succeeded since the day was last called
    exhausted.
    """

    __slots__ = (
        "_part",
        "_probing",
        "_since",
        "_throttled_at",
        "_throttles",
        "_through",
        "answered",
        "exhausted_until",
        "in_a_row",
        "until",
    )

    def __init__(self, part: float = PAUSE_PART) -> None:
        self._part = part
        self.answered = False
        self.in_a_row = 0
        self.until = self.exhausted_until = -inf
        self._since = -inf
        self._throttled_at = -inf
        self._probing = False
        self._throttles = self._through = 0.0

    def record_throttle(self, admitted_at: float, now: float, stated: float = 0.0, admitted: float = 0.0) -> bool:
        """Count a throttle of a call admitted at `admitted_at`; False if the last throttle was not known then. `stated`
        is the wait that the service asks for, in seconds; `admitted` counts all calls admitted so far.
        """
        self.obey(stated, now)
        self._throttles += 1.0
        if admitted_at <= self._throttled_at:
            return False
        through = admitted - self._throttles
        if through > self._through + THROUGH:
            self.in_a_row = 0
        self._through = through
        if not self.in_a_row:
            self._since = now
        self.in_a_row += 1
        self._throttled_at = now
        if self.in_a_row > ROW:
            self.park(now + min(PAUSE_LONGEST, max(PAUSE_FIRST, self._part * (now - self._since))))
        return True

    def stalled_too_long(self, now: float) -> bool:
        """Return whether nothing has succeeded for longer than a minute window could explain."""
        return self.in_a_row > 1 and now > self._since + STALLED

    def park(self, until: float) -> None:
        """Pause until `until`; then one call goes first."""
        self.until = max(until, self.until)
        self._probing = True

    def obey(self, stated: float, now: float) -> None:
        """Pause for the wait that the service states, but after `PARKED` seconds one call tries it again."""
        if stated:
            self.park(now + min(stated, PARKED))

    def exhaust(self, now: float, day: Day) -> None:
        """Park until the exhausted `day` ends, at most `PARKED` seconds, and all its other ledgers if this one was
        answered since it was last refused so.
        """
        self.exhausted_until = min(day.ends, now + PARKED)
        self.park(self.exhausted_until)
        if self.answered:
            day.exhausted_until = self.exhausted_until
            self.answered = False

    def follow(self, day: Day, now: float) -> None:
        """Park as long as `day` is exhausted, where another ledger met its end."""
        if now < day.exhausted_until:
            self.exhausted_until = max(self.exhausted_until, day.exhausted_until)
            self.park(day.exhausted_until)

    def over(self, now: float) -> bool:
        """Return whether neither a pause nor a row of throttles is left."""
        if now >= self.until and not self._probing:
            self.until = -inf
        return self.until == -inf and not self.in_a_row

    def on_success(self, admitted_at: float) -> None:
        """End the row if a call that was admitted after the last throttle succeeded."""
        self.answered = True
        if admitted_at > self._throttled_at:
            self.in_a_row = 0

    def on_admit(self, now: float) -> None:
        """Let only this call go for a moment if it is the first after a pause."""
        if self._probing:
            self._probing = False
            self.until = now + PROBE


class Day(Locked):
    """Tokens per day of one account in one Region, which the ledgers of all its models share: since 2026-09-21 AWS has
    had one daily quota for all models of a Region.

    `limit` is counted here in tokens after burndown; AWS weighs tokens by their price in a way that it does not
    publish, so the service may call the day exhausted earlier. Until `exhausted_until` then no model is called. But AWS
    says the same words of a model whose own quota it holds at 0, as in new accounts, while others work. Only a model
    that was answered since it was last refused so speaks for the others; each other one finds out by a call of its own.
    `ends` is a reading of the ledgers' clock.
    """

    def __init__(self, limit: float = inf, ends: float = inf) -> None:
        self.limit = limit
        self.ends = ends
        self.used = 0.0
        self.reserved = 0.0
        self.exhausted_until = -inf
        super().__init__()

    def after_fork(self) -> None:
        """Count what the parent's calls have reserved as used."""
        super().after_fork()
        self.used, self.reserved = self.used + self.reserved, 0.0

    def free(self, now: float) -> bool:
        """Return whether the day limits nothing: no limit is counted, and the service did not say that it is over."""
        return self.limit == inf and now >= self.exhausted_until

    def reserve(self, tokens: float, now: float) -> float:
        """Reserve the tokens of a call that is sent and return 0, or return the seconds after which to try again."""
        if self.limit == inf:
            return 0.0
        with self._lock:
            wait = self._wait(tokens, now)
            if not wait:
                self.reserved += tokens
            return wait

    def settle(self, reserved: float, used: float) -> None:
        """Replace what a call has reserved by what it used."""
        if self.limit < inf:
            with self._lock:
                self.reserved -= reserved
                self.used += used

    def idle(self, now: float) -> bool:
        """Return whether a new day would act the same."""
        self.wait_for(0.0, now)
        return not self.used and not self.reserved and now >= self.exhausted_until

    def wait_for(self, tokens: float, now: float) -> float:
        """Return the seconds until `tokens` more may be used, if all that is reserved came back unused."""
        with self._lock:
            self._renew(now)
            return 0.0 if self.used + tokens <= self.limit else self.ends - now

    def wait_now(self, tokens: float, now: float) -> float:
        """Return the seconds after which to try to reserve `tokens`; 0 if they can be reserved now."""
        with self._lock:
            return self._wait(tokens, now)

    def _wait(self, tokens: float, now: float) -> float:
        self._renew(now)
        if self.used + tokens > self.limit:
            return self.ends - now
        # What other ledgers have reserved may come back at any time, and they wake nobody here.
        return LOOK_AGAIN if self.used + self.reserved + tokens > self.limit else 0.0

    def _renew(self, now: float) -> None:
        while now >= self.ends:
            self.ends += A_DAY
            self.used = 0.0


class Concurrency:
    """A limit of the calls in flight. There is none unless `ceiling` says so, until the service lacks capacity."""

    __slots__ = ("_errors", "_reduced_at", "_reduced_from", "ceiling", "in_flight", "most")

    def __init__(self, ceiling: float = inf) -> None:
        self.ceiling = ceiling
        self.most = ceiling
        self.in_flight = 0
        self._reduced_at = -inf
        self._reduced_from = 0.0
        self._errors = 0.0

    @property
    def calm(self) -> bool:
        """True if there is neither a limit nor a reason to expect one."""
        return self.most == inf and not self._errors

    def on_capacity_error(self, admitted_at: float, now: float) -> None:
        """Allow fewer in flight, after the service said it has no capacity, unless the call went before the last
        reduction.
        """
        if admitted_at <= self._reduced_at:
            return
        self._errors += 1.0
        if self._errors >= CAPACITY_ERRORS:
            self._errors = 0.0
            self._reduced_at = now
            self._reduced_from = min(self.most, self.in_flight)
            self.most = max(1.0, CAPACITY_KEPT * self._reduced_from)

    def on_success(self) -> None:
        """Allow a little more again."""
        self._errors = max(0.0, self._errors - CAPACITY_FORGIVEN)
        if self.most < self.ceiling:
            self.most = min(self.ceiling, self.most + 1.0 / self.most)
            if self.most >= CAPACITY_OVER * self._reduced_from:
                self.most = self.ceiling
