"""The stores through which processes share one quota: in memory, in a file, or on a Redis or Valkey server."""

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

# The name of a pool that is not a quota. A member joins it only to check that a store works.
_TRIED = "try"

_HOSTS = ("redis", "rediss", "valkey", "valkeys")
_SERVERS = (*_HOSTS, *(f"{name}+cluster" for name in _HOSTS), "unix")


def open_store(url: str) -> ShareStore:
    """Return the store at `url`, without connecting to it.

    * A server: redis://[[user]:password@]host[:port][/number], or rediss:// for TLS. valkey:// has the same meaning as
      redis://, and valkeys:// has the same meaning as rediss://.
    * A cluster: the same with +cluster after the scheme, such as redis+cluster://host.
    * A server at a Unix socket: unix://[[user]:password@]/path/to/socket[?db=number].
    * A file: sqlite:///absolute/path or sqlite://relative/path.

    Raises `ValueError` if `url` has none of these forms, or if the package that it needs is not installed.
    """

    def server(url: str) -> ShareStore:
        from aws_bedrock_inference.stores.valkey import ValkeyStore  # noqa: PLC0415 - redis-py is an extra

        return ValkeyStore(url)

    return opened_at(url, SqliteStore, server, use="Sharing a quota", name="shares.db")


def opened_at(url: str, file: Callable[[Path], S], server: Callable[[str], S], *, use: str, name: str) -> S:
    """Return `file(path)` for the URL of a file, or `server(url)` for the URL of a server.

    Raises `ValueError` for an invalid URL. Also raises it if `server` imports redis-py and redis-py is not installed.
    `use` is the purpose of the store for error messages, such as "Sharing a quota". `name` is the file name that an
    error message suggests.
    """
    scheme, separator, _ = url.partition("://")
    if scheme == "sqlite" and separator:
        return file(path_in(url, name))
    if scheme in _SERVERS and separator:
        return _at_server(url, server, use)
    known = ", ".join(f"{name}://" for name in (*_SERVERS, "sqlite"))
    raise ValueError(
        f"The URL of a store cannot begin with {scheme[:20]}://; use one of {known}"
        if separator
        else f"The URL of a store must contain ://; use one of {known}"
    )


def path_in(url: str, name: str) -> Path:
    """Return the path in a URL of the form sqlite:///absolute/path or sqlite://relative/path.

    Raises `ValueError` if the URL has no file name. The error message suggests `name` as a file name.
    """
    rest = url.removeprefix("sqlite://")
    path = unquote(rest.removeprefix("/")) if rest.startswith("//") else unquote(rest)
    if not path or path.endswith("/"):
        raise ValueError(f"The sqlite:// URL has no file name. Write sqlite:///absolute/path/to/{name}")
    return Path(path).expanduser()


def try_store(store: ShareStore) -> None:
    """Check that a store of shared quotas works. For this check, the process joins the store as a member, requests no
    quota, and leaves. Raises `StoreUnavailable` if the store cannot be used.
    """
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
            f"{use} through a Redis or Valkey server needs an optional dependency: run pip install "
            "'aws-bedrock-inference[valkey]'"
        ) from error
    except (ValueError, TypeError):
        # The messages of these exceptions quote the URL, which may contain a password.
        readable = False
    if store is None or not readable:
        raise ValueError(
            f"The {url.partition('://')[0]}:// URL of the store cannot be read. Percent-encode special "
            "characters in the user name and password, such as %40 for @"
        )
    return store
