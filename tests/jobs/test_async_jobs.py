"""The asyncio client of jobs: the same signatures, results and errors as the blocking client."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from support.job_account import ROLE

from aws_bedrock_inference import AsyncBedrockJobClient, BedrockJobClient, JobFailed
from aws_bedrock_inference.jobs.checks import JobChecks
from aws_bedrock_inference.jobs.limits import limits_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.doubles import World
    from support.job_service import JobService

pytestmark = pytest.mark.newer_botocore  # prompts are bodies of Converse

MODEL = "amazon.nova-lite-v1:0"
# Which the twin does not have: they are there for whoever shares the blocking client's work.
_OWN = {"completed", "notify", "limits"}


@pytest.fixture
def jobs(service: JobService, world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[AsyncBedrockJobClient]:
    async def sleep(seconds: float) -> None:
        world.sleep(seconds)

    monkeypatch.setattr(JobChecks, "check", lambda *_, **__: None)
    made = AsyncBedrockJobClient(
        MODEL,
        output_s3_uri="s3://jobs/out/",
        role_arn=ROLE,
        session=service.session(),
        clock=world.clock,
        sleep=sleep,
        limits=replace(limits_of(MODEL), least_records=1),
    )
    yield made
    asyncio.run(made.close())


def test_a_job_is_awaited_and_read(jobs: AsyncBedrockJobClient, service: JobService, world: World) -> None:
    service.statuses = ("Validating", ("InternalServerException", 500), "InProgress", "Completed")

    async def main() -> tuple[list[str], list[str], str, list[str]]:
        job_id = await jobs.create_job(prompts=[f"Prompt {number}" for number in range(250)])
        result = await jobs.wait_for_job(job_id)
        texts = [record.text async for record in result.records]
        again = [record.text async for record in result.records]
        return (
            texts,
            again,
            (await jobs.get_job_status(job_id))["status"],
            [job["name"] async for job in jobs.list_jobs()],
        )

    texts, again, status, names = asyncio.run(main())
    assert texts == again == [f"Prompt {number}!" for number in range(250)]
    assert (status, len(names)) == ("COMPLETED", 1)
    assert world.sleeps[:1] == [1.5]


def test_a_failed_job_raises_immediately(jobs: AsyncBedrockJobClient, service: JobService) -> None:
    service.statuses = ("InProgress",)

    async def main() -> None:
        job_id = await jobs.create_job(prompt="Why?")
        with pytest.raises(TimeoutError, match="Timeout waiting"):
            await jobs.wait_for_job(job_id, timeout=30)
        assert (await jobs.cancel_job(job_id))["status"] == "STOPPING"
        with pytest.raises(JobFailed, match="stopped"):
            await jobs.wait_for_job(job_id)
        assert [record.error is None async for record in (await jobs.get_job_result(job_id)).records] == [True]

    asyncio.run(main())


def test_both_clients_have_the_same_methods() -> None:
    assert _public(BedrockJobClient).keys() - _OWN == _public(AsyncBedrockJobClient).keys()
    for name, method in _public(AsyncBedrockJobClient).items():
        if inspect.isfunction(method):
            ours, theirs = inspect.signature(method), inspect.signature(getattr(BedrockJobClient, name))
            assert ours.parameters == theirs.parameters, name


def _public(kind: type) -> dict[str, Any]:
    return {name: value for name, value in inspect.getmembers(kind) if not name.startswith("_")}
