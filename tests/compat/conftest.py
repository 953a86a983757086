"""Shared by the tests with real clients: credentials in the environment, and an endpoint that checks them."""

from __future__ import annotations

import gc
import warnings
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_bedrock_inference.testing import Simulator

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKIDSIMULATOR",
    "AWS_SECRET_ACCESS_KEY": "simulated-secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nowhere",
    "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
    "AWS_MAX_ATTEMPTS": "1",
    "NO_PROXY": "127.0.0.1",
}


@pytest.fixture
def endpoint(bedrock_simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    """The simulator with signature checks."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_BEARER_TOKEN_BEDROCK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", bedrock_simulator.url)
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    bedrock_simulator.scenario(credentials={"secret_key": "simulated-secret"}, quota={"rpm": 100, "tpm": 1_000_000})
    return bedrock_simulator


@pytest.fixture
def signing() -> dict[str, object]:
    """The table that keeps signature checks on when a test loads its own scenario."""
    return {"credentials": {"secret_key": "simulated-secret"}}


@pytest.fixture(autouse=True)
def sockets_left_to_the_collector() -> Iterator[None]:
    """Clients that do not close the connection of a broken stream warn when it is collected: not in another's test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
