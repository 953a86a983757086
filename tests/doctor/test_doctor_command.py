"""`bedrock doctor`: its output for people and for programs, and its exit codes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from aws_bedrock_inference.cli import main

if TYPE_CHECKING:
    from pathlib import Path

    from doctor.conftest import Broken

MODEL = "us.amazon.nova-lite-v1:0"
# Far longer than the probes take.
ENOUGH = ["--timeout", "90"]


def doctor(*arguments: str, stdin: str | None = None, width: str = "100") -> tuple[int, str]:
    result = CliRunner(env={"COLUMNS": width}).invoke(main, ["doctor", *ENOUGH, *arguments], input=stdin)
    return result.exit_code, result.output


def test_a_healthy_environment_has_exit_code_0(broken: Broken) -> None:
    code, output = doctor("--model", MODEL)
    assert code == 0
    assert "No cause of failed calls was found." in output
    assert "region                 The Region is us-east-1." in output


def test_a_failure_is_named_with_its_remedy(broken: Broken) -> None:
    broken.environ.delenv("AWS_DEFAULT_REGION")
    code, output = doctor("--ascii")
    assert code == 1
    assert "FAIL region" in output
    assert "region-missing: No Region is set." in output
    assert "$ aws configure set region" in output
    assert "name" not in [line.split()[1] for line in output.splitlines() if line.startswith("FAIL")]
    assert output.isascii()


@pytest.mark.parametrize("width", ["40", "60", "160"])
def test_no_line_of_text_is_wider_than_the_terminal(broken: Broken, width: str) -> None:
    broken.environ.delenv("AWS_ACCESS_KEY_ID")
    _, output = doctor(width=width)
    lines = [line for line in output.splitlines() if not line.lstrip().startswith("$")]
    assert max(map(len, lines)) <= min(int(width), 100)
    assert all(line == line.rstrip() for line in lines)


def test_the_json_has_a_version_and_consistent_counts(broken: Broken) -> None:
    code, output = doctor("--json", "--model", MODEL)
    report = json.loads(output)
    assert (code, report["schema_version"], report["overall"]) == (0, 1, "warning")
    counted: dict[str, int] = dict.fromkeys(report["counts"], 0)
    for check in report["checks"]:
        counted[check["status"]] += 1
    assert counted == report["counts"]


def test_the_short_form_is_one_line_for_scripts(broken: Broken) -> None:
    broken.environ.delenv("AWS_ACCESS_KEY_ID")
    code, output = doctor("--summary")
    assert (code, output.count("\n")) == (1, 1)
    assert output.startswith("credentials-missing: ")


def test_an_error_is_read_from_a_pipe(broken: Broken) -> None:
    code, output = doctor("--for", "-", stdin="botocore.exceptions.NoCredentialsError: Unable to locate credentials\n")
    assert code == 0
    assert "Not proved: the text suggests credentials-missing" in output
    assert doctor("--for", "-", stdin="")[0] == 2


def test_a_bundle_is_written_and_its_path_is_printed(broken: Broken, tmp_path: Path) -> None:
    code, output = doctor("--bundle", str(tmp_path / "b.json"), "--summary")
    assert code == 0
    assert "Secrets are removed" in output
    content: dict[str, Any] = json.loads((tmp_path / "b.json").read_text(encoding="utf-8"))
    assert {"package", "python", "packages", "set", "report"} <= content.keys()
    assert "AWS_SECRET_ACCESS_KEY" in content["set"]


def test_a_model_call_is_sent_only_on_request(broken: Broken) -> None:
    assert "The call succeeded." in doctor("--call", "--model", MODEL)[1]
    broken.sim.scenario(faults=[{"kind": "error", "code": "AccessDeniedException"}])
    code, output = doctor("--call", "--model", MODEL)
    assert code == 1
    assert "The call failed" in output
