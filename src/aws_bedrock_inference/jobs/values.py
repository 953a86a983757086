"""The values of a job: its status in the documents' words, its records, and the exception of a job that failed."""

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
"""The words of jobs that have ended; each other word is of a job that runs."""

EXPIRED = "batch-job-expired"
"""The cause of a job, and of its records, that ran out of time."""


class JobStatus(TypedDict):
    """A job as it is now.

    `status` is COMPLETED, FAILED or STOPPED, or of a job that runs SUBMITTED, VALIDATING, SCHEDULED, IN_PROGRESS or
    STOPPING; `aws_status` is AWS's own word. AWS's PartiallyCompleted is COMPLETED, and its Expired is FAILED; `error`
    says what went wrong, and is None if nothing did. The counts are 0 until AWS has validated the input.
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
    """The error of a record without output: the HTTP status and the message of the service, and what they mean. `code`
    is 0 for a record that the job did not reach.
    """

    code: int
    message: str = field(repr=False)
    explanation: Explanation = field(repr=False)

    def __str__(self) -> str:
        return f"{self.explanation.title} ({self.code or 'not reached'})"


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A record of a job with its `output`, the body that the model answered, or its `error`. `input` is the record's
    `modelInput`.
    """

    record_id: str
    input: dict[str, Any] = field(repr=False)
    output: dict[str, Any] | None = field(default=None, repr=False)
    error: RecordError | None = None

    @property
    def text(self) -> str:
        """The text of the answer, in the body of whatever model; empty without one."""
        return text_of_body(self.output)

    @property
    def usage(self) -> Usage | None:
        """The tokens that were used; None if the output does not say."""
        return usage_of(self.output) if isinstance(self.output, dict) else None


class JobResult(NamedTuple):
    """The records of a job, which each iteration reads anew from S3, and its last status."""

    records: Iterable[JobRecord]
    job: JobStatus


class AsyncJobResult(NamedTuple):
    """`JobResult` for asyncio: `async for record in result.records`."""

    records: AsyncIterable[JobRecord]
    job: JobStatus


class JobFailed(Exception):
    """A job that failed, expired or was stopped. `job` is its last status."""

    def __init__(self, job: Mapping[str, Any]) -> None:
        super().__init__(job)
        self.job = job

    @property
    def explanation(self) -> Explanation:
        """The explanation of the job's error."""
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
