"""A program that makes a batch job of prompts, waits for it and reads it, and is killed at the stage that it is given.

Run as `python job_program.py STAGE RECORDS`. The stages are those of a job's life: while the records are written
(`preparing`), while they are uploaded (`uploading`), before the job is asked for (`creating`), when AWS has accepted it
and the answer is on its way (`accepted`), while it is waited for (`waiting`), and while it is read (`reading`).
"""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
from support.job_account import ROLE

from aws_bedrock_inference import BedrockJobClient
from aws_bedrock_inference.jobs.limits import limits_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MODEL, OUTPUT = "amazon.nova-lite-v1:0", "s3://records/out/"

# The event of botocore that begins a stage, and how often it comes before.
EVENTS = {
    "uploading": ("before-send.s3.PutObject", 0),
    "creating": ("before-send.bedrock.CreateModelInvocationJob", 0),
    "accepted": ("after-call.bedrock.CreateModelInvocationJob", 0),
    "waiting": ("before-send.bedrock.GetModelInvocationJob", 2),
}
LIMITS = limits_of(MODEL)  # moto has no quotas


def prompts(records: int) -> list[str]:
    return [f"Question {number} of {records}" for number in range(records)]


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(left: list[int], **_: Any) -> None:
    if not left[0]:
        die()
    left[0] -= 1


def cut(items: Iterable[Any], *, after: int) -> Iterator[Any]:
    for number, item in enumerate(items):
        if number == after:
            die()
        yield item


def main(stage: str, records: int) -> None:
    session: Any = boto3.Session()
    if stage in EVENTS:
        event, times = EVENTS[stage]
        session._session.register(event, partial(die_at, [times]))
    given: Iterable[str] = prompts(records)
    jobs = BedrockJobClient(
        MODEL, output_s3_uri=OUTPUT, role_arn=ROLE, session=session, sleep=lambda _: None, limits=LIMITS
    )
    job_id = jobs.create_job(prompts=cut(given, after=records // 2) if stage == "preparing" else given)
    found: Iterable[Any] = jobs.wait_for_job(job_id).records
    for record in cut(found, after=records // 2) if stage == "reading" else found:
        print(record.record_id, flush=True)  # noqa: T201 - what a program does


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
