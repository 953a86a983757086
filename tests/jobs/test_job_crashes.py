"""Jobs on the simulator whose processes are killed at each stage, and continued by another process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from support import job_program
from support.batch_desk import client as boto3_client
from support.job_account import ROLE, enter_account
from support.job_program import MODEL, OUTPUT, prompts

from aws_bedrock_inference import BedrockJobClient
from aws_bedrock_inference.events import JobCreated, JobProgressed, RetryScheduled
from aws_bedrock_inference.jobs.limits import limits_of
from aws_bedrock_inference.testing import Simulator, simulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.doubles import World

pytestmark = pytest.mark.newer_botocore  # prompts are bodies of Converse

# The states of a job, in seconds of the simulator.
SLOW = {"submitted": 5, "validating": 30, "scheduled": 60, "in_progress": 600}


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    with simulator() as sim:
        yield sim


@pytest.fixture
def sim(
    running: Simulator, moto_url: str, alone: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Simulator]:
    """The simulator, and S3 of moto with the bucket `records`, where a process finds them by its environment."""
    enter_account(monkeypatch, running.url, moto_url, "records", tmp_path)
    yield running
    running.scenario()


@pytest.fixture
def jobs(sim: Simulator, world: World) -> Iterator[BedrockJobClient]:
    """A client whose sleep lets time pass for the simulator, too."""

    def sleep(seconds: float) -> None:
        world.sleep(seconds)
        sim.advance(seconds)

    options: Any = {"limits": limits_of(MODEL), "clock": world.clock, "sleep": sleep}  # moto has no quotas
    with BedrockJobClient(MODEL, output_s3_uri=OUTPUT, role_arn=ROLE, **options) as made:
        yield made


def killed(stage: str, records: int) -> list[str]:
    """Run the program until it is killed; return its output."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, job_program.__file__, stage, str(records)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=env)  # noqa: S603 - our own
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    return ran.stdout.split()


def uploaded(moto_url: str) -> list[tuple[str, Any]]:
    s3 = boto3_client("s3", moto_url)
    found = s3.list_objects_v2(Bucket="records", Prefix="out/inputs/").get("Contents", [])
    s3.close()
    return [(item["Key"], item["LastModified"]) for item in found]


def test_another_process_continues_the_job_of_a_process_killed_at_any_stage(
    sim: Simulator, jobs: BedrockJobClient, moto_url: str
) -> None:
    sim.scenario(s3_endpoint=moto_url, jobs=[SLOW])
    for stage in ("preparing", "uploading"):
        killed(stage, 120)
        assert uploaded(moto_url) == []
    killed("creating", 120)
    objects = uploaded(moto_url)
    assert len(objects) == 1
    assert list(jobs.list_jobs()) == []
    for stage in ("accepted", "waiting"):
        killed(stage, 120)
        assert len(list(jobs.list_jobs())) == 1
    sim.advance(sum(SLOW.values()))
    read = killed("reading", 120)
    heard: list[Any] = []
    jobs.listen(heard.append)
    found = list(jobs.wait_for_job(jobs.create_job(prompts=prompts(120))).records)
    assert [event.adopted for event in heard if isinstance(event, JobCreated)] == [True]
    assert len(list(jobs.list_jobs())) == 1
    assert uploaded(moto_url) == objects
    ids = [f"CALL{number:07d}" for number in range(1, 121)]
    assert [record.record_id for record in found] == ids
    assert read == ids[: len(read)]
    assert [record.input["messages"][0]["content"][0]["text"] for record in found] == prompts(120)
    assert all(record.text for record in found)


def test_a_job_of_5000_records_completes(sim: Simulator, jobs: BedrockJobClient, moto_url: str, world: World) -> None:
    codes = ["ThrottlingException", "InternalServerException", "ServiceUnavailableException"]
    asked = {"kind": "error", "operation": "GetModelInvocationJob"}
    trouble = [{**asked, "code": code, "requests": [number]} for number, code in zip((2, 5, 8), codes, strict=True)]
    rule = {**SLOW, "errors": 0.01, "error_code": 429, "error_message": "Too many requests, please wait before trying."}
    lost = {"kind": "lost", "operation": "CreateModelInvocationJob", "first": 1}
    sim.scenario(s3_endpoint=moto_url, jobs=[rule], faults=[lost, *trouble])
    heard: list[Any] = []
    jobs.listen(heard.append)
    job_id = jobs.create_job(prompts=(prompt for prompt in prompts(5000)))
    result = jobs.wait_for_job(job_id)
    found = list(result.records)
    assert [record.record_id for record in found] == [f"CALL{number:07d}" for number in range(1, 5001)]
    assert [record.input["messages"][0]["content"][0]["text"] for record in found] == prompts(5000)
    failed = [record for record in found if record.error is not None]
    assert len(failed) == 50
    assert {record.error.explanation.decision.value for record in failed if record.error} == {"RETRY"}
    assert (result.job["total"], result.job["succeeded"], result.job["failed"]) == (5000, 4950, 50)
    repeated = [event.fault.code for event in heard if isinstance(event, RetryScheduled)]
    assert (len(repeated), repeated[1:]) == (4, codes)
    assert len(list(jobs.list_jobs())) == 1
    words = [event.status for event in heard if isinstance(event, JobProgressed)]
    assert list(dict.fromkeys(words)) == ["SUBMITTED", "VALIDATING", "SCHEDULED", "IN_PROGRESS", "COMPLETED"]
    assert world.now >= sum(SLOW.values())
