"""Work with existing jobs: get their status, wait for them, read them and stop them. Only the id of a job is needed.

The id shows the kind of a job: an ARN is a job of AWS, `group:...` is several jobs of AWS, and `local:...` is a job
that a process runs on demand.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Self

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.bounds import is_number, shown
from aws_bedrock_inference.clients.client import BedrockClient
from aws_bedrock_inference.events import JobCreated
from aws_bedrock_inference.jobs.creating import AwsJobs, Order, tell_of_other_records
from aws_bedrock_inference.jobs.failures import keep_failures
from aws_bedrock_inference.jobs.groups import Groups, is_group
from aws_bedrock_inference.jobs.local import LocalJobs, is_local
from aws_bedrock_inference.jobs.reading import Joined, Records
from aws_bedrock_inference.jobs.statuses import check_ended, status_of
from aws_bedrock_inference.jobs.values import JobResult, check_completed
from aws_bedrock_inference.jobs.waiting import TIMEOUT, waited
from aws_bedrock_inference.listeners import PROCESS, Listeners
from aws_bedrock_inference.log import log
from aws_bedrock_inference.resilience.wrap import resilient
from aws_bedrock_inference.sessions import make_client, of_any_service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.deadletters.queue import DeadLetterQueue
    from aws_bedrock_inference.jobs.values import JobStatus
    from aws_bedrock_inference.listeners import Listener

# Maximum seconds for a control plane call with retries. A wait exceeds its timeout by at most this time.
_CALL_SECONDS = 60.0


class Jobs:
    """The jobs of an account in a Region, whichever program created them. Threads can share an object of this class.

    * `region_name`: the Region. Default: the Region of the session.
    * `session`: a session of boto3 or botocore. Default: boto3's default session. The credentials and the endpoints are
      those that a boto3 client of this session uses.
    * `endpoint_url`: another endpoint for the service `bedrock`. If it is outside AWS, for example the simulator, the
      calls of jobs that run on demand are also sent to it. The endpoints of S3 and of other services do not change.
    * `on_demand`: the client for jobs that run on demand. Default: a client of the same session.
    * `clock` and `sleep`: tests pass them, so that they do not wait.
    """

    def __init__(
        self,
        *,
        region_name: str | None = None,
        session: Any = None,
        endpoint_url: str | None = None,
        on_demand: BedrockClient | None = None,
        clock: Clock = clocks.monotonic,
        sleep: Callable[[float], None] = clocks.sleep,
    ) -> None:
        self.clock = clock
        self._sleep = sleep
        self._session = session
        self._endpoint_url = endpoint_url
        self._heard = Listeners(beyond=PROCESS)
        self._on_demand = on_demand
        self._own: BedrockClient | None = None
        self._making = threading.Lock()
        self._aws = AwsJobs(self._guarded("bedrock", region_name, endpoint_url, timeout=_CALL_SECONDS))
        self._s3 = self._guarded("s3", region_name)
        # The states of local jobs and groups are objects in S3. If S3 refuses a conditional write to such an object,
        # this is a normal response. It must not be logged or retried.
        self._plain_s3, _, _ = make_client("s3", session, region_name=region_name)
        self._local = LocalJobs(self._plain_s3, self._caller, clock=clock, wall=clocks.wall)
        self._groups = Groups(self._plain_s3, self._submit_part, self._aws.status, self._aws.stop, wall=clocks.wall)

    @property
    def region_name(self) -> str:
        """The Region of the jobs."""
        return self._aws.region_name

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every event. The events are `JobCreated`, `JobProgressed`, `JobPollFailed`, and the
        events of the calls that a job sends on demand. The returned function removes the listener.
        """
        return self._heard.add(listener)

    def get_job_status(self, job_id: str, *, take_over: bool = True) -> JobStatus:
        """Return the current status of the job. The result contains a `status` such as `COMPLETED`, the `error`, the
        numbers of records, and the times of the job (see `JobStatus`).

        While a process runs a job on demand, it changes the job's state in S3 every 10 s. If several calls of this
        method find the same state for 60 s, the process that ran the job has probably died. The process that calls
        this method then continues the job. `take_over=False` prevents this.
        """
        home = self._home(job_id)
        if home is self._local:
            return status_of(self._local.status(job_id, take_over=take_over))
        return status_of(home.status(job_id))

    def get_job_result(self, job_id: str, *, dead_letters: DeadLetterQueue | None = None) -> JobResult:
        """Return the records of a job that has ended, in the order of the input. Each record has its output or its
        error.

        The results of a failed or stopped job are also returned. If `dead_letters` is set, this queue stores one dead
        letter for each failed record, even if the result is read several times. Raises `ValueError` for a job that is
        still running.
        """
        job = self.get_job_status(job_id)
        check_ended(job)
        return self._result(job, dead_letters)

    def wait_for_job(
        self, job_id: str, timeout: float = TIMEOUT, *, dead_letters: DeadLetterQueue | None = None
    ) -> JobResult:
        """Wait until the job has ended, and return its result as `get_job_result` does.

        The second poll follows 1.5 s after the first. Each interval is 1.5 times as long as the previous one, and at
        most 30 s. Transient faults of the service do not end the wait before `timeout` (in seconds, default 3600). Any
        process that has the id can wait for the job, also after the process that created it has died.

        Raises `JobFailed` immediately for a job that failed, expired or was stopped. Raises `TimeoutError` after
        `timeout`. Raises the exception of botocore for a permanent error, such as a job that does not exist.
        """
        job = waited(job_id, timeout, self.get_job_status, clock=self.clock, sleep=self._sleep, notify=self.notify)
        return self.completed(job, dead_letters)

    def list_jobs(self, *, status: str | None = None, limit: int = 100) -> Iterator[JobStatus]:
        """Yield at most `limit` jobs of the account in this Region, the newest first. Local jobs and groups of jobs are
        not included. `status` is AWS's word for a status; upper case, lower case and underscores do not matter. Raises
        `ValueError` for an unknown status.
        """
        if not is_number(limit, least=1, whole=True):
            raise ValueError(f"limit={shown(limit)}: use a whole number, 1 or more")
        return map(status_of, self._aws.listed(status, limit))

    def cancel_job(self, job_id: str) -> JobStatus:
        """Stop a job, and return its status. If the job has already ended, nothing changes."""
        return status_of(self._home(job_id).cancel(job_id))

    def finish(self, job_id: str) -> None:
        """Wait while this process runs the job, that is, while it sends the job's records on demand. If AWS or another
        process runs the job, return immediately. Call this method before the program ends.
        """
        self._local.finish(job_id)

    def completed(self, job: JobStatus, dead_letters: DeadLetterQueue | None = None) -> JobResult:
        """Return the result of a job that has ended. `job` is the status of this job.

        Raises `JobFailed` if the job failed, expired or was stopped.
        """
        check_completed(job)
        return self._result(job, dead_letters)

    def notify(self, event: object) -> None:
        """Log an event, and pass it to the listeners."""
        log(event)
        self._heard.notify(event)

    def close(self) -> None:
        """Close the connections. If this process runs a local job, it sends no further records, and waits for the
        records in flight. The next process that waits for the job sends the remaining records.
        """
        self._local.close()
        if self._own is not None:
            self._own.close()
        for client in (self._aws, self._s3, self._plain_s3):
            client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _home(self, job_id: Any) -> AwsJobs | Groups | LocalJobs:
        """Return the object that handles this kind of job. Raises `ValueError` for an invalid id."""
        if not isinstance(job_id, str) or not job_id.strip():
            raise ValueError(f"job_id={shown(job_id)}: pass the id that create_job returned")
        return self._local if is_local(job_id) else self._groups if is_group(job_id) else self._aws

    def _result(self, job: JobStatus, dead_letters: DeadLetterQueue | None) -> JobResult:
        job_id = job["job_id"]
        parts = [status_of(part) for part in self._groups.parts(job_id)] if is_group(job_id) else [job]
        records = [Records(self._s3, part) for part in parts]
        if dead_letters is not None:
            for part, its in zip(parts, records, strict=True):
                keep_failures(its, part, dead_letters, self.region_name)
        return JobResult(Joined(records), job)

    def _submit(self, order: Order, place: Callable[[], str]) -> str:
        """Return the id of the AWS job with the parameters `order`. If no such job exists, create it.

        For a new job, `place` uploads the input and returns the URI of the input.
        """
        job, ended = self._aws.existing(order)
        if job is not None:
            uploaded = f"/{order.token}-" in job["input_s3_uri"] or f"/{order.token}." in job["input_s3_uri"]
            if uploaded and order.content not in job["input_s3_uri"]:
                tell_of_other_records(order.token, job["job_id"])
            self.notify(JobCreated(job["job_id"], job["name"], adopted=True))
            return job["job_id"]
        order = order.attempt(ended + 1)
        job_id = self._aws.create(order, place())
        self.notify(JobCreated(job_id, order.name, adopted=False))
        return job_id

    def _submit_part(self, order: dict[str, Any], input_s3_uri: str) -> str:
        return self._submit(Order(**order), lambda: input_s3_uri)

    def _caller(self, model_id: str) -> BedrockClient:
        """Return the client that sends calls to the model on demand."""
        if self._on_demand is not None:
            return self._on_demand
        with self._making:
            if self._own is None:
                self._own = BedrockClient(
                    model_id,
                    region_name=self.region_name,
                    endpoint_url=of_any_service(self._endpoint_url),
                    session=self._session,
                    priority="batch",
                )
            return self._own

    def _guarded(
        self, service: str, region_name: str | None, endpoint_url: str | None = None, *, timeout: float | None = None
    ) -> Any:
        client, _, _ = make_client(service, self._session, region_name=region_name, endpoint_url=endpoint_url)
        return resilient(client, timeout=timeout, listener=self._heard.notify, clock=self.clock, sleep=self._sleep)


def region_of(job_id: str) -> str | None:
    """Return the Region that an ARN contains. Return None for an id that is not an ARN."""
    parts = job_id.split(":")
    return parts[3] if parts[0] == "arn" and len(parts) > 5 else None  # noqa: PLR2004 - arn:aws:bedrock:REGION:ACCOUNT:...
