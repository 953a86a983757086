"""The stores through which processes share one quota: in memory, in a file, or at a Redis or Valkey server."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
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

if TYPE_CHECKING:
    from collections.abc import Callable

S = TypeVar("S")

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

    def server(url: str) -> ShareStore:
        from aws_bedrock_inference.stores.valkey import ValkeyStore  # noqa: PLC0415 - redis-py is an extra

        return ValkeyStore(url)

    return opened_at(url, SqliteStore, server, use="Sharing a quota", name="shares.db")


def opened_at(url: str, file: Callable[[Path], S], server: Callable[[str], S], *, use: str, name: str) -> S:
    """Return what `file` makes of the path in `url`, or `server` of a server's URL, which imports redis-py.

    Messages say `use` of what it is for and `name` as an example of a file. Raises `ValueError`.
    """
    scheme, separator, _ = url.partition("://")
    if scheme == "sqlite" and separator:
        return file(path_in(url, name))
    if scheme in _SERVERS and separator:
        return _at_server(url, server, use)
    known = ", ".join(f"{name}://" for name in (*_SERVERS, "sqlite"))
    raise ValueError(
        f"A store cannot have {scheme[:20] + '://' if separator else 'a URL without ://'}; use one of {known}"
    )


def path_in(url: str, name: str) -> Path:
    """Return the path in sqlite:///absolute/path or sqlite://relative/path; `name` is an example of a file.

    Raises `ValueError`.
    """
    rest = url.removeprefix("sqlite://")
    path = unquote(rest.removeprefix("/")) if rest.startswith("//") else unquote(rest)
    if not path or path.endswith("/"):
        raise ValueError(f"sqlite:// has no file name. Write sqlite:///absolute/path/to/{name}")
    return Path(path).expanduser()


def try_store(store: ShareStore) -> None:
    """Let a member without needs join and leave. Raises `StoreUnavailable` if the store cannot be used."""
    member = f"{socket.gethostname()}:{os.getpid()}"
    store.renew(_TRIED, member, LeaseRequest(0.0, ())).run()
    store.leave(_TRIED, member).run()


def _at_server(url: str, server: Callable[[str], S], use: str) -> S:
    store: S | None = None
    try:
        store = server(url)
        readable = "@" not in url or "@" in urlsplit(url).netloc
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "redis":
            raise
        raise ValueError(
            f"{use} through a server needs the extra `valkey`: pip install 'aws-bedrock-inference[valkey]'"
        ) from error
    except (ValueError, TypeError):
        # Their messages quote the URL, which may hold a password.
        readable = False
    if store is None or not readable:
        raise ValueError(
            f"The {url.partition('://')[0]}:// URL of the store cannot be read; percent-encode special characters"
        )
    return store
