"""Admit calls to one quota in all its dimensions, through a queue that is served in order.

A call reserves the largest number of tokens that it can use (input + max_tokens), as the service does. When the call
ends, the unused tokens are refunded. Waiting calls do not poll. The first call in the queue sets a timer, and the
ledger wakes the others.
"""

from __future__ import annotations

import threading
from math import inf
from typing import TYPE_CHECKING

from aws_bedrock_inference.call import NORMAL
from aws_bedrock_inference.forks import renew_after_fork
from aws_bedrock_inference.rules.quota.gates import Concurrency, Day, Pause
from aws_bedrock_inference.rules.quota.learning import EvidenceEstimator
from aws_bedrock_inference.rules.quota.pace import pace
from aws_bedrock_inference.rules.quota.queue import Queue
from aws_bedrock_inference.rules.quota.snapshot import needed, taken
from aws_bedrock_inference.rules.quota.ticket import Consumers, Ticket, wake
from aws_bedrock_inference.rules.quota.window import BURST, TOLERANCE, Window

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from aws_bedrock_inference.rules.quota.gone import Uses
    from aws_bedrock_inference.rules.quota.observed import EstimatorFactory
    from aws_bedrock_inference.rules.quota.snapshot import Needs, Snapshot

# A refund wakes the first call in the queue only if this call can now start earlier by at least this many seconds.
ALARM_PRECISION = 0.001


class Ledger:
    """Admits the calls of one quota, and records the tokens that they reserve and use.

    * `rpm`, `tpm`: the limits of requests and tokens per minute. A limit that is None is learned from throttles.
    * `listed`: the dimensions ("requests", "tokens") whose limits are values from Service Quotas. The estimate of
      such a limit can become higher than this value. A configured limit is never estimated higher than configured.
    * `burst`: the amount of quota that can be used within a moment. For example, 5 means the quota of 5 seconds.
    * `windowed`: True if the use of each minute must stay within the limit, in addition to the token bucket.
    * `day`: the daily quota, which several ledgers can share.
    * `shares`: for each priority, the guaranteed fraction of the quota.

    All times are times of one clock.
    """

    def __init__(
        self,
        *,
        rpm: float | None,
        tpm: float | None,
        now: float,
        burst: float = BURST,
        listed: Collection[str] = (),
        windowed: bool = True,
        day: Day | None = None,
        concurrency: float = inf,
        shares: Mapping[float, float] | None = None,
        estimator: EstimatorFactory = EvidenceEstimator,
    ) -> None:
        self.window = Window(
            rpm=rpm, tpm=tpm, now=now, burst=burst, listed=listed, windowed=windowed, estimator=estimator
        )
        self.concurrency = Concurrency(concurrency)
        self.pause = Pause(told=bool(rpm or tpm))
        self.queue = Queue(shares)
        self.day = day if day is not None else Day()
        self.consumers = Consumers()
        self._lock = threading.Lock()
        self._alarm: Ticket | None = None  # the first call in the queue, if it has set a timer, to `_alarm_at`
        self._alarm_at, self._watched, self._plain = inf, False, False
        self._find_plain(now)
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Adapt the ledger to a forked child. The child continues with the use and the estimates of its parent, but
        forgets the parent's calls.
        """
        self._lock = threading.Lock()
        self.window.inherit()
        self.concurrency.in_flight = 0
        self.queue.clear()
        self._alarm, self._alarm_at = None, inf

    def reserve(self, tokens: float, order: float, now: float, priority: float = NORMAL, tenant: str = "") -> Ticket:
        """Create a ticket for a call that needs `tokens`, and pass the ticket to `enter`. The ticket is the call's
        place in the queue.
        """
        return self.enter(Ticket(tokens, priority, now, tenant), order, now)

    def enter(self, ticket: Ticket, order: float, now: float) -> Ticket:
        """Admit the call of `ticket` if it is next and its tokens fit. Otherwise add it to the queue."""
        tokens, window, concurrency = ticket.tokens, self.window, self.concurrency
        tpm, rpm = window.tokens, window.requests
        with self._lock:
            # This block calls no function, so Python does not switch threads while the lock is held.
            slot = window.slot
            if self._plain and now < slot.end and ticket.priority == NORMAL and tokens <= tpm.free and rpm.free >= 1.0:
                tpm.free -= tokens
                rpm.free -= 1.0
                window.outstanding += tokens
                slot.reserved += tokens
                slot.in_flight += 1
                concurrency.in_flight += 1
                ticket.slot = slot
                return ticket
        return self._enqueue(ticket, order, now)

    def claim(self, ticket: Ticket, now: float) -> float:
        """Admit the calls that fit. The result states what the caller of this method must do for `ticket`.

        * `now`: nothing, because the call is admitted.
        * A later time: call this method again at this time. The call is the first in the queue, and may then fit.
        * `inf`: wait until the ledger wakes the ticket, and then call this method again.
        """
        with self._lock:
            ticket.rest()
            woken = self._serve(now)
            if ticket.admitted:
                due = now
            elif self.queue.head() is ticket:
                due = self._alarm_at = now + self._wait_for(ticket.tokens, now)
                self._alarm = ticket
            else:
                due = inf
        self._wake(woken, now, but=ticket)
        return due

    def settle(self, ticket: Ticket, used: float, now: float, output: float = 0.0) -> None:
        """Record that a call succeeded. Replace its reserved tokens by `used`, the quota tokens that it used. `output`
        is the number of output tokens that it generated.
        """
        window, concurrency, slot = self.window, self.concurrency, ticket.slot
        with self._lock:
            window.burndown.charged += used
            window.burndown.output += output
            if self._plain and slot is not None and slot.alive:
                back = ticket.tokens - used
                window.tokens.free += back
                window.outstanding -= ticket.tokens
                slot.reserved -= ticket.tokens
                slot.in_flight -= 1
                seconds = now - slot.end
                if seconds > 0.0:  # as `Refunds.ended` does
                    refunds = window.refunds
                    refunds.calls += seconds
                    refunds.reserved += seconds * ticket.tokens
                    refunds.unused += seconds * back
                concurrency.in_flight -= 1
                if slot is not window.slot:
                    slot.tokens -= back
                    window.tokens.returned += back
                ticket.slot = None
                ticket.left = self.pause.answered = True
                return
        self._end(ticket, used, 0.0, now, answered=True)

    def abandon(self, ticket: Ticket, now: float) -> None:
        """Charge the whole reservation of a call whose result is unknown. The call does not count as a success."""
        self._end(ticket, ticket.tokens, 0.0, now)

    def cancel(self, ticket: Ticket, now: float, *, sent: bool) -> None:
        """Remove a waiting call, or refund an admitted call. The tokens are always refunded. The request is refunded
        unless it was `sent`.
        """
        self._end(ticket, 0.0, 0.0 if sent else 1.0, now)

    def on_capacity_error(self, ticket: Ticket, now: float, stated: float = 0.0) -> None:
        """Refund the tokens of a call that failed because the service had no capacity. After several such errors, fewer
        calls can be in flight together, but the limits per minute do not change. `stated` is the wait that the service
        requests.
        """
        with self._lock:
            self.pause.obey(stated, now)
            self.concurrency.on_capacity_error(ticket.admitted_at, now)
            self.pause.on_failure(ticket.admitted_at, overloaded=True)
        self._end(ticket, 0.0, 0.0, now)

    def throttled(self, ticket: Ticket, limit: str | None, now: float, stated: float = 0.0) -> str:
        """Refund the tokens of a throttled call, but not its request. Use the throttle as evidence about a limit.
        Return the dimension that was throttled.

        `limit` is the dimension that the service named. If it is None, the dimension whose use is nearest to its limit
        is assumed. `stated` is the wait that the service requests. All calls wait for this time. After several
        throttles in a row, all calls pause longer and longer. If the daily quota is exhausted, all calls pause for
        15 minutes, or until the end of the quota's day if this is earlier.
        """
        with self._lock:
            self._close(ticket, 0.0, 0.0, now)
            self.window.refresh(now)
            fresh = self.pause.record_throttle(ticket.admitted_at, now, stated, self.window.admitted)
            if limit == "tokens-per-day":
                self.pause.exhaust(now, self.day)
            else:
                limit = limit or self.window.nearest()
                in_a_row = self.pause.in_a_row if fresh else 0
                age, pause = now - ticket.admitted_at, self.pause
                self.window.throttled(
                    *(limit, ticket.tokens, now, in_a_row, age),
                    refused_probes=pause.refused_probes,
                    probe_accepted=pause.probe_accepted,
                )
            woken = self._serve(now)
        self._wake(woken, now)
        return limit

    def ahead(self, priority: float = inf, tenant: str = "") -> int:
        """Return the position in the queue of the last waiting call of `tenant` at `priority`. The call that is served
        next has the position 1. If no such call waits, return the number of calls that would be served before a new
        one. By default, return the number of all waiting calls.
        """
        return self.queue.ahead(priority, tenant)

    def earliest(self, tokens: float, now: float, ahead: int = 0) -> float:
        """Return the earliest time at which a call of `tokens` can start that has `ahead` calls before it in the queue.
        The call can also start later, because the result assumes that the calls in flight refund all tokens that they
        have reserved.
        """
        with self._lock:
            self.window.refresh(now)
            day = self.day.wait_for(tokens, now)
            return now + max(day, self.pause.until - now, self.window.earliest(tokens, ahead))

    def day_exhausted(self, now: float) -> bool:
        """Return True if calls wait because the daily quota is exhausted; otherwise return False."""
        with self._lock:
            return now < self.pause.exhausted_until or self.day.wait_for(1.0, now) > 0.0

    def available(self, now: float) -> float:
        """Return the number of tokens that can be used now, or `inf` if tokens are not limited."""
        with self._lock:
            self.window.refresh(now)
            return inf if self.window.tokens.estimate == inf else self.window.tokens.free

    def snapshot(self, now: float) -> Snapshot:
        """Return the present use of the quota."""
        with self._lock:
            self.window.refresh(now)
            consumers = self.consumers.minute(now) if self._watched else {NORMAL: int(self.window.tokens.used)}
            in_flight, stalled = self.concurrency.in_flight, self.pause.stalled_too_long(now)
            head = self.queue.head()
            tokens = None if head is None else head.tokens
            reason = pace(tokens, now, window=self.window, pause=self.pause, day=self.day, concurrency=self.concurrency)
            return taken(self.window, in_flight, self.queue.waiting(), consumers, pace=reason, stalled=stalled)

    def needs(self, now: float) -> Needs:
        """Return the part of a shared quota that the calls of this process need."""
        with self._lock:
            self.window.refresh(now)
            uses = self.window.uses(now)
            consumers = self.consumers.by_tenant(now) if self._watched else {(NORMAL, ""): self.window.tokens.used}
        return needed(self.window, self.concurrency.in_flight, self.queue.by_tenant(), consumers, uses)

    def watch(self) -> None:
        """From now on, count the use by priority and tenant, which the store of a shared quota needs."""
        with self._lock:
            self._watched, self._plain = True, False

    def lease(self, share: float, told: Mapping[str, float], now: float, until: float = inf, gone: Uses = None) -> None:
        """Use the fraction `share` of a shared quota until the time `until`. `told` contains the limits that other
        members estimate.

        `gone` is the use by members that left or stopped renewing. The members share this use: this process counts the
        fraction `share` of it as its own use.
        """
        with self._lock:
            self.window.lease(share, told, now, until, gone)
            woken = self._serve(now)
        self._wake(woken, now)

    def forget(self) -> None:
        """Delete the recorded use of the last minute, unless calls are in flight. Call this method when this process
        has left a shared quota. The store then passes the use to all members, and this process would count it twice if
        it joined again.
        """
        with self._lock:
            self.window.forget()

    def _enqueue(self, ticket: Ticket, order: float, now: float) -> Ticket:
        with self._lock:
            if ticket.priority != NORMAL:
                self._watched, self._plain = True, False
            if self.queue or self._wait_for(ticket.tokens, now) > 0.0 or self.day.reserve(ticket.tokens, now) > 0.0:
                self._plain = False
                self.queue.push(ticket, order)
            else:
                self._admit(ticket, now)
        return ticket

    def _end(self, ticket: Ticket, used: float, requests: float, now: float, *, answered: bool = False) -> None:
        with self._lock:
            if answered:
                self.pause.on_success(ticket.admitted_at)
                self.concurrency.on_success()
            else:
                self.pause.on_failure(ticket.admitted_at, overloaded=False)
            self._close(ticket, used, requests, now)
            woken = self._serve(now)
        self._wake(woken, now)

    def _wake(self, woken: list[Ticket], now: float, but: Ticket | None = None) -> None:
        while gone := wake(woken, but):
            with self._lock:
                for ticket in gone:
                    self._close(ticket, 0.0, 1.0, now)
                woken = self._serve(now)

    def _wait_for(self, tokens: float, now: float) -> float:
        wait = self.window.wait_for(tokens, now)
        self.pause.follow(self.day, now)
        if now < self.pause.until - TOLERANCE:
            wait = max(wait, self.pause.until - now)
        if self.day.limit < inf:
            wait = max(wait, self.day.wait_now(tokens, now))
        return wait if self.concurrency.in_flight < self.concurrency.most else inf

    def _admit(self, ticket: Ticket, now: float) -> None:
        self.pause.on_admit(now)
        self.concurrency.in_flight += 1
        ticket.admitted_at = now
        ticket.slot = self.window.take(ticket.tokens)

    def _close(self, ticket: Ticket, used: float, requests: float, now: float) -> None:
        slot = ticket.slot
        if slot is None and not ticket.left:
            self.queue.leave(ticket)
        ticket.left, ticket.slot = True, None
        if slot is not None and slot.forks == self.window.forks:  # otherwise, the parent process settles it
            self.window.give(slot, ticket.tokens, ticket.tokens - used, requests)
            self.concurrency.in_flight -= 1
            self.day.settle(ticket.tokens, used)
            self.queue.settled(ticket, used)
            if used:
                self.window.refunds.ended(now - slot.end, ticket.tokens, ticket.tokens - used)
            if self._watched and used:
                self.consumers.add(ticket.priority, used, now, ticket.tenant)

    def _serve(self, now: float) -> list[Ticket]:
        """Admit waiting calls as long as they fit. Return the tickets to wake: those of the admitted calls, and the
        first ticket in the queue if its call must set a new timer. A new timer is needed if the ticket has become the
        first, or if its call can start earlier than its timer ends.
        """
        woken: list[Ticket] = []
        while (head := self.queue.head()) is not None:
            wait = self._wait_for(head.tokens, now) or self.day.reserve(head.tokens, now)
            if wait > 0.0:
                if head is not self._alarm or now + wait < self._alarm_at - ALARM_PRECISION:
                    woken.append(head)
                break
            self.queue.pop(head)
            self._admit(head, now)
            woken.append(head)
        self._find_plain(now)
        return woken

    def _find_plain(self, now: float) -> None:
        minutes_only = self.day.free(now) and self.pause.over(now) and self.concurrency.calm
        self._plain = not self.queue and minutes_only and not self._watched
