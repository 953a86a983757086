"""The AWS CLI, unmodified, against the simulator. Its first version has no streaming operations."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

MODEL = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
MESSAGES = '[{"role": "user", "content": [{"text": "Why is the sky blue?"}]}]'


@pytest.fixture
def aws(endpoint: Any) -> Any:
    def run(*arguments: Any) -> Any:
        command = [sys.executable, str(Path(sys.executable).with_name("aws")), "bedrock-runtime", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command

    return run


def test_converse(aws: Any) -> None:
    done = aws("converse", "--model-id", MODEL, "--messages", MESSAGES)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["output"]["message"]["content"][0]["text"]


def test_invoke_model(aws: Any, tmp_path: Any) -> None:
    body = {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "hello"}],
    }
    (tmp_path / "body.json").write_text(json.dumps(body))
    out = tmp_path / "out.json"
    done = aws("invoke-model", "--model-id", MODEL, "--body", f"fileb://{tmp_path}/body.json", str(out))
    assert done.returncode == 0, done.stderr
    assert json.loads(out.read_text())["usage"]["output_tokens"] <= 9


def test_an_error_is_told_as_amazon_tells_it(aws: Any, endpoint: Any, signing: Any) -> None:
    endpoint.scenario(faults=[{"kind": "throttle", "limit": "tokens"}], **signing)
    done = aws("converse", "--model-id", MODEL, "--messages", MESSAGES)
    assert done.returncode != 0
    assert "(ThrottlingException)" in done.stderr
    assert "Too many tokens, please wait before trying again." in done.stderr
