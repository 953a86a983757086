"""One answer store of each kind, and a Redis server for these tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.store_server import PATIENT, common_server, directory, private_server, server  # noqa: F401 - fixtures

from aws_bedrock_inference.caches.memory import MemoryAnswers
from aws_bedrock_inference.caches.sqlite import SqliteAnswers
from aws_bedrock_inference.caches.valkey import ValkeyAnswers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
