"""Read the input into the journal in a separate thread, so that a slow pipe does not stall the calls in flight."""

from __future__ import annotations

import asyncio  # noqa: TID251 - the batch runner lives in asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Literal

from aws_bedrock_inference.batch.records import BadLine

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from aws_bedrock_inference.batch.spooled import Spooled

# The maximum number of records that are collected before they are written, and the maximum number of their characters.
_MOST = 500
_LONGEST = 4_000_000


class Intake:
    """Reads records from `items` in a thread, and stores them in the journal with `spool`.

    Records are collected and written in groups, because one write for each record would be slow. A group is written
    when it is large, and also when the run calls `flush`, so that the records of a slow pipe are not delayed.

    Create an `Intake` inside a running event loop. It calls `complain` in this loop with each invalid line. It calls
    `finish` when all records are written and no error occurred. The event `wake` is set when `flush` has records to
    write, and when the reading has ended. `error` is the exception that ended the reading or the writing.
    """

    def __init__(
        self,
        items: Iterable[Spooled | BadLine],
        spool: Callable[[list[Spooled]], None],
        *,
        complain: Callable[[BadLine], None] = lambda _: None,
        finish: Callable[[], None] = lambda: None,
    ) -> None:
        self.wake = asyncio.Event()
        self.ended = False
        self.error: Exception | None = None
        self._spool = spool
        self._complain = complain
        self._finish = finish
        self._loop = asyncio.get_running_loop()
        self._gathered: list[Spooled] = []
        self._length = 0
        self._writing = threading.Lock()
        self._closed = False
        # A daemon thread, because a thread that waits for a terminal or a pipe cannot be woken.
        threading.Thread(target=self._read, args=(items,), daemon=True, name="bedrock-input").start()

    def flush(self) -> None:
        """Write the collected records to the journal. Any thread can call this method."""
        with self._writing:
            gathered, self._gathered = self._gathered, []
            try:
                if gathered:
                    self._spool(gathered)
            except Exception as error:  # noqa: BLE001 - raised by the run
                self.error = error
                self._closed = True

    async def woken(self, seconds: float | None, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Wait until `wake` is set, but at most `seconds`."""
        waits = [asyncio.ensure_future(self.wake.wait())]
        if seconds is not None:
            waits.append(asyncio.ensure_future(_slept(sleep, seconds)))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def close(self) -> None:
        """Stop reading the input, and write all collected records to the journal.

        The next run cannot read a record from a pipe again. If this record were not in the journal, it would be lost.
        """
        self._closed = True
        self.flush()

    def _read(self, items: Iterable[Spooled | BadLine]) -> None:
        try:
            for item in items:
                if self._closed:
                    return
                if isinstance(item, BadLine):
                    self._call(self._complain, item)
                    continue
                with self._writing:
                    self._gathered.append(item)
                    number = len(self._gathered)
                    self._length = len(item.source) + (self._length if number > 1 else 0)
                if number >= _MOST or self._length >= _LONGEST:
                    self.flush()
                elif number == 1:
                    self._call(self.wake.set)
            self.flush()
            if self.error is None and not self._closed:
                self._finish()
        except Exception as error:  # noqa: BLE001 - raised by the run
            self.flush()
            self.error = self.error or error
        self.ended = True
        self._call(self.wake.set)

    def _call(self, function: Callable[..., object], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed, so nothing waits for the event
            self._loop.call_soon_threadsafe(function, *arguments)


async def _slept(sleep: Callable[[float], Awaitable[None]], seconds: float) -> Literal[True]:
    await sleep(seconds)
    return True
