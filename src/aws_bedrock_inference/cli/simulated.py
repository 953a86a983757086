"""`--simulate`: the built-in simulator for the time of one command."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import boto3
import click

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL = "us.anthropic.claude-haiku-4-5-20251001-v1:0"


@contextlib.contextmanager
def simulated(scenario: str, **options: Any) -> Iterator[tuple[str, Any]]:
    """Run the simulator with `scenario`; yield its URL and a session with made-up credentials."""
    if scenario.endswith((".jsonl", ".json")):
        raise click.UsageError(
            f"--simulate took {scenario} for its scenario. Put --simulate last, or write --simulate=bad-day."
        )
    from aws_bedrock_inference.testing import simulator  # noqa: PLC0415 - needs the extra `simulator`

    session = boto3.Session("SIMULATED", "simulated", region_name="us-east-1")
    with simulator(scenario, **options) as running:
        yield running.url, session
