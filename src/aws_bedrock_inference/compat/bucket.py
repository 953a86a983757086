"""The token bucket of AWS's troubleshooting page, without its race condition: a call that waits gets its tokens before
any later call.
"""

from __future__ import annotations

import threading
from math import inf
from typing import TYPE_CHECKING

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.bounds import is_number, shown
from aws_bedrock_inference.forks import renew_after_fork

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_bedrock_inference.clock import Clock


class TokenBucket:
    """A token bucket: it holds at most `capacity` tokens and gains `refill_rate` tokens per second. Threads can share
    it.

    If a call must wait, it takes its tokens before the wait. Example: the bucket is empty and gains 1 token per
    second. A call for 5 tokens takes them and waits 5 seconds; the bucket now lacks 5 tokens. A second call for 1 token
    therefore waits 6 seconds. A program can set `capacity`, `refill_rate` and `tokens` at any time. A wait that has
    already started does not change.

    This class also contains `lock` and `_refill`, because the class `TokenBucket` in AWS's documentation contains them.
    Subclasses that use `lock` or `_refill` therefore also work with this class as their base class.

    Tests can replace the monotonic clock (`clock`), the clock for the time of day (`wall`), and the function that waits
    (`sleep`).
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
                f"TokenBucket(capacity={shown(capacity)}, refill_rate={shown(refill_rate)}): pass two numbers above 0"
            )
        self.capacity = float(capacity)
        self.refill_rate = float(refill_rate)
        self.lock = threading.RLock()
        self._clock = clock
        self._sleep = sleep
        self._wall = wall
        self._level = self.capacity  # below 0 while calls wait for tokens that they have already taken
        self._filled = clock()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """In a forked child, set a negative number of tokens to 0. A negative number means that calls wait, and these
        calls wait only in the parent.
        """
        self.lock = threading.RLock()
        self._level = max(0.0, self._level)

    @property
    def tokens(self) -> float:
        """The number of available tokens."""
        with self.lock:
            self._refill()
            return max(0.0, self._level)

    @tokens.setter
    def tokens(self, number: float) -> None:
        if not is_number(number):
            raise ValueError(f"TokenBucket.tokens = {shown(number)}: set a number of tokens")
        with self.lock:
            self._level += number - self.tokens

    @property
    def last_refill_time(self) -> float:
        """The current time of day. The bucket refills at each access, so its last refill is always now."""
        return self._wall()

    def consume(self, tokens: float = 1.0, block: bool = True, timeout: float | None = None) -> bool:  # noqa: FBT001, FBT002 - the documented signature
        """Take `tokens` tokens from the bucket. Return True if the tokens were taken, and False if not.

        If `block` is False and tokens are missing, return False immediately.

        If `block` is True, callers wait in order of arrival, for at most `timeout` seconds. If the wait would take
        longer, or if `tokens` is more than the capacity, return False immediately.
        """
        if not is_number(tokens, least=0, infinite=True):
            raise ValueError(f"consume({shown(tokens)}): pass a number of tokens, 0 or more")
        if timeout is not None and not is_number(timeout, infinite=True):
            raise ValueError(f"consume(timeout={shown(timeout)}): pass a number of seconds, or None to wait as needed")
        with self.lock:
            self._refill()
            wait = self._wait_for(tokens)
            if wait and (not block or wait == inf or (timeout is not None and wait > timeout)):
                return False
            self._level -= tokens
        if wait:
            try:
                self._sleep(wait)
            except BaseException:
                with self.lock:
                    self._level += tokens
                raise
        return True

    def _refill(self) -> None:
        """Add the tokens for the time since the last refill. If the clock was set back, add none."""
        now = self._clock()
        if now > self._filled:
            self._level = min(self.capacity, self._level + (now - self._filled) * self.refill_rate)
            self._filled = now

    def _wait_for(self, tokens: float) -> float:
        missing = tokens - self._level
        if missing <= 0.0:
            return 0.0
        return missing / self.refill_rate if tokens <= self.capacity and self.refill_rate > 0.0 else inf
