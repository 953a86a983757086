"""The store of answers in the memory of one process."""

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
    """Stores up to `max_entries` answers. When it is full, it removes the least recently used answer. A forked child
    has its own copy.
    """

    place = "memory"

    def __init__(self, max_entries: int, clock: Clock = monotonic) -> None:
        self.clock = clock
        self._most = max_entries
        self._lock = threading.Lock()
        self._renew()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Replace the lock in a forked child. If a thread of the parent was changing the answers during the fork, the
        child's copy can be damaged. In this case, remove all answers.
        """
        if self._lock.locked():
            self._renew()
        self._lock = threading.Lock()

    def get(self, key: str) -> Instant[bytes | None]:
        """Return the content with this key, or None."""
        return Instant(partial(self._get, key))

    def put(self, key: str, content: bytes, seconds: float) -> Instant[None]:
        """Store `content` with this key for `seconds`."""
        return Instant(partial(self._put, key, content, seconds))

    def close(self) -> None:
        """Do nothing, because this store has no open file or connection."""

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
