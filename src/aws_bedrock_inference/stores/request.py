"""The protocol of the stores of shared quotas, and the requests that these stores answer."""

from __future__ import annotations

import asyncio  # noqa: TID251 - a request can be awaited
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from aws_bedrock_inference.background import BackgroundFull, NoThreadLeft, background
from aws_bedrock_inference.knowledge.masking import masked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future

    from aws_bedrock_inference.flow import StoreRequest
    from aws_bedrock_inference.rules.quota.leases import Grant, LeaseRequest
    from aws_bedrock_inference.rules.quota.views import View

T = TypeVar("T")

STORE_TIMEOUT = 0.25
"""The maximum time in seconds of each step of a request to a store, such as connecting. The whole request takes at most
twice as long.
"""


class StoreUnavailable(Exception):
    """Raised if the store failed or was too slow. The message states what happened and where, without any password.

    The store does not retry. The caller decides when to send the next request.
    """

    def __init__(self, message: str) -> None:
        super().__init__(masked(message))


class StoreUnusable(StoreUnavailable):
    """Raised if the store cannot be used until somebody corrects the cause. The cause can be a wrong URL or password,
    a missing permission, or a file or key of another program.

    The message states what to do. Waiting does not help, in contrast to other `StoreUnavailable` errors.
    """


class ShareStore(Protocol):
    """A store through which members share quotas. A member is a process that uses a quota. The argument `pool` names
    one quota: its account, Region, model, and type (such as on-demand or global).

    A request raises `StoreUnavailable` if the store fails or is too slow. Threads, tasks and forked processes can use a
    store at the same time.
    """

    def renew(self, pool: str, member: str, request: LeaseRequest) -> StoreRequest[Grant]:
        """Report the quota that `member` (a process) needs, and return its new lease. The lease is the share of the
        quota that the member is allowed to use.
        """

    def leave(self, pool: str, member: str, report: str = "") -> StoreRequest[None]:
        """Release the lease (the share of the quota) of `member`. `report` is the last report of the member."""

    def look(self, pool: str | None = None) -> StoreRequest[Mapping[str, View]]:
        """Return the members of `pool` (one quota). If `pool` is not set, return the members of every pool that was
        used within the last hour.
        """

    def close(self) -> None:
        """Close the connections and files that this process has opened. A later request opens them again.

        Leases (shares of quotas) are not released; only `leave` releases a lease.
        """


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """A request to a store. It blocks the caller for at most `limit` seconds, even if a disk or the look-up of a host
    name hangs.

    Each request runs in a separate thread, because a thread that hangs cannot be interrupted. After `limit` seconds the
    caller stops waiting for this thread. In asyncio programs, too, each request runs in a thread. A store gets only
    about one request per second, so an asyncio client would not be worth its cost.
    """

    answer: Callable[[], T]
    limit: float
    place: str

    def run(self) -> T:
        """Send the request to the store, and block until the answer arrives or the time limit ends."""
        try:
            return self._start().result(self.limit)
        except NoThreadLeft:  # the program is ending, so this thread can send the request itself
            return self.answer()
        except TimeoutError:
            raise self._too_slow() from None

    async def arun(self) -> T:
        """Send the request to the store, and await the answer or the end of the time limit."""
        try:
            return await asyncio.wait_for(asyncio.wrap_future(self._start()), self.limit)
        except TimeoutError:
            raise self._too_slow() from None

    def _start(self) -> Future[T]:
        try:
            return background.start(object(), self.answer)
        except NoThreadLeft:
            raise
        except BackgroundFull as full:
            raise StoreUnavailable(f"No request was sent to the store {self.place}: {full}") from None

    def _too_slow(self) -> StoreUnavailable:
        return StoreUnavailable(
            f"{self.place} took longer than {self.limit:g} s. Check that the store answers fast enough"
        )


@dataclass(frozen=True, slots=True)
class Instant(Generic[T]):
    """A request to a store that is answered from memory, without waiting."""

    answer: Callable[[], T]

    def run(self) -> T:
        """Return the answer."""
        return self.answer()

    async def arun(self) -> T:
        """Return the answer."""
        return self.answer()
