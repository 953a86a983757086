"""The limits of jobs through the client, on the simulator: what is wrong is a sentence before anything is created, and
few and many records give the right result.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from support.batch_desk import client as boto3_client
from support.job_account import ROLE, enter_account

from aws_bedrock_inference import BedrockJobClient
from aws_bedrock_inference.jobs.limits import limits_of
from aws_bedrock_inference.testing import Simulator, simulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.doubles import World

MODEL = "amazon.nova-lite-v1:0"


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    with simulator() as sim:
        yield sim


@pytest.fixture
def sim(
    running: Simulator, moto_url: str, alone: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Simulator]:
    """The simulator with two jobs at once, and an account of moto's."""
    enter_account(monkeypatch, running.url, moto_url, "records", tmp_path)
    running.scenario(s3_endpoint=moto_url, batch={"minimum": 100})
    yield running
    running.scenario()


@pytest.fixture
def new(sim: Simulator, world: World) -> Iterator[Callable[..., BedrockJobClient]]:
    """Makes clients whose sleep lets time pass for the simulator, too."""
    made: list[BedrockJobClient] = []

    def sleep(seconds: float) -> None:
        world.sleep(seconds)
        sim.advance(seconds)

    def client(model: str = MODEL, **options: Any) -> BedrockJobClient:
        given: dict[str, Any] = {"output_s3_uri": "s3://records/out/", "role_arn": ROLE, "limits": limits_of(model)}
        made.append(BedrockJobClient(model, clock=world.clock, sleep=sleep, **{**given, **options}))
        return made[-1]

    yield client
    for each in made:
        each.close()


def prompts(number: int) -> Iterator[str]:
    return (f"question {each}" for each in range(number))


def refused(jobs: BedrockJobClient, moto_url: str, **what: Any) -> str:
    """Return the sentence with which a job is refused, when nothing was created or uploaded."""
    with pytest.raises(ValueError, match=r".") as caught:
        jobs.create_job(**(what or {"prompts": prompts(100)}))
    assert list(jobs.list_jobs()) == []
    s3 = boto3_client("s3", moto_url)
    assert "Contents" not in s3.list_objects_v2(Bucket="records")
    s3.close()
    return str(caught.value)


def test_a_role_without_trust(new: Callable[..., BedrockJobClient], moto_url: str) -> None:
    iam = boto3_client("iam", moto_url)
    trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    iam.update_assume_role_policy(
        RoleName="batch", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )
    iam.close()
    assert "its trust policy does not allow the service bedrock" in refused(new(), moto_url)


def test_a_bucket_in_another_region(new: Callable[..., BedrockJobClient], moto_url: str) -> None:
    s3 = boto3_client("s3", moto_url, "eu-west-1")
    s3.create_bucket(Bucket="far", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.close()
    said = refused(new(output_s3_uri="s3://far/out/"), moto_url)
    assert "the bucket for the output is in eu-west-1, but the job is in us-east-1" in said


def test_a_model_that_there_is_not(new: Callable[..., BedrockJobClient], moto_url: str) -> None:
    said = refused(new("amazon.nova-light-v1:0"), moto_url)
    assert said.startswith("us-east-1 has no model or inference profile amazon.nova-light-v1:0. The most similar id is")


@pytest.mark.parametrize("what", [{"prompts": []}, {"records": iter(())}])
def test_no_records(new: Callable[..., BedrockJobClient], moto_url: str, what: Any) -> None:
    assert refused(new(), moto_url, **what) == "a job needs at least one record"


def test_too_few_records_where_they_are_not_run_on_demand(new: Callable[..., BedrockJobClient], moto_url: str) -> None:
    said = refused(new(on_too_few="error"), moto_url, prompts=prompts(99))
    assert said.startswith(f"99 records: a batch job of {MODEL} needs at least 100")


@pytest.mark.parametrize("number", [1, 99])
def test_few_records_are_run_on_demand_and_read_like_any_job(
    new: Callable[..., BedrockJobClient], sim: Simulator, number: int
) -> None:
    jobs = new(role_arn=None)
    job_id = jobs.create_job(prompts=prompts(number))
    assert job_id.startswith("local:s3://records/out/local/")
    jobs.finish(job_id)
    records, job = new().wait_for_job(job_id)
    found = list(records)
    assert [record.record_id for record in found] == [f"CALL{each + 1:07d}" for each in range(number)]
    assert all(record.output for record in found)
    assert (job["status"], job["total"], job["succeeded"]) == ("COMPLETED", number, number)
    assert list(jobs.list_jobs()) == [], "AWS has none of it"


def test_a_model_that_there_is_not_fails_a_job_on_demand_with_what_to_do(
    new: Callable[..., BedrockJobClient], sim: Simulator, moto_url: str
) -> None:
    sim.scenario(
        s3_endpoint=moto_url, faults=[{"kind": "error", "code": "ResourceNotFoundException", "operation": "Converse"}]
    )
    jobs = new()
    job_id = jobs.create_job(prompts=prompts(50))
    jobs.finish(job_id)
    job = jobs.get_job_status(job_id)
    assert job["status"] == "FAILED"
    assert str(job["error"]).startswith("ResourceNotFoundException: ")
    assert len(str(job["error"])) > 100, "what to do is missing"


def test_many_records_are_several_jobs_under_one_id(
    new: Callable[..., BedrockJobClient], sim: Simulator, moto_url: str
) -> None:
    """205 records with jobs of 100: two jobs have room, the third waits for it; another process waits for them."""
    sim.scenario(s3_endpoint=moto_url, jobs=[{"in_progress": 60}], batch={"minimum": 20, "jobs": 2})
    jobs = new(limits=replace(limits_of(MODEL), most_records=100, least_records=20))
    job_id = jobs.create_job(prompts=prompts(205))
    assert job_id.startswith("group:s3://records/out/groups/")
    assert len(list(jobs.list_jobs())) == 2
    other = new()
    records, job = other.wait_for_job(job_id)
    assert [record.record_id for record in records] == [f"CALL{each + 1:07d}" for each in range(205)]
    assert (job["status"], job["total"], job["succeeded"]) == ("COMPLETED", 205, 205)
    assert sorted(each["total"] for each in jobs.list_jobs()) == [20, 85, 100]
    assert jobs.create_job(prompts=prompts(205)) == job_id, "the same content has one group"
