"""Probes of the way to the endpoint: name, connection, certificate, and the service's clock."""

from __future__ import annotations

import socket
import ssl
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aws_bedrock_inference.doctor.findings import Finding, failed, ok, warning
from aws_bedrock_inference.doctor.probe import probe

if TYPE_CHECKING:
    from aws_bedrock_inference.doctor.world import World

_NETWORK = "network"

# AWS refuses a signature whose time is more than 5 minutes off (facts: clock-skew); half of it is worth a warning.
_SKEW = 300.0


def _way(world: World) -> tuple[str, int, bool]:
    """Return host and port that a call connects to first, and whether that is a proxy."""
    proxy = urlsplit(world.endpoint.proxy or "")
    parts = proxy if proxy.hostname else urlsplit(world.endpoint.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return parts.hostname or "", port, bool(proxy.hostname)


@probe(_NETWORK, needs=["endpoint"], tells=["endpoint-unreachable-dns", "proxy-unreachable", "region-disabled"])
def name(world: World) -> Finding:
    """Resolve the name of the endpoint, or of the proxy before it."""
    host, port, is_proxy = _way(world)
    tried = f"resolved {host}"
    try:
        addresses = {info[4][0] for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except OSError as error:
        cause = "proxy-unreachable" if is_proxy else "endpoint-unreachable-dns"
        return failed(f"The name {host} cannot be resolved: {error.strerror or error}.", tried, cause=cause)
    excluded = () if is_proxy else ("endpoint-unreachable-dns",)
    return ok(f"{host} has {len(addresses)} address{'es' * (len(addresses) != 1)}.", tried, excludes=excluded)


@probe(
    _NETWORK,
    needs=["name"],
    tells=["connection-refused-or-reset", "connect-timeout", "proxy-unreachable", "endpoint-unreachable-dns"],
)
def connection(world: World) -> Finding:
    """Connect to the endpoint, or to the proxy before it."""
    host, port, is_proxy = _way(world)
    whom = f"the proxy {host}:{port}" if is_proxy else f"{host}:{port}"
    tried = f"connected to {whom}"
    try:
        socket.create_connection((host, port), timeout=world.wait).close()
    except TimeoutError:
        cause = "proxy-unreachable" if is_proxy else "connect-timeout"
        return failed(f"No answer from {whom} within {world.wait:g} s.", tried, cause=cause)
    except OSError as error:
        cause = "proxy-unreachable" if is_proxy else "connection-refused-or-reset"
        return failed(f"No connection to {whom}: {error.strerror or error}.", tried, cause=cause)
    return ok(f"{whom} takes connections.", tried)


@probe(
    _NETWORK,
    needs=["connection"],
    tells=[
        *("tls-certificate-error", "clock-skew", "signature-mismatch", "proxy-unreachable", "client-read-timeout"),
        "connection-refused-or-reset",
    ],
)
def certificate_and_clock(world: World) -> Finding:
    """Check the certificate of the endpoint, and compare the clocks."""
    url = urlsplit(world.endpoint.url)
    tried = f"sent an unsigned GET to {url.hostname}, and read the Date of the answer"
    try:
        date = _date(world)
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", "") or error.reason or error
        return failed(f"The certificate is refused: {reason}.", tried, cause="tls-certificate-error")
    except TimeoutError:
        cause = "proxy-unreachable" if world.endpoint.proxy else "client-read-timeout"
        return failed(f"Connected, but no answer came within {world.wait:g} s.", tried, cause=cause)
    except (OSError, HTTPException) as error:
        cause = "proxy-unreachable" if world.endpoint.proxy else "connection-refused-or-reset"
        return failed(f"Connected, but there is no answer: {error}.", tried, cause=cause)
    if date is None:
        return warning("The answer has no Date, so the clock cannot be compared.", tried)
    off = world.wall() - date
    difference = f"This machine's clock is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} the service's."
    if abs(off) > _SKEW / 2:
        return (failed if abs(off) > _SKEW else warning)(difference, tried, cause="clock-skew")
    return ok(
        "The certificate is valid, and the clocks agree.", tried, excludes=["tls-certificate-error", "clock-skew"]
    )


def _date(world: World) -> float | None:
    """Return the time of day of the service; None where its answer has none."""
    url, proxy = urlsplit(world.endpoint.url), urlsplit(world.endpoint.proxy or "")
    limit, to = world.wait, (url.hostname or "", url.port)
    via = (proxy.hostname, proxy.port or 80) if proxy.hostname else to
    wire: HTTPConnection
    if url.scheme == "https":
        wire = HTTPSConnection(via[0] or "", via[1], timeout=limit, context=_trusted(world))
        if proxy.hostname:
            wire.set_tunnel(to[0], to[1] or 443)
    else:
        wire = HTTPConnection(via[0] or "", via[1], timeout=limit)
    try:
        wire.request("GET", "/ping")
        written = wire.getresponse().getheader("Date")
    finally:
        wire.close()
    try:
        return parsedate_to_datetime(written).timestamp() if written else None
    except ValueError:
        return None


def _trusted(world: World) -> ssl.SSLContext:
    verify = world.endpoint.verify
    if isinstance(verify, str):
        return ssl.create_default_context(cafile=verify)
    import certifi  # noqa: PLC0415 - botocore's own list, which calls are checked against

    return ssl.create_default_context(cafile=certifi.where())


PROBES = (name, connection, certificate_and_clock)
