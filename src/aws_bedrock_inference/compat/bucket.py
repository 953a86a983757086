"""The page's token bucket, on the ledger of the quota: threads that wait for tokens are served in order of arrival."""

from __future__ import annotations

import threading
from math import inf
from typing import TYPE_CHECKING

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.bounds import is_number, shown
from aws_bedrock_inference.rules.quota.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.rules.quota.ticket import Ticket


class TokenBucket:
    """A token bucket: it holds at most `capacity` tokens and gains `refill_rate` tokens per second.

    Any number of threads may share it. `clock` and `sleep` replace time, `wall` the time of day. `lock` guards nothing
    here; it is there for subclasses that were written for the page's class.
    """

    def __init__(
        self,
        capacity: float,
        refill_rate: float,
        *,
        clock: Clock = clocks.monotonic,
        sleep: Callable[[float], None] = clocks.sleep,
        wall: Clock = clocks.wall,
    ) -> None:
        if not is_number(capacity, above=0) or not is_number(refill_rate, above=0):
            raise ValueError(
                f"TokenBucket(capacity={shown(capacity)}, refill_rate={shown(refill_rate)}): give two numbers above 0"
            )
        self.capacity = float(capacity)
        self.refill_rate = float(refill_rate)
        self._clock = clock
        self._sleep = sleep
        self._wall = wall
        self.lock = threading.RLock()
        self._ledger = Ledger(rpm=None, tpm=refill_rate * 60, burst=capacity / refill_rate, windowed=False, now=clock())

    @property
    def tokens(self) -> float:
        """The number of available tokens."""
        return self._ledger.available(self._clock())

    @property
    def last_refill_time(self) -> float:
        """The time of day up to which `tokens` counts: now, because the bucket is filled whenever it is looked at."""
        return self._wall()

    def consume(self, tokens: float = 1.0, block: bool = True, timeout: float | None = None) -> bool:  # noqa: FBT001, FBT002 - the documented signature
        """Take `tokens`, and return whether they were taken.

        With `block`, callers wait in order of arrival, for at most `timeout` seconds; a wait that would take longer
        returns False immediately. So does a request for more tokens than the capacity.
        """
        if not is_number(tokens, least=0, infinite=True):
            raise ValueError(f"consume({shown(tokens)}): give a number of tokens, 0 or more")
        if timeout is not None and not is_number(timeout, infinite=True):
            raise ValueError(f"consume(timeout={shown(timeout)}): give a number of seconds, or None to wait as needed")
        if tokens > self.capacity:
            return False
        now = self._clock()
        latest = now + (inf if timeout is None else timeout) if block else now
        if self._ledger.earliest(tokens, now) > latest:
            return False
        ticket = self._ledger.reserve(tokens, now, now)
        try:
            return self._turn_came(ticket, latest)
        finally:
            if ticket.admitted:
                self._ledger.settle(ticket, tokens, self._clock())
            else:
                self._ledger.cancel(ticket, self._clock(), sent=False)

    def _turn_came(self, ticket: Ticket, latest: float) -> bool:
        while True:
            now = self._clock()
            due = self._ledger.claim(ticket, now)
            if ticket.admitted:
                return True
            if now >= latest:
                return False
            if due < inf:  # first in the queue: only time is missing
                self._sleep(min(due, latest) - now)
            else:
                woken = threading.Event()
                if ticket.attach(woken.set):
                    woken.wait(None if latest == inf else latest - now)
