"""Create a job, or find the existing job for the same content by its token.

The token is derived from the content of the job (such as its model and its records), or set by the caller. AWS creates
only one job for each token. If a process died after AWS had accepted a job, the next process finds this job in AWS's
list of jobs. If a job failed or was stopped, the token of the next job ends with `-attempt-` and a number. An *order*
is the set of parameters of one job.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from aws_bedrock_inference.bounds import is_number, shown, shown_name
from aws_bedrock_inference.fault import Kind
from aws_bedrock_inference.jobs.preparing import NATIVE
from aws_bedrock_inference.jobs.states import ATTEMPT, attempt_token
from aws_bedrock_inference.jobs.statuses import status_of
from aws_bedrock_inference.jobs.values import ENDED, FAILED, STOPPED
from aws_bedrock_inference.log import LOGGER
from aws_bedrock_inference.resilience.functions import known_fault

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aws_bedrock_inference.jobs.values import JobStatus

SHORTEST_HOURS, LONGEST_HOURS = 24, 168

# Source: botocore 1.44.8, shapes ModelInvocationJobName and ModelInvocationIdempotencyToken.
_NAME = re.compile(r"[a-zA-Z0-9]{1,63}(-*[a-zA-Z0-9+\-.]){0,63}")
_LONGEST_NAME, _LONGEST_SUFFIX = 63, 4
_TOKEN = re.compile(r"[a-zA-Z0-9]{1,256}(-*[a-zA-Z0-9]){0,256}")
_LONGEST_TOKEN = 240  # AWS's maximum is 256; the rest is for the suffix of a later job

_PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The parameters of a job, without its input.

    `token` and `name` are those of the first job for this content. If that job fails or is stopped, the token of the
    second job ends with `-attempt-2`, and its name with `-2`.

    If the caller has set the token, `content` is a digest of the model, the records and the output URI. If two jobs
    have the same token and different digests, the caller has used the token for different content.

    If the caller has set no token, `content` is empty, because the token itself is then such a digest.
    """

    model_id: str
    role_arn: str
    output_s3_uri: str
    invocation: str
    token: str
    name: str
    timeout_hours: int = LONGEST_HOURS
    tags: Mapping[str, str] | None = None
    content: str = ""

    @property
    def input_name(self) -> str:
        """The name of the job's input in S3. The name depends on the records, so that different records are never
        stored under the same name.
        """
        return f"{self.token}-{self.content}" if self.content else self.token

    def __post_init__(self) -> None:
        if not _TOKEN.fullmatch(self.token) or len(self.token) > _LONGEST_TOKEN:
            raise ValueError(
                f"client_token: use at most {_LONGEST_TOKEN} letters, digits and hyphens, without a hyphen at the "
                "start or end"
            )
        if not _NAME.fullmatch(self.name) or len(self.name) > _LONGEST_NAME:
            raise ValueError(
                f"name: use at most {_LONGEST_NAME} letters, digits, '-', '+' and '.'; start with a letter or digit"
            )
        if not is_number(self.timeout_hours, least=SHORTEST_HOURS, most=LONGEST_HOURS, whole=True):
            raise ValueError(
                f"timeout_hours={shown(self.timeout_hours)}: use whole hours from {SHORTEST_HOURS} to {LONGEST_HOURS}"
            )

    def attempt(self, number: int) -> Order:
        """Return the parameters of job `number` for this content.

        Job 1 has the parameters in this object. If job 1 fails or is stopped, job 2 replaces it. The token of job 2
        ends with `-attempt-2`, and the name of job 2 ends with `-2`. The other parameters are the same.
        """
        if number == 1:
            return self
        suffix = f"-{number}"
        name = f"{self.name[: _LONGEST_NAME - len(suffix)]}{suffix}"
        return replace(self, token=attempt_token(self.token, number), name=name)


def token_of(*parts: str) -> str:
    """Return the token for a job. `parts` describe the content of the job, for example its model and the digest of its
    records.
    """
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]


def name_of(token: str) -> str:
    """Return the default name of a job."""
    return f"bedrock-{token[:24].strip('-')}"


def tell_of_other_records(token: str, job_id: str) -> None:
    """Log a warning that the caller's token belongs to an existing job with different records. The existing job is
    used, so the records of this call are not sent.
    """
    LOGGER.warning(
        "client_token %s already has a job with different records: %s. That job is used. Pass another client_token",
        token,
        job_id,
    )


class AwsJobs:
    """The jobs of AWS, through boto3's client `bedrock`. Each job is a dictionary in the form of
    GetModelInvocationJob.
    """

    def __init__(self, bedrock: Any) -> None:
        self._bedrock = bedrock

    @property
    def region_name(self) -> str:
        """The Region of the jobs."""
        name: str = self._bedrock.meta.region_name
        return name

    def status(self, job_id: str) -> dict[str, Any]:
        """Return the current description of the job."""
        job: dict[str, Any] = self._bedrock.get_model_invocation_job(jobIdentifier=job_id)
        return job

    def stop(self, job_id: str) -> None:
        """Send AWS the request to stop the job."""
        self._bedrock.stop_model_invocation_job(jobIdentifier=job_id)

    def cancel(self, job_id: str) -> dict[str, Any]:
        """Stop the job, unless it has already ended. Return the description of the job."""
        job = self.status(job_id)
        if status_of(job)["status"] in ENDED:
            return job
        try:
            self.stop(job_id)
        except ClientError:
            job = self.status(job_id)
            if status_of(job)["status"] not in ENDED:  # the job still runs, so the error is a real one
                raise
            return job
        return self.status(job_id)

    def listed(self, status: str | None, limit: int) -> Iterator[dict[str, Any]]:
        """Yield the newest `limit` jobs. If `status` is set, yield only jobs with this status."""
        wanted = {"statusEquals": self._word(status)} if status else {}
        return self._pages(limit, **wanted)

    def existing(self, order: Order) -> tuple[JobStatus | None, int]:
        """Return two values: the existing job for this order, and a count.

        The existing job is running or has completed. Its token is the order's token, or the order's token followed by
        `-attempt-` and a number. If such a job exists, ignore the count.

        If no such job exists, the first value is None. The count is then the number of failed and stopped jobs with
        these tokens. For example, if jobs 1 and 2 failed, the count is 2, and the caller creates job 3.
        """
        ended = 0
        for job in self._with_token(order):
            if job["status"] not in (FAILED, STOPPED):
                return job, ended
            ended += 1
        return None, ended

    def create(self, order: Order, input_s3_uri: str) -> str:
        """Create the job and return its ARN."""
        tags = {"tags": [{"key": key, "value": value} for key, value in order.tags.items()]} if order.tags else {}
        answer = self._bedrock.create_model_invocation_job(
            jobName=order.name,
            roleArn=order.role_arn,
            clientRequestToken=order.token,
            modelId=order.model_id,
            inputDataConfig={"s3InputDataConfig": {"s3InputFormat": "JSONL", "s3Uri": input_s3_uri}},
            outputDataConfig={"s3OutputDataConfig": {"s3Uri": order.output_s3_uri}},
            timeoutDurationInHours=order.timeout_hours,
            **self._form(order.invocation),
            **tags,
        )
        arn: str = answer["jobArn"]
        return arn

    def close(self) -> None:
        """Close the connections."""
        self._bedrock.close()

    def _word(self, status: str) -> str:
        """Return AWS's spelling of a status. Upper case, lower case and underscores do not matter. Raises `ValueError`
        for an unknown status.
        """
        words = self._bedrock.meta.service_model.shape_for("ModelInvocationJobStatus").enum
        found = {word.casefold(): word for word in words}.get(str(status).replace("_", "").casefold())
        if found is None:
            raise ValueError(f"status={shown_name(status, words)}: use one of {', '.join(sorted(words))}")
        return str(found)

    def _form(self, invocation: str) -> dict[str, str]:
        """Return the parameter of CreateModelInvocationJob that states the form of the bodies: Converse or InvokeModel.

        Old releases of boto3 do not have this parameter. They can only create jobs whose bodies have the form of
        InvokeModel. With such a release, this method raises `ValueError` for the form of Converse.
        """
        operation = self._bedrock.meta.service_model.operation_model("CreateModelInvocationJob")
        if "modelInvocationType" in operation.input_shape.members:
            return {"modelInvocationType": invocation}
        if invocation == NATIVE:
            return {}
        raise ValueError(
            "the installed boto3 is too old for jobs with prompts. "
            "Run pip install -U boto3, or pass records with modelInput"
        )

    def _with_token(self, order: Order) -> Iterator[JobStatus]:
        """Yield the job with the order's token and the jobs that replaced it (see `Order.attempt`), the newest first.

        If the permission to list jobs is missing, log a warning and yield no job. The caller then requests a new job
        from AWS. If a job with this token exists, AWS creates no second one, because a token is valid for only one job.
        """
        own = re.compile(rf"{re.escape(order.token)}({ATTEMPT}\d+)?")
        name = order.name[: _LONGEST_NAME - _LONGEST_SUFFIX]
        try:
            for summary in self._pages(None, nameContains=name.rstrip("-+.")):
                if own.fullmatch(summary.get("clientRequestToken") or ""):
                    yield status_of(summary)
        except ClientError as error:
            if known_fault(error).kind is not Kind.DENIED:
                raise
            LOGGER.warning(
                "earlier jobs for the same records cannot be found, because the permission "
                "bedrock:ListModelInvocationJobs is missing. Allow it; until then, only AWS's check of the client "
                "token prevents a second job"
            )

    def _pages(self, limit: int | None, **wanted: str) -> Iterator[dict[str, Any]]:
        pages = self._bedrock.get_paginator("list_model_invocation_jobs").paginate(
            sortBy="CreationTime",
            sortOrder="Descending",
            PaginationConfig={"MaxItems": limit, "PageSize": min(limit or _PAGE, _PAGE)},
            **wanted,
        )
        for page in pages:
            yield from page.get("invocationJobSummaries", ())
