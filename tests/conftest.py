"""What many tests share."""

from __future__ import annotations

import pytest
from hypothesis import settings
from tests_support import World

settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci")


@pytest.fixture
def world() -> World:
    return World()
