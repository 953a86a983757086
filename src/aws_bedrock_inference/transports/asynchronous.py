"""The asyncio transport, on aiohttp. `blocking` is its twin, in the same order."""

from __future__ import annotations

import asyncio  # noqa: TID251 - the asyncio transport
import socket
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import aiohttp
from yarl import URL

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.call import Outcome
from aws_bedrock_inference.fault import Fault
from aws_bedrock_inference.knowledge.classify import unidentified
from aws_bedrock_inference.transports.answers import ERROR, outcome
from aws_bedrock_inference.transports.connections import SOCKET_OPTIONS, tls_context
from aws_bedrock_inference.transports.eventstream import OpenAnswer
from aws_bedrock_inference.transports.operations import operation
from aws_bedrock_inference.transports.prepare import Outgoing
from aws_bedrock_inference.transports.timeouts import Exchange

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Call
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.transports.endpoint import Endpoint


class AiohttpTransport:
    """Carries calls to one endpoint over kept connections. Each event loop that uses it has connections of its own.

    Await `close` in each of them before it ends: aiohttp warns of connections that nobody closed.
    """

    def __init__(self, endpoint: Endpoint, *, clock: Clock = clocks.monotonic, wall: Clock = clocks.wall) -> None:
        self._signer = endpoint.signer
        self._outgoing = Outgoing(endpoint)
        self._clock = clock
        self._wall = wall
        self._tls = tls_context(endpoint) if endpoint.url.startswith("https:") else False
        self._proxy = endpoint.proxy
        self._sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, aiohttp.ClientSession] = WeakKeyDictionary()

    async def send(self, call: Call) -> Outcome:
        """Carry `call` once; the outcome's value is boto3's response, or an `AsyncSource` for a streaming operation."""
        plan = operation(call.operation)
        try:
            # Renewing credentials goes over the network, and botocore does it blocking.
            identity = await asyncio.to_thread(self._signer.identity) if self._signer.due() else self._signer.identity()
        except Exception as error:  # noqa: BLE001 - sources of credentials raise what they like
            return Outcome(fault=unidentified(error))
        request = self._outgoing.write(plan.request(call.params, plain=call.plain), identity, self._wall())
        exchange = Exchange(call, self._outgoing.host, self._clock)
        first = "first_event" if plan.stream else "first_byte"
        try:
            async with asyncio.timeout(exchange.timeout(first)):
                answer = await self._session().request(
                    request.method,
                    URL(self._outgoing.origin + request.target, encoded=True),
                    data=request.body or None,
                    headers=request.headers,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=None, connect=exchange.timeout("connect")),
                )
        except (aiohttp.ClientError, OSError) as error:
            return Outcome(fault=_fault(error, exchange, first, "ConnectionClosedError"))
        body = _Body(answer, exchange)
        if plan.stream and answer.status < ERROR:
            return Outcome(AsyncSource(plan, plan.response(answer.status, answer.headers, b""), body, exchange))
        try:
            content = await body.whole(first)
        except (aiohttp.ClientError, OSError) as error:
            return Outcome(fault=_fault(error, exchange, first, "IncompleteReadError"))
        return outcome(plan, answer.status, answer.headers, content, wall=self._wall())

    async def close(self) -> None:
        """Close this event loop's connections."""
        session = self._sessions.pop(asyncio.get_running_loop(), None)
        if session is not None:
            await session.close()

    def _session(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        session = self._sessions.get(loop)
        if session is None:
            session = self._sessions[loop] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ssl=self._tls, socket_factory=_socket),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("Accept", "Content-Type"),
                auto_decompress=False,
                proxy=self._proxy,
            )
        return session


class AsyncSource(OpenAnswer["_Body"]):
    """An open answer whose events are awaited."""

    async def next(self) -> dict[str, Any] | Fault | None:
        """Return the next event, what broke the stream, or None at the end of the body."""
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
            event = _fault(error, self._exchange, self._limit, "StreamBroken")
        self._limit = "idle"
        if isinstance(event, Fault):
            self.close()
        return event


class _Body:
    """The body of an answer, read as it comes. Whatever interrupts the reading closes the connection."""

    def __init__(self, answer: aiohttp.ClientResponse, exchange: Exchange) -> None:
        self._answer = answer
        self._exchange = exchange

    async def read(self, limit: str) -> bytes:
        """Return what has come, waiting for it as long as `limit` allows; empty at the end."""
        try:
            async with asyncio.timeout(self._exchange.timeout(limit)):
                return await self._answer.content.readany()
        except BaseException:
            self.close()
            raise

    async def whole(self, limit: str) -> bytes:
        """Return all of it. What has come already needs no timer."""
        if self._answer.content.is_eof():
            return await self._answer.read()
        try:
            async with asyncio.timeout(self._exchange.timeout(limit)):
                return await self._answer.read()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Release the connection."""
        self._answer.close()


def _socket(address: Any) -> socket.socket:
    """Return a socket for one of the endpoint's addresses, with the options of every connection."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family=family, type=kind, proto=protocol)
    for level, name, value in SOCKET_OPTIONS:
        made.setsockopt(level, name, value)
    return made


def _fault(error: Exception, exchange: Exchange, limit: str, broken: str) -> Fault:
    """Return the fault behind aiohttp's error; `broken` is what a lost connection means at this point."""
    if isinstance(error, TimeoutError):
        return exchange.late("connect" if isinstance(error, aiohttp.ConnectionTimeoutError) else limit, error)
    if isinstance(error, (aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError)):
        code = "ProxyConnectionError"
    elif isinstance(error, (aiohttp.ClientConnectorSSLError, aiohttp.ClientConnectorCertificateError)):
        code = "SSLError"
    elif isinstance(error, aiohttp.ClientConnectorError):
        code = "EndpointConnectionError"
    elif isinstance(error, aiohttp.ClientResponseError):
        code = "MalformedResponse"
    else:
        code = broken
    return exchange.failed(code, error)
