"""A Redis or Valkey server for the tests, and fixtures of it for the directories that use one."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis

if TYPE_CHECKING:
    from collections.abc import Iterator

# Seconds: a test that is about something else must not fail because the machine is busy.
PATIENT = 60.0


class Server:
    """A Redis or Valkey server at a socket in `directory`, which loses its data when it is killed."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.socket = directory / "socket"
        self.url = f"unix://{self.socket}"
        self.options = options
        self.start()

    def start(self) -> None:
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        assert program, "These tests start redis-server or valkey-server: install one of them"
        command = [program, "--port", "0", "--unixsocket", str(self.socket), "--save", "", *self.options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - found above
        self.wait_for("ready to accept connections")

    def wait_for(self, said: str) -> None:
        assert self.process.stdout
        assert any(said in line.lower() for line in self.process.stdout), f"The server has ended without: {said}"

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
