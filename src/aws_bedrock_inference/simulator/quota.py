"""The quotas of the simulated account: requests and tokens per minute, and tokens per day.

AWS does not publish how it counts the use of a quota. The simulator therefore has four methods (*disciplines*), and a
client must work with each of them:

    bucket    a token bucket that holds the quota of one minute and refills steadily
    tight     a token bucket that holds the quota of five seconds; a full bucket also admits a request above this
              size, up to the quota of one minute
    fixed     windows of one minute, one after the other; the first window starts with the first request
    sliding   a window of the last sixty seconds

Tokens per day are always counted in windows of one day, one after the other.

A pool is a quota for one model. A request is admitted if it fits into all limits of its pool. An admitted request
reserves tokens. When the request ends, the simulator charges the actual use in place of the reservation. All times are
in seconds. Sources:
https://docs.aws.amazon.com/bedrock/latest/userguide/quotas-token-burndown.html and quotas-runtime.html.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

MINUTE = 60.0
DAY = 86_400.0
TIGHT_SECONDS = 5.0

REQUESTS, TOKENS, TOKENS_PER_DAY = "requests", "tokens", "tokens-per-day"


class Limit(Protocol):
    """One limit of a quota, such as the tokens per minute."""

    def fits(self, amount: float, now: float) -> bool:
        """Return whether `amount` (requests or tokens) fits into the limit now."""

    def take(self, amount: float, now: float) -> Any:
        """Reserve `amount` (requests or tokens). Return an identifier of the reservation."""

    def adjust(self, taking: Any, by: float, now: float) -> None:
        """Add the amount `by` to the earlier reservation `taking`. A negative amount is a refund."""

    def change(self, limit: float, now: float) -> None:
        """Set the limit to `limit` from now on. Earlier reservations remain valid."""


class Bucket:
    """A token bucket of requests or tokens. `limit` is the number per minute that flows into the bucket. A full bucket
    contains as much as flows in during `seconds`.
    """

    def __init__(self, limit: float, seconds: float, now: float) -> None:
        self._share = seconds / MINUTE
        self.limit = limit
        self.capacity = self._level = limit * self._share
        self._at = now

    def level(self, now: float) -> float:
        """Return the number of requests or tokens in the bucket now. The number is negative if more were taken out than
        were in the bucket.
        """
        self._level = min(self.capacity, self._level + (now - self._at) * self.limit / MINUTE)
        self._at = now
        return self._level

    def fits(self, amount: float, now: float) -> bool:
        """Return whether the bucket contains `amount` (requests or tokens). If the bucket is full, return True also for
        an amount above its capacity, up to the limit for one minute.
        """
        return amount <= self.limit and self.level(now) >= min(amount, self.capacity)

    def take(self, amount: float, now: float) -> None:
        """Take `amount` out of the bucket."""
        self._level = self.level(now) - amount

    def adjust(self, taking: None, by: float, now: float) -> None:  # noqa: ARG002 - a bucket stores no reservations
        """Take the amount `by` out of the bucket, in addition to an earlier reservation. A negative amount is a refund,
        which does not fill the bucket above its capacity.
        """
        self._level = min(self.capacity, self.level(now) - by)

    def change(self, limit: float, now: float) -> None:
        """Refill the bucket at the new `limit` from now on. Its content remains, up to the new capacity."""
        level = self.level(now)
        self.limit = limit
        self.capacity = limit * self._share
        self._level = min(self.capacity, level)


class Fixed:
    """Counts the use of a limit in windows of equal length, one after the other. Each window starts with a use of 0."""

    def __init__(self, limit: float, window: float, now: float) -> None:
        self.limit = limit
        self._window = window
        self._start = now
        self._index = 0
        self._used = 0.0

    def used(self, now: float) -> float:
        """Return the requests or tokens that were used in the current window."""
        index = int((now - self._start) // self._window)
        if index != self._index:
            self._index, self._used = index, 0.0
        return self._used

    def fits(self, amount: float, now: float) -> bool:
        """Return whether `amount` fits into the current window."""
        return self.used(now) + amount <= self.limit

    def take(self, amount: float, now: float) -> int:
        """Add `amount` to the current window."""
        self._used = self.used(now) + amount
        return self._index

    def adjust(self, taking: int, by: float, now: float) -> None:
        """Correct an earlier reservation by the amount `by`. A negative amount is a refund. `taking` is the number of
        the window in which the reservation was made.

        A positive amount is added to the current window, even if the reservation was made in an earlier window. A
        refund has an effect only if the reservation was made in the current window.
        """
        used = self.used(now)
        if by > 0 or taking == self._index:
            self._used = used + by

    def change(self, limit: float, now: float) -> None:  # noqa: ARG002 - windows keep their times and counts
        """Set the limit to `limit` for the current window and all later windows."""
        self.limit = limit


class Sliding:
    """Counts the use of a limit in the window that ends now, such as the last minute."""

    def __init__(self, limit: float, window: float) -> None:
        self.limit = limit
        self._window = window
        self._takings: deque[list[float]] = deque()
        self._used = 0.0

    def used(self, now: float) -> float:
        """Return the requests or tokens that were used in the window that ends now."""
        while self._takings and self._takings[0][0] <= now - self._window:
            self._used -= self._takings.popleft()[1]
        return self._used

    def fits(self, amount: float, now: float) -> bool:
        """Return whether `amount` fits into the window that ends now."""
        return self.used(now) + amount <= self.limit

    def take(self, amount: float, now: float) -> list[float]:
        """Reserve `amount` now. It counts as use until one window length from now."""
        taking = [now, amount]
        self._takings.append(taking)
        self._used = self.used(now) + amount
        return taking

    def adjust(self, taking: list[float], by: float, now: float) -> None:
        """Add the amount `by` to the earlier reservation `taking`. A negative amount is a refund.

        If the reservation is no longer in the window, a positive amount counts as use from now on, and a refund has no
        effect.
        """
        self.used(now)
        if taking[0] > now - self._window:
            taking[1] += by
            self._used += by
        elif by > 0:
            self.take(by, now)

    def change(self, limit: float, now: float) -> None:  # noqa: ARG002 - the window keeps its reservations
        """Set the limit to `limit` from now on. The reservations in the window remain and count against it."""
        self.limit = limit


@dataclass(frozen=True, slots=True)
class Quota:
    """The limits of one pool: requests per minute, tokens per minute and tokens per day. None means unlimited, and 0
    admits no request.
    """

    rpm: float | None = None
    tpm: float | None = None
    tpd: float | None = None

    def __post_init__(self) -> None:
        for name in ("rpm", "tpm", "tpd"):
            limit = getattr(self, name)
            if limit is not None and not 0 <= limit < inf:
                raise ValueError(f"{name} is {limit!r}; set a number of 0 or more, or omit it for no limit")

    def changed(self, by: Quota) -> Quota:
        """Return a copy of this quota with the limits that the quota `by` sets. All other limits are copied from this
        quota.
        """
        limits = zip((by.rpm, by.tpm, by.tpd), (self.rpm, self.tpm, self.tpd), strict=True)
        return Quota(*(old if new is None else new for new, old in limits))


DISCIPLINES: dict[str, Callable[[float, float], Limit]] = {
    "bucket": lambda limit, now: Bucket(limit, MINUTE, now),
    "tight": lambda limit, now: Bucket(limit, TIGHT_SECONDS, now),
    "fixed": lambda limit, now: Fixed(limit, MINUTE, now),
    "sliding": lambda limit, _: Sliding(limit, MINUTE),
}


@dataclass(slots=True)
class Ticket:
    """An admitted request, with the tokens that it has reserved."""

    reserved: float
    takings: list[tuple[Limit, Any]]

    def settle(self, used: float, now: float) -> None:
        """Charge `used` tokens in place of the reserved tokens. Later calls of this method have no effect."""
        for limit, taking in self.takings:
            limit.adjust(taking, used - self.reserved, now)
        self.takings = []


class Pool:
    """The limits of one model in one Region for one type of call, such as `on-demand`. The pool also counts how much of
    each limit is used now.
    """

    def __init__(self, quota: Quota, discipline: str, now: float) -> None:
        self._new = DISCIPLINES[discipline]
        self._requests: Limit | None = None
        self._tokens: Limit | None = None
        self._day: Limit | None = None
        self.change(quota, now)

    def change(self, quota: Quota, now: float) -> None:
        """Change the limits to those of `quota` from now on. A limit that `quota` does not set remains. If
        `quota` sets a limit that the pool did not have, such as tokens per day, the use of this limit starts at 0.
        """
        self._requests = _changed(self._requests, quota.rpm, now, self._new)
        self._tokens = _changed(self._tokens, quota.tpm, now, self._new)
        self._day = _changed(self._day, quota.tpd, now, lambda limit, start: Fixed(limit, DAY, start))

    def admit(self, tokens: float, now: float) -> Ticket | str:
        """Admit a request and reserve its tokens. Return the admitted request (a `Ticket`), or the name of the limit
        that refuses the request.

        A refused request is not charged.
        """
        if self._requests and not self._requests.fits(1, now):
            return REQUESTS
        if self._tokens and not self._tokens.fits(tokens, now):
            return TOKENS
        if self._day and not self._day.fits(tokens, now):
            return TOKENS_PER_DAY
        if self._requests:
            self._requests.take(1, now)
        return Ticket(tokens, [(limit, limit.take(tokens, now)) for limit in (self._tokens, self._day) if limit])


def _changed(limit: Limit | None, to: float | None, now: float, new: Callable[[float, float], Limit]) -> Limit | None:
    if to is None:
        return limit
    if limit is None:
        return new(to, now)
    limit.change(to, now)
    return limit
