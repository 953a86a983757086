"""A server of our own for the tests, and one store of each kind."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis
from support.store_server import Server

from aws_bedrock_inference.stores import MemoryStore, SqliteStore
from aws_bedrock_inference.stores.valkey import ValkeyStore

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def directory() -> Iterator[Path]:
    """The path of a socket has about a hundred characters at most: pytest's own directories are too long."""
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)


@pytest.fixture(scope="session")
def common_server(directory: Path) -> Iterator[Server]:
    server = Server(directory)
    yield server
    server.kill()


@pytest.fixture
def server(common_server: Server) -> Iterator[Server]:
    """The server, empty."""
    yield common_server
    client = redis.Redis.from_url(common_server.url)
    client.flushall()
    client.close()


@pytest.fixture
def private_server() -> Iterator[Server]:
    """A server to be killed."""
    with tempfile.TemporaryDirectory() as directory:
        server = Server(Path(directory))
        yield server
        server.kill()


@pytest.fixture
def cluster() -> Iterator[str]:
    """A cluster of one node, which refuses all that a cluster refuses."""
    with tempfile.TemporaryDirectory() as directory:
        port = next(port for port in range(20_000, 30_000) if free(port) and free(port + 10_000))
        server = Server(Path(directory), "--port", str(port), "--cluster-enabled", "yes", "--dir", directory)
        client: Any = redis.Redis.from_url(server.url)
        client.execute_command("CLUSTER", "ADDSLOTS", *range(16_384))
        server.wait_for("cluster state changed: ok")
        client.close()
        yield f"redis+cluster://127.0.0.1:{port}"
        server.kill()


def free(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) != 0


# Seconds: a test that is about something else must not fail because the machine is busy.
PATIENT = 60.0


@pytest.fixture
def valkey(server: Server) -> Iterator[ValkeyStore]:
    store = ValkeyStore(server.url, timeout=PATIENT)
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
