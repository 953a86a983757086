"""Look up the addresses of a host in the background."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, NamedTuple

from aws_bedrock_inference.background import background

if TYPE_CHECKING:
    from concurrent.futures import Future


class Address(NamedTuple):
    """An address as `getaddrinfo` returns it."""

    family: int
    kind: int
    protocol: int
    name: str
    where: Any


def literal(host: str, port: int) -> list[Address] | None:
    """Return the address if `host` is an IP address, or None if it is a name."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except OSError:
        return None
    return [Address(*address) for address in found]


def look_up(host: str, port: int) -> Future[list[Address]]:
    """Start to look up `host` in the background, and return the future of its addresses. A successful look-up finds at
    least one address. If a look-up of `host` is already running, its future is returned.

    Raises `BackgroundFull`.
    """
    return background.start(("address", host, port), lambda: _addresses(host, port))


def _addresses(host: str, port: int) -> list[Address]:
    """Return the addresses in the order of the resolver, but alternate between IPv4 and IPv6, because one of the two
    can be unreachable.
    """
    found = [Address(*address) for address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    first = [address for address in found if address.family == found[0].family]
    other = [address for address in found if address.family != found[0].family]
    ordered = []
    for place in range(max(len(first), len(other))):
        ordered += first[place : place + 1] + other[place : place + 1]
    return ordered
