"""Who may call now: one quota with all its dimensions, and a queue that is served in order.

A reservation takes what a call may cost before it goes (input + max_tokens, as the service does); the settlement puts
back what it did not use. Nobody polls: the head of the queue knows when its turn comes by time alone, the others are
woken.
"""

from __future__ import annotations

import threading
from math import inf
from typing import TYPE_CHECKING

from aws_bedrock_inference.call import NORMAL
from aws_bedrock_inference.rules.quota.gates import PARKED, Concurrency, Day, Standstill
from aws_bedrock_inference.rules.quota.limit import MINUTE
from aws_bedrock_inference.rules.quota.queue import Queue
from aws_bedrock_inference.rules.quota.ticket import Consumers, Ticket
from aws_bedrock_inference.rules.quota.window import BURST, RECENT, TOLERANCE, Account

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# A refund that brings the head's turn nearer by less than this many seconds does not wake it to set its alarm anew.
ALARM_PRECISION = 0.001


class Ledger:
    """The account of one quota. A dimension that is None has no limit that is known: it is learnt from throttles.

    `firm` limits are never exceeded. `burst` is how many seconds' worth may go at once, `windowed` keeps each minute
    within the limit, too. `shares` are what priorities earn while higher ones are served. Every method takes `now`, a
    reading of one clock, and none waits.
    """

    def __init__(
        self,
        *,
        rpm: float | None,
        tpm: float | None,
        now: float,
        burst: float = BURST,
        firm: bool = True,
        windowed: bool = True,
        day: Day | None = None,
        concurrency: float = inf,
        shares: Mapping[float, float] | None = None,
    ) -> None:
        self.account = Account(rpm=rpm, tpm=tpm, now=now, burst=burst, firm=firm, windowed=windowed)
        self.concurrency = Concurrency(concurrency)
        self.standstill = Standstill()
        self.queue = Queue(shares)
        self.day = day
        self.consumers = Consumers()
        self._lock = threading.Lock()
        self._alarm: Ticket | None = None
        self._alarm_at = inf
        self._watched = False
        self._spent_until = -inf
        self._plain = False
        self._look(now)

    def reserve(self, tokens: float, order: float, now: float, priority: float = NORMAL) -> Ticket:
        """Return a ticket, admitted if it is its turn and it fits; else it stands in the queue and `claim` says what
        to wait for.
        """
        ticket = Ticket(tokens, priority, now)
        account = self.account
        of_tokens, of_requests, concurrency = account.tokens, account.requests, self.concurrency
        with self._lock:
            # Nothing in here calls anything: Python does not change threads before the lock is free again.
            slot = account.slot
            if (
                self._plain
                and now < slot.end
                and priority == NORMAL
                and tokens <= of_tokens.free
                and of_requests.free >= 1.0
            ):
                of_tokens.free -= tokens
                of_requests.free -= 1.0
                account.outstanding += tokens
                concurrency.flying += 1
                ticket.slot = slot
                return ticket
        return self._stand(ticket, order, now)

    def claim(self, ticket: Ticket, now: float) -> float:
        """Return when to look again: at once means admitted (`now`), a time for the head of the queue, `inf` for all
        behind it.
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
        _wake(woken, but=ticket)
        return due

    def settle(self, ticket: Ticket, used: float, now: float) -> None:
        """Replace the reservation by what the call really used, in tokens after burndown."""
        account, concurrency = self.account, self.concurrency
        of_tokens = account.tokens
        with self._lock:
            # As in `reserve`.
            slot = ticket.slot
            if self._plain and slot is not None and slot.alive:
                back = ticket.tokens - used
                of_tokens.free += back
                account.outstanding -= ticket.tokens
                concurrency.flying -= 1
                if slot is not account.slot:
                    slot.tokens -= back
                    of_tokens.returned += back
                ticket.slot = None
                ticket.left = True
                return
        self._settle(ticket, used, now)

    def abandon(self, ticket: Ticket, now: float) -> None:
        """Charge the whole reservation of a call whose fate is unknown: the service may still be at work on it. That it
        was not refused says nothing, either.
        """
        with self._lock:
            self._close(ticket, ticket.tokens, 0.0)
            woken = self._serve(now)
        _wake(woken)

    def cancel(self, ticket: Ticket, now: float, *, sent: bool) -> None:
        """Leave the queue, or give the tokens back; the request too, unless it was `sent`."""
        with self._lock:
            self._close(ticket, 0.0, 0.0 if sent else 1.0)
            woken = self._serve(now)
        _wake(woken)

    def short(self, ticket: Ticket, now: float) -> None:
        """Give back a call that failed for lack of capacity, and send fewer at once. The quota is not to blame."""
        with self._lock:
            self.concurrency.short(ticket.admitted_at, now)
            self._close(ticket, 0.0, 0.0)
            woken = self._serve(now)
        _wake(woken)

    def throttled(self, ticket: Ticket, limit: str | None, now: float) -> str:
        """Give back a call that the service refused, and believe less of the dimension `limit`; return which one.

        Where the service names none, it is the one that is nearest to its limit. Throttles in a row, each of a call
        admitted after the last, make the whole ledger stand still for longer and longer, so that a belief far above
        the truth costs few requests. A day that is spent is left alone until it ends.
        """
        with self._lock:
            self._close(ticket, 0.0, 0.0)
            self.account.refresh(now)
            fresh = self.standstill.struck(ticket.admitted_at, now)
            if limit == "tokens-per-day":
                ends = self.day.ends if self.day is not None else inf
                self._spent_until = min(ends, now + PARKED)
                self.standstill.park(self._spent_until)
            else:
                limit = limit or self._nearest()
                self._cut(limit, ticket.tokens, now, fresh=fresh)
            woken = self._serve(now)
        _wake(woken)
        return limit

    def earliest(self, tokens: float, now: float, priority: float = NORMAL) -> float:
        """Return the soonest a call that stands in the queue can be admitted, if everything under way came back
        unused.
        """
        with self._lock:
            self.account.refresh(now)
            ahead = max(0, self.queue.ahead(priority) - 1)
            held = max(0.0, self.standstill.until - now)
            if self.day is not None:
                held = max(held, self.day.wait_for(tokens, now))
            return now + max(held, self.account.earliest(tokens, ahead))

    def day_spent(self, now: float) -> bool:
        """Whether the day's tokens are what holds calls back."""
        with self._lock:
            return now < self._spent_until or (self.day is not None and self.day.wait_for(1.0, now) > 0.0)

    def available(self, now: float) -> float:
        """Return how many tokens are there now; `inf` when they are not limited."""
        with self._lock:
            self.account.refresh(now)
            return inf if self.account.tokens.believed == inf else self.account.tokens.free

    def spent(self, now: float) -> dict[float, int]:
        """Return how many tokens each priority has used in the last minute, about."""
        with self._lock:
            if not self._watched:
                return {NORMAL: int(self.account.tokens.used)}
            return self.consumers.minute(now)

    def watch(self) -> None:
        """Keep count of what each priority takes, also while there is only one."""
        with self._lock:
            self._watched = True
            self._plain = False

    def lease(self, share: float, limits: Mapping[str, float], now: float) -> None:
        """Have `share` of the quota, of which others have the rest, and believe `limits`."""
        with self._lock:
            self.account.refresh(now)
            for name, limit in self.account.dimensions:
                limit.lease(share, limits.get(name))
            woken = self._serve(now)
        _wake(woken)

    def _stand(self, ticket: Ticket, order: float, now: float) -> Ticket:
        with self._lock:
            if ticket.priority != NORMAL:
                self._watched, self._plain = True, False
            if self.queue or self._wait_for(ticket.tokens, now) > 0.0:
                self._plain = False
                self.queue.push(ticket, order)
            else:
                self._admit(ticket, now)
        return ticket

    def _settle(self, ticket: Ticket, used: float, now: float) -> None:
        with self._lock:
            self.standstill.passed(ticket.admitted_at)
            self.concurrency.passed()
            self._close(ticket, used, 0.0)
            if self._watched:
                self.consumers.add(ticket.priority, used, now)
            woken = self._serve(now)
        _wake(woken)

    def _wait_for(self, tokens: float, now: float) -> float:
        wait = self.account.wait_for(tokens, now)
        if now < self.standstill.until - TOLERANCE:
            wait = max(wait, self.standstill.until - now)
        if self.day is not None:
            wait = max(wait, self.day.wait_for(tokens + self.account.outstanding, now))
        if self.concurrency.flying >= self.concurrency.most:
            wait = inf
        return wait

    def _admit(self, ticket: Ticket, now: float) -> None:
        self.standstill.going(now)
        self.concurrency.flying += 1
        ticket.admitted_at = now
        ticket.slot = self.account.take(ticket.tokens)

    def _close(self, ticket: Ticket, used: float, requests: float) -> None:
        slot = ticket.slot
        if slot is None and not ticket.left:
            self.queue.leave(ticket)
        ticket.left = True
        if slot is not None:
            ticket.slot = None
            self.account.give(slot, ticket.tokens, ticket.tokens - used, requests)
            self.concurrency.flying -= 1
            if self.day is not None:
                self.day.used += used

    def _nearest(self) -> str:
        fills = {
            name: limit.used / (limit.believed * limit.share) for name, limit in self.account.dimensions if limit.known
        }
        return max(fills, key=lambda name: fills[name], default="tokens")

    def _cut(self, name: str, tokens: float, now: float, *, fresh: bool) -> None:
        limit = self.account.tokens if name == "tokens" else self.account.requests
        if fresh:
            recently, lately = (self.account.lately(name, now, seconds) / limit.share for seconds in (RECENT, MINUTE))
            limit.cut(self.standstill.strikes, recently, lately, tokens if name == "tokens" else 1.0)
        limit.drain()

    def _serve(self, now: float) -> list[Ticket]:
        """Admit from the head while it fits; return who must be woken: the admitted, and a head whose alarm is not
        set or too late.
        """
        woken: list[Ticket] = []
        while (head := self.queue.head()) is not None:
            wait = self._wait_for(head.tokens, now)
            if wait > 0.0:
                if head is not self._alarm or now + wait < self._alarm_at - ALARM_PRECISION:
                    woken.append(head)
                break
            self.queue.pop(head)
            self._admit(head, now)
            woken.append(head)
        self._look(now)
        return woken

    def _look(self, now: float) -> None:
        """Find out whether requests and tokens per minute are all there is to ask."""
        self._plain = (
            not self.queue
            and self.standstill.over(now)
            and self.concurrency.calm
            and self.day is None
            and not self._watched
        )


def _wake(tickets: Sequence[Ticket], but: Ticket | None = None) -> None:
    for ticket in tickets:
        if ticket is not but:
            ticket.wake()
