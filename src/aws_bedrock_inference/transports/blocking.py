"""The blocking transport, on urllib3. `asynchronous` is its twin, in the same order."""

from __future__ import annotations

import ssl
from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from typing import TYPE_CHECKING, Any, cast

import urllib3
from urllib3 import exceptions
from urllib3.connection import HTTPConnection, HTTPSConnection

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.call import Outcome
from aws_bedrock_inference.fault import Fault
from aws_bedrock_inference.knowledge.classify import unidentified
from aws_bedrock_inference.transports.answers import ERROR, outcome
from aws_bedrock_inference.transports.connections import SOCKET_OPTIONS, proxy_authorization, tls_context
from aws_bedrock_inference.transports.eventstream import OpenAnswer
from aws_bedrock_inference.transports.operations import operation
from aws_bedrock_inference.transports.prepare import Outgoing
from aws_bedrock_inference.transports.timeouts import Exchange

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Call
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.transports.endpoint import Endpoint

# Idle connections that are kept, one for each thread that was calling at once; more may be open.
KEPT = 256

READ = 65536


class BlockingTransport:
    """Carries calls to one endpoint over kept connections. Safe to share between threads."""

    def __init__(self, endpoint: Endpoint, *, clock: Clock = clocks.monotonic, wall: Clock = clocks.wall) -> None:
        self._signer = endpoint.signer
        self._outgoing = Outgoing(endpoint)
        self._clock = clock
        self._wall = wall
        self._manager = _manager(endpoint)
        self._pool = self._manager.connection_from_url(self._outgoing.origin)
        # A proxy that forwards plain HTTP wants the whole URL.
        self._before = self._outgoing.origin if endpoint.proxy and endpoint.url.startswith("http:") else ""
        self._pool.ConnectionCls = _WiredTLS if endpoint.url.startswith("https:") else _Wired

    def send(self, call: Call) -> Outcome:
        """Carry `call` once; the outcome's value is boto3's response, or a `Source` for a streaming operation."""
        plan = operation(call.operation)
        try:
            identity = self._signer.identity()
        except Exception as error:  # noqa: BLE001 - sources of credentials raise what they like
            return Outcome(fault=unidentified(error))
        request = self._outgoing.write(plan.request(call.params, plain=call.plain), identity, self._wall())
        exchange = Exchange(call, self._outgoing.host, self._clock)
        first = "first_event" if plan.stream else "first_byte"
        try:
            answer = self._pool.urlopen(
                request.method,
                self._before + request.target,
                request.body or None,
                request.headers,
                retries=False,
                redirect=False,
                assert_same_host=False,
                timeout=urllib3.Timeout(connect=exchange.timeout("connect"), read=exchange.timeout(first)),
                preload_content=False,
                decode_content=False,
            )
        except (exceptions.HTTPError, OSError) as error:
            return Outcome(fault=_fault(error, exchange, first, "ConnectionClosedError"))
        body = _Body(answer, exchange)
        if plan.stream and answer.status < ERROR:
            return Outcome(Source(plan, plan.response(answer.status, answer.headers, b""), body, exchange))
        try:
            content = body.whole(first)
        except (exceptions.HTTPError, OSError) as error:
            return Outcome(fault=_fault(error, exchange, first, "IncompleteReadError"))
        return outcome(plan, answer.status, answer.headers, content, wall=self._wall())

    def close(self) -> None:
        """Close the connections that are not in use; those in use close when their calls end."""
        self._manager.clear()
        self._pool.close()


class Source(OpenAnswer["_Body"]):
    """An open answer whose events are read in the calling thread."""

    def next(self) -> dict[str, Any] | Fault | None:
        """Return the next event, what broke the stream, or None at the end of the body."""
        event: dict[str, Any] | Fault | None = None
        try:
            while not self._ended:
                event = self._decoder.next()
                if event is not None:
                    break
                data = self._body.read(self._limit)
                self._decoder.feed(data)
                if not data:
                    event = self._decoder.end()
                    self.close()
        except (exceptions.HTTPError, OSError) as error:
            event = _fault(error, self._exchange, self._limit, "StreamBroken")
        self._limit = "idle"
        if isinstance(event, Fault):
            self.close()
        return event


class _Body:
    """The body of an answer, read as it comes. Whatever interrupts the reading closes the connection."""

    def __init__(self, answer: urllib3.BaseHTTPResponse, exchange: Exchange) -> None:
        self._answer = answer
        self._exchange = exchange
        self._socket = cast("_Wired", answer.connection).wire

    def read(self, limit: str) -> bytes:
        """Return what has come, waiting for it as long as `limit` allows; empty at the end."""
        if self._answer.closed:
            return b""  # the socket may already serve another thread
        self._socket.settimeout(self._exchange.timeout(limit))
        try:
            return self._answer.read1(READ)
        except BaseException:
            self.close()
            raise

    def whole(self, limit: str) -> bytes:
        """Return all of it."""
        parts = []
        while part := self.read(limit):
            parts.append(part)
        return b"".join(parts)

    def close(self) -> None:
        """Release the connection."""
        self._answer.close()


class _Wired(HTTPConnection):
    """A connection that remembers its socket, which `http.client` releases when the answer is the last one, and
    whose time-out while being made, TLS included, is a connect time-out.
    """

    wire: Any

    def connect(self) -> None:
        try:
            super().connect()
        except TimeoutError as error:
            raise exceptions.ConnectTimeoutError(self, "connecting took too long") from error
        self.wire = self.sock


class _WiredTLS(_Wired, HTTPSConnection):
    """The same over TLS."""


def _manager(endpoint: Endpoint) -> urllib3.PoolManager:
    options: dict[str, Any] = {"maxsize": KEPT, "block": False, "socket_options": SOCKET_OPTIONS}
    if endpoint.url.startswith("https:"):
        options["ssl_context"] = tls_context(endpoint)
    if endpoint.proxy is None:
        return urllib3.PoolManager(**options)
    return urllib3.ProxyManager(endpoint.proxy, proxy_headers=proxy_authorization(endpoint.proxy), **options)


def _fault(error: Exception, exchange: Exchange, limit: str, broken: str) -> Fault:
    """Return the fault behind urllib3's error; `broken` is what a lost connection means at this point."""
    cause = error.args[-1] if error.args else None
    if isinstance(error, exceptions.NewConnectionError):
        return exchange.failed("EndpointConnectionError", error)
    if isinstance(error, (exceptions.ConnectTimeoutError, exceptions.ReadTimeoutError)):
        return exchange.late("connect" if isinstance(error, exceptions.ConnectTimeoutError) else limit, error)
    if isinstance(error, exceptions.ProxyError) or str(cause).startswith("Tunnel connection failed"):
        code = "ProxyConnectionError"
    elif isinstance(cause, ssl.SSLCertVerificationError):
        code = "SSLError"
    elif isinstance(cause, HTTPException) and not isinstance(cause, (RemoteDisconnected, IncompleteRead)):
        code = "MalformedResponse"
    else:
        code = broken
    return exchange.failed(code, error)
