"""Blocking connections, and the pool of idle connections. A connection carries one request at a time. When the answer
has ended, the connection can be used again.
"""

from __future__ import annotations

import weakref
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from urllib3.util import wait_for_read

from aws_bedrock_inference.forks import renew_after_fork
from aws_bedrock_inference.transports.connections import KEPT_SECONDS
from aws_bedrock_inference.transports.http1 import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.transports.timeouts import Exchange

# The maximum number of idle connections in the pool. The number of connections in use is not limited.
KEPT = 256

READ = 65_536

# The number of bytes that are written under one time-out. It is one TLS record, because `sendall` applies the full
# time-out to each record.
_WRITE = 16_384


class Wire:
    """One connection. A send or a receive can use only the remaining time of the current wait (`Exchange.left`).
    Therefore a server cannot extend a wait by sending one byte at a time.
    """

    def __init__(self, sock: Any) -> None:
        self.socket = sock
        self.fresh = True
        self.idle_since = 0.0
        renew_after_fork(self)

    def after_fork(self) -> None:
        """In a forked child process, close the child's copy of the connection. Nothing is sent to the server, because
        the connection belongs to the parent process.
        """
        self.socket.close()

    def ask(self, request: bytes, exchange: Exchange) -> Answer:
        """Send `request`, and return the answer as soon as the answer's head (its status and headers) has arrived."""
        answer, broken = Answer(), None
        try:
            self._write(request, exchange)
        except BrokenPipeError as error:  # the server can have answered before it read the request
            broken = error
        try:
            while not answer.status:
                self.more(answer, exchange)
        except OSError:
            if broken is not None:
                raise broken from None
            raise
        if broken is not None:
            answer.reusable = False
        return answer

    def more(self, answer: Answer, exchange: Exchange) -> None:
        """Wait for more of `answer`."""
        self.socket.settimeout(exchange.left())
        answer.feed(self.socket.recv(READ))

    def ready(self) -> bool:
        """Return whether the connection is ready for a request: it is open, and no bytes wait to be read."""
        try:
            return not wait_for_read(self.socket, timeout=0.0)
        except (OSError, ValueError):
            return False

    def close(self) -> None:
        """Close the connection. A repeated call has no effect."""
        self.socket.close()

    def _write(self, request: bytes, exchange: Exchange) -> None:
        for start in range(0, len(request), _WRITE):
            self.socket.settimeout(exchange.left())
            self.socket.sendall(request[start : start + _WRITE])


class Wires:
    """The pool of idle connections. Threads can share it, because it uses only atomic operations.

    It has no lock. If another thread held a lock during a fork, the lock would never be released in the child.
    """

    def __init__(self, dial: Callable[[Exchange], Any], clock: Clock) -> None:
        self._dial = dial
        self._clock = clock
        self._closed = False
        self._keep_in(deque())
        renew_after_fork(self)

    def after_fork(self) -> None:
        """In a forked child process, start with an empty pool, because the connections belong to the parent process.
        `Wire.after_fork` closes the child's copy of each connection.
        """
        self._dropped.detach()
        self._keep_in(deque())

    def take(self, exchange: Exchange) -> Wire:
        """Return the idle connection that was used last. If no idle connection is ready, return a new connection.

        Raises the exceptions of `dial`.
        """
        fresh_enough = self._clock() - KEPT_SECONDS
        while self._kept:
            try:
                wire = self._kept.pop()
            except IndexError:  # another thread has taken it
                break
            if wire.idle_since > fresh_enough and wire.ready():
                return wire
            wire.close()
        exchange.begin("connect")
        return Wire(self._dial(exchange))

    def keep(self, wire: Wire) -> None:
        """Put a connection back into the pool of idle connections after the connection's answer has ended."""
        wire.fresh = False
        wire.idle_since = self._clock()
        self._kept.append(wire)
        if self._closed or len(self._kept) > KEPT:
            self.forget(0 if self._closed else KEPT)
        elif len(self._kept) > 1:
            self._expire(wire.idle_since - KEPT_SECONDS)

    def forget(self, most: int = 0) -> None:
        """Close idle connections until at most `most` idle connections are left. The connections that have been idle
        longest are closed first.
        """
        while len(self._kept) > most:
            try:
                self._kept.popleft().close()
            except IndexError:
                return

    def _keep_in(self, kept: deque[Wire]) -> None:
        """Use `kept` as the collection of idle connections. When the pool is garbage collected, these connections are
        closed, even if `close` was never called.
        """
        self._kept = kept
        self._dropped = weakref.finalize(self, _close_all, kept)

    def _expire(self, before: float) -> None:
        """Close the idle connections that have not been used since the time `before`.

        `take` always returns the connection that was used last. After a burst of calls, the other idle connections are
        not used again. Without this method, they would stay open.
        """
        with suppress(IndexError):  # another thread has taken it
            while self._kept[0].idle_since <= before:
                self._kept.popleft().close()

    def close(self) -> None:
        """Close the idle connections. A connection in use is closed when its call ends."""
        self._closed = True
        self.forget()


def _close_all(kept: deque[Wire]) -> None:
    while kept:
        kept.pop().close()
