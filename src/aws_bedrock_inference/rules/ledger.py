"""Who may call now: requests and tokens per minute of one quota, with a queue that is served in order.

A reservation takes what a call may cost before it goes (input + max_tokens, as the service does); the settlement puts
back what it did not use. Callers that do not fit stand in a queue ordered by when their call arrived, so that a
repeat keeps its place. Nobody polls: the head of the queue knows when its turn comes by time alone, the others are
woken.
"""

from __future__ import annotations

import heapq
import threading
from itertools import count
from math import inf
from typing import TYPE_CHECKING

from aws_bedrock_inference.rules.bucket import TOLERANCE, Bucket

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# After a second throttle in a row the ledger stands still: 1 s, doubling up to 20 s, as the SDK backs off from
# throttling.
PAUSE_FIRST = 1.0
PAUSE_LONGEST = 20.0

# A refund that brings the head's turn nearer by less than this many seconds does not wake it to set its alarm anew.
ALARM_PRECISION = 0.001


class Ticket:
    """One call's place in the queue, then its reservation. Waited on by a driver through `attach`.

    `admitted` says whether the call may go.
    """

    __slots__ = ("_closed", "_wake", "_woken", "admitted", "admitted_at", "tokens")

    def __init__(self, tokens: float) -> None:
        self.tokens = tokens
        self.admitted = False
        self.admitted_at = -inf
        self._closed = False
        self._woken = False
        self._wake: Callable[[], object] | None = None

    def attach(self, wake: Callable[[], object]) -> bool:
        """Register who is to be woken; False when that is due already."""
        self._wake = wake
        return not self._woken

    def wake(self) -> None:
        """End the wait on this ticket. Set before called: whoever attaches meanwhile sees one of the two."""
        self._woken = True
        if self._wake is not None:
            self._wake()


class Ledger:
    """The account of one quota. Dimensions that are None are not limited.

    `burst` is how many seconds' worth may go at once. Every method takes `now`, a reading of one clock, and none waits.
    """

    def __init__(self, *, rpm: float | None, tpm: float | None, burst: float, now: float) -> None:
        self.rpm = rpm
        self.tpm = tpm
        self._requests = Bucket(rpm, max(1.0, rpm * burst / 60), now) if rpm else None
        self._tokens = Bucket(tpm, tpm * burst / 60, now) if tpm else None
        self._lock = threading.Lock()
        self._queue: list[tuple[float, int, Ticket]] = []
        self._turn = count()
        self._outstanding = 0.0
        self._alarm: Ticket | None = None
        self._alarm_at = inf
        self._paused_until = -inf
        self._struck_at = -inf
        self._strikes = 0

    def reserve(self, tokens: float, order: float, now: float) -> Ticket:
        """Return a ticket, admitted if it is its turn and it fits; else it stands in the queue and `claim` says what
        to wait for.
        """
        ticket = Ticket(tokens)
        with self._lock:
            if self._queue or self._wait_for(tokens, now) > 0.0:
                heapq.heappush(self._queue, (order, next(self._turn), ticket))
            else:
                self._admit(ticket, now)
        return ticket

    def claim(self, ticket: Ticket, now: float) -> float:
        """Return when to look again: at once means admitted (`now`), a time for the head of the queue, `inf` for all
        behind it.
        """
        with self._lock:
            ticket._woken = False  # noqa: SLF001 - a ticket belongs to its ledger
            woken = self._serve(now)
            if ticket.admitted:
                due = now
            elif self._queue[0][2] is ticket:
                due = self._alarm_at = now + self._wait_for(ticket.tokens, now)
                self._alarm = ticket
            else:
                due = inf
        _wake(woken, but=ticket)
        return due

    def settle(self, ticket: Ticket, used: float, now: float) -> None:
        """Replace the reservation by what the call really used, in tokens after burndown."""
        with self._lock:
            if ticket.admitted_at > self._struck_at:
                self._strikes = 0
            self._close(ticket, ticket.tokens - used, 0.0, now)
            woken = self._serve(now) if self._queue else None
        if woken:
            _wake(woken)

    def cancel(self, ticket: Ticket, now: float, *, sent: bool) -> None:
        """Leave the queue, or give the tokens back; the request too, unless it was `sent`."""
        with self._lock:
            self._close(ticket, ticket.tokens, 0.0 if sent else 1.0, now)
            woken = self._serve(now)
        _wake(woken)

    def throttled(self, ticket: Ticket, limit: str | None, now: float) -> None:
        """Give back a call that the service refused, and believe that dimension `limit` (or any) is empty.

        Throttles in a row, each of a call admitted after the last, make the whole ledger stand still for longer and
        longer, so that a belief far above the truth costs few requests.
        """
        with self._lock:
            if ticket.admitted_at > self._struck_at:
                self._strikes += 1
                self._struck_at = now
                if self._strikes > 1:
                    pause = min(PAUSE_LONGEST, PAUSE_FIRST * 2.0 ** min(self._strikes - 2, 32))
                    self._paused_until = now + pause
            self._close(ticket, ticket.tokens, 0.0, now)
            for bucket, name in ((self._requests, "requests"), (self._tokens, "tokens")):
                if bucket is not None and limit in (name, None):
                    bucket.drain()
            woken = self._serve(now)
        _wake(woken)

    def earliest(self, tokens: float, now: float) -> float:
        """Return the soonest a new call could be admitted, if everything outstanding came back unused and nobody
        stood before it.
        """
        with self._lock:
            wait = max(0.0, self._paused_until - now)
            if self._requests is not None:
                wait = max(wait, self._requests.wait_for(1.0, now))
            if self._tokens is not None:
                wait = max(wait, self._tokens.wait_for(tokens, now) - self._outstanding / self._tokens.rate)
            return now + wait

    def available(self, now: float) -> float:
        """Return how many tokens are there now; `inf` when they are not limited."""
        if self._tokens is None:
            return inf
        with self._lock:
            self._tokens.wait_for(0.0, now)
            return self._tokens.level

    @property
    def queued(self) -> int:
        """How many calls stand in the queue."""
        return len(self._queue)

    def _wait_for(self, tokens: float, now: float) -> float:
        wait = self._paused_until - now if now < self._paused_until - TOLERANCE else 0.0
        if self._requests is not None and (needed := self._requests.wait_for(1.0, now)) > wait:
            wait = needed
        if self._tokens is not None and (needed := self._tokens.wait_for(tokens, now)) > wait:
            wait = needed
        return wait

    def _admit(self, ticket: Ticket, now: float) -> None:
        if self._requests is not None:
            self._requests.take(1.0)
        if self._tokens is not None:
            self._tokens.take(ticket.tokens)
        self._outstanding += ticket.tokens
        ticket.admitted_at = now
        ticket.admitted = True

    def _close(self, ticket: Ticket, tokens: float, requests: float, now: float) -> None:
        if ticket.admitted:
            if requests and self._requests is not None:
                self._requests.give(requests, now)
            if tokens and self._tokens is not None:
                self._tokens.give(tokens, now)
            self._outstanding -= ticket.tokens
            ticket.admitted = False
        ticket._closed = True  # noqa: SLF001 - a ticket belongs to its ledger

    def _serve(self, now: float) -> list[Ticket]:
        """Admit from the head while it fits; return who must be woken: the admitted, and a head whose alarm is not
        set or too late.
        """
        woken = []
        while self._queue:
            head = self._queue[0][2]
            if not (head.admitted or head._closed):  # noqa: SLF001 - a ticket belongs to its ledger
                wait = self._wait_for(head.tokens, now)
                if wait > 0.0:
                    if head is not self._alarm or now + wait < self._alarm_at - ALARM_PRECISION:
                        woken.append(head)
                    break
                self._admit(head, now)
                woken.append(head)
            heapq.heappop(self._queue)
        return woken


def _wake(tickets: Sequence[Ticket], but: Ticket | None = None) -> None:
    for ticket in tickets:
        if ticket is not but:
            ticket.wake()
