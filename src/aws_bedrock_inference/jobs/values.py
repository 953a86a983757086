"""The values that the clients of jobs return: the status of a job, its records, and the exception `JobFailed`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

from aws_bedrock_inference.dialects.content import text_of_body
from aws_bedrock_inference.dialects.usage import usage_of
from aws_bedrock_inference.knowledge.explain import explain

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Iterable, Mapping
    from datetime import datetime

    from aws_bedrock_inference.call import Usage
    from aws_bedrock_inference.knowledge.explain import Explanation

COMPLETED, FAILED, STOPPED = "COMPLETED", "FAILED", "STOPPED"
ENDED = frozenset({COMPLETED, FAILED, STOPPED})
"""The statuses of jobs that have ended. A job with any other status is running."""

EXPIRED = "batch-job-expired"
"""The cause of an expired job, and of its records that were not processed before the job expired."""


class JobStatus(TypedDict):
    """The current status of a job.

    `status` is COMPLETED, FAILED or STOPPED for a job that has ended, and SUBMITTED, VALIDATING, SCHEDULED, IN_PROGRESS
    or STOPPING for a running job. `aws_status` is AWS's own word. AWS's PartiallyCompleted becomes COMPLETED, and
    Expired becomes FAILED. `error` describes the error, or is None. The counts of records are 0 until AWS has validated
    the input.
    """

    job_id: str
    name: str
    model_id: str
    status: str
    aws_status: str
    error: str | None
    total: int
    processed: int
    succeeded: int
    failed: int
    submitted: datetime | None
    modified: datetime | None
    ended: datetime | None
    expires: datetime | None
    input_s3_uri: str
    output_s3_uri: str
    client_token: str


@dataclass(frozen=True, slots=True)
class RecordError:
    """The error of a record: the HTTP status (`code`) and the message of the service, with an explanation.

    `code` is 0 if the job ended before it processed the record.
    """

    code: int
    message: str = field(repr=False)
    explanation: Explanation = field(repr=False)

    def __str__(self) -> str:
        return f"{self.explanation.title} ({self.code or 'not reached'})"


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A record of a job. It has either `output`, which is the body of the model's answer, or `error`. `input` is the
    `modelInput` of the record.
    """

    record_id: str
    input: dict[str, Any] = field(repr=False)
    output: dict[str, Any] | None = field(default=None, repr=False)
    error: RecordError | None = None

    @property
    def text(self) -> str:
        """The text of the answer, for any model. It is empty if there is no answer."""
        return text_of_body(self.output)

    @property
    def usage(self) -> Usage | None:
        """The token usage, or None if the output does not contain it."""
        return usage_of(self.output) if isinstance(self.output, dict) else None


class JobResult(NamedTuple):
    """The records of a job, and its last status. Each iteration reads the records from S3 again."""

    records: Iterable[JobRecord]
    job: JobStatus


class AsyncJobResult(NamedTuple):
    """`JobResult` for asyncio: `async for record in result.records`."""

    records: AsyncIterable[JobRecord]
    job: JobStatus


class JobFailed(Exception):
    """Raised for a job that failed, expired or was stopped. `job` is the last status of the job."""

    def __init__(self, job: Mapping[str, Any]) -> None:
        super().__init__(job)
        self.job = job

    @property
    def explanation(self) -> Explanation:
        """The explanation of the job's error: its cause and the remedies."""
        if self.job.get("aws_status") == "Expired":
            return explain(EXPIRED, service="bedrock")
        return explain(f"Batch inference job failed: {self.job.get('error')}", service="bedrock")

    def __str__(self) -> str:
        job, known = self.job, self.explanation
        advice = known.remedies[0].do if known.cause != "unknown" and known.remedies else ""
        place = ", ".join(str(job[name]) for name in ("name", "job_id", "aws_status") if name in job)
        return f"Job failed: {job.get('error') or 'Unknown error'} [{place}] {advice}".rstrip()


def check_completed(job: Mapping[str, Any]) -> None:
    """Raise `JobFailed` for a job that failed, expired or was stopped."""
    if job["status"] in (FAILED, STOPPED):
        raise JobFailed(job)
