"""Caches that processes share: a server that is killed, a file, a fork, and tasks with different requests."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING, Any

import pytest
from support.answers import REPLY
from support.client_faces import MODEL, at_once
from support.doubles import session
from support.wire import Wire, answer

from aws_bedrock_inference import AsyncBedrockClient, BedrockClient, Cache, Pipeline
from aws_bedrock_inference.caches.sqlite import SqliteAnswers
from aws_bedrock_inference.caches.valkey import ValkeyAnswers
from aws_bedrock_inference.events import CacheStoreChanged
from aws_bedrock_inference.policies.flights import Flights

if TYPE_CHECKING:
    from pathlib import Path


def behind(cache: Cache) -> Pipeline:
    return Pipeline(cache, *at_once().policies)


def test_a_killed_server_is_logged_once_and_fails_no_call(private_server: Any, caplog: Any) -> None:
    caplog.set_level(logging.INFO, "aws_bedrock_inference")
    cache = Cache(ValkeyAnswers(private_server.url, timeout=60.0))
    changes: list[Any] = []
    with Wire(*[answer(REPLY)] * 20) as wire:
        client = BedrockClient(MODEL, session=session(), endpoint_url=wire.url, pipeline=behind(cache))
        client.listen(lambda event: changes.append(event) if isinstance(event, CacheStoreChanged) else None)
        ages = [client.invoke("Why?", temperature=0).cached for _ in range(2)]
        assert ages[0] is None
        assert ages[1] is not None
        private_server.kill()
        for _ in range(5):
            assert client.invoke("Why?", temperature=0).cached is None
        assert [change.available for change in changes] == [False]
        assert private_server.url in changes[0].place
        private_server.start()
        cache._kept._due = 0.0  # the time after which it is tried again
        assert client.invoke("Why?", temperature=0).cached is None
        assert client.invoke("Why?", temperature=0).cached is not None
        assert [change.available for change in changes] == [False, True]
        client.close()
    lines = [record.getMessage() for record in caplog.records if "cache" in record.getMessage()]
    assert len(lines) == 2
    cache.close()


def test_a_forked_child_does_not_wait_for_a_request_of_its_parent() -> None:
    flights = Flights()
    _, follower = flights.join("k", 0.0)
    assert follower is None
    _, follower = flights.join("k", 0.0)
    assert follower is not None
    flights.after_fork()
    _, follower = flights.join("k", 0.0)
    assert follower is None


@pytest.mark.parametrize("kind", ["sqlite", "server"])
def test_the_answers_of_five_hundred_tasks_are_all_stored(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    def make() -> Cache:
        if kind == "sqlite":
            return Cache(SqliteAnswers(tmp_path / "answers.db", 1000, timeout=60.0))
        return Cache(ValkeyAnswers(request.getfixturevalue("server").url, timeout=60.0))

    async def main(cache: Cache, url: str) -> list[Any]:
        async with AsyncBedrockClient(MODEL, session=session(), endpoint_url=url, pipeline=behind(cache)) as client:
            return await asyncio.gather(*(client.invoke(f"Why {one}?", temperature=0) for one in range(500)))

    with Wire(*[answer(REPLY)] * 500) as wire:
        for known in (False, True):
            cache = make()
            replies = asyncio.run(main(cache, wire.url))
            assert {reply.cached is not None for reply in replies} == {known}
            cache.close()
        assert len(wire.received) == 500


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_gets_answers_from_its_parents_file(tmp_path: Path) -> None:
    cache = Cache(SqliteAnswers(tmp_path / "answers.db", 100, timeout=60.0))
    with Wire(answer(REPLY)) as wire:
        client = BedrockClient(MODEL, session=session(), endpoint_url=wire.url, pipeline=behind(cache))
        client.invoke("Why?", temperature=0)
        if not (child := os.fork()):
            found = client.invoke("Why?", temperature=0).cached
            os._exit(found is None)
        assert os.waitpid(child, 0)[1] == 0
        assert len(wire.received) == 1
        client.close()
    cache.close()
