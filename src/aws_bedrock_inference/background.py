"""Work that cannot be interrupted: name look-ups, botocore's renewal of credentials, requests to a store.

Each runs in a daemon thread of its own, so that a call can leave it behind at its deadline and an exit never waits for
it. The default executor of asyncio is not used: a few stuck look-ups would fill it for everybody.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.forks import renew_after_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

# Threads at once. Work is shared by its key, so that more than a few mean that all of them are stuck.
MOST = 64


class BackgroundFull(ConnectionError):
    """Too much work is stuck in the background for more to be started."""


class NoThreadLeft(BackgroundFull):
    """The system, or a program that is ending, starts no more threads."""


class Background:
    """Runs functions in daemon threads, at most one at a time for each key."""

    def __init__(self) -> None:
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Forget what runs: its threads exist only in the parent."""
        self._lock = threading.Lock()
        self._running: dict[Hashable, Future[Any]] = {}

    def start(self, key: Hashable, work: Callable[[], Any]) -> Future[Any]:
        """Return the future of `work`, or of what already runs under the same key.

        Raises `BackgroundFull` and `NoThreadLeft`.
        """
        running = self._running
        with self._lock:
            future = running.get(key)
            if future is not None:
                return future
            if len(running) >= MOST:
                raise BackgroundFull(
                    f"{MOST} look-ups of names, renewals of credentials and requests to stores are stuck"
                )
            future = running[key] = Future()
            # Others may wait for the same: a task that is cancelled must not cancel their future with its own.
            future.set_running_or_notify_cancel()
        thread = threading.Thread(
            target=_run, args=(running, key, future, work), name="bedrock-background", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:
            running.pop(key, None)
            full = NoThreadLeft(str(error))
            future.set_exception(full)
            raise full from None
        return future


def _run(running: dict[Hashable, Future[Any]], key: Hashable, future: Future[Any], work: Callable[[], Any]) -> None:
    try:
        value = work()
    except BaseException as error:  # noqa: BLE001 - whoever waits gets it
        running.pop(key, None)  # before anybody hears of it, so that the next call starts anew
        future.set_exception(error)
    else:
        running.pop(key, None)
        future.set_result(value)


background = Background()
