"""The connections of aiohttp for each event loop.

A connection is used again only if no bytes of an earlier answer can remain in it. All connections of an event loop are
closed with the loop.
"""

from __future__ import annotations

import asyncio  # noqa: TID251 - the asyncio transport
import socket
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import BadHttpMessage, HttpProcessingError
from urllib3.util import wait_for_read

from aws_bedrock_inference.transports.connections import KEPT_SECONDS, made_socket
from aws_bedrock_inference.transports.failures import MalformedAnswer
from aws_bedrock_inference.transports.http1 import INVALID_HEAD, MAX_HEAD, MAX_INTERIM, NOT_HTTP1, START, SWITCHING
from aws_bedrock_inference.transports.lookup import look_up

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, Callable
    from concurrent.futures import Future

    from aws_bedrock_inference.transports.timeouts import Exchange


_VERSIONS = (aiohttp.HttpVersion11, aiohttp.HttpVersion10)
_LOWEST_STATUS = 100
_NOT_IN_REASON = frozenset("\0\v\f")

# For the running task: the exchange that waits for a connection, and the name of the limit of its next wait.
connecting: ContextVar[tuple[Exchange, str]] = ContextVar("connecting")


class LoopConnections:
    """The connections of one event loop. They are closed when the loop ends.

    To notice the end of the loop, the object starts an asynchronous generator. `asyncio.run` closes all asynchronous
    generators before it closes the loop, and this generator then closes the connections.
    """

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        self.loop = asyncio.get_running_loop()
        self.connector = _Connector(tls)
        self.session = aiohttp.ClientSession(
            connector=self.connector,
            connector_owner=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("Accept", "Content-Type"),
            auto_decompress=False,
            max_line_size=MAX_HEAD,  # gateways add long fields; aiohttp's own limit is 8 KB
            max_field_size=MAX_HEAD,
        )
        self._ending = self._end_with_loop()
        begun: Any = anext(self._ending)
        with suppress(StopIteration):  # run it to its `yield`, which makes it known to the loop
            begun.send(None)

    async def close(self) -> None:
        """Close the idle connections. A connection in use is closed when its call ends."""
        self.connector.retire()
        if not self.connector.in_use():
            await self._close()

    def retire(self) -> None:
        """Close the idle connections. This method can be called from another thread."""
        if self.loop.is_closed():
            self.abandon()
        else:
            with suppress(RuntimeError):  # the loop has been closed in the meantime
                self.loop.call_soon_threadsafe(self.connector.retire)

    def abandon(self) -> None:
        """Close all connections without awaiting. Call this only if the loop is closed or nothing uses the connections
        any more.
        """
        self.session.detach()
        if self.loop.is_closed():
            _with_closed(self.loop, self.connector.drop)
        else:
            with suppress(RuntimeError):
                self.loop.call_soon_threadsafe(self.connector.drop)

    def collect(self) -> None:
        """Close all connections. A finalizer calls this method, so it can run inside the garbage collector.

        If the loop is closed and calls still wait for answers, this method leaves the connections open. Closing a
        connection would wake up the task that waits for its answer. This task is also being garbage collected, so it
        would continue inside the garbage collector.
        """
        self.session.detach()
        if not (self.loop.is_closed() and self.connector.in_use()):
            self.abandon()

    def disown(self) -> None:
        """In a forked child process, stop using the connections and the selector, without closing them. They belong to
        the parent process.
        """
        self.session.detach()
        self.connector.disowned = True

    async def _close(self) -> None:
        self.session.detach()
        await self.connector.close()

    async def _end_with_loop(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await self._close()


class _Connector(aiohttp.TCPConnector):
    """Creates connections and records whether each of them can be used again."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        super().__init__(
            limit=0,
            ssl=tls or False,
            socket_factory=made_socket,
            resolver=_Resolver(),
            use_dns_cache=False,  # look-ups are shared; a cache would keep the addresses of a failed zone
            keepalive_timeout=KEPT_SECONDS,
        )
        self.era = 0
        self.retired = False
        self.disowned = False
        self._handlers: WeakSet[_Handler] = WeakSet()
        self._factory: Any = partial(_Handler, self, self._handlers)

    async def connect(self, *args: Any, **more: Any) -> Any:
        """Return a new or an idle connection, and start the wait for the answer.

        The context variable `connecting` contains the `Exchange` of the request, and the name of the time limit of this
        wait.
        """
        connection = await super().connect(*args, **more)
        exchange, first = connecting.get()
        exchange.begin(first)
        return connection

    def in_use(self) -> bool:
        return bool(self._acquired)

    def forget(self) -> None:
        """From now on, use only new connections. No existing connection is used for another request."""
        self.era += 1

    def retire(self) -> None:
        """Close the idle connections now. A connection in use is closed after its call."""
        self.retired = True
        for kept in list(self._conns.values()):
            for handler, _ in kept:
                handler.close()

    def drop(self) -> None:
        self.retired = True
        for handler in list(self._handlers):
            handler.abort()
        closing = self.close().__await__()
        with suppress(StopIteration, RuntimeError):
            next(closing)  # otherwise `close` would wait for connections that have just been closed

    def __del__(self, *_: Any) -> None:
        if not self.disowned and not self.closed and self._loop.is_closed() and not self.in_use():
            _with_closed(self._loop, self.drop)


class _Handler(ResponseHandler):
    """One connection of aiohttp. It is used again only if no bytes of the last answer can remain in it.

    aiohttp accepts some status lines that are not HTTP/1, such as `ICE/1.0 200 OK` or `HTTP/2.0 200 OK`. This class
    refuses them, because h11, which reads the answers of the blocking transport, also refuses them.
    """

    def __init__(self, connector: _Connector, handlers: WeakSet[_Handler]) -> None:
        super().__init__(connector._loop)  # noqa: SLF001 - aiohttp's own way to create one
        self._connector = connector
        self._era = connector.era
        self._interim = 0
        self._last = 0
        self._start = START  # the first bytes of the current answer, at most as many as START has
        handlers.add(self)

    def set_response_params(self, **params: Any) -> None:
        self._start = b""
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        """Read bytes of the answer. If the answer does not begin with `HTTP/1.`, close the connection and report an
        error. aiohttp's own parser would accept an answer that begins with empty lines, or with the name of another
        protocol, such as `ICE/1.0`.
        """
        if len(self._start) < len(START):
            self._start += data[: len(START) - len(self._start)]
            if not START.startswith(self._start):
                if self.transport is not None:
                    self.transport.close()
                self.set_exception(_malformed(NOT_HTTP1))
                return
        super().data_received(data)

    async def read(self) -> Any:
        """Return the next head of an answer (its status and headers).

        Raises an error in three cases:

        * The head is not valid HTTP/1.1 or HTTP/1.0.
        * There are too many interim answers (status 1xx).
        * The server switches to another protocol.
        """
        try:
            answer = await super().read()
        except HttpProcessingError as error:
            if isinstance(error.__cause__, MalformedAnswer):
                raise
            raise BadHttpMessage(INVALID_HEAD) from MalformedAnswer(INVALID_HEAD)  # aiohttp's text quotes the answer
        head = answer[0]
        self._last = status = head.code
        if head.version not in _VERSIONS:
            raise _malformed(NOT_HTTP1)
        if status < _LOWEST_STATUS or not _NOT_IN_REASON.isdisjoint(head.reason):
            raise _malformed("the status line is not valid HTTP/1.1")
        if status >= 200:  # noqa: PLR2004 - the final answer
            self._interim = 0
            return answer
        self._interim += 1
        if status == SWITCHING:
            raise _malformed(
                "the server switched to another protocol, but the request did not ask for a switch (status 101)"
            )
        if self._interim > MAX_INTERIM:
            raise _malformed(f"the server sent more than {MAX_INTERIM} interim answers (status 1xx)")
        return answer

    @property
    def should_close(self) -> bool:
        """Return whether the connection must not be used again."""
        connector = self._connector
        # Some servers send a body with 204 and 304 although HTTP does not allow it.
        return super().should_close or connector.retired or self._era != connector.era or self._last in (204, 304)

    def is_connected(self) -> bool:
        """Return whether the connection is ready for a request: it is open, and no bytes wait to be read."""
        if not super().is_connected() or self.should_close:
            return False
        transport: Any = self.transport
        try:
            return not wait_for_read(transport.get_extra_info("socket"), timeout=0.0)
        except (OSError, ValueError):
            return False


def _malformed(problem: str) -> BadHttpMessage:
    """Return an error about a malformed answer, with the text `problem`.

    aiohttp handles only its own errors while it reads an answer. Therefore the result is an error of aiohttp. The cause
    of this error is a `MalformedAnswer`, whose text appears in the fault of the call.
    """
    error = BadHttpMessage(problem)
    error.__cause__ = MalformedAnswer(problem)
    return error


class _Resolver(AbstractResolver):
    """Looks up names in the background. If a call stops waiting for a look-up, the look-up continues."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host, host=str(where[0]), port=port, family=kind, proto=protocol, flags=socket.AI_NUMERICHOST
            )
            for kind, _, protocol, _, where in await finished(look_up(host, port))
            if family in (socket.AF_UNSPEC, kind)
        ]

    async def close(self) -> None:
        """Do nothing, because the resolver holds no resources."""


async def finished(work: Future[Any]) -> Any:
    """Return the result of `work`. If the waiting task is cancelled or its loop is closed, `work` still continues."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def end() -> None:
        if not done.done():
            done.set_result(None)

    def notify(_: object) -> None:
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(end)

    work.add_done_callback(notify)
    await done
    return work.result()


def _with_closed(loop: Any, close: Callable[[], None]) -> None:
    """Run the function `close`, although `loop` is closed.

    When a connection is closed, it passes a callback to `loop.call_soon`. A closed loop refuses callbacks. Therefore
    this function replaces `loop.call_soon` while `close` runs. The replacement calls each callback immediately.
    """

    def call_now(callback: Callable[..., Any], *args: Any, context: Any = None) -> None:  # noqa: ARG001 - as in every loop
        callback(*args)

    try:
        loop.call_soon = call_now
    except AttributeError:  # uvloop has already closed its transports
        return
    try:
        close()
    finally:
        del loop.call_soon
