"""Probes that check the network path to the endpoint: name resolution, connection, certificate, and the difference
between the clocks of this machine and the service.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aws_bedrock_inference.doctor.findings import Finding, failed, ok, warning
from aws_bedrock_inference.doctor.probe import probe

if TYPE_CHECKING:
    from aws_bedrock_inference.doctor.world import World

_NETWORK = "network"

# AWS refuses a signature whose time is more than 5 minutes off (facts: clock-skew); half of this gives a warning.
_SKEW = 300.0

# Part of the names of private endpoints:
# https://docs.aws.amazon.com/vpc/latest/privatelink/privatelink-access-aws-services.html
_VPCE = ".vpce.amazonaws.com"


# The beginnings of http.client's messages about a proxy that refuses every tunnel to this host.
_REFUSED_TUNNELS = ("Tunnel connection failed: 403", "Tunnel connection failed: 407")

_TLS, _DENIED = "tls-certificate-error", "vpc-endpoint-denied"


def _past_proxy(world: World) -> str:
    """Return a sentence that explains how to bypass the proxy. The result is empty if no proxy is used."""
    host = urlsplit(world.endpoint.url).hostname
    if not world.endpoint.proxy:
        return ""
    if _VPCE in f"{host}":
        return f" {host} is a private endpoint. Add it to NO_PROXY, so that calls bypass the proxy."
    return f" If calls to {host} must bypass the proxy, add the host to NO_PROXY."


def _way(world: World) -> tuple[str, int, bool]:
    """Return the host and the port to which a call connects first, and whether this host is a proxy."""
    proxy = urlsplit(world.endpoint.proxy or "")
    parts = proxy if proxy.hostname else urlsplit(world.endpoint.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return parts.hostname or "", port, bool(proxy.hostname)


@probe(
    _NETWORK,
    needs=["endpoint"],
    tells=["endpoint-unreachable-dns", "dns-temporary-failure", "proxy-unreachable", "region-disabled"],
)
def name(world: World) -> Finding:
    """Resolve the host name of the endpoint. If calls go through a proxy, resolve the name of the proxy instead."""
    host, port, is_proxy = _way(world)
    tried = f"resolved {host}"
    try:
        addresses = _addresses(host, port, limit=world.wait)
    except OSError as error:
        cause = "proxy-unreachable" if is_proxy else "endpoint-unreachable-dns"
        message = f"The name {host} cannot be resolved: {error.strerror or error}.{_past_proxy(world)}"
        return failed(message, tried, cause=cause, HOST=host)
    excluded = () if is_proxy else ("endpoint-unreachable-dns",)
    whose = "The proxy " if is_proxy else ""
    number = f"{len(addresses)} address{'es' * (len(addresses) != 1)}"
    return ok(f"{whose}{host} resolves to {number}.", tried, excludes=excluded)


def _addresses(host: str, port: int | None, *, limit: float) -> set[str]:
    """Return the addresses of a host name. A separate thread resolves the name. If the thread has no answer after
    `limit` seconds, raise `TimeoutError`, and do not wait for the thread any longer.
    """
    answers: SimpleQueue[set[str] | OSError] = SimpleQueue()

    def resolve() -> None:
        try:
            answers.put({str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)})
        except OSError as error:
            answers.put(error)

    threading.Thread(target=resolve, daemon=True).start()
    try:
        answer = answers.get(timeout=limit)
    except Empty:
        raise TimeoutError(f"the name server did not answer within {limit:g} s") from None
    if isinstance(answer, OSError):
        raise answer
    return answer


@probe(
    _NETWORK,
    needs=["name"],
    tells=["connection-refused-or-reset", "connect-timeout", "proxy-unreachable", "endpoint-unreachable-dns"],
)
def connection(world: World) -> Finding:
    """Connect to the endpoint. If calls go through a proxy, connect to the proxy instead."""
    host, port, is_proxy = _way(world)
    whom = f"the proxy {host}:{port}" if is_proxy else f"{host}:{port}"
    tried = f"connected to {whom}"
    try:
        socket.create_connection((host, port), timeout=world.wait).close()
    except TimeoutError:
        cause = "proxy-unreachable" if is_proxy else "connect-timeout"
        message = f"No answer from {whom} within {world.wait:g} s.{_past_proxy(world)}"
        return failed(message, tried, cause=cause, HOST=host)
    except OSError as error:
        cause = "proxy-unreachable" if is_proxy else "connection-refused-or-reset"
        message = f"No connection to {whom}: {error.strerror or error}.{_past_proxy(world)}"
        return failed(message, tried, cause=cause, HOST=host)
    return ok(f"{'The proxy ' if is_proxy else ''}{host}:{port} accepts connections.", tried)


@probe(
    _NETWORK,
    needs=["connection"],
    tells=[
        *(_TLS, "clock-skew", "signature-mismatch", "proxy-unreachable", "proxy-refused", "client-read-timeout"),
        "connection-refused-or-reset",
    ],
)
def certificate_and_clock(world: World) -> Finding:
    """Check the certificate of the endpoint, and compare the clock of the service with the clock of this machine."""
    url = urlsplit(world.endpoint.url)
    tried = f"sent an unsigned GET to {url.hostname}, and read the Date of the answer"
    try:
        date = _date(world)
    except _UnreadableList as error:
        message = f"The CA bundle {world.endpoint.verify} cannot be read: {error}."
        return failed(message, f"read {world.endpoint.verify}", cause=_TLS)
    except (OSError, HTTPException) as error:
        return _unanswered(world, error, tried)
    if date is None:
        return warning(
            f"The answer of {url.hostname} has no Date header, so this machine's clock could not be compared with the "
            "clock of AWS. Check the time of this machine.",
            tried,
        )
    off = world.wall() - date
    difference = f"This machine's clock is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} the service's."
    if abs(off) > _SKEW / 2:
        message = f"{difference} AWS refuses signatures that are more than {_SKEW:.0f} s off."
        return (failed if abs(off) > _SKEW else warning)(message, tried, cause="clock-skew")
    if url.scheme != "https":
        return ok(
            "The clocks agree. The endpoint does not use HTTPS, so it has no certificate.",
            tried,
            excludes=["clock-skew"],
        )
    return ok("The certificate is valid, and the clocks agree.", tried, excludes=[_TLS, "clock-skew"])


def _unanswered(world: World, error: Exception, tried: str) -> Finding:
    """Return the finding (the result of the probe) for a request whose connection was established but whose answer did
    not arrive.
    """
    proxy = world.endpoint.proxy
    if isinstance(error, ssl.SSLError):
        reason = getattr(error, "verify_message", "") or error.reason or error
        by = " If the proxy issued the certificate, add the proxy's CA certificate to AWS_CA_BUNDLE." if proxy else ""
        host = urlsplit(world.endpoint.url).hostname or ""
        return failed(f"The certificate was rejected: {reason}.{by}", tried, cause=_TLS, HOST=host)
    if isinstance(error, TimeoutError):
        problem, cause = f"no answer came within {world.wait:g} s", "client-read-timeout"
    else:
        problem, cause = f"no answer came: {error}", "connection-refused-or-reset"
    if proxy:
        cause = "proxy-refused" if str(error).startswith(_REFUSED_TUNNELS) else "proxy-unreachable"
    message = f"The connection was established, but {problem}.{_past_proxy(world)}"
    return failed(message, tried, cause=cause)


def _date(world: World) -> float | None:
    """Send a request to the endpoint, and return the time in the header `Date` of the answer. Return None if the header
    is missing or invalid.
    """
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


class _UnreadableList(Exception):
    """Raised if the CA bundle of the client cannot be read or is invalid. The path of this file is set with `ca_bundle`
    in the profile, or with the environment variable AWS_CA_BUNDLE or REQUESTS_CA_BUNDLE.
    """


def _trusted(world: World) -> ssl.SSLContext:
    verify = world.endpoint.verify
    if isinstance(verify, str):
        try:
            return ssl.create_default_context(cafile=verify)
        except OSError as error:
            raise _UnreadableList(getattr(error, "reason", "") or error.strerror) from None
    import certifi  # noqa: PLC0415 - botocore checks certificates against this list

    return ssl.create_default_context(cafile=certifi.where())


@probe(_NETWORK, needs=["name"], tells=[_DENIED])
def private_endpoint(world: World) -> Finding:
    """Check whether calls go through a VPC endpoint. Such an endpoint has its own policy, which can refuse calls."""
    host = urlsplit(world.endpoint.url).hostname or ""
    tried = f"read and resolved {host}"
    asked = world.asked_about(_DENIED)
    if not _is_private(host, limit=world.wait):
        message = f"{host} is not a private endpoint."
        more = " The error comes from another endpoint or another network."
        return warning(message + more, tried) if asked else ok(message, tried)
    if asked:
        message = f"Calls go through the private endpoint {host}, and the error states that its policy refuses them."
        return failed(message, tried, cause=_DENIED)
    return ok(
        f"Calls go through the private endpoint {host}. The endpoint's policy also applies, and only a call "
        "shows whether it allows the call.",
        tried,
    )


def _is_private(host: str, *, limit: float) -> bool:
    """Return whether a host name belongs to a private endpoint, or has only private addresses."""
    if _VPCE in host:
        return True
    try:
        found = [ipaddress.ip_address(each) for each in _addresses(host, None, limit=limit)]
    except (OSError, ValueError):
        return False  # behind a proxy, which resolves names
    return all(each.is_private and not each.is_loopback for each in found)


PROBES = (name, connection, certificate_and_clock, private_endpoint)
