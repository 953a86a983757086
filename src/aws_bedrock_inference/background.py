"""Blocking work in a thread of its own, which holds up neither its caller beyond a limit nor the end of the program.

The event loop's default executor may be full of work that hangs, and the threads of an executor are joined when the
program ends. These are daemon threads, one for each piece of work: for rare, short work that is worth no pool.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def in_background(work: Callable[[], T]) -> Future[T]:
    """Start `work` in a daemon thread and return its future.

    Raises `RuntimeError` if the interpreter starts no more threads because the program is ending.
    """
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - whoever waits for the result raises it
            future.set_exception(error)

    threading.Thread(target=run, name="bedrock-background", daemon=True).start()
    return future
