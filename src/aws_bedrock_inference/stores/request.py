"""The protocol of every store of shared quotas, and the requests it answers."""

from __future__ import annotations

import asyncio  # noqa: TID251 - a request knows how to be awaited
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
"""Seconds for each step of a request to a store, such as connecting. The whole request may take twice that."""


class StoreUnavailable(Exception):
    """The store failed or was too slow. The message says what happened and where, without any password.

    Nothing was tried again; when to ask next is the caller's decision.
    """

    def __init__(self, message: str) -> None:
        super().__init__(masked(message))


class StoreUnusable(StoreUnavailable):
    """The store cannot be used until somebody changes something: its URL, a password, a permission, another program's
    file or key. The message says what to do. Waiting does not help, unlike with other `StoreUnavailable`.
    """


class ShareStore(Protocol):
    """A store through which members share a quota. A pool is one quota, named by account, Region, model and kind.

    All requests raise `StoreUnavailable`. A store may be used by threads, tasks and forked processes at once.
    """

    def renew(self, pool: str, member: str, request: LeaseRequest) -> StoreRequest[Grant]:
        """Say what `member` needs and get its new lease."""

    def leave(self, pool: str, member: str, report: str = "") -> StoreRequest[None]:
        """Free the lease of `member`; `report` is its last one."""

    def look(self, pool: str | None = None) -> StoreRequest[Mapping[str, View]]:
        """Return the members of `pool`, or of every pool used within the last hour."""

    def close(self) -> None:
        """Release the connections and files that this process holds open. It ends nothing: no lease is freed, which
        only `leave` does, and a later request opens what it needs again.
        """


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """A request that blocks for at most `limit` seconds, whatever it waits for.

    It is answered in a thread of its own: a look-up of a host name or a disk that hangs cannot be interrupted, only
    left alone, and one question a second is not worth an asyncio client beside the blocking one.
    """

    answer: Callable[[], T]
    limit: float
    place: str

    def run(self) -> T:
        """Ask and block until answered."""
        try:
            return self._start().result(self.limit)
        except NoThreadLeft:  # the program is ending: nobody waits behind this request
            return self.answer()
        except TimeoutError:
            raise self._too_slow() from None

    async def arun(self) -> T:
        """Ask and await the answer."""
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
            raise StoreUnavailable(f"{self.place} was not asked: {full}") from None

    def _too_slow(self) -> StoreUnavailable:
        return StoreUnavailable(f"{self.place} took longer than {self.limit:g} s")


@dataclass(frozen=True, slots=True)
class Instant(Generic[T]):
    """A request that is answered from memory."""

    answer: Callable[[], T]

    def run(self) -> T:
        """Return the answer."""
        return self.answer()

    async def arun(self) -> T:
        """Return the answer."""
        return self.answer()
