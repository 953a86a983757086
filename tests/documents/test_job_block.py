"""The documents' sample for batch jobs on the simulator and moto's S3, as written there; and this package's functions.

The bucket is that of the sample, and the role comes from the environment. A job of one prompt runs on demand. Some
tests allow jobs of one record, so that AWS's own jobs run in the sample."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from support.job_account import ROLE, enter_account

from aws_bedrock_inference import BedrockJobClient, JobFailed
from aws_bedrock_inference.jobs.limits import limits_of
from aws_bedrock_inference.testing import Simulator, simulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.doubles import World
    from support.pages import Program

pytestmark = pytest.mark.newer_botocore  # prompts are bodies of Converse

MODEL = "anthropic.claude-3-sonnet-20240229-v1:0"
SLOW = {"submitted": 1, "validating": 20, "scheduled": 40, "in_progress": 100}


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    with simulator() as made:
        yield made


@pytest.fixture
def sim(
    running: Simulator, moto_url: str, alone: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Simulator]:
    enter_account(monkeypatch, running.url, moto_url, "your-bucket", tmp_path)
    monkeypatch.setenv("BEDROCK_BATCH_ROLE_ARN", ROLE)
    running.scenario(foundation=[{"id": MODEL}])
    yield running
    running.scenario()


@pytest.fixture
def program(program: Program, sim: Simulator, world: World, monkeypatch: pytest.MonkeyPatch) -> Program:
    """The sample, with a sleep that also advances the simulator's time and lets on-demand jobs continue."""

    def sleep(seconds: float) -> None:
        world.now += seconds
        world.sleeps.append(seconds)
        sim.advance(seconds)
        for thread in threading.enumerate():
            if thread.name == "bedrock-local-job":
                thread.join()

    program.names["time"].sleep = world.sleep = sleep  # type: ignore[method-assign]
    program.run("retry_with_exponential_backoff")
    client = BedrockJobClient(model_id=MODEL, output_s3_uri="s3://your-bucket/outputs/")
    program.run("asynchronous", client=client)
    if program.client is not client:
        client.close()
    return program


def of_aws(program: Program, sim: Simulator, moto_url: str, **tables: Any) -> None:
    """Let AWS run jobs of one record, as the simulator's tables allow."""
    sim.scenario(s3_endpoint=moto_url, batch={"minimum": 1}, foundation=[{"id": MODEL}], **tables)
    program.client.limits = replace(limits_of(MODEL), least_records=1)


def test_a_job_of_one_prompt_runs_on_demand(program: Program) -> None:
    result = program.create_job_with_retry("Why is the sky blue?")
    (record,) = result.records
    assert record.text
    assert record.output["output"]["message"]["role"] == "assistant"
    assert result.job["job_id"].startswith("local:s3://your-bucket/outputs/")
    assert (result.job["status"], result.job["total"], result.job["failed"]) == ("COMPLETED", 1, 0)


def test_a_batch_job_of_aws_is_waited_for(program: Program, sim: Simulator, moto_url: str, world: World) -> None:
    asked = {"kind": "error", "code": "InternalServerException", "operation": "GetModelInvocationJob"}
    of_aws(program, sim, moto_url, jobs=[SLOW], faults=[{**asked, "requests": [2]}])
    result = program.create_job_with_retry("Why is the sky blue?")
    assert next(iter(result.records)).text
    assert result.job["job_id"].startswith("arn:aws:bedrock:us-east-1:")
    assert world.sleeps[:3] == [1.5, 2.25, 3.375]
    assert max(world.sleeps) == 30


def test_this_package_reports_a_failed_job_immediately_and_the_sample_after_an_hour(
    program: Program, sim: Simulator, moto_url: str, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    of_aws(program, sim, moto_url, jobs=[{"fails": "Batch job failed: missing modelInput."}])
    job_id = program.client.create_job(prompt="Why?")
    if program.source == "document":
        with pytest.raises(TimeoutError, match=f"Timeout waiting for job {job_id} to complete"):
            program.wait_for_job_with_adaptive_polling(job_id)
        assert world.now - 1000 >= 3600
    else:
        with pytest.raises(JobFailed, match="Job failed: Batch job failed: missing modelInput"):
            program.wait_for_job_with_adaptive_polling(job_id)
        assert world.now == 1000
    assert program.create_job_with_retry("Why?") is None
    assert "Job creation failed: " in program.printed.getvalue() + caplog.text


def test_a_missing_job_raises_immediately(program: Program, world: World) -> None:
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        program.wait_for_job_with_adaptive_polling("abcdefghijkl")
    assert world.sleeps == []


def test_a_job_that_takes_too_long_is_a_timeout(program: Program, sim: Simulator, moto_url: str, world: World) -> None:
    of_aws(program, sim, moto_url, jobs=[{"scheduled": 10_000}])
    job_id = program.client.create_job(prompt="Why?")
    with pytest.raises(TimeoutError, match=f"Timeout waiting for job {job_id} to complete"):
        program.wait_for_job_with_adaptive_polling(job_id, timeout=100)
    assert 1100 <= world.now < 1130


@pytest.mark.parametrize("trouble", ["AccessDeniedException", "ValidationException"])
def test_a_refused_job_returns_none(
    program: Program, sim: Simulator, moto_url: str, caplog: pytest.LogCaptureFixture, trouble: str
) -> None:
    refused = {"kind": "error", "code": trouble, "message": "no", "operation": "CreateModelInvocationJob"}
    of_aws(program, sim, moto_url, faults=[refused])
    assert program.create_job_with_retry("Why?") is None
    assert "Job creation failed: " in program.printed.getvalue() + caplog.text
    assert program.create_job_with_retry("") is None
