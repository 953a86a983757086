"""The endpoint to which a call is sent, and the identity that signs it."""

from __future__ import annotations

from typing import Any, Protocol
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}


class Place(Protocol):
    """An endpoint in one Region, and the identity that signs the requests. Both were found with `session`, a boto3 or
    botocore session.
    """

    @property
    def url(self) -> str:
        """The URL of the runtime endpoint, without a trailing slash."""

    @property
    def region(self) -> str:
        """The Region."""

    @property
    def account(self) -> str:
        """The AWS account. It is empty if the credentials do not contain the account."""

    @property
    def principal(self) -> str:
        """A hash of the identity that signs the requests."""

    @property
    def whose(self) -> str:
        """The AWS account. If the account is unknown, the value is a hash of the access key. If the account is unknown
        and the access key is renewed from time to time, the value is empty.
        """

    @property
    def session(self) -> Any:
        """The boto3 or botocore session. None stands for boto3's default session."""

    @property
    def beside(self) -> dict[Any, Any]:
        """Objects that a `Fallback` caches in this place, such as the endpoints of other routes. They are deleted
        together with this place.
        """

    def elsewhere(self, *, session: Any, region_name: str | None, endpoint_url: str | None) -> Place:
        """Return a new place: the endpoint and identity that a client with these options would use. If `session` is
        None, the session of this place is used. This method can read files. Raises the exceptions that boto3 raises.
        """


def server_of(url: str | None) -> str:
    """Return the host and port of an endpoint, without a user name or password that the URL may contain. The result is
    empty if the URL has no host.
    """
    try:
        parts = urlsplit(url or "")
        host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return ""
    if not host or not port:
        return ""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
