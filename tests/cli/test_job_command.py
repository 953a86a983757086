"""`bedrock job` as a person uses it, against the simulator and moto's S3."""

from __future__ import annotations

import itertools
import json
import os
import re
import threading
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result
from support.job_account import ROLE, enter_account

from aws_bedrock_inference.cli import job as job_module
from aws_bedrock_inference.cli import main
from aws_bedrock_inference.testing import Simulator, simulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.newer_botocore  # prompts are bodies of Converse

MODEL = "amazon.nova-lite-v1:0"


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    with simulator() as made:
        yield made


@pytest.fixture
def sim(
    running: Simulator, moto_url: str, alone: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Simulator]:
    enter_account(monkeypatch, running.url, moto_url, "nightly", tmp_path)
    running.scenario(s3_endpoint=moto_url, jobs=[{"in_progress": 600}])
    yield running
    running.scenario()


def bedrock_job(*arguments: str, given: str | None = None) -> Result:
    return CliRunner().invoke(main, ["job", *arguments], input=given)


def create(*more: str, records: int = 150) -> Result:
    lines = [json.dumps({"id": f"p{number}", "prompt": f"Question {number}"}) for number in range(records)]
    options = ("--model", MODEL, "--output-s3-uri", "s3://nightly/out/", "--role", ROLE)
    return bedrock_job("create", "-", *options, *more, given="\n".join(lines))


def created(*more: str, records: int = 150) -> str:
    result = create(*more, records=records)
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_job_is_created_waited_for_and_its_results_are_read(sim: Simulator, tmp_path: Path) -> None:
    result = create("--system", "Be brief.", "--max-tokens", "40", "--name", "night-1", records=200)
    job_id = result.stdout.strip()
    assert job_id.startswith("arn:aws:bedrock:us-east-1:")
    assert f"Continue with: bedrock job wait {job_id}" in result.stderr
    assert "there is already" not in result.stderr
    assert "IN_PROGRESS (InProgress)" in bedrock_job("status", job_id).stdout
    sim.advance(300)
    shown = json.loads(bedrock_job("status", job_id, "--json").stdout)
    assert (shown["name"], shown["status"]) == ("night-1", "IN_PROGRESS")
    assert 0 < shown["processed"] < 200
    early = bedrock_job("result", job_id)
    assert (early.exit_code, early.stdout) == (2, "")
    assert "Use wait_for_job() to wait" in early.stderr
    sim.advance(300)
    waited = bedrock_job("wait", job_id, "-o", str(tmp_path / "answers.jsonl"))
    assert waited.exit_code == 0
    assert re.search(r"Completed after \d s, 200 of 200 records, 0 failed\.", waited.stderr)
    assert "200 records answered, 0 failed." in waited.stderr
    answers = lines_of((tmp_path / "answers.jsonl").read_text())
    assert [answer["recordId"] for answer in answers] == [f"p{number}" for number in range(200)]
    assert answers[0]["modelInput"]["system"] == [{"text": "Be brief."}]
    assert answers[0]["modelOutput"]["output"]
    assert lines_of(bedrock_job("result", job_id).stdout) == answers


@pytest.fixture
def elsewhere(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    """The simulator, to which only the option `--endpoint-url` leads."""
    monkeypatch.delenv("AWS_ENDPOINT_URL_BEDROCK")
    monkeypatch.delenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME")
    return sim


def test_every_command_uses_the_endpoint_of_the_option(elsewhere: Simulator) -> None:
    place = ("--endpoint-url", elsewhere.url)
    result = create(*place)
    job_id = result.stdout.strip()
    assert f"bedrock job wait {job_id} -o FILE --endpoint-url {elsewhere.url}" in result.stderr
    assert "IN_PROGRESS" in bedrock_job("status", job_id, *place).stdout
    assert job_id in bedrock_job("list", *place).stdout
    elsewhere.advance(600)
    assert "150 records answered, 0 failed." in bedrock_job("wait", job_id, *place).stderr
    assert len(lines_of(bedrock_job("result", job_id, *place).stdout)) == 150
    second = created("--client-token", "again", *place)
    assert "STOP" in bedrock_job("cancel", second, *place).stdout


def test_records_that_run_on_demand_use_the_endpoint_of_the_option(elsewhere: Simulator) -> None:
    place = ("--endpoint-url", elsewhere.url)
    job_id = created(*place, records=3)
    assert [line["recordId"] for line in lines_of(bedrock_job("result", job_id, *place).stdout)] == ["p0", "p1", "p2"]


def test_an_invalid_endpoint_is_refused_in_a_sentence(sim: Simulator) -> None:
    result = bedrock_job("list", "--endpoint-url", "localhost:8099")
    assert result.exit_code == 2
    assert "localhost:8099" in result.stderr
    assert "Traceback" not in result.output


def test_an_output_file_is_complete_or_not_touched(
    sim: Simulator, moto_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = bedrock_job("wait", "zzzzzzzzzzzz", "-o", str(tmp_path / "none" / "answers.jsonl"))
    assert (asked.exit_code, "No such file" in asked.stderr) == (1, True)  # and no wait before it
    sim.scenario(s3_endpoint=moto_url)
    job_id, answers = created(), tmp_path / "answers.jsonl"
    assert bedrock_job("wait", job_id, "-o", str(answers)).exit_code == 0
    before = answers.read_text()

    numbers = itertools.count()

    def broken(record: Any) -> str:
        if next(numbers) == 7:
            raise OSError("the connection broke off")
        return "{}"

    monkeypatch.setattr(job_module, "record_line", broken)
    result = bedrock_job("result", job_id, "-o", str(answers))
    assert (result.exit_code, "broke off" in result.stderr) == (1, True)
    assert answers.read_text() == before
    assert [each.name for each in tmp_path.glob("*answers*")] + [*tmp_path.glob("*.part")] == ["answers.jsonl"]


def test_an_output_device_is_not_replaced_by_a_file(sim: Simulator, moto_url: str, tmp_path: Path) -> None:
    sim.scenario(s3_endpoint=moto_url)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    assert bedrock_job("wait", created(), "-o", str(pipe)).exit_code == 0
    reader.join(10)
    assert len(lines_of(read[0])) == 150
    assert pipe.is_fifo()


def test_the_same_content_is_the_same_job(sim: Simulator) -> None:
    job_id = created()
    again = create()
    assert again.stdout.strip() == job_id
    assert "A job with this content exists already." in again.stderr
    assert created("--client-token", "tonight") != job_id
    listed = bedrock_job("list").stdout.splitlines()
    assert len(listed) == 3
    assert job_id in listed[2]
    assert len(lines_of(bedrock_job("list", "--json", "--limit", "1").stdout)) == 1
    assert bedrock_job("list", "--status", "Completed").stdout.splitlines() == ["Job  Name  Status  Records  Submitted"]


def test_failed_records_are_explained(sim: Simulator, moto_url: str) -> None:
    sim.scenario(
        s3_endpoint=moto_url, jobs=[{"errors": 0.02, "error_code": 400, "error_message": "Input is too long."}]
    )
    result = bedrock_job("result", created())
    assert result.exit_code == 1
    assert "147 records answered, 3 failed." in result.stderr
    failed = [line["error"] for line in lines_of(result.stdout) if "error" in line]
    assert len(failed) == 3
    assert failed[0]["errorCode"] == 400
    assert failed[0]["decision"] == "FAIL"
    assert failed[0]["advice"]


def test_a_job_is_stopped(sim: Simulator) -> None:
    job_id = created()
    assert "STOP" in bedrock_job("cancel", job_id).stdout
    sim.advance(60)
    waited = bedrock_job("wait", job_id)
    assert waited.exit_code == 1
    assert "Job failed: " in waited.stderr
    assert "Traceback" not in waited.output
    assert bedrock_job("result", job_id).exit_code == 1  # what it left is printed, and not all is there


def test_a_wait_ends_in_time(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    waited = bedrock_job("wait", created(), "--timeout", "0")
    assert waited.exit_code == 1
    assert "Timeout waiting for job" in waited.stderr


def test_few_records_are_run_on_demand(sim: Simulator) -> None:
    job_id = created(records=3)
    assert job_id.startswith("local:s3://nightly/out/")
    assert "COMPLETED" in bedrock_job("status", job_id).stdout
    result = bedrock_job("result", job_id)
    assert result.exit_code == 0
    assert [line["recordId"] for line in lines_of(result.stdout)] == ["p0", "p1", "p2"]


def test_an_input_in_s3_is_used_where_it_is(sim: Simulator, tmp_path: Path) -> None:
    first = created()
    source = json.loads(bedrock_job("status", first, "--json").stdout)["input_s3_uri"]
    options = ("--model", MODEL, "--output-s3-uri", "s3://nightly/second/", "--role", ROLE)
    second = bedrock_job("create", source, *options).stdout.strip()
    assert json.loads(bedrock_job("status", second, "--json").stdout)["input_s3_uri"] == source


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ('{"id": "a"}', 'standard input, line 1: "prompt" is missing'),
        ("", "a job needs at least one record"),
        ('{"id": "a", "prompt": "b"}\n{"id": "a", "prompt": "b"}', "appears on an earlier line"),
    ],
)
def test_invalid_records_create_no_job(sim: Simulator, given: str, problem: str) -> None:
    options = ("--model", MODEL, "--output-s3-uri", "s3://nightly/out/", "--role", ROLE)
    result = bedrock_job("create", "-", *options, given=given)
    assert result.exit_code == 2
    assert problem in result.stderr
    assert bedrock_job("list", "--json").stdout == ""


def test_invalid_usage_is_reported_in_a_sentence(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = bedrock_job("status", "arn:aws:bedrock:us-east-1:123456789012:model-invocation-job/abcdefghijkl")
    assert lost.exit_code != 0
    assert "ResourceNotFoundException" in lost.stderr
    role = "arn:aws:iam::123456789012:role/none"
    options = ("--model", MODEL, "--output-s3-uri", "s3://nightly/out/", "--role", role)
    lines = "\n".join(json.dumps({"id": str(number), "prompt": "Why?"}) for number in range(100))
    refused = bedrock_job("create", "-", *options, given=lines)
    assert refused.exit_code == 2
    assert f"the role {role} does not exist" in refused.stderr
    missing = bedrock_job("create", "-", *options[:4], given=lines)
    assert "no role: pass role_arn=" in missing.stderr
    for result in (lost, refused, missing):
        assert "Traceback" not in result.output
