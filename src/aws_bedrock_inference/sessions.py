"""Create boto3 clients, read their credentials, and distinguish AWS's endpoints from other endpoints.

Clients are created one at a time, because boto3 documents that their creation is not thread-safe.
"""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import urlsplit

from aws_bedrock_inference.bounds import shown
from aws_bedrock_inference.forks import Locked


class _Turn(Locked):
    """A lock that a thread holds while it creates a client, so that only one thread at a time creates clients."""

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


_making = _Turn()


A_SESSION = "pass a session of boto3 or botocore, such as boto3.Session(profile_name='NAME')"
"""The advice for an argument that is not a session."""

_AWS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")


def of_aws(url: str) -> bool:
    """Return True if a URL is one of AWS's own endpoints; otherwise return False."""
    return (urlsplit(url).hostname or "").endswith(_AWS)


def of_any_service(url: str | None) -> str | None:
    """Return `url` if it is an endpoint outside AWS, such as the simulator or a gateway; otherwise return None.

    An endpoint outside AWS serves both `bedrock` and `bedrock-runtime`. An endpoint of AWS serves only one of them.
    """
    return None if url is None or of_aws(url) else url


def is_http(url: Any) -> bool:
    """Return True if `url` is http://host or https://host, with or without a port; otherwise return False."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.scheme in ("http", "https") and parts.port != 0
    except (ValueError, TypeError, AttributeError):
        return False


def is_session(value: Any) -> bool:
    """Return True if `value` can be a session of boto3 or botocore; otherwise return False."""
    return hasattr(getattr(value, "_session", value), "create_client")


def key_of(access_key: str) -> str:
    """Return a name for an access key that does not reveal the key. The cache of AWS's answers uses this name if the
    account of the key is unknown.
    """
    return hashlib.sha256(access_key.encode()).hexdigest()[:16]


def core_of(session: Any = None) -> Any:
    """Return the botocore session of `session`, which is a boto3 or botocore session. For None, return the session
    behind boto3's default session, which is created if necessary.
    """
    with _making:
        return _core(session)


def make_client(service: str, session: Any = None, **options: Any) -> tuple[Any, Any, Any]:
    """Return three values: a client of `service`, its botocore session, and the credentials with which the client
    signs requests (None if it has no credentials). `session` is a boto3 or botocore session, or None for boto3's
    default session.
    """
    with _making:
        core = _core(session)
        if not is_session(core):
            raise ValueError(f"session={shown(session)}: {A_SESSION}")
        client = core.create_client(service, **options)
        return client, core, core.get_credentials()


def _core(session: Any) -> Any:
    import boto3  # noqa: PLC0415 - heavy; only who makes a client needs it

    if session is None:
        if boto3.DEFAULT_SESSION is None:
            boto3.setup_default_session()
        session = boto3.DEFAULT_SESSION
    return getattr(session, "_session", session)
