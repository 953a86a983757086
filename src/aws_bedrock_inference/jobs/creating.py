"""One job for one content: the job that has it already is found by its token, or one is created.

A token is derived from the content, or given. AWS takes the same token twice without a second job; a job that it
accepted for a process that then died is found in its list. A job that failed or was stopped stands in nobody's way: the
next one gets the token with a number.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from aws_bedrock_inference.bounds import is_number, shown
from aws_bedrock_inference.fault import Kind
from aws_bedrock_inference.jobs.statuses import status_of
from aws_bedrock_inference.jobs.values import FAILED, STOPPED
from aws_bedrock_inference.log import LOGGER
from aws_bedrock_inference.resilience.functions import known_fault

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aws_bedrock_inference.jobs.values import JobStatus

SHORTEST_HOURS, LONGEST_HOURS = 24, 168

# Source: botocore 1.44.8, shapes ModelInvocationJobName and ModelInvocationIdempotencyToken.
_NAME = re.compile(r"[a-zA-Z0-9]{1,63}(-*[a-zA-Z0-9+\-.]){0,63}")
_LONGEST_NAME = 63
_TOKEN = re.compile(r"[a-zA-Z0-9]{1,256}(-*[a-zA-Z0-9]){0,256}")
_LONGEST_TOKEN = 240  # of AWS's 256, with room for the number of a later attempt

_PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked of AWS, without the input. `token` and `name` are those of the first attempt."""

    model_id: str
    role_arn: str
    output_s3_uri: str
    invocation: str
    token: str
    name: str
    timeout_hours: int = LONGEST_HOURS
    tags: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        if not _TOKEN.fullmatch(self.token) or len(self.token) > _LONGEST_TOKEN:
            raise ValueError(f"client_token: give letters, digits and inner hyphens, {_LONGEST_TOKEN} at most")
        if not _NAME.fullmatch(self.name) or len(self.name) > _LONGEST_NAME:
            raise ValueError(f"name: give letters, digits, '-', '+' and '.', {_LONGEST_NAME} at most, a letter first")
        if not is_number(self.timeout_hours, least=SHORTEST_HOURS, most=LONGEST_HOURS, whole=True):
            raise ValueError(
                f"timeout_hours={shown(self.timeout_hours)}: give whole hours from {SHORTEST_HOURS} to {LONGEST_HOURS}"
            )


def token_of(*parts: str) -> str:
    """Return the token of a content."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]


def name_of(token: str) -> str:
    """Return the name of a job without one of its own."""
    return f"bedrock-{token[:24].strip('-')}"


def existing(bedrock: Any, order: Order) -> tuple[JobStatus | None, int]:
    """Return the job that runs or has completed with the order's token, and the number of those that have ended
    otherwise.
    """
    ended = 0
    for job in _listed(bedrock, order):
        if job["status"] not in (FAILED, STOPPED):
            return job, ended
        ended += 1
    return None, ended


def create(bedrock: Any, order: Order, input_s3_uri: str, ended: int) -> str:
    """Create the job and return its ARN. `ended` is the number of earlier attempts that have ended."""
    suffix = f"-{ended + 1}" if ended else ""
    tags = {"tags": [{"key": key, "value": value} for key, value in order.tags.items()]} if order.tags else {}
    form = {"modelInvocationType": order.invocation} if _has_invocation_type(bedrock) else {}
    if not form and order.invocation != "InvokeModel":
        raise ValueError("this boto3 is too old for jobs with prompts: pip install -U boto3, or give native bodies")
    answer = bedrock.create_model_invocation_job(
        jobName=f"{order.name[: _LONGEST_NAME - len(suffix)]}{suffix}",
        roleArn=order.role_arn,
        clientRequestToken=f"{order.token}{suffix}",
        modelId=order.model_id,
        inputDataConfig={"s3InputDataConfig": {"s3InputFormat": "JSONL", "s3Uri": input_s3_uri}},
        outputDataConfig={"s3OutputDataConfig": {"s3Uri": order.output_s3_uri}},
        timeoutDurationInHours=order.timeout_hours,
        **form,
        **tags,
    )
    arn: str = answer["jobArn"]
    return arn


def _listed(bedrock: Any, order: Order) -> Iterator[JobStatus]:
    """Yield the jobs with the order's token, the newest first; none if the caller may not list: AWS then still takes
    the token once.
    """
    own = re.compile(rf"{re.escape(order.token)}(-\d+)?")
    pages = bedrock.get_paginator("list_model_invocation_jobs").paginate(
        nameContains=order.name[: _LONGEST_NAME - 4].rstrip("-+."),
        sortBy="CreationTime",
        sortOrder="Descending",
        PaginationConfig={"PageSize": _PAGE},
    )
    try:
        for page in pages:
            for summary in page.get("invocationJobSummaries", ()):
                if own.fullmatch(summary.get("clientRequestToken") or ""):
                    yield status_of(summary)
    except ClientError as error:
        if known_fault(error).kind is not Kind.DENIED:
            raise
        LOGGER.warning("jobs cannot be listed (bedrock:ListModelInvocationJobs); only AWS's token keeps a job single")


def _has_invocation_type(bedrock: Any) -> bool:
    operation = bedrock.meta.service_model.operation_model("CreateModelInvocationJob")
    return "modelInvocationType" in operation.input_shape.members
