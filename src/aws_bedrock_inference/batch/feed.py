"""A reader of the input in its own thread, so that a slow pipe does not stall calls in flight."""

from __future__ import annotations

import asyncio  # noqa: TID251 - the batch runner lives in asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")


class Feed(Generic[T]):
    """A queue of the items of an iterable; it reads at most `ahead` items in advance.

    Create it inside the event loop. An exception of the iterable is raised by `get`.
    """

    def __init__(self, items: Iterable[T], ahead: int = 64) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[T | BaseException | None] = asyncio.Queue()
        self._room = threading.Semaphore(ahead)
        self._closed = False
        # A daemon, because a thread that waits for a terminal or a pipe cannot be woken.
        threading.Thread(target=self._read, args=(items,), daemon=True, name="bedrock-input").start()

    async def get(self) -> T | None:
        """Return the next item, or None at the end."""
        item = await self._queue.get()
        if isinstance(item, BaseException):
            raise item
        self._room.release()
        return item

    def close(self) -> None:
        """Stop reading."""
        self._closed = True
        self._room.release()

    def _read(self, items: Iterable[T]) -> None:
        try:
            for item in items:
                self._room.acquire()
                if self._closed:
                    return
                self._put(item)
            self._put(None)
        except Exception as error:  # noqa: BLE001 - raised again where it is awaited
            self._put(error)

    def _put(self, item: T | BaseException | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed, nobody waits any more
            self._loop.call_soon_threadsafe(self._queue.put_nowait, item)
