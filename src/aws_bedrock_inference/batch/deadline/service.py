"""The service of batch jobs, as far as a deadline needs it: `BedrockJobClient` is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class RecordError(Protocol):
    """Why a record has no output: the HTTP status (0 for a record that the job did not reach) and the message."""

    @property
    def code(self) -> int:
        """The HTTP status."""

    @property
    def message(self) -> str:
        """The message of the service."""


class JobRecord(Protocol):
    """A record of a job, with its output or its error."""

    @property
    def record_id(self) -> str:
        """The id under which it was sent."""

    @property
    def output(self) -> dict[str, Any] | None:
        """The body that the model answered."""

    @property
    def error(self) -> RecordError | None:
        """Why there is none."""


class JobResult(Protocol):
    """What a job left."""

    @property
    def records(self) -> Iterable[JobRecord]:
        """The records, in any order."""


class JobService(Protocol):
    """The operations on batch jobs. They block, and are called in a thread."""

    def create_job(self, *, records: Iterable[Mapping[str, Any]], name: str, client_token: str) -> str:
        """Create a job, or find the one with this token, and return its id."""

    def get_job_status(self, job_id: str) -> Mapping[str, Any]:
        """Return the job as it is now: `status`, `aws_status`, `error`, `processed`."""

    def get_job_result(self, job_id: str) -> JobResult:
        """Return what a job that has ended left."""

    def cancel_job(self, job_id: str) -> object:
        """Ask the service to stop a job."""
