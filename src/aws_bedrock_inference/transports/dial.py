"""Establish a blocking connection to the endpoint within one time limit: look up the address, connect, pass the proxy,
and start TLS.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from urllib3.util.ssltransport import SSLTransport

from aws_bedrock_inference.transports.connections import made_socket, proxy_authorization, tls_context
from aws_bedrock_inference.transports.failures import (
    ConnectionClosed,
    Failed,
    MalformedAnswer,
    handshake_code,
    is_late,
)
from aws_bedrock_inference.transports.http1 import Answer
from aws_bedrock_inference.transports.lookup import Address, literal, look_up
from aws_bedrock_inference.transports.prepare import PORTS

if TYPE_CHECKING:
    from aws_bedrock_inference.transports.endpoint import Endpoint
    from aws_bedrock_inference.transports.timeouts import Exchange

# If an address does not respond within this many seconds, the next address is tried in parallel (RFC 8305, section 5).
STAGGER = 0.25

# The results of a connect that is in progress; 10035 is WSAEWOULDBLOCK of Windows.
_PENDING = (0, errno.EINPROGRESS, errno.EWOULDBLOCK, 10035)

_READ = 4096


class Dialler:
    """Establishes connections to one endpoint, through its proxy if it has one."""

    def __init__(self, endpoint: Endpoint) -> None:
        there = urlsplit(endpoint.url)
        self._tls = tls_context(endpoint) if there.scheme == "https" else None
        self._there = (there.hostname or "", there.port or PORTS[there.scheme])
        self._first = self._there
        self._tunnel = b""
        self._proxy_tls = None
        self._unreachable = "EndpointConnectionError"
        if endpoint.proxy is not None:
            proxy = urlsplit(endpoint.proxy)
            self._first = (proxy.hostname or "", proxy.port or PORTS[proxy.scheme])
            self._unreachable = "ProxyConnectionError"
            self._proxy_tls = tls_context(endpoint) if proxy.scheme == "https" else None
            if self._tls is not None:
                self._tunnel = _connect_request(*self._there, proxy_authorization(endpoint.proxy))

    def dial(self, exchange: Exchange) -> Any:
        """Return a connected socket. Raises `Failed`, and `TimeoutError` when the time limit in `exchange` has expired.

        If both the proxy and the endpoint use TLS, the TLS connection to the endpoint runs inside the TLS connection to
        the proxy. The result is then an object of urllib3 that acts like a socket.
        """
        try:
            wire: Any = _connected(_addresses(*self._first, exchange), exchange)
        except OSError as error:
            if is_late(error):
                raise
            raise Failed(self._unreachable, error) from None
        try:
            if self._proxy_tls is not None:
                wire = _secured(wire, self._proxy_tls, self._first[0], exchange, "ProxyConnectionError")
            if self._tunnel:
                _open_tunnel(wire, self._tunnel, exchange)
            if self._tls is not None:
                wire = _secured(wire, self._tls, self._there[0], exchange, None)
        except BaseException:
            wire.close()
            raise
        return wire


def _addresses(host: str, port: int, exchange: Exchange) -> list[Address]:
    return literal(host, port) or look_up(host, port).result(exchange.left())


def _connected(addresses: list[Address], exchange: Exchange) -> socket.socket:
    """Return the first socket that connects. If an address does not respond within `STAGGER` seconds, the next address
    is tried in parallel.
    """
    waiting = iter(addresses)
    more, error = True, OSError("no address")
    with selectors.DefaultSelector() as selector:
        try:
            while more or selector.get_map():
                address = next(waiting, None) if more else None
                more = address is not None
                if address is not None:
                    try:
                        selector.register(_begun(address), selectors.EVENT_WRITE)
                    except OSError as refused:
                        error = refused
                        continue
                elif not selector.get_map():
                    break
                left = exchange.left()
                pause = STAGGER if left is None or left > STAGGER else left
                for key, _ in selector.select(pause if more else left):
                    made: Any = key.fileobj
                    number = made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    selector.unregister(made)
                    if not number:
                        return made  # type: ignore[no-any-return]
                    made.close()
                    error = OSError(number, os.strerror(number))
        finally:
            for key in list(selector.get_map().values()):
                key.fileobj.close()  # type: ignore[union-attr]
    raise error


def _begun(address: Address) -> socket.socket:
    made = made_socket(address)
    made.settimeout(0.0)
    number = made.connect_ex(address.where)
    if number in _PENDING:
        return made
    made.close()
    raise OSError(number, os.strerror(number))


def _secured(wire: Any, context: ssl.SSLContext, host: str, exchange: Exchange, code: str | None) -> Any:
    """Start TLS on the socket `wire`, and return the encrypted socket.

    If the handshake fails, `code` is the code of the fault. If `code` is None, `handshake_code` determines the code.
    """
    wire.settimeout(exchange.left())
    name = host.rstrip(".")  # certificates have names without the trailing dot
    try:
        if isinstance(wire, ssl.SSLSocket):
            return SSLTransport(wire, context, name)
        return context.wrap_socket(wire, server_hostname=name)
    except OSError as error:
        if is_late(error):
            raise
        raise Failed(code or handshake_code(error), error) from None


def _open_tunnel(wire: Any, request: bytes, exchange: Exchange) -> None:
    answer = Answer()
    try:
        wire.settimeout(exchange.left())
        wire.sendall(request)
        while not answer.status:
            wire.settimeout(exchange.left())
            answer.feed(wire.recv(_READ))
    except (OSError, MalformedAnswer) as error:
        if is_late(error):
            raise
        raise Failed("ProxyConnectionError", error) from None
    if not 200 <= answer.status < 300:  # noqa: PLR2004 - any success
        raise Failed("ProxyConnectionError", ConnectionClosed(f"the proxy answered {answer.status} {answer.reason}"))
    if answer.take():
        raise Failed("ProxyConnectionError", ConnectionClosed("the proxy sent data after its answer"))


def _connect_request(host: str, port: int, headers: dict[str, str]) -> bytes:
    there = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {there} HTTP/1.1", f"Host: {there}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()
