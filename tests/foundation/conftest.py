"""A simulated account; each test names its models and profiles."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from aws_bedrock_inference.foundation import remembered
from aws_bedrock_inference.foundation.models import Models
from aws_bedrock_inference.testing import Simulator, simulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NOVA = "amazon.nova-lite-v1:0"
CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
OLD = "anthropic.claude-3-haiku-20240307-v1:0"
GLOBAL = "cohere.everywhere-v1:0"
OWN = "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/own1"
LAST = datetime.now(UTC).date() + timedelta(days=40)

TABLES: dict[str, Any] = {
    "region": "eu-west-1",
    "foundation": [
        {"id": NOVA, "input": ["TEXT", "IMAGE"]},
        {"id": CLAUDE, "on_demand": False},
        {"id": OLD, "legacy": "2026-03-10", "end_of_life": str(LAST)},
        {"id": f"{OLD}:200k", "on_demand": False, "provisioned": True},
        {"id": GLOBAL, "on_demand": False},
        {"id": "amazon.pending-v1:0", "agreement": "PENDING", "agreement_after": 900},
        {"id": "amazon.failed-v1:0", "agreement": "ERROR", "authorized": False, "entitled": False},
        {"id": "amazon.new-v1:0", "agreement": "NOT_AVAILABLE"},
    ],
    "profiles": [
        {"id": f"eu.{NOVA}", "model": NOVA, "regions": ["eu-west-1", "eu-central-1"]},
        {"id": f"eu.{CLAUDE}", "model": CLAUDE, "regions": ["eu-west-1", "eu-central-1", "eu-north-1"]},
        {"id": f"xx.{CLAUDE}", "model": CLAUDE, "regions": ["eu-west-1", "us-east-1", "us-west-2", "ca-central-1"]},
        {"id": f"global.{CLAUDE}", "model": CLAUDE, "everywhere": True},
        {"id": f"global.{GLOBAL}", "model": GLOBAL, "everywhere": True},
        {"id": "own1", "model": CLAUDE, "regions": ["eu-west-1"], "application": True},
    ],
}


def denied(*operations: str) -> list[dict[str, Any]]:
    return [{"kind": "error", "code": "AccessDeniedException", "operation": each} for each in operations]


@cache
def session() -> Any:
    """One for all tests: a session reads its models once."""
    return boto3.Session("AKIDEXAMPLE", "secret", region_name="eu-west-1")


@pytest.fixture(scope="session")
def running() -> Iterator[Simulator]:
    with simulator(TABLES) as endpoint:
        yield endpoint


@pytest.fixture
def account(running: Simulator, alone: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Simulator:
    monkeypatch.setattr(remembered, "_synced", {})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    running.scenario(TABLES)
    return running


@pytest.fixture
def models(account: Simulator) -> Callable[..., Models]:
    def make(**options: Any) -> Models:
        return Models(session(), **{"endpoint_url": account.url, **options})

    return make
