"""Blocking connections: one that carries one exchange after another, and those that are kept between calls."""

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

# Idle connections that are kept, one for each thread that was calling at once; more may be open.
KEPT = 256

READ = 65_536

# As much as is written under one time-out: one record of TLS, since `sendall` gives each of them the whole of it.
_WRITE = 16_384


class Wire:
    """One connection. Each step takes what is left of the exchange's time, however many receives it needs."""

    def __init__(self, sock: Any) -> None:
        self.socket = sock
        self.fresh = True
        self.idle_since = 0.0
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Close the child's copy of the descriptor, which sends nothing: the connection is the parent's."""
        self.socket.close()

    def ask(self, request: bytes, exchange: Exchange) -> Answer:
        """Send `request`, and return the answer as far as its head."""
        answer, broken = Answer(), None
        try:
            self._write(request, exchange)
        except BrokenPipeError as error:  # perhaps the answer came before the request was read
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
        """Return whether the connection waits for a request: open, and with nothing to be read."""
        try:
            return not wait_for_read(self.socket, timeout=0.0)
        except (OSError, ValueError):
            return False

    def close(self) -> None:
        """Close the connection; harmless when repeated."""
        self.socket.close()

    def _write(self, request: bytes, exchange: Exchange) -> None:
        for start in range(0, len(request), _WRITE):
            self.socket.settimeout(exchange.left())
            self.socket.sendall(request[start : start + _WRITE])


class Wires:
    """The connections kept between calls. Its steps are atomic without a lock, which a fork could inherit locked."""

    def __init__(self, dial: Callable[[Exchange], Any], clock: Clock) -> None:
        self._dial = dial
        self._clock = clock
        self._closed = False
        self._keep_in(deque())
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Forget the parent's connections; each closes its own descriptor."""
        self._dropped.detach()
        self._keep_in(deque())

    def take(self, exchange: Exchange) -> Wire:
        """Return the connection that was used last, or a new one. Raises what `dial` raises."""
        fresh_enough = self._clock() - KEPT_SECONDS
        while self._kept:
            try:
                wire = self._kept.pop()
            except IndexError:  # another thread was quicker
                break
            if wire.idle_since > fresh_enough and wire.ready():
                return wire
            wire.close()
        exchange.begin("connect")
        return Wire(self._dial(exchange))

    def keep(self, wire: Wire) -> None:
        """Keep a connection whose answer has ended."""
        wire.fresh = False
        wire.idle_since = self._clock()
        self._kept.append(wire)
        if self._closed or len(self._kept) > KEPT:
            self.forget(0 if self._closed else KEPT)
        elif len(self._kept) > 1:
            self._expire(wire.idle_since - KEPT_SECONDS)

    def forget(self, most: int = 0) -> None:
        """Close the connections that have been idle longest, until at most `most` are kept."""
        while len(self._kept) > most:
            try:
                self._kept.popleft().close()
            except IndexError:
                return

    def _keep_in(self, kept: deque[Wire]) -> None:
        """Keep connections in `kept` from now on; they close when these are dropped without being closed."""
        self._kept = kept
        self._dropped = weakref.finalize(self, _close_all, kept)

    def _expire(self, before: float) -> None:
        """Close those that have been idle since `before`: the last ones are used first, and the rest of a burst would
        stay open for ever.
        """
        with suppress(IndexError):  # another thread was quicker
            while self._kept[0].idle_since <= before:
                self._kept.popleft().close()

    def close(self) -> None:
        """Close what is kept, and keep no more: connections in use close when their calls end."""
        self._closed = True
        self.forget()


def _close_all(kept: deque[Wire]) -> None:
    while kept:
        kept.pop().close()
