"""The creation of boto3 clients, one at a time since boto3 documents that it is not thread-safe, and whose they are."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import urlsplit

from aws_bedrock_inference.bounds import shown
from aws_bedrock_inference.forks import Locked


class _Turn(Locked):
    """The turn to make a client, which one thread has at a time."""

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


_making = _Turn()


A_SESSION = "give a session of boto3 or botocore, such as boto3.Session(profile_name='NAME')"
"""The advice to whoever gave something that is no session."""

_AWS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")


def of_aws(url: str) -> bool:
    """Return whether a URL is one of AWS's own endpoints."""
    return (urlsplit(url).hostname or "").endswith(_AWS)


def is_http(url: Any) -> bool:
    """Return whether `url` is http://host or https://host, with or without a port."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.scheme in ("http", "https") and parts.port != 0
    except (ValueError, TypeError, AttributeError):
        return False


def is_session(value: Any) -> bool:
    """Return whether `value` can be a session of boto3 or botocore."""
    return hasattr(getattr(value, "_session", value), "create_client")


def key_of(access_key: str) -> str:
    """Return the name under which to keep what AWS said to an access key whose account is not told."""
    return hashlib.sha256(access_key.encode()).hexdigest()[:16]


def core_of(session: Any = None) -> Any:
    """Return botocore's session behind `session`, which is boto3's or botocore's; None for boto3's default one, which
    is set up where there is none.
    """
    with _making:
        return _core(session)


def make_client(service: str, session: Any = None, **options: Any) -> tuple[Any, Any, Any]:
    """Return a client of `service`, botocore's session behind it, and the credentials it signs with, if any.

    `session` is as in `core_of`.
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
