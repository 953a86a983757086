"""Answers stored in the memory of one process."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

from cachetools import TLRUCache

from aws_bedrock_inference.clock import monotonic
from aws_bedrock_inference.forks import renew_after_fork
from aws_bedrock_inference.stores.request import Instant

if TYPE_CHECKING:
    from aws_bedrock_inference.clock import Clock


class MemoryAnswers:
    """Stores up to `max_entries` answers, and removes the least recently used answer first. A forked child has
    a copy.
    """

    place = "memory"

    def __init__(self, max_entries: int, clock: Clock = monotonic) -> None:
        self.clock = clock
        self._most = max_entries
        self._lock = threading.Lock()
        self._renew()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Replace the lock. Also forget the answers if a thread of the parent was changing them during the fork."""
        if self._lock.locked():
            self._renew()
        self._lock = threading.Lock()

    def get(self, key: str) -> Instant[bytes | None]:
        """Return the content stored under `key`."""
        return Instant(partial(self._get, key))

    def put(self, key: str, content: bytes, seconds: float) -> Instant[None]:
        """Store `content` under `key` for `seconds`."""
        return Instant(partial(self._put, key, content, seconds))

    def close(self) -> None:
        """Do nothing: no file or connection is open."""

    def __len__(self) -> int:
        with self._lock:
            return len(self._kept)

    def __repr__(self) -> str:
        return f"MemoryAnswers({self._most})"

    def _renew(self) -> None:
        self._kept: TLRUCache[str, tuple[bytes, float]] = TLRUCache(
            self._most, lambda _, value, now: now + value[1], self.clock
        )

    def _get(self, key: str) -> bytes | None:
        with self._lock:
            found = self._kept.get(key)
        return None if found is None else found[0]

    def _put(self, key: str, content: bytes, seconds: float) -> None:
        with self._lock:
            self._kept[key] = (content, seconds)
