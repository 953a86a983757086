"""Find the place where a failure arose (its "origin"): the called service, a source of credentials, the network or this
machine.

The catalogue states the origin of each cause. However, some errors can arise in several places, such as `Throttling`, a
read timeout or a failed connection. For these errors, facts in the exception and its chain of causes decide: the host
or the operation that failed, and the error number of the operating system.
"""

from __future__ import annotations

import errno
import re
import socket
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aws_bedrock_inference.fault import Fault, Kind, Origin
from aws_bedrock_inference.knowledge.catalogue import catalogue
from aws_bedrock_inference.knowledge.reading import attribute, chain, is_a

if TYPE_CHECKING:
    from collections.abc import Iterable

# The operations with which botocore 1.44.5 fetches credentials (credentials.py, tokens.py, utils.py), by service.
_OPERATIONS = {
    "AssumeRole": "STS",
    "AssumeRoleWithSAML": "STS",
    "AssumeRoleWithWebIdentity": "STS",
    "AssumeRoot": "STS",
    "GetSessionToken": "STS",
    "GetFederationToken": "STS",
    "GetRoleCredentials": "IAM Identity Center",
    "CreateToken": "IAM Identity Center",
    "CreateTokenWithIAM": "IAM Identity Center",
    "CreateOAuth2Token": "AWS Sign-In",
}

# The first labels of hosts, and the addresses, that provide credentials (the same files of botocore).
_HOSTS = {
    "sts": "STS",
    "sts-fips": "STS",
    "oidc": "IAM Identity Center",
    "portal": "IAM Identity Center",
    "signin": "AWS Sign-In",
    "169.254.169.254": "Instance metadata",
    "fd00:ec2::254": "Instance metadata",
    "169.254.170.2": "The container's credentials",
    "169.254.170.23": "EKS Pod Identity",
    "fd00:ec2::23": "EKS Pod Identity",
}

# boto3's names of services that provide credentials. In a direct call, they are the called service itself.
IDENTITY_SERVICES = frozenset({"sts", "sso", "sso-oidc", "signin"})

_ADVICE = (
    "The request was not sent, because its credentials could not be renewed. Check {}, its VPC endpoint, and the "
    "number of processes that renew at the same time."
)

# For faults of these kinds, the catalogue's advice is kept, because it states what must be changed.
_ITS_OWN = frozenset({Kind.DENIED, Kind.INVALID})

_VERBS = {
    Kind.THROTTLED: "throttled",
    Kind.DENIED: "refused",
    Kind.INVALID: "rejected",
    Kind.TIMED_OUT: "did not answer in time",
    Kind.UNREACHABLE: "could not be reached",
}

# Error numbers of the operating system if a resource is exhausted: file descriptors, memory, ports, disk space.
_OWN = frozenset(
    getattr(errno, name)
    for name in ("EMFILE", "ENFILE", "ENOMEM", "ENOBUFS", "EADDRNOTAVAIL", "ENOSPC", "EDQUOT", "EROFS", "EIO")
    if hasattr(errno, name)
)
# Error numbers of the operating system if the network has no route to the host. If a host refuses or does not answer,
# the host itself can be the cause.
_NO_WAY = frozenset(
    getattr(errno, name)
    for name in ("ENETUNREACH", "ENETDOWN", "EHOSTUNREACH", "EHOSTDOWN", "EAFNOSUPPORT")
    if hasattr(errno, name)
)
_NO_THREAD = "can't start new thread"  # CPython's message of a RuntimeError, which has no error number

# The text of an error that KMS returned to the called service, which passed the error on.
_BEHIND = re.compile(r"\(service: (?:aws)?kms[;,]|^kms.{0,40}throttl", re.IGNORECASE)

UNKNOWN = "unknown"
EXHAUSTED = "machine-exhausted"
"""The name of the cause that applies if this machine lacks a resource, such as memory."""


def placed(fault: Fault, error: BaseException | None, called: str = "") -> Fault:
    """Return `fault` with the origin (the place of the failure) that the facts of `error` prove. `called` is boto3's
    name of the called service, or is empty.
    """
    if error is not None and called not in IDENTITY_SERVICES and _source(chain(error)) is not None:
        return of_identity(fault, chain(error))
    if error is not None and fault.status is None:  # with a status, the service answered
        origin = _by_number(chain(error))
        if origin is not None:
            return _on_the_way(fault, origin)
    if fault.kind is Kind.THROTTLED and _BEHIND.search(f"{fault.code}: {fault.message}"):
        return replace(fault, origin=Origin.DEPENDENCY, limit=None)
    return fault


def _on_the_way(fault: Fault, origin: Origin) -> Fault:
    """Return `fault` with the origin `origin`, which is the network or this machine.

    If the origin is this machine, the result also gets the cause `machine-exhausted`: the machine lacks a resource,
    such as memory. Only a fault with the cause `unknown` retains its cause.
    """
    if origin is Origin.NETWORK:
        return replace(fault, origin=origin, unhealthy=False)
    if fault.cause == UNKNOWN:
        return replace(fault, origin=origin)
    about = catalogue().template(EXHAUSTED)
    return replace(fault, origin=origin, unhealthy=False, cause=about.cause, advice=about.advice)


def of_identity(fault: Fault, links: Iterable[BaseException] = ()) -> Fault:
    """Return `fault` as a fault of a source of credentials. The called service never received the request."""
    source, operation = _source(links) or ("", "")
    message = fault.message
    if source and not message.startswith(source):
        verb = _VERBS.get(fault.kind, "failed")
        at = f" {operation}" if fault.kind not in {Kind.TIMED_OUT, Kind.UNREACHABLE} else f" for {operation}"
        message = f"{source} {verb}{at if operation else ''} while credentials were renewed: {message}"
    advice = fault.advice if fault.kind in _ITS_OWN else _ADVICE.format(source or "the source of credentials")
    return replace(
        fault,
        message=message,
        advice=advice,
        origin=Origin.IDENTITY,
        reached=False,
        unhealthy=False,
        limit=None,
    )


def _source(links: Iterable[BaseException]) -> tuple[str, str] | None:
    """Return the name of the failed source of credentials, such as `STS`, and its failed operation, such as
    `AssumeRole`. The operation is empty if only the endpoint is known. Return None if no source of credentials failed.

    The exceptions of the chain of causes are searched, the newest first. The first exception that names an operation or
    an endpoint shows what failed. Older exceptions are ignored, because the program may have handled them.
    """
    for link in links:
        operation = attribute(link, "operation_name")
        if isinstance(operation, str):
            return (_OPERATIONS[operation], operation) if operation in _OPERATIONS else None
        facts = attribute(link, "kwargs")
        host = _host(facts.get("endpoint_url")) if isinstance(facts, dict) else ""
        source = _HOSTS.get(host) or (_HOSTS.get(host.split(".")[0]) if host.endswith(_AWS) else None)
        if host:
            return (source, "") if source is not None else None
    return None


_AWS = (".amazonaws.com", ".amazonaws.com.cn", ".aws.amazon.com", ".api.aws", ".aws")


def _host(url: object) -> str:
    try:
        return urlsplit(str(url)).hostname or ""
    except ValueError:
        return ""


def _by_number(links: Iterable[BaseException]) -> Origin | None:
    """Return the origin (the place of the failure) that an exception in the chain of causes proves, or None.

    The proof is an error number of the operating system, a failed DNS query, missing memory, or a thread that could not
    be started.
    """
    for link in links:
        if is_a(link, MemoryError) or (is_a(link, RuntimeError) and attribute(link, "args") == (_NO_THREAD,)):
            return Origin.MACHINE
        if is_a(link, socket.gaierror):
            return Origin.NETWORK
        number = attribute(link, "errno") if is_a(link, OSError) else None
        if number in _OWN:
            return Origin.MACHINE
        if number in _NO_WAY:
            return Origin.NETWORK
    return None
