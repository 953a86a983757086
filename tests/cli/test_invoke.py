from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from click.testing import CliRunner

from aws_bedrock_inference import __version__
from aws_bedrock_inference.cli import COMMANDS, main

MODEL = "amazon.nova-lite-v1:0"


def invoke(stub: Any, *arguments: str, stdin: str | None = None) -> Any:
    return CliRunner().invoke(main, ["invoke", *arguments, "--model", MODEL, "--endpoint-url", stub.url], input=stdin)


def test_the_answer_is_printed_and_nothing_else(stub: Any) -> None:
    result = invoke(stub, "Hello there")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "Hello there\n", "")


def test_options_reach_the_service(stub: Any) -> None:
    invoke(stub, "Hello", "--system", "Be brief.", "--max-tokens", "9")
    assert stub.bodies[0]["system"] == [{"text": "Be brief."}]
    assert stub.bodies[0]["inferenceConfig"] == {"maxTokens": 9}


def test_the_prompt_may_come_from_standard_input(stub: Any) -> None:
    assert invoke(stub, "-", stdin="Hello\n").stdout == "Hello\n\n"


def test_json_has_the_answer_usage_and_cost_for_scripts(stub: Any) -> None:
    answer = json.loads(invoke(stub, "Hello", "--json").stdout)
    assert (answer["text"], answer["stop_reason"], answer["attempts"]) == ("Hello", "end_turn", 1)
    assert answer["usage"]["output_tokens"] == 5
    assert answer["cost"] == 0.00000138  # 3 in at 0.06 and 5 out at 0.24 dollars a million


def test_verbose_shows_the_cost_or_that_it_is_unknown(stub: Any) -> None:
    assert invoke(stub, "Hello", "-v").stderr.endswith(" s, 3 tokens in, 5 out, $0.000001\n")
    assert invoke(stub, "Hello", "-v", "--region", "sa-east-1").stderr.endswith(", 5 out, cost unknown\n")


def test_the_model_may_come_from_the_environment(stub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEDROCK_MODEL_ID", "amazon.titan-text-lite-v1")
    assert CliRunner().invoke(main, ["invoke", "Hello", "--endpoint-url", stub.url]).exit_code == 0
    assert "titan-text-lite" in stub.paths[0]


@pytest.mark.parametrize(
    ("status", "error", "message", "code"),
    [
        (400, "ValidationException", "The request is invalid.", 1),
        (403, "AccessDeniedException", "You don't have access to the model.", 3),
        (404, "ResourceNotFoundException", "The model is not there.", 3),
    ],
)
def test_a_fault_prints_three_plain_lines_and_sets_the_exit_code(
    stub: Any, status: int, error: str, message: str, code: int
) -> None:
    stub.script = lambda stub, prompt: (status, error, message)
    result = invoke(stub, "Hello")
    assert result.exit_code == code
    assert result.stderr.startswith(f"Error: {error}: {message}\n")
    assert len(result.stderr.splitlines()) == 3
    assert "For all remedies with their commands, run: bedrock explain " in result.stderr.splitlines()[2]
    assert result.stdout == ""


def test_a_blank_prompt_is_refused_and_not_sent(stub: Any) -> None:
    result = invoke(stub, " ")
    assert (result.exit_code, stub.prompts) == (2, [])
    assert "prompt is blank" in result.stderr


def test_a_truncated_answer_is_reported_as_truncated(stub: Any) -> None:
    stub.script = lambda stub, prompt: (200, "", {**stub_answer("Hel"), "stopReason": "max_tokens"})
    result = invoke(stub, "Hello")
    assert (result.exit_code, result.stdout) == (0, "Hel\n")
    assert "stop reason max_tokens" in result.stderr


def stub_answer(text: str) -> dict[str, Any]:
    return {
        "output": {"message": {"role": "assistant", "content": [{"text": text}]}},
        "usage": {"inputTokens": 3, "outputTokens": 5, "totalTokens": 8},
        "metrics": {"latencyMs": 1},
    }


def test_stream_and_json_exclude_each_other(stub: Any) -> None:
    assert invoke(stub, "Hello", "--stream", "--json").exit_code == 2


def test_debug_shows_where_an_error_comes_from(stub: Any) -> None:
    result = CliRunner().invoke(main, ["--debug", "invoke", " ", "--model", MODEL, "--endpoint-url", stub.url])
    assert "Traceback (most recent call last)" in result.stderr


def test_a_closed_output_pipe_ends_the_command_quietly(stub: Any) -> None:
    stub.script = lambda stub, prompt: (200, "", {**stub_answer("x" * 1_000_000), "stopReason": "end_turn"})
    command = [sys.executable, "-m", "aws_bedrock_inference.cli"]
    command += ["invoke", "Hello", "--model", MODEL, "--endpoint-url", stub.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:  # noqa: S603 - our own
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.read(10) == b"x" * 10
        child.stdout.close()
        assert child.stderr.read() == b""


def test_help_names_every_command_and_exit_code_without_loading_any() -> None:
    code = (
        "import sys; from aws_bedrock_inference.cli import main; main(['--help'], standalone_mode=False); "
        "sys.exit(', '.join(sorted({'boto3', 'botocore', 'aiohttp', 'rich', 'urllib3'} & sys.modules.keys())) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603 - our own
    assert result.returncode == 0, result.stderr
    assert all(f"  {name}" in result.stdout for name in COMMANDS)
    assert all(f"  {number} " in result.stdout for number in (0, 1, 2, 3, 130))


def test_the_version_is_that_of_the_package() -> None:
    assert CliRunner().invoke(main, ["--version"]).output == f"bedrock {__version__}\n"


def test_a_mistyped_command_gets_a_suggestion() -> None:
    result = CliRunner().invoke(main, ["invoce"])
    assert result.exit_code == 2
    assert "Did you mean invoke?" in result.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_has_the_name_and_help_of_each_command(name: str) -> None:
    command = main.get_command(None, name)  # type: ignore[arg-type]
    assert command is not None
    assert command.name == name
    assert (command.help or "").startswith(COMMANDS[name])
