"""The command in difficult environments: interrupted, with a closed output, in a C locale, with odd shell variables."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from click.testing import CliRunner

from aws_bedrock_inference.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL = "amazon.nova-lite-v1:0"

# Sends Ctrl-C to the process when it imports the module that a test names.
_INTERRUPTER = """
import importlib.abc, os, signal, sys
class Interrupter(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == os.environ["INTERRUPT_AT"]:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupter())
"""


def bedrock(*arguments: str, module: str = "aws_bedrock_inference", **options: Any) -> subprocess.CompletedProcess[Any]:
    """Run the command in a separate process, with the variables of `env` added."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": 60, **options}
    options["env"] = {**os.environ, **options.get("env", {})}
    return subprocess.run([sys.executable, "-m", module, *arguments], check=False, **options)  # noqa: S603 - our own


@contextmanager
def unread() -> Iterator[int]:
    """Yield a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


@pytest.mark.parametrize(
    "at",
    [
        *("click", "aws_bedrock_inference.cli", "aws_bedrock_inference.cli.invoke", "boto3", "botocore.session"),
        *("rich.console", "aws_bedrock_inference.clients.client", "urllib3"),
    ],
)
def test_an_interruption_during_the_imports_ends_the_command_silently(at: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(_INTERRUPTER)
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    command = "explain" if at == "rich.console" else "invoke"
    ended = bedrock(command, "--help", env={"INTERRUPT_AT": at, "PYTHONPATH": path})
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, b"", b"")


def test_an_interruption_of_a_call_prints_no_traceback(stub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("aws_bedrock_inference.clients.client.BedrockClient.invoke", interrupt)
    result = CliRunner().invoke(main, ["invoke", "Hello", "--model", MODEL, "--endpoint-url", stub.url])
    assert (result.exit_code, result.output.strip()) == (130, "")


@pytest.mark.parametrize(
    "command", [["errors"], ["errors", "--markdown"], ["--help"], ["explain", "ThrottlingException"]]
)
def test_a_closed_output_ends_the_command_quietly(command: list[str]) -> None:
    with unread() as nobody:
        ended = bedrock(*command, stdout=nobody)
    assert (ended.returncode, ended.stderr) == (141, b"")


def test_an_error_with_a_closed_output_keeps_its_exit_code() -> None:
    with unread() as nobody:
        ended = bedrock("explan", stderr=nobody)
    assert ended.returncode == 2


def test_output_that_cannot_be_written_is_an_error() -> None:
    with Path("/dev/full").open("wb") as full:
        ended = bedrock("errors", stdout=full)
    assert (ended.returncode, ended.stderr.decode()) == (1, "Error: standard output: No space left on device\n")


POOR = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["explain", "ThrottlingException", "--service", "bedrock-runtime"], 0),
        (["explain", "nothing größer", "--short"], 1),
        (["errors"], 0),
        (["run", "--help"], 0),
        (["größe"], 2),
    ],
)
def test_no_command_fails_because_of_the_locale_s_encoding(command: list[str], code: int) -> None:
    ended = bedrock(*command, env=POOR)
    assert ended.returncode == code
    assert b"codec" not in ended.stderr
    assert ended.stdout or ended.stderr


def test_a_log_with_any_bytes_is_scanned_in_the_c_locale(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_bytes("ERROR ThrottlingException: zu viele Aufträge ✓ ".encode() + b"\xff\n")
    ended = bedrock("scan", str(log), env=POOR)
    assert ended.returncode == 0
    assert b"throttled" in ended.stdout


def test_a_prompt_in_utf_8_is_sent_unchanged_in_the_c_locale(stub: Any) -> None:
    ended = bedrock("invoke", "größer ✓", "--model", MODEL, "--endpoint-url", stub.url, env=POOR)
    assert (ended.returncode, stub.prompts) == (0, ["größer ✓"])


def test_a_prompt_that_is_not_utf_8_is_refused_with_how_to_convert_it(stub: Any) -> None:
    ended = bedrock("invoke", "-", "--model", MODEL, "--endpoint-url", stub.url, input=b"latin1 \xe9")
    assert ended.returncode == 2
    assert b"Standard input is not UTF-8 (byte 7" in ended.stderr
    assert b"iconv" in ended.stderr
    assert stub.prompts == []


@pytest.mark.parametrize("module", ["aws_bedrock_inference", "aws_bedrock_inference.cli"])
def test_python_m_runs_the_package_as_the_command(module: str) -> None:
    assert bedrock("--version", module=module).stdout.startswith(b"bedrock ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_completes_commands(shell: str) -> None:
    assert b"_BEDROCK_COMPLETE" in bedrock(env={"_BEDROCK_COMPLETE": f"{shell}_source"}).stdout
    words = {"COMP_WORDS": "bedrock qu", "COMP_CWORD": "qu" if shell == "fish" else "1"}
    assert b"quota" in bedrock(env={"_BEDROCK_COMPLETE": f"{shell}_complete", **words}).stdout


@pytest.mark.parametrize("place", ["before", "behind", "inside"])
def test_the_option_debug_may_come_before_or_after_the_command(place: str) -> None:
    arguments = {
        "before": ["--debug", "invoke", " ", "--model", MODEL, "--region", "us-east-1"],
        "behind": ["invoke", " ", "--model", MODEL, "--region", "us-east-1", "--debug"],
        "inside": ["quota", "increase", "m", "--to", "5", "--region", "not a region", "--debug"],
    }[place]
    result = CliRunner().invoke(main, arguments)
    assert result.stderr.startswith("Traceback (most recent call last)")
    assert result.exit_code in {2, 3}


def test_a_region_in_a_variable_that_boto3_does_not_read_is_named(stub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    arguments = ["invoke", "Hello", "--model", MODEL, "--endpoint-url", stub.url]
    without = CliRunner().invoke(main, arguments)
    assert (without.exit_code, "AWS_REGION" in without.stderr) == (3, False)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    with_it = CliRunner().invoke(main, arguments)
    assert with_it.exit_code == 3
    assert "AWS_REGION is set to eu-central-1, but boto3 reads AWS_DEFAULT_REGION." in with_it.stderr
    assert "AWS_REGION is not read" in " ".join(CliRunner().invoke(main, ["invoke", "--help"]).output.split())


def test_a_profile_gives_region_and_credentials(stub: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config"
    config.write_text("[profile work]\nregion = eu-west-3\naws_access_key_id = AKIDWORK\naws_secret_access_key = x\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    for name in ("AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    arguments = ["invoke", "Hello", "--model", MODEL, "--endpoint-url", stub.url, "--json"]
    answered = CliRunner().invoke(main, [*arguments, "--profile", "work"])
    assert json.loads(answered.stdout)["region"] == "eu-west-3"
    assert boto3.DEFAULT_SESSION is not None
    missing = CliRunner().invoke(main, [*arguments, "--profile", "play"])
    assert missing.exit_code == 2
    assert "Profile 'play' does not exist. The profiles in" in missing.stderr
    assert "work" in missing.stderr
    for command in (["run"], ["quota", "show"], ["quota", "increase"]):
        assert "--profile" in CliRunner().invoke(main, [*command, "--help"]).output


class TestInvoke:
    def test_temperature_and_output_format_can_be_set(self, stub: Any) -> None:
        arguments = ["invoke", "Hello", "--model", MODEL, "--endpoint-url", stub.url]
        result = CliRunner().invoke(main, [*arguments, "--temperature", "0.5", "--output", "json"])
        assert json.loads(result.stdout)["text"] == "Hello"
        assert stub.bodies[0]["inferenceConfig"] == {"temperature": 0.5}
        assert CliRunner().invoke(main, [*arguments, "--temperature", "2"]).exit_code == 2

    def test_a_call_ends_at_its_timeout(self, stub: Any) -> None:
        stub.script = lambda stub, prompt: (503, "ServiceUnavailableException", "Too busy.")
        arguments = ["invoke", "Hello", "--model", MODEL, "--endpoint-url", stub.url]
        result = CliRunner().invoke(main, [*arguments, "--timeout", "0.01"])
        assert result.exit_code == 1
        assert CliRunner().invoke(main, [*arguments, "--timeout", "0"]).exit_code == 2

    def test_verbose_prints_what_happened(self, stub: Any) -> None:
        answers = iter([(500, "InternalServerException", "Oops."), None])

        def script(stub: Any, prompt: str) -> Any:
            return next(answers) or type(stub)().script(stub, prompt)

        stub.script = script
        result = CliRunner().invoke(main, ["invoke", "Hello", "--model", MODEL, "--endpoint-url", stub.url, "-v"])
        assert result.stdout == "Hello\n"
        told = result.stderr.splitlines()
        assert told[0].startswith("Attempt 1 failed: InternalServerException: Oops. The next attempt starts in ")
        assert told[-1].startswith(f"converse on {MODEL} in us-east-1: 2 attempts, ")
        assert told[-1].endswith(", 3 tokens in, 5 out, $0.000001")

    def test_the_simulator_answers_without_credentials(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
            monkeypatch.delenv(name)
        result = CliRunner().invoke(main, ["invoke", "Hello", "--simulate"])
        assert result.exit_code == 0
        assert result.stdout.strip()


class TestExplain:
    @pytest.mark.parametrize("name", ["trace.txt", "./trace", "/nowhere/app.log", "logs/../x.json", "C:\\logs\\x.txt"])
    def test_a_file_that_is_missing_is_named(self, name: str) -> None:
        result = CliRunner().invoke(main, ["explain", name])
        assert result.exit_code == 2
        assert f"The file {name} does not exist" in result.stderr

    def test_a_directory_in_place_of_a_file_is_named(self, tmp_path: Path) -> None:
        assert "is a directory" in CliRunner().invoke(main, ["explain", str(tmp_path)]).stderr

    def test_json_gives_each_remedy_a_name(self) -> None:
        answer = json.loads(CliRunner().invoke(main, ["explain", "NoSuchBucket", "--json"]).stdout)
        assert answer["remedies"]
        assert all(set(remedy) == {"do", "run"} for remedy in answer["remedies"])

    def test_a_service_is_named_once(self) -> None:
        for code in ("ResourceInUseException", "ThrottlingException", "TableInUseException"):
            for line in CliRunner().invoke(main, ["explain", code, "--json"]).stdout.splitlines():
                services = json.loads(line)["fields"].get("services", [])
                assert len(services) == len(set(services))
                assert "" not in services
