"""Fixtures of the telemetry tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.client_faces import Asyncio, Blocking
from support.json_logs import loggers

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["loggers"]


@pytest.fixture(params=[Blocking, Asyncio])
def face(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Opens clients of each kind."""
    made = request.param()
    yield made
    made.end()
