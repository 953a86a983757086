"""The pytest fixture `bedrock_simulator`: one simulator for the session, reset for each test that uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_bedrock_inference.testing import Simulator


@pytest.fixture(scope="session")
def _bedrock_simulator_process() -> Iterator[Simulator]:
    from aws_bedrock_inference.testing import simulator  # noqa: PLC0415 - only tests that use it pay for it

    with simulator() as running:
        yield running


@pytest.fixture
def bedrock_simulator(_bedrock_simulator_process: Simulator) -> Simulator:
    """Return a simulated Bedrock endpoint. At first, it has no faults and no quotas. Set them with
    `bedrock_simulator.scenario(...)`.
    """
    _bedrock_simulator_process.scenario()
    return _bedrock_simulator_process
