"""The settings of the connections that both transports use: keep-alive, certificates, and proxies."""

from __future__ import annotations

import base64
import socket
import ssl
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from botocore.exceptions import BotoCoreError
from botocore.httpsession import get_cert_path

if TYPE_CHECKING:
    from aws_bedrock_inference.transports.endpoint import Endpoint

# NAT gateways, load balancers and VPC endpoints drop a connection that is silent for 350 s. This happens while the
# service generates a long answer. A keep-alive probe is sent after 20 s of silence, and then every 10 s. The probes
# keep the connection open and detect a dead peer within 50 s. Source:
# https://repost.aws/knowledge-center/bedrock-large-model-read-timeouts, read 2026-11-20.
_TCP = {"TCP_KEEPIDLE": 20, "TCP_KEEPALIVE": 20, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}

# A request that is not acknowledged within this many seconds is lost; Linux would resend it for 15 minutes. The value
# is below the 60 s after which boto3 reports a time-out. On Linux it replaces TCP_KEEPCNT (tcp(7)). The probes are sent
# after 20, 30 and 40 s of silence. If one probe is lost, another one can still be acknowledged within 45 s, so a long
# generation continues.
UNACKNOWLEDGED = 45
_TCP["TCP_USER_TIMEOUT"] = UNACKNOWLEDGED * 1000

# From <netinet/tcp.h> of macOS, in seconds. Python has no constant for it.
_TCP_RXT_CONNDROPTIME = 0x80

# Idle connections are closed after this many seconds. A NAT can drop an idle connection, and finding this out costs
# more time than a new handshake.
KEPT_SECONDS = 60.0

SOCKET_OPTIONS: list[tuple[int, int, int]] = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *((socket.IPPROTO_TCP, getattr(socket, name), value) for name, value in _TCP.items() if hasattr(socket, name)),
    *([(socket.IPPROTO_TCP, _TCP_RXT_CONNDROPTIME, UNACKNOWLEDGED)] if sys.platform == "darwin" else []),
]


class InvalidBundle(BotoCoreError):
    """The file of CA certificates (the CA bundle) cannot be read, or contains no certificates."""

    fmt = (
        "The CA bundle {path} cannot be used: {reason}. Set AWS_CA_BUNDLE, `ca_bundle` of the profile or "
        "REQUESTS_CA_BUNDLE to a file of PEM certificates."
    )


def made_socket(address: Any) -> socket.socket:
    """Return a socket for an address from `getaddrinfo`, with the options that all connections have."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family=family, type=kind, proto=protocol)
    for level, name, value in SOCKET_OPTIONS:
        with suppress(OSError):  # a connection without the option is better than none
            made.setsockopt(level, name, value)
    return made


def tls_context(endpoint: Endpoint) -> ssl.SSLContext:
    """Return a TLS context that trusts the same certificates as boto3. Raises `InvalidBundle`."""
    path = get_cert_path(endpoint.verify)  # type: ignore[arg-type]  # a path or True; the stubs say bool
    try:
        return ssl.create_default_context(cafile=path)
    except OSError as error:
        reason = getattr(error, "reason", None) or error.strerror
    raise InvalidBundle(path=path, reason=reason)


def proxy_authorization(proxy: str) -> dict[str, str]:
    """Return the header `Proxy-Authorization` with the user and password of the proxy's URL. Return an empty dictionary
    if the URL contains no user or no password.
    """
    parts = urlsplit(proxy)
    if not parts.username or parts.password is None:
        return {}
    secret = base64.b64encode(f"{unquote(parts.username)}:{unquote(parts.password)}".encode()).decode()
    return {"Proxy-Authorization": f"Basic {secret}"}


def without_credentials(proxy: str) -> str:
    """Return the proxy's URL without its user and password, because aiohttp would write them into its errors."""
    parts = urlsplit(proxy)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
