"""The place that a call is sent to."""

from __future__ import annotations

from typing import Any, Protocol
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}


class Place(Protocol):
    """An endpoint in one Region together with who signs there. `session` is the one it was found with."""

    @property
    def url(self) -> str:
        """The URL of the runtime, without a trailing slash."""

    @property
    def region(self) -> str:
        """The Region."""

    @property
    def account(self) -> str:
        """The account, empty when the credentials do not tell it."""

    @property
    def principal(self) -> str:
        """A hash of who signs."""

    @property
    def whose(self) -> str:
        """The account, or else a name for the access key; empty for credentials that would have to be fetched."""

    @property
    def session(self) -> Any:
        """The session of boto3 or botocore; None for boto3's default one."""

    @property
    def beside(self) -> dict[Any, Any]:
        """The findings of a `Fallback` from here, such as other places; they end with this one."""

    def elsewhere(self, *, session: Any, region_name: str | None, endpoint_url: str | None) -> Place:
        """Return another place, found as a client with these options finds it; `session` None keeps this one's. It may
        read files. Raises what boto3 raises.
        """


def server_of(url: str | None) -> str:
    """Return the host and the port of an endpoint, without the names and passwords that a URL may have; empty if it has
    none.
    """
    try:
        parts = urlsplit(url or "")
        host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return ""
    if not host or not port:
        return ""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
