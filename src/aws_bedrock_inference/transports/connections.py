"""The connections of both the synchronous and the asynchronous transport: kept alive, verified, through a proxy."""

from __future__ import annotations

import base64
import socket
import ssl
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from botocore.httpsession import get_cert_path

if TYPE_CHECKING:
    from aws_bedrock_inference.transports.endpoint import Endpoint

# NAT gateways, load balancers and VPC endpoints drop a connection that is silent for 350 s, as it is while a long
# answer is generated. A probe every 45 s keeps it, and finds a dead peer in about three minutes.
# Source: https://repost.aws/knowledge-center/bedrock-large-model-read-timeouts, read 2026-11-20.
_KEEP_ALIVE = {"TCP_KEEPIDLE": 45, "TCP_KEEPALIVE": 45, "TCP_KEEPINTVL": 45, "TCP_KEEPCNT": 3}

SOCKET_OPTIONS: list[tuple[int, int, int | bytes]] = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in _KEEP_ALIVE.items()
        if hasattr(socket, name)
    ),
]


def tls_context(endpoint: Endpoint) -> ssl.SSLContext:
    """Return a context that trusts what boto3 would trust."""
    return ssl.create_default_context(cafile=get_cert_path(endpoint.verify))  # type: ignore[arg-type]  # a path or True; the stubs say bool


def proxy_authorization(proxy: str) -> dict[str, str]:
    """Return the header for the user and password in a proxy's URL; empty without them."""
    parts = urlsplit(proxy)
    if not parts.username or parts.password is None:
        return {}
    secret = base64.b64encode(f"{unquote(parts.username)}:{unquote(parts.password)}".encode()).decode()
    return {"Proxy-Authorization": f"Basic {secret}"}
