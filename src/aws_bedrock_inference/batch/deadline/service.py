"""The service of batch jobs, as far as a deadline needs it: `BedrockJobClient` is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aws_bedrock_inference.jobs.values import JobResult, JobStatus


class JobService(Protocol):
    """The operations on batch jobs. They block, and are called in a thread."""

    def create_job(self, *, records: Iterable[Mapping[str, Any]], name: str, client_token: str) -> str:
        """Create a job, or find the one with this token, and return its id."""

    def get_job_status(self, job_id: str) -> JobStatus:
        """Return the job as it is now."""

    def get_job_result(self, job_id: str) -> JobResult:
        """Return what a job that has ended left."""

    def cancel_job(self, job_id: str) -> object:
        """Ask the service to stop a job."""
