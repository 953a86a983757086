"""Send requests to a store from a few threads, in the order in which the requests arrive.

Each call with a cache sends a request to its store. In an outage, each failed call stores a dead letter. Starting a
thread for each of these requests, as `stores.request.Question` does, would cost more than the request itself. The
threads are daemons, so the program can exit while a store hangs.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from aws_bedrock_inference.background import NoThreadLeft
from aws_bedrock_inference.forks import renew_after_fork
from aws_bedrock_inference.stores.request import Question, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

# Seconds without work after which a thread ends.
IDLE = 10.0

# Maximum number of waiting requests. Requests beyond this number are refused, because they would be sent too late.
MOST = 10_000


class Worker:
    """A group of threads that send requests to a store. A thread is started only when it is needed, up to `threads`
    threads. `name` is the name of the threads.
    """

    def __init__(self, threads: int, name: str = "bedrock-cache") -> None:
        self._most = threads
        self._name = name
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Start with no threads in a forked child process, because the threads exist only in the parent process."""
        self._crew = _Crew()

    def start(self, work: Callable[[], Any], place: str) -> Future[Any]:
        """Add `work` (a request to the store) to the queue, and return its future. Raises `StoreUnavailable` if too
        many requests are waiting, and `NoThreadLeft` if no thread can be started.
        """
        crew, future = self._crew, Future[Any]()
        # If the waiting task is cancelled, the queued request must still be sent.
        future.set_running_or_notify_cancel()
        with crew.lock:
            waiting = crew.queue.qsize()
            if waiting >= MOST:
                raise StoreUnavailable(
                    f"No request was sent to {place}: {MOST:,} requests are already waiting. Check that the store "
                    "answers fast enough"
                )
            if waiting >= crew.idle and crew.threads < self._most:
                try:
                    threading.Thread(target=crew.run, name=self._name, daemon=True).start()
                except RuntimeError as error:
                    if not crew.threads:
                        raise NoThreadLeft(str(error)) from None
                else:
                    crew.threads += 1
                    crew.idle += 1
            crew.queue.put((future, work))
        return future


class _Crew:
    """The threads of one `Worker` in one process, and the queue of requests that these threads send to a store."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.queue: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self.threads = 0
        self.idle = 0

    def run(self) -> None:
        """Send the queued requests to the store. Return after some time without requests, so that the thread ends."""
        while True:
            try:
                future, work = self.queue.get(timeout=IDLE)
            except Empty:
                with self.lock:
                    if self.queue.empty():
                        self.threads -= 1
                        self.idle -= 1
                        return
                continue
            with self.lock:
                self.idle -= 1
            try:
                value = work()
            except BaseException as error:  # noqa: BLE001 - the caller that waits gets it
                future.set_exception(error)
            else:
                future.set_result(value)
            del future, work  # an idle thread must not keep objects alive
            with self.lock:
                self.idle += 1


@dataclass(frozen=True, slots=True)
class Queued(Question[T]):
    """A request that a worker sends to its store."""

    worker: Worker

    def _start(self) -> Future[T]:
        return self.worker.start(self.answer, self.place)
