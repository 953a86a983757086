"""`bedrock run --by` and `BatchRun(by=...)` with the real batch job client, the simulator, and moto's S3."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from click.testing import CliRunner
from support.batch_desk import ROLE, BatchDesk
from support.doubles import session
from support.simulated_account import NOVA

from aws_bedrock_inference import AsyncBatchRun, AsyncBedrockClient, BatchRun, BedrockClient, BedrockJobClient
from aws_bedrock_inference.cli import main
from aws_bedrock_inference.testing import Simulator, simulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RECORDS = 120


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    with simulator() as started:
        yield started


@pytest.fixture
def desk(
    running: Simulator, moto_url: str, alone: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[BatchDesk]:
    for name, value in {
        "AWS_ENDPOINT_URL_BEDROCK": running.url,
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": running.url,
        "AWS_ENDPOINT_URL_S3": moto_url,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", session())
    monkeypatch.chdir(tmp_path)
    lines = [{"id": f"p{n}", "prompt": f"Question {n}", "max_tokens": 20} for n in range(RECORDS)]
    (tmp_path / "in.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    made = BatchDesk(running, moto_url)
    made.scenario()
    yield made
    running.scenario()
    made.close()


def command(*more: str) -> Any:
    options = ["--model", NOVA, "--by", "10h", "--output-s3-uri", "s3://records/out/", "--role", ROLE, *more]
    return CliRunner().invoke(main, ["run", "in.jsonl", "-o", "out.jsonl", *options])


def ids(folder: Path) -> list[str]:
    lines = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    assert all(line["text"] and line["stop_reason"] and line["usage"]["output_tokens"] for line in lines)
    return sorted(line["id"] for line in lines)


def jobs(desk: BatchDesk) -> list[Any]:
    found: list[Any] = desk.bedrock.list_model_invocation_jobs()["invocationJobSummaries"]
    return found


EVERY = sorted(f"p{n}" for n in range(RECORDS))


def test_a_batch_job_answers_the_records(desk: BatchDesk, tmp_path: Path) -> None:
    result = command()
    assert result.exit_code == 0, result.stderr
    assert ids(tmp_path) == EVERY
    assert "> batch job" in result.stderr
    assert "Batch job: the cheapest" in result.stderr
    assert "The batch job is arn:aws:bedrock:" in result.stderr
    assert f"{RECORDS} of them answered by the batch job" in result.stderr
    assert "before it" in result.stderr
    assert len(jobs(desk)) == 1


def test_the_batch_job_uses_the_endpoint_of_the_option(desk: BatchDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: the records went to the simulator, and the batch job to AWS."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK", "http://127.0.0.1:9")
    result = command("--endpoint-url", desk.sim.url)
    assert result.exit_code == 0, result.stderr
    assert f"{RECORDS} of them answered by the batch job" in result.stderr


def test_records_with_a_transient_error_are_repeated_on_demand(desk: BatchDesk, tmp_path: Path) -> None:
    desk.scenario({"errors": 0.1, "error_code": 503, "error_message": "the model is busy"})
    result = command()
    assert result.exit_code == 0, result.stderr
    assert ids(tmp_path) == EVERY
    assert "are sent on demand" in result.stderr


def test_records_of_a_failed_job_run_on_demand(desk: BatchDesk, tmp_path: Path) -> None:
    desk.scenario({"fails": "The role cannot read the input"})
    result = command()
    assert result.exit_code == 0, result.stderr
    assert ids(tmp_path) == EVERY
    assert "The role cannot read the input" in result.stderr


@pytest.mark.parametrize("role", ["arn:aws:iam::123456789012:role/other", "none"])
def test_a_refused_job_is_replaced_by_on_demand_calls(role: str, desk: BatchDesk, tmp_path: Path) -> None:
    desk.scenario(batch={"roles": ["*/batch"]})
    result = command("--role", role)
    assert result.exit_code == 0, result.stderr
    assert ids(tmp_path) == EVERY
    assert "was refused" in result.stderr


def test_a_dry_run_shows_the_three_choices_and_creates_no_job(desk: BatchDesk) -> None:
    result = command("--dry-run", "--rpm", "60")
    assert result.exit_code == 0, result.stderr
    shown = result.stderr.splitlines()
    (by,) = (number for number, line in enumerate(shown) if line.startswith("By "))
    assert [line[:11].strip("> ") for line in shown[by + 1 : by + 4]] == ["batch job", "flex", "on demand"]
    assert "about 2 min, at the quota" in shown[by + 3]
    assert shown[by + 4].startswith("Batch job: the cheapest; on demand takes over at ")
    assert jobs(desk) == []


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ({"tools": [{"toolSpec": {"name": "t", "inputSchema": {"json": {}}}}]}, "1 record has tools"),
        ({"tier": "priority"}, "1 record has the tier priority"),
        ({"guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1"}}, "1 record has a guardrail"),
    ],
)
def test_a_dry_run_says_which_records_rule_out_a_batch_job(
    record: dict[str, Any], why: str, desk: BatchDesk, tmp_path: Path
) -> None:
    with (tmp_path / "in.jsonl").open("a") as file:
        file.write(json.dumps({"id": "odd", "prompt": "Hi", **record}) + "\n")
    result = command("--dry-run")
    assert f"not possible: {why}, which a batch job does not support" in result.stderr
    assert "batch job" not in [line[2:11] for line in result.stderr.splitlines() if line.startswith(">")]


def test_a_dry_run_warns_of_too_few_records_and_of_the_cost_limit(desk: BatchDesk, tmp_path: Path) -> None:
    assert "it may cost more than --max-cost" in command("--dry-run", "--max-cost", "0.000001").stderr
    (tmp_path / "in.jsonl").write_text('{"id": "a", "prompt": "Hi"}\n')
    assert "1 record, but a batch job needs at least 100" in command("--dry-run").stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--by", "soon"], "'soon' is not a deadline. Use a time such as 08:00"),
        (["--by", "2020-01-01T08:00"], "2020-01-01T08:00 has passed"),
        (["--output-s3-uri", "s3://b/out/"], "only a run with a deadline creates a batch job"),
        (["--by", "3h", "--simulate", "calm", "--output-s3-uri", "s3://b/out/"], "The simulator has no S3"),
    ],
)
def test_contradictory_options_are_refused(options: list[str], message: str, desk: BatchDesk) -> None:
    result = CliRunner().invoke(main, ["run", "in.jsonl", "-o", "out.jsonl", "--model", NOVA, *options])
    assert result.exit_code == 2
    assert message in result.stderr


def test_the_status_shows_the_deadline(desk: BatchDesk) -> None:
    command()
    found = CliRunner().invoke(main, ["run", "status", "out.jsonl"])
    assert ": batch job arn:aws:bedrock:" in found.stdout
    assert f"; COMPLETED, {RECORDS} of {RECORDS} processed" in found.stdout
    plain = json.loads(CliRunner().invoke(main, ["run", "status", "out.jsonl", "--json"]).stdout)
    assert plain["by"]["way"] == "batch job"
    assert plain["by"]["job_id"].startswith("arn:aws:bedrock:")


def test_a_program_gets_the_same_run_as_the_command(desk: BatchDesk) -> None:
    with (
        BedrockJobClient(NOVA, output_s3_uri="s3://records/out/", role_arn=ROLE) as service,
        BedrockClient(NOVA, priority="batch") as client,
        BatchRun("in.jsonl", "out.jsonl", client=client, by="10h", jobs=service) as run,
    ):
        assert sorted(answer["id"] for answer in run) == EVERY
        assert run.cost
    assert len(jobs(desk)) == 1


def test_an_invalid_deadline_is_refused_when_a_program_creates_the_run(desk: BatchDesk) -> None:
    with BedrockClient(NOVA) as client, pytest.raises(ValueError, match="'soon' is not a deadline"):
        BatchRun("in.jsonl", "out.jsonl", client=client, by="soon")


def test_an_asyncio_program_gets_the_same_run_as_the_command(desk: BatchDesk) -> None:
    async def run_it() -> list[str]:
        with BedrockJobClient(NOVA, output_s3_uri="s3://records/out/", role_arn=ROLE) as service:
            async with (
                AsyncBedrockClient(NOVA, priority="batch") as client,
                AsyncBatchRun("in.jsonl", "out.jsonl", client=client, by="10h", jobs=service) as run,
            ):
                return sorted([answer["id"] async for answer in run])

    assert asyncio.run(run_it()) == EVERY
    assert len(jobs(desk)) == 1
