"""The stores through which processes share one quota: in memory, in a file, or at a Redis or Valkey server."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from urllib.parse import unquote, urlsplit

from aws_bedrock_inference.rules.quota.leases import LeaseRequest
from aws_bedrock_inference.stores.memory import MemoryStore
from aws_bedrock_inference.stores.request import STORE_TIMEOUT, ShareStore, StoreUnavailable, StoreUnusable
from aws_bedrock_inference.stores.sqlite import SqliteStore

__all__ = [
    "STORE_TIMEOUT",
    "MemoryStore",
    "ShareStore",
    "SqliteStore",
    "StoreUnavailable",
    "StoreUnusable",
    "open_store",
    "try_store",
]

# A pool that is no quota: it is joined to see whether a store works.
_TRIED = "try"

_HOSTS = ("redis", "rediss", "valkey", "valkeys")
_SERVERS = (*_HOSTS, *(f"{name}+cluster" for name in _HOSTS), "unix")


def open_store(url: str) -> ShareStore:
    """Return the store at `url`; nothing is connected yet.

    redis://[[user]:password@]host[:port][/number], or rediss:// over TLS; valkey:// and valkeys:// mean the same. For a
    cluster, redis+cluster:// and so on. unix://[[user]:password@]/path/to/socket[?db=number].
    sqlite:///absolute/path or sqlite://relative/path.

    Raises `ValueError` when `url` is none of these or the package for it is missing.
    """
    scheme, separator, rest = url.partition("://")
    if scheme == "sqlite" and separator:
        path = unquote(rest.removeprefix("/")) if rest.startswith("//") else unquote(rest)
        if not path or path.endswith("/"):
            raise ValueError("sqlite:// has no file name. Write sqlite:///absolute/path/to/shares.db")
        return SqliteStore(Path(path).expanduser())
    if scheme in _SERVERS and separator:
        return _server(url)
    known = ", ".join(f"{name}://" for name in (*_SERVERS, "sqlite"))
    raise ValueError(
        f"A store cannot have {scheme[:20] + '://' if separator else 'a URL without ://'}; use one of {known}"
    )


def try_store(store: ShareStore) -> None:
    """Let a member without needs join and leave. Raises `StoreUnavailable` if the store cannot be used."""
    member = f"{socket.gethostname()}:{os.getpid()}"
    store.renew(_TRIED, member, LeaseRequest(0.0, ())).run()
    store.leave(_TRIED, member).run()


def _server(url: str) -> ShareStore:
    try:
        from aws_bedrock_inference.stores.valkey import ValkeyStore  # noqa: PLC0415 - redis-py is an extra
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "redis":
            raise
        raise ValueError(
            "Sharing a quota through a server needs the extra `valkey`: pip install 'aws-bedrock-inference[valkey]'"
        ) from error
    try:
        store = ValkeyStore(url)
        readable = "@" not in url or "@" in urlsplit(url).netloc
    except (ValueError, TypeError):
        # Their messages quote the URL, which may hold a password.
        readable = False
    if not readable:
        raise ValueError(
            f"The {url.partition('://')[0]}:// URL of the store cannot be read; percent-encode special characters"
        )
    return store
