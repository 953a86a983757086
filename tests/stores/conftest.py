"""A Redis server for the tests, and one store of each kind."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis
from support.store_server import (  # noqa: F401 - fixtures
    PATIENT,
    Server,
    common_server,
    directory,
    private_server,
    server,
)

from aws_bedrock_inference.stores import MemoryStore, SqliteStore
from aws_bedrock_inference.stores.valkey import ValkeyStore

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def cluster() -> Iterator[str]:
    """A cluster of one node, which refuses everything that a cluster refuses."""
    with tempfile.TemporaryDirectory() as place:
        port = next(port for port in range(20_000, 30_000) if free(port) and free(port + 10_000))
        server = Server(Path(place), "--port", str(port), "--cluster-enabled", "yes", "--dir", place)
        client: Any = redis.Redis.from_url(server.url)
        client.execute_command("CLUSTER", "ADDSLOTS", *range(16_384))
        server.wait_for("cluster state changed: ok")
        client.close()
        yield f"redis+cluster://127.0.0.1:{port}"
        server.kill()


def free(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) != 0


@pytest.fixture
def valkey(request: pytest.FixtureRequest) -> Iterator[ValkeyStore]:
    store = ValkeyStore(request.getfixturevalue("server").url, timeout=PATIENT)
    yield store
    store.close()


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "shares.db", timeout=PATIENT)
    yield store
    store.close()


@pytest.fixture(params=["memory", "sqlite", "valkey"])
def store(request: pytest.FixtureRequest) -> MemoryStore | SqliteStore | ValkeyStore:
    """One of each kind, with the clock that users have."""
    if request.param == "memory":
        return MemoryStore()
    found: SqliteStore | ValkeyStore = request.getfixturevalue(request.param)
    return found
