"""Send calls with asyncio, on aiohttp. `blocking` contains the same transport for threads, with its functions in the
same order.
"""

from __future__ import annotations

import asyncio  # noqa: TID251 - the asyncio transport
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any, cast

import aiohttp
from yarl import URL

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.accounts.replaced import is_refusal, with_other_credentials
from aws_bedrock_inference.background import background
from aws_bedrock_inference.call import Outcome
from aws_bedrock_inference.fault import Fault
from aws_bedrock_inference.forks import renew_after_fork
from aws_bedrock_inference.knowledge.classify import unidentified
from aws_bedrock_inference.transports.answers import ERROR, outcome
from aws_bedrock_inference.transports.connections import proxy_authorization, tls_context, without_credentials
from aws_bedrock_inference.transports.eventstream import OpenAnswer
from aws_bedrock_inference.transports.failures import handshake_code, is_late, peer_vanished
from aws_bedrock_inference.transports.loops import LoopConnections, connecting, finished
from aws_bedrock_inference.transports.operations import operation
from aws_bedrock_inference.transports.prepare import Outgoing, UnsendableHeader, unsendable
from aws_bedrock_inference.transports.timeouts import CREDENTIALS, Exchange

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Call
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.place import Place
    from aws_bedrock_inference.transports.endpoint import Endpoint

# aiohttp writes a body of at least this many bytes in pieces only if the body is a file.
LARGE = 1_000_000

_Loops = dict[asyncio.AbstractEventLoop, LoopConnections]

# Errors that come from a proxy, although aiohttp reports them as other errors.
_OF_PROXY = (aiohttp.ClientConnectorDNSError, aiohttp.ClientResponseError, aiohttp.ServerDisconnectedError)

# A forked child's copies of its parent's connections. They are stored here so that they are never garbage collected:
# their collection could change the parent's selector.
_inherited: list[_Loops] = []


class AiohttpTransport:
    """Sends calls to one endpoint over persistent connections. If a call names another place (endpoint and signing
    identity), the call is sent to that place.

    Each event loop has its own connections. They are closed when the event loop is closed.
    """

    def __init__(self, endpoint: Endpoint, *, clock: Clock = clocks.monotonic, wall: Clock = clocks.wall) -> None:
        self._loops: _Loops = {}  # the first statement, because `__del__` also runs if `__init__` fails
        self._endpoint = endpoint
        self._others: dict[Place, AiohttpTransport] = {}
        self._signer = endpoint.signer
        self._outgoing = Outgoing(endpoint)
        self._clock = clock
        self._wall = wall
        self._tls = tls_context(endpoint) if endpoint.url.startswith("https:") else None
        self._proxy = without_credentials(endpoint.proxy) if endpoint.proxy else None
        self._proxy_headers = proxy_authorization(endpoint.proxy) if endpoint.proxy else None
        self._closed = False
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Stop using the parent's connections in a forked child, without closing them."""
        for connections in self._loops.values():
            connections.disown()
        _inherited.append(self._loops)
        self._loops = {}

    def __del__(self) -> None:
        # `weakref.finalize` is not used, because closed loops would then stay in memory. A loop refers to its tasks,
        # and the tasks refer to this transport.
        for connections in self._loops.values():
            connections.collect()

    async def send(self, call: Call) -> Outcome:  # noqa: PLR0911 - a return for each stage at which it can end
        """Send `call` once. The value of the returned outcome is boto3's response, or an `AsyncSource` for a streaming
        operation.
        """
        if call.place is not None and call.place is not self._endpoint:
            return await self._beside(call.place).send(call)
        plan = operation(call.operation)
        exchange = Exchange(call, self._outgoing.host, self._clock)
        try:
            identity = await self._renewed(exchange) if self._signer.due() else self._signer.identity()
        except Exception as error:  # noqa: BLE001 - botocore's errors, and those of the credentials' source
            return Outcome(fault=exchange.late() if is_late(error) else unidentified(error))
        try:
            request = self._outgoing.write(plan.request(call.params, plain=call.plain), identity, self._wall())
        except UnsendableHeader as error:
            return Outcome(fault=unsendable(error))
        first = "first_content" if plan.stream else "first_byte"
        connections = self._here()
        try:
            connecting.set((exchange, first))
            async with asyncio.timeout(exchange.timeout(first)):
                answer = await connections.session.request(
                    request.method,
                    URL(self._outgoing.origin + request.target, encoded=True),
                    data=(BytesIO(request.body) if len(request.body) > LARGE else request.body) or None,
                    headers=request.headers,
                    allow_redirects=False,
                    proxy=self._proxy,
                    proxy_headers=self._proxy_headers,
                    timeout=aiohttp.ClientTimeout(total=None, connect=exchange.timeout("connect")),
                )
        except (aiohttp.ClientError, OSError) as error:
            if peer_vanished(error) and not isinstance(error, aiohttp.ClientConnectorError):
                connections.connector.forget()  # the other idle connections have probably failed
            return Outcome(fault=_fault(error, exchange, "ConnectionClosedError", proxy=self._proxy))
        body = _Body(answer, exchange)
        if plan.stream and answer.status < ERROR:
            return Outcome(AsyncSource(plan, plan.response(answer.status, answer.headers, b""), body, exchange))
        try:
            content = await body.whole(first)
        except (aiohttp.ClientError, OSError) as error:
            return Outcome(fault=_fault(error, exchange, "IncompleteReadError"))
        ended = outcome(plan, answer.status, answer.headers, content, wall=self._wall())
        if ended.fault is not None and is_refusal(ended.fault) and await self._replaced(identity, exchange):
            return Outcome(fault=with_other_credentials(ended.fault))
        return ended

    async def close(self) -> None:
        """Close the idle connections of all event loops. A connection in use is closed when its call ends."""
        self._closed = True
        for other in list(self._others.values()):
            await other.close()
        here = asyncio.get_running_loop()
        for loop in list(self._loops):
            if loop is not here:
                self._loops[loop].retire()
        connections = self._loops.get(here)
        if connections is not None:
            await connections.close()
            if not connections.connector.in_use():
                self._loops.pop(here, None)

    def _beside(self, place: Place) -> AiohttpTransport:
        """Return the transport for another place (endpoint and signing identity). It is created on first use."""
        found = self._others.get(place)
        if found is None:
            made = AiohttpTransport(cast("Endpoint", place), clock=self._clock, wall=self._wall)
            found = self._others.setdefault(place, made)  # if two threads create one at the same time, one is used
        return found

    async def _renewed(self, exchange: Exchange) -> Any:
        """Return the identity that signs the call, and start its renewal.

        A background thread renews the identity, because the renewal can last longer than the call. The call waits for
        the renewal only if the current identity may expire too soon. The call stops waiting when the attempt or the
        call must end.
        """
        renewal = background.start(("identity", id(self._signer.source)), self._signer.renewed)
        async with asyncio.timeout(exchange.timeout(CREDENTIALS)):
            return self._signer.current() or await finished(renewal)

    async def _replaced(self, identity: Any, exchange: Exchange) -> bool:
        """Read the credentials again after the service refused `identity`, and return whether they have changed.

        A background thread reads the credentials. The call waits for this thread at most until the attempt or the call
        ends. If the credentials cannot be read, the result is False.
        """
        try:
            reading = background.start(
                ("replaced", id(self._signer.source), identity), partial(self._signer.replaced, identity)
            )
            async with asyncio.timeout(exchange.timeout(CREDENTIALS)):
                return bool(await finished(reading))
        except Exception:  # noqa: BLE001 - botocore's errors: the refusal of the service is the more useful fault
            return False

    def _here(self) -> LoopConnections:
        loop = asyncio.get_running_loop()
        connections = self._loops.get(loop)
        if connections is None:
            for other in list(self._loops):
                if other.is_closed():
                    self._loops.pop(other).abandon()
            connections = self._loops[loop] = LoopConnections(self._tls)
            connections.connector.retired = self._closed
        return connections


class AsyncSource(OpenAnswer["_Body"]):
    """The open stream of an answer. A coroutine awaits its events."""

    async def next(self) -> dict[str, Any] | Fault | None:
        """Return the next event, or the fault that broke the stream. Return None at the end of the body."""
        event: dict[str, Any] | Fault | None = None
        try:
            while not self._ended:
                event = self._decoder.next()
                if event is not None:
                    break
                data = await self._body.read(self._limit)
                self._decoder.feed(data)
                if not data:
                    event = self._decoder.end()
                    self.close()
        except (aiohttp.ClientError, OSError) as error:
            event = _fault(error, self._exchange, "StreamBroken")
        if isinstance(event, Fault):
            self.close()
        return event


class _Body:
    """The body of an answer, which is read while it arrives. If the reading is interrupted, the connection is
    closed.
    """

    def __init__(self, answer: aiohttp.ClientResponse, exchange: Exchange) -> None:
        self._answer = answer
        self._exchange = exchange

    async def read(self, limit: str) -> bytes:
        """Return the bytes that have arrived. If no bytes have arrived, wait for the next ones. `limit` is the name of
        the time limit of this wait. Return empty bytes at the end of the body.
        """
        try:
            async with asyncio.timeout(self._exchange.timeout(limit)):
                return await self._answer.content.readany()
        except BaseException:
            self.close()
            raise

    async def whole(self, limit: str) -> bytes:
        """Return the complete body, and wait for it if needed. `limit` is the name of the time limit of this wait."""
        if self._answer.content.is_eof():
            return await self._answer.read()
        try:
            async with asyncio.timeout(self._exchange.timeout(limit)):
                return await self._answer.read()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Release the connection for other calls. If the answer has unread bytes, close the connection instead."""
        self._answer.close()


def _fault(error: Exception, exchange: Exchange, broken: str, *, proxy: str | None = None) -> Fault:
    """Return the fault for an error of aiohttp. `broken` is the code of the fault if the connection was lost."""
    if is_late(error):
        return exchange.late()
    # An answer that arrives while the connection is being established comes from the proxy.
    connecting_to_proxy = proxy is not None and exchange.limit == "connect" and isinstance(error, _OF_PROXY)
    if connecting_to_proxy or isinstance(error, (aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError)):
        code = "ProxyConnectionError"
    elif isinstance(error, aiohttp.ClientConnectorCertificateError):
        code = "SSLError"
    elif isinstance(error, aiohttp.ClientConnectorSSLError):
        code = handshake_code(error.os_error)
    elif isinstance(error, aiohttp.ClientConnectorError):
        code = "EndpointConnectionError"
    elif isinstance(error, aiohttp.ClientResponseError):
        code = "MalformedResponse"
    else:
        code = broken
    return exchange.failed(code, error)
