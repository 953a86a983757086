"""A reader's shell: an empty directory, made-up credentials, and the simulator in place of Bedrock."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_bedrock_inference.testing import Simulator

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def start(alone: None, bedrock_simulator: Simulator, tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Return a function that starts an example as a reader does; keywords are variables of the environment."""
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": bedrock_simulator.url,
        "AWS_ACCESS_KEY_ID": "AKIDSIMULATOR",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }

    def program(name: str, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments]
        ways: dict[str, Any] = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
        return subprocess.Popen(  # noqa: S603 - a program of ours
            command, cwd=tmp_path, env=environment | variables, stdin=subprocess.DEVNULL, text=True, **ways
        )

    return program


@pytest.fixture
def run(start: Callable[..., subprocess.Popen[str]]) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs an example to its end, and returns its exit code and output."""

    def program(name: str, *arguments: str, **variables: str) -> tuple[int, str, str]:
        with start(name, *arguments, **variables) as process:
            out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    return program
