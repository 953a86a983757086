"""A batch job client for a simulator that the tests of this directory share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.batch_desk import BatchDesk

from aws_bedrock_inference.testing import Simulator, simulator

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def batch_simulator() -> Iterator[Simulator]:
    with simulator() as running:
        yield running


@pytest.fixture
def desk(batch_simulator: Simulator, moto_url: str, alone: None) -> Iterator[BatchDesk]:
    found = BatchDesk(batch_simulator, moto_url)
    found.scenario()
    yield found
    batch_simulator.scenario()
    found.close()
