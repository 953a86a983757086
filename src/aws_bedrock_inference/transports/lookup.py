"""The addresses of a host, looked up in the background."""

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
    """Return the address if `host` is one, or None if it is a name."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except OSError:
        return None
    return [Address(*address) for address in found]


def look_up(host: str, port: int) -> Future[list[Address]]:
    """Start to look up `host`, or join the look-up that is running. Its result is never empty.

    Raises `BackgroundFull`.
    """
    return background.start(("address", host, port), lambda: _addresses(host, port))


def _addresses(host: str, port: int) -> list[Address]:
    """Return the addresses in the resolver's order, but alternating between IPv4 and IPv6: one of the two may not
    work.
    """
    found = [Address(*address) for address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    first = [address for address in found if address.family == found[0].family]
    other = [address for address in found if address.family != found[0].family]
    ordered = []
    for place in range(max(len(first), len(other))):
        ordered += first[place : place + 1] + other[place : place + 1]
    return ordered
