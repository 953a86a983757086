"""Delay calls for reasons other than requests and tokens per minute: many throttles one after another, an exhausted
daily quota, or a service that lacks capacity.
"""

from __future__ import annotations

from math import inf

from aws_bedrock_inference.forks import Locked

# Throttles are "in a row" if at most THROUGH calls succeeded between them. After more than ROW throttles in a row, all
# calls pause. The pause is a fraction of the time that the row has lasted, within these bounds in seconds. If a limit
# is configured or listed, only the time since the last accepted probe counts, because a row is most likely a short
# problem of the service; otherwise, the limit is probably reached. After a pause, one call is sent first. The other
# calls follow PROBE seconds later, because a refusal of the first call would have arrived by then.
THROUGH = 4.0
ROW = 2
PAUSE_PART = 0.25
PAUSE_PART_UNTOLD = 1.5
PAUSE_FIRST = 0.5
PAUSE_LONGEST = 4.0
PROBE = 0.3

# A full minute of the quota cannot explain a row of throttles that lasts longer than this, in seconds. The caller must
# then receive the error instead of waiting.
STALLED = 90.0

A_DAY = 86_400.0

# The seconds after which a call checks whether other ledgers have released tokens of the day.
LOOK_AGAIN = 1.0

# If the service reports an exhausted daily quota, one call tests the service again after this many seconds. AWS does
# not state when a day ends, the day may be the last 24 hours, and AWS can raise the quota at any time.
PARKED = 900.0

# After capacity errors, the number of calls in flight is limited to this fraction of the present number. As many
# successes as the limit allows calls in flight raise the limit by one. When the limit reaches twice the number before
# the decrease, it is removed. Occasional capacity errors are normal (one in twenty-five calls), and two of them often
# come together by chance. Therefore the limit is lowered only after three errors with fewer than seven successes for
# each.
CAPACITY_KEPT = 0.7
CAPACITY_ERRORS = 3.0
CAPACITY_FORGIVEN = 0.15
CAPACITY_OVER = 2.0


class Pause:
    """A row of throttles, and the pauses that the row causes. A pause stops all calls of the model.

    Throttles form a row if almost no call succeeds between them. A success ends the row if the successful call was
    admitted after the last throttle.

    From the third throttle of a row on, each throttle starts a pause. The pause is as long as the time since the row
    began, multiplied by 0.25 if a limit is configured or listed (`told`), and otherwise by 1.5. For example, if the row
    began 8 seconds ago and the limit is configured, the pause lasts 2 seconds. A pause lasts at least 0.5 and at most 4
    seconds.

    The call that is sent first after a pause is a probe. `refused_probes` is the number of probes of the row that the
    service throttled, or refused because it was overloaded, since the last accepted probe. `probe_accepted` is True if
    the service accepted the last probe, and the last throttle refused a later call. If a probe is accepted, the service
    has no problem, and longer pauses would waste its quota. Therefore, with a configured or listed limit, the throttles
    and the time are then counted anew. Without such a limit, other programs may use the same quota, and the pauses
    leave a part of it to them.

    `in_a_row` is the number of throttles in the row. `answered` is True if a call has succeeded since the service last
    reported that the daily quota is exhausted.
    """

    __slots__ = (
        "_accepted",
        "_blocked",
        "_probed_at",
        "_probing",
        "_since",
        "_slowest",
        "_throttled_at",
        "_throttles",
        "_through",
        "_told",
        "answered",
        "exhausted_until",
        "in_a_row",
        "probe_accepted",
        "refused_probes",
        "until",
    )

    def __init__(self, *, told: bool = True) -> None:
        self._told = told
        self.answered = False
        self.in_a_row = self._blocked = self.refused_probes = 0
        self.until = self.exhausted_until = -inf
        self._since = -inf
        self._throttled_at = self._probed_at = -inf
        self._probing = self.probe_accepted = False
        self._accepted: bool | None = None  # the result of the last probe; None while it is unknown
        self._slowest = 0.0  # the longest time, in seconds, that a throttle of this row took to arrive
        self._throttles = self._through = 0.0

    def record_throttle(self, admitted_at: float, now: float, stated: float = 0.0, admitted: float = 0.0) -> bool:
        """Record the throttle of a call that was admitted at `admitted_at`. If this call was already in flight when the
        previous throttle arrived, the two throttles count as one, and the result is False. Otherwise the result is
        True.

        `stated` is the wait that the service requests, in seconds. `admitted` is the number of calls that were admitted
        so far.
        """
        self.obey(stated, now)
        self._throttles += 1.0
        self._slowest = max(self._slowest, now - admitted_at)
        if admitted_at <= self._throttled_at:
            return False
        through = admitted - self._throttles
        if through > self._through + THROUGH:
            self.in_a_row = 0
        self._through = through
        self.probe_accepted = self._throttled_at < self._probed_at < admitted_at and self._seems_accepted(now)
        begins = not self.in_a_row
        if begins:
            self._slowest = now - admitted_at
        if begins or self.probe_accepted:
            self.refused_probes = 0
        if begins or (self.probe_accepted and self._told):
            self._since, self._blocked = now, 0
        self.in_a_row += 1
        self._blocked += 1
        self.refused_probes += admitted_at == self._probed_at
        self._throttled_at = now
        if self._blocked > ROW:
            part = PAUSE_PART if self._told else PAUSE_PART_UNTOLD
            self.park(now + min(PAUSE_LONGEST, max(PAUSE_FIRST, part * (now - self._since))))
        return True

    def _seems_accepted(self, now: float) -> bool:
        """Return True if the service accepted the last probe; otherwise return False. A probe that has no result yet
        seems accepted if it has been in flight for longer than any throttle of the row took to arrive.
        """
        return now - self._probed_at > self._slowest if self._accepted is None else self._accepted

    def stalled_too_long(self, now: float) -> bool:
        """Return True if a row of throttles has lasted for more than 90 seconds; otherwise False.

        If a full limit per minute were the cause, the service would accept calls again after at most 60 seconds. So
        such a long row has another cause.
        """
        return self.in_a_row > 1 and now > self._since + STALLED

    def park(self, until: float) -> None:
        """Pause all calls until `until`. After the pause, one call is sent first, as a test."""
        self.until = max(until, self.until)
        self._probing = True

    def obey(self, stated: float, now: float) -> None:
        """Pause all calls for `stated` seconds, the wait that the service requests, but for at most `PARKED` seconds.
        After the pause, one call is sent first, as a test.
        """
        if stated:
            self.park(now + min(stated, PARKED))

    def exhaust(self, now: float, day: Day) -> None:
        """Pause all calls of this model, because the service has reported that the daily quota is exhausted. The pause
        lasts until the end of `day`, but at most `PARKED` seconds.

        The service sends the same error for a model whose own quota is 0. If a call of this model has succeeded since
        the previous error of this kind, the model's own quota is not 0. So the shared day is exhausted, and the other
        models are also paused. Otherwise only this model is paused.
        """
        self.exhausted_until = min(day.ends, now + PARKED)
        self.park(self.exhausted_until)
        if self.answered:
            day.exhausted_until = self.exhausted_until
            self.answered = False

    def follow(self, day: Day, now: float) -> None:
        """Pause the calls of this model if the service has reported, for another model, that the quota of `day` is
        exhausted. After the pause, one call tests the service again.
        """
        if now < day.exhausted_until:
            self.exhausted_until = max(self.exhausted_until, day.exhausted_until)
            self.park(day.exhausted_until)

    def over(self, now: float) -> bool:
        """Return True if there is neither a pause nor a row of throttles (throttles without a success between them);
        otherwise return False.
        """
        if now >= self.until and not self._probing:
            self.until = -inf
        return self.until == -inf and not self.in_a_row

    def on_success(self, admitted_at: float) -> None:
        """End the row of throttles if the successful call was admitted after the last throttle."""
        self.answered = True
        if admitted_at == self._probed_at:
            self._accepted = True
        if admitted_at > self._throttled_at:
            self.in_a_row = 0

    def on_failure(self, admitted_at: float, *, overloaded: bool) -> None:
        """Record that a call ended without a success, but not with a throttle. If this call is a probe, it does not
        count as accepted. If the service was `overloaded`, it refused the probe. Otherwise the reason is another one,
        for example an invalid request, or the caller cancelled the call.
        """
        if admitted_at == self._probed_at and self._accepted is None:
            self._accepted = False
            self.refused_probes += overloaded

    def on_admit(self, now: float) -> None:
        """Record that a call is admitted. If it is the first call after a pause, hold back the other calls for
        `PROBE` seconds.
        """
        if self._probing:
            self._probing = False
            self._probed_at, self._accepted = now, None
            self.until = now + PROBE


class Day(Locked):
    """The tokens per day of one account in one Region. The records of all models (ledgers) share this object, because
    AWS has had one daily quota for all models of a Region since 2026-09-21.

    `limit` is in quota tokens, in which an output token counts as several tokens (burndown). AWS weights tokens by
    their price in an unpublished way, so the service can report an exhausted day before `limit` is reached. After this
    report, models stop until `exhausted_until`. `ends` is the end of the day. `exhausted_until` and `ends` are times of
    the same clock as the parameter `now` of the methods.

    AWS also sends this report for a model whose own quota is set to 0, as in new accounts. Other models can then still
    be called. If a call of the reported model has succeeded since the previous report, the model's own quota is not 0.
    So the shared day is exhausted, and all models stop. Otherwise only the reported model stops.
    """

    def __init__(self, limit: float = inf, ends: float = inf) -> None:
        self.limit = limit
        self.ends = ends
        self.used = 0.0
        self.reserved = 0.0
        self.exhausted_until = -inf
        super().__init__()

    def after_fork(self) -> None:
        """In a forked child process, count all reserved tokens as used tokens. The parent process reserved them, and
        the child process does not learn when the parent's calls end.
        """
        super().after_fork()
        self.used, self.reserved = self.used + self.reserved, 0.0

    def free(self, now: float) -> bool:
        """Return True if the day delays no call: no limit is set, and the service has not reported an exhausted day.
        Otherwise return False.
        """
        return self.limit == inf and now >= self.exhausted_until

    def reserve(self, tokens: float, now: float) -> float:
        """Reserve `tokens` for a call and return 0. If they do not fit into the daily quota, reserve nothing and return
        the seconds to wait before the next attempt.
        """
        if self.limit == inf:
            return 0.0
        with self._lock:
            wait = self._wait(tokens, now)
            if not wait:
                self.reserved += tokens
            return wait

    def settle(self, reserved: float, used: float) -> None:
        """Release the `reserved` tokens of an ended call, and count the tokens that the call `used` instead."""
        if self.limit < inf:
            with self._lock:
                self.reserved -= reserved
                self.used += used

    def idle(self, now: float) -> bool:
        """Return True if this object can be deleted, because a new `Day` would act in the same way; otherwise return
        False.
        """
        self.wait_for(0.0, now)
        return not self.used and not self.reserved and now >= self.exhausted_until

    def wait_for(self, tokens: float, now: float) -> float:
        """Return the shortest possible wait, in seconds, until `tokens` more fit into the daily quota. The result
        assumes that the calls in flight use none of the tokens that they have reserved.
        """
        with self._lock:
            self._renew(now)
            return 0.0 if self.used + tokens <= self.limit else self.ends - now

    def wait_now(self, tokens: float, now: float) -> float:
        """Return the seconds to wait before the next attempt to reserve `tokens` of the daily quota, or 0 if they can
        be reserved now. Tokens that calls in flight have reserved are not free.
        """
        with self._lock:
            return self._wait(tokens, now)

    def _wait(self, tokens: float, now: float) -> float:
        self._renew(now)
        if self.used + tokens > self.limit:
            return self.ends - now
        # Other ledgers can release reserved tokens at any time, and they do not wake the calls of this ledger.
        return LOOK_AGAIN if self.used + self.reserved + tokens > self.limit else 0.0

    def _renew(self, now: float) -> None:
        while now >= self.ends:
            self.ends += A_DAY
            self.used = 0.0


class Concurrency:
    """A limit for the number of calls in flight. If `ceiling` is not set, there is no limit until the service reports
    a lack of capacity.
    """

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
        """True if there is no limit for calls in flight and no recent capacity error."""
        return self.most == inf and not self._errors

    def on_capacity_error(self, admitted_at: float, now: float) -> None:
        """Record a capacity error. After several capacity errors, lower the limit for calls in flight. An error is
        ignored if its call was admitted before the limit was last lowered.
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
        """Raise the limit for calls in flight a little after a success."""
        self._errors = max(0.0, self._errors - CAPACITY_FORGIVEN)
        if self.most < self.ceiling:
            self.most = min(self.ceiling, self.most + 1.0 / self.most)
            if self.most >= CAPACITY_OVER * self._reduced_from:
                self.most = self.ceiling
