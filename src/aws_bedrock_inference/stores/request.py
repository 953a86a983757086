"""The protocol of every store of shared quotas, and the requests it answers."""

from __future__ import annotations

import asyncio  # noqa: TID251 - a request knows how to be awaited
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from aws_bedrock_inference.knowledge.masking import masked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aws_bedrock_inference.flow import StoreRequest
    from aws_bedrock_inference.rules.quota.leases import Grant, LeaseRequest, View

T = TypeVar("T")

STORE_TIMEOUT = 0.25
"""Seconds a store may take for each thing it is asked; a slower one is as good as none."""


class StoreUnavailable(Exception):
    """The store failed or was too slow. The message says what happened and where, without any password.

    Nothing was tried again; when to ask next is the caller's decision.
    """

    def __init__(self, message: str) -> None:
        super().__init__(masked(message))


class ShareStore(Protocol):
    """A store through which members share a quota. A pool is one quota, named by account, Region, model and kind.

    All requests raise `StoreUnavailable`. A store may be used by threads, tasks and forked processes at once.
    """

    def renew(self, pool: str, member: str, request: LeaseRequest) -> StoreRequest[Grant]:
        """Say what `member` needs and get its new lease."""

    def leave(self, pool: str, member: str) -> StoreRequest[None]:
        """Free the lease of `member`."""

    def look(self, pool: str | None = None) -> StoreRequest[Mapping[str, View]]:
        """Return the members of `pool`, or of every pool used within the last hour."""

    def close(self) -> None:
        """Close connections and files; the next request opens them again."""


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """A request that blocks for at most a moment; awaited, it is answered in a thread, since one question a second is
    not worth a second client.
    """

    answer: Callable[[], T]

    def run(self) -> T:
        """Ask and block until answered."""
        return self.answer()

    async def arun(self) -> T:
        """Ask and await the answer."""
        return await asyncio.to_thread(self.answer)


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
