"""Jobs that exist: looked at, waited for, read, stopped. Only their ids are needed for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.events import Listeners
from aws_bedrock_inference.jobs.failures import keep_failures
from aws_bedrock_inference.jobs.reading import Records
from aws_bedrock_inference.jobs.statuses import check_ended, status_of
from aws_bedrock_inference.jobs.values import ENDED, JobResult, check_completed
from aws_bedrock_inference.jobs.waiting import TIMEOUT, waited
from aws_bedrock_inference.log import log
from aws_bedrock_inference.resilience.wrap import resilient
from aws_bedrock_inference.sessions import make_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.deadletters.queue import DeadLetterQueue
    from aws_bedrock_inference.events import Listener
    from aws_bedrock_inference.jobs.values import JobStatus

# Seconds for one call of the control plane with its repeats: a wait outlasts its own limit by no more.
_CALL_SECONDS = 60.0


class Jobs:
    """The jobs of an account in a Region, whoever created them. Threads can share it.

    Region, credentials and endpoints are found as boto3 finds them, from `session` (boto3's or botocore's) if given.
    `clock` and `sleep` replace time.
    """

    def __init__(
        self,
        *,
        region_name: str | None = None,
        session: Any = None,
        clock: Clock = clocks.monotonic,
        sleep: Callable[[float], None] = clocks.sleep,
    ) -> None:
        self.session = session
        self.clock = clock
        self.sleep = sleep
        self._heard = Listeners()
        self.bedrock = self._guarded("bedrock", region_name, timeout=_CALL_SECONDS)
        self.s3 = self._guarded("s3", region_name)

    @property
    def region_name(self) -> str:
        """The Region of the jobs."""
        name: str = self.bedrock.meta.region_name
        return name

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every event (`JobCreated`, `JobProgressed`, `JobPollFailed`, and those of the calls that
        are made for them); the returned function removes it.
        """
        return self._heard.add(listener)

    def get_job_status(self, job_id: str) -> JobStatus:
        """Return the job as it is now: `status` in the documents' words, `error`, counts and times."""
        return status_of(self.bedrock.get_model_invocation_job(jobIdentifier=job_id))

    def get_job_result(self, job_id: str, *, dead_letters: DeadLetterQueue | None = None) -> JobResult:
        """Return the records of a job that has ended, each with its output or its error, in the order of the input.

        What a job left that failed or was stopped is read, too. `dead_letters` keeps one letter for each record that
        failed, however often the result is read. Raises `ValueError` for a job that runs.
        """
        job = self.get_job_status(job_id)
        check_ended(job)
        return self._result(job, dead_letters)

    def wait_for_job(
        self, job_id: str, timeout: float = TIMEOUT, *, dead_letters: DeadLetterQueue | None = None
    ) -> JobResult:
        """Wait until the job has ended, and return its result as `get_job_result` does.

        The status is asked after 1.5 s, then after 1.5 times as long each time, up to 30 s. Faults of the service are
        tolerated until `timeout` seconds have passed. Any process with the id may wait, also after another one died.

        Raises `JobFailed` at once for a job that failed, expired or was stopped, `TimeoutError` after `timeout`, and
        botocore's exception for what no wait heals, such as a job that does not exist.
        """
        job = waited(job_id, timeout, self.get_job_status, clock=self.clock, sleep=self.sleep, notify=self.notify)
        return self.completed(job, dead_letters)

    def list_jobs(self, *, status: str | None = None, limit: int = 100) -> Iterator[JobStatus]:
        """Yield the account's jobs in this Region, the newest first, at most `limit`; `status` is AWS's word."""
        pages = self.bedrock.get_paginator("list_model_invocation_jobs").paginate(
            sortBy="CreationTime",
            sortOrder="Descending",
            **({"statusEquals": status} if status else {}),
            PaginationConfig={"MaxItems": limit, "PageSize": min(limit, 1000)},
        )
        for page in pages:
            yield from map(status_of, page.get("invocationJobSummaries", ()))

    def cancel_job(self, job_id: str) -> JobStatus:
        """Ask AWS to stop a job, and return its status; a job that has ended is left as it is."""
        if self.get_job_status(job_id)["status"] not in ENDED:
            self.bedrock.stop_model_invocation_job(jobIdentifier=job_id)
        return self.get_job_status(job_id)

    def completed(self, job: JobStatus, dead_letters: DeadLetterQueue | None = None) -> JobResult:
        """Return the result of a job that was waited for. Raises `JobFailed`."""
        check_completed(job)
        return self._result(job, dead_letters)

    def notify(self, event: object) -> None:
        """Log an event, and pass it to the listeners."""
        log(event)
        self._heard.notify(event)

    def close(self) -> None:
        """Close the connections."""
        self.bedrock.close()
        self.s3.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _result(self, job: JobStatus, dead_letters: DeadLetterQueue | None) -> JobResult:
        records = Records(self.s3, job)
        if dead_letters is not None:
            keep_failures(records, job, dead_letters, self.region_name)
        return JobResult(records, job)

    def _guarded(self, service: str, region_name: str | None, timeout: float | None = None) -> Any:
        client, _, _ = make_client(service, self.session, region_name=region_name)
        return resilient(client, timeout=timeout, listener=self._heard.notify, clock=self.clock, sleep=self.sleep)


def region_of(job_id: str) -> str | None:
    """Return the Region that an ARN names; None for another id."""
    parts = job_id.split(":")
    return parts[3] if parts[0] == "arn" and len(parts) > 5 else None  # noqa: PLR2004 - arn:aws:bedrock:REGION:ACCOUNT:...
