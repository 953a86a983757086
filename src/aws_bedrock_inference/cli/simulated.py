"""The option `--simulate`: run the built-in simulator while one command runs."""

from __future__ import annotations

import contextlib
import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
import click

from aws_bedrock_inference.testing import Simulator, simulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODEL = "us.anthropic.claude-haiku-4-5-20251001-v1:0"


@contextlib.contextmanager
def simulated(scenario: str | Path | dict[str, Any]) -> Iterator[tuple[Simulator, Any]]:
    """Run the simulator with `scenario` while the `with` block runs.

    Yield the simulator, and a session with made-up credentials.
    """
    if isinstance(scenario, str) and scenario.endswith((".jsonl", ".json")):
        raise click.UsageError(
            f"{scenario} follows --simulate, so it was read as the simulator's scenario, not as an input file. "
            "Move --simulate to the end of the command, or write --simulate=calm."
        )
    need_extra()
    # The simulator is local, so no proxy is used for it. Python prefers the lower-case name of this environment
    # variable.
    os.environ["no_proxy"] = ",".join(
        filter(None, [os.environ.get("no_proxy", os.environ.get("NO_PROXY")), "127.0.0.1"])
    )
    with simulator(scenario) as running:
        yield running, _session()


def _session() -> boto3.Session:
    """Return a session that does not read the user's profiles, because they can be invalid or require a sign-in."""
    unset = (None, None, None, None)
    alone = botocore.session.Session({"profile": unset, "config_file": unset, "credentials_file": unset})
    return boto3.Session("SIMULATED", "simulated", region_name="us-east-1", botocore_session=alone)


def need_extra() -> None:
    """Raise `UsageError` if the packages for the simulator's server are missing. The message contains the command to
    install them.
    """
    if find_spec("granian") is None:
        raise click.UsageError(
            "The simulator needs the extra `simulator`: pip install 'aws-bedrock-inference[simulator]'"
        )
