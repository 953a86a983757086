"""The AWS CLI, unmodified, against the simulator. Its first version has no streaming operations."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.agents import CITY, Order

MODEL = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
MESSAGES = '[{"role": "user", "content": [{"text": "Why is the sky blue?"}]}]'


@pytest.fixture
def aws(endpoint: Any) -> Any:
    def run(*arguments: Any) -> Any:
        command = [sys.executable, str(Path(sys.executable).with_name("aws")), "bedrock-runtime", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command

    return run


def test_converse_returns_an_answer(aws: Any) -> None:
    done = aws("converse", "--model-id", MODEL, "--messages", MESSAGES)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["output"]["message"]["content"][0]["text"]


def test_invoke_model_returns_an_answer(aws: Any, tmp_path: Any) -> None:
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


def test_a_tool_call_and_an_answer_in_json_work(aws: Any) -> None:
    tools = [
        {"toolSpec": {"name": name, "inputSchema": {"json": schema}}}
        for name, schema in (("clock", CITY), ("book", Order.model_json_schema()))
    ]
    question = [{"role": "user", "content": [{"text": "Please book it, then look at the clock."}]}]
    config = ("--tool-config", json.dumps({"tools": tools}))
    use = json.loads(aws("converse", "--model-id", MODEL, "--messages", json.dumps(question), *config).stdout)[
        "output"
    ]["message"]
    Order.model_validate(use["content"][0]["toolUse"]["input"])
    results = {"toolUseId": use["content"][0]["toolUse"]["toolUseId"], "content": [{"text": "ok"}]}
    question += [use, {"role": "user", "content": [{"toolResult": results}]}]
    done = aws("converse", "--model-id", MODEL, "--messages", json.dumps(question), *config)
    assert json.loads(done.stdout)["output"]["message"]["content"][0]["toolUse"]["name"] == "clock"
    structure = {"jsonSchema": {"schema": json.dumps(Order.model_json_schema())}}
    output = json.dumps({"textFormat": {"type": "json_schema", "structure": structure}})
    done = aws("converse", "--model-id", MODEL, "--messages", MESSAGES, "--output-config", output)
    Order.model_validate_json(json.loads(done.stdout)["output"]["message"]["content"][0]["text"])


def test_an_error_is_printed_as_for_the_real_service(aws: Any, endpoint: Any, signing: Any) -> None:
    endpoint.scenario(faults=[{"kind": "throttle", "limit": "tokens"}], **signing)
    done = aws("converse", "--model-id", MODEL, "--messages", MESSAGES)
    assert done.returncode != 0
    assert "(ThrottlingException)" in done.stderr
    assert "Too many tokens, please wait before trying again." in done.stderr
