"""Fixtures of the field tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.client_faces import Asyncio, Blocking

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _alone(alone: None) -> None:
    """Every test here."""


@pytest.fixture(params=[Blocking, Asyncio])
def client_face(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A client of each kind."""
    made = request.param()
    yield made
    made.end()
