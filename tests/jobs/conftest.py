"""Moto's S3, a scripted control plane, and a client of both; each test controls the time."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from support.job_account import ROLE
from support.job_service import JobService, echoed, run_job

from aws_bedrock_inference import BedrockJobClient
from aws_bedrock_inference.jobs.checks import JobChecks
from aws_bedrock_inference.jobs.limits import limits_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.doubles import World

MODEL = "anthropic.claude-3-sonnet-20240229-v1:0"


@pytest.fixture
def service(moto_url: str, alone: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[JobService]:
    """The control plane. Each created job is complete immediately, and its answers repeat the prompts."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_url)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = JobService("Completed")
    made.s3 = made.session().client("s3")
    made.s3.create_bucket(Bucket="jobs")
    made.on_created = partial(run_job, made.s3, answer=echoed)
    yield made
    made.s3.close()


@pytest.fixture
def client(
    service: JobService, world: World, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., BedrockJobClient]]:
    """Creates clients, each with its own session, as in another process. They check no role and no bucket;
    `test_job_checks.py` does."""
    monkeypatch.setattr(JobChecks, "check", lambda *_, **__: None)
    made: list[BedrockJobClient] = []

    def new(model: str = MODEL, **options: Any) -> BedrockJobClient:
        given = {
            "limits": replace(limits_of(model), least_records=1),
            "output_s3_uri": "s3://jobs/out/",
            "role_arn": ROLE,
            "clock": world.clock,
            "sleep": world.sleep,
        }
        made.append(BedrockJobClient(model, session=service.session(), **{"on_too_few": "error", **given, **options}))
        return made[-1]

    yield new
    for each in made:
        each.close()


@pytest.fixture
def jobs(client: Callable[..., BedrockJobClient]) -> BedrockJobClient:
    return client()
