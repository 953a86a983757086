"""The interface of a batch job service for runs with a deadline. `BedrockJobClient` implements it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aws_bedrock_inference.jobs.values import JobResult, JobStatus


class JobService(Protocol):
    """The operations on batch jobs. They block, so the run calls them in a thread."""

    def create_job(self, *, records: Iterable[Mapping[str, Any]], name: str, client_token: str) -> str:
        """Create a job, or find the job that was created with the same `client_token`. Return the id of the job."""

    def get_job_status(self, job_id: str) -> JobStatus:
        """Return the current status of a job."""

    def get_job_result(self, job_id: str) -> JobResult:
        """Return the results of a job that has ended."""

    def cancel_job(self, job_id: str) -> object:
        """Request that the service stops a job."""
