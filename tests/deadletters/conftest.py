"""A queue in a file and a queue in a table of moto; each test controls their time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from support.doubles import World, session

from aws_bedrock_inference import DeadLetterQueue
from aws_bedrock_inference.deadletters.dynamodb import DynamoLetters
from aws_bedrock_inference.deadletters.sqlite import SqliteLetters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NOON = 1_795_000_000.0


@pytest.fixture
def world() -> World:
    made = World()
    made.now = NOON
    return made


@pytest.fixture(params=["file", "table"])
def stored(request: pytest.FixtureRequest, tmp_path: Path, world: World) -> Iterator[Callable[[], Any]]:
    """Creates stores over the same letters, as in two processes."""
    made: list[Any] = []
    if request.param == "table":
        url, name = request.getfixturevalue("moto_url"), f"dead-{uuid4().hex[:8]}"

    def store() -> Any:
        if request.param == "file":
            made.append(SqliteLetters(tmp_path / "dead.db", world.clock))
        else:
            given: Any = {"clock": world.clock, "time_of_day": world.clock}
            made.append(DynamoLetters(name, session=session(), endpoint_url=url, **given))
        return made[-1]

    store().create()
    yield store
    for each in made:
        each.close()


@pytest.fixture
def queue(stored: Callable[[], Any]) -> DeadLetterQueue:
    return DeadLetterQueue(stored())
