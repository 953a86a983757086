"""Run work that cannot be interrupted: DNS look-ups, botocore's renewal of credentials, and requests to a store
(SQLite, Redis or Valkey).

Each piece of work runs in a separate daemon thread. Therefore a call can stop waiting for the work when the call's
deadline passes, and the process can exit before the work has ended. asyncio's default executor is not used, because its
number of threads is small. If all its threads waited for look-ups that never end, other work could not start.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.forks import renew_after_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

# The maximum number of running threads. Work with the same key shares one thread. So when this number is reached, this
# many different pieces of work hang.
MOST = 64


class BackgroundFull(ConnectionError):
    """No more background work is started, because too many threads are still running work that makes no progress."""


class NoThreadLeft(BackgroundFull):
    """No thread can be started, because the system has reached a limit or the program is ending."""


class Background:
    """Runs functions in daemon threads. At most one function with the same key runs at a time."""

    def __init__(self) -> None:
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """In a forked child, forget the running work, because its threads exist only in the parent process."""
        self._lock = threading.Lock()
        self._running: dict[Hashable, Future[Any]] = {}

    def start(self, key: Hashable, work: Callable[[], Any]) -> Future[Any]:
        """Start the function `work` in a thread, and return the future of its result. If work with the same `key` is
        already running, start nothing and return the future of the running work.

        Raises `BackgroundFull` if too many threads run without progress, and `NoThreadLeft` if no thread can be
        started.
        """
        running = self._running
        with self._lock:
            future = running.get(key)
            if future is not None:
                return future
            if len(running) >= MOST:
                raise BackgroundFull(
                    f"{MOST} background threads (the maximum) already wait for DNS, for credentials or for a store "
                    "(SQLite, Redis or Valkey). Check that the DNS server, the source of the credentials and the store "
                    "respond"
                )
            future = running[key] = Future()
            # Other callers may wait for the same future, so a cancelled task must not cancel it.
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
    except BaseException as error:  # noqa: BLE001 - the waiting callers receive it
        running.pop(key, None)  # before the waiters continue, so that the next call starts new work
        future.set_exception(error)
    else:
        running.pop(key, None)
        future.set_result(value)


background = Background()
