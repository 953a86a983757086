"""Input read in a thread of its own, so that a slow pipe stalls no call under way."""

from __future__ import annotations

import asyncio  # noqa: TID251 - the batch runner lives in asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")


class Feed(Generic[T]):
    """Gives the items of an iterable one by one and reads at most `ahead` more than were taken.

    Made inside the event loop. What the iterable raises is raised by `get`.
    """

    def __init__(self, items: Iterable[T], ahead: int = 64) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[T | BaseException | None] = asyncio.Queue()
        self._room = threading.Semaphore(ahead)
        self._closed = False
        # A daemon: nobody can wake a thread that waits for a terminal or a pipe.
        threading.Thread(target=self._read, args=(items,), daemon=True, name="bedrock-input").start()

    async def get(self) -> T | None:
        """Return the next item, None at the end."""
        item = await self._queue.get()
        if isinstance(item, BaseException):
            raise item
        self._room.release()
        return item

    def close(self) -> None:
        """Read no further."""
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
