"""A server of our own for the tests, and one store of each kind."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from aws_bedrock_inference.stores import MemoryStore, SqliteStore
from aws_bedrock_inference.stores.valkey import ValkeyStore

if TYPE_CHECKING:
    from collections.abc import Iterator


class Server:
    """A Redis or Valkey server at a socket in `directory`, which keeps nothing when it is killed."""

    def __init__(self, directory: Path) -> None:
        self.socket = directory / "socket"
        self.url = f"unix://{self.socket}"
        self.start()

    def start(self, *options: str) -> None:
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        assert program, "These tests start redis-server or valkey-server: install one of them"
        command = [program, "--port", "0", "--unixsocket", str(self.socket), "--save", "", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - found above
        assert self.process.stdout
        for line in self.process.stdout:
            if "ready to accept connections" in line.lower():
                return
        raise AssertionError(f"{program} did not start")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout
        self.process.stdout.close()
        self.socket.unlink(missing_ok=True)


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
    store = ValkeyStore(common_server.url)
    store._client.flushall()
    store.close()


@pytest.fixture
def private_server() -> Iterator[Server]:
    """A server to be killed."""
    with tempfile.TemporaryDirectory() as directory:
        server = Server(Path(directory))
        yield server
        server.kill()


@pytest.fixture
def valkey(server: Server) -> Iterator[ValkeyStore]:
    store = ValkeyStore(server.url)
    yield store
    store.close()


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "shares.db")
    yield store
    store.close()


@pytest.fixture(params=["memory", "sqlite", "valkey"])
def store(request: pytest.FixtureRequest) -> MemoryStore | SqliteStore | ValkeyStore:
    """One of each kind, with the clock that users have."""
    if request.param == "memory":
        return MemoryStore()
    found: SqliteStore | ValkeyStore = request.getfixturevalue(request.param)
    return found
