"""Fixtures of the documents' tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.json_logs import loggers
from support.pages import Program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.doubles import World

__all__ = ["loggers"]


@pytest.fixture(params=["document", "package"])
def program(request: pytest.FixtureRequest, world: World) -> Iterator[Program]:
    made = Program(request.param, world)
    yield made
    if "client" in made.names:
        made.client.close()
