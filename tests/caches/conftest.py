"""One store of answers of each kind, and a server of our own."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis
from support.store_server import Server

from aws_bedrock_inference.caches.memory import MemoryAnswers
from aws_bedrock_inference.caches.sqlite import SqliteAnswers
from aws_bedrock_inference.caches.valkey import ValkeyAnswers

if TYPE_CHECKING:
    from collections.abc import Iterator

# Seconds: a test that is about something else must not fail because the machine is busy.
PATIENT = 60.0


@pytest.fixture(scope="session")
def common_server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as directory:
        server = Server(Path(directory))
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


@pytest.fixture(params=["memory", "sqlite", "valkey"])
def answers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    store: Any = None
    if request.param == "memory":
        store = MemoryAnswers(100)
    elif request.param == "sqlite":
        store = SqliteAnswers(tmp_path / "answers.db", 100, timeout=PATIENT)
    else:
        store = ValkeyAnswers(request.getfixturevalue("server").url, timeout=PATIENT)
    yield store
    store.close()
