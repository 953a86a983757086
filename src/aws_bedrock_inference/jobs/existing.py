"""Jobs that exist: looked at, waited for, read, stopped. Only their ids are needed for it.

An id says where its job is: an ARN with AWS, `group:...` in several jobs of AWS's, `local:...` run on demand.
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
from aws_bedrock_inference.sessions import make_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.deadletters.queue import DeadLetterQueue
    from aws_bedrock_inference.jobs.values import JobStatus
    from aws_bedrock_inference.listeners import Listener

# Seconds for one call of the control plane with its repeats: a wait outlasts its own limit by no more.
_CALL_SECONDS = 60.0


class Jobs:
    """The jobs of an account in a Region, whoever created them. Threads can share it.

    Region, credentials and endpoints are found as boto3 finds them, from `session` (boto3's or botocore's) if given.
    `on_demand` carries the calls of jobs that are run on demand; without it there is a client of this session for them.
    `clock` and `sleep` replace time.
    """

    def __init__(
        self,
        *,
        region_name: str | None = None,
        session: Any = None,
        on_demand: BedrockClient | None = None,
        clock: Clock = clocks.monotonic,
        sleep: Callable[[float], None] = clocks.sleep,
    ) -> None:
        self.clock = clock
        self._sleep = sleep
        self._session = session
        self._heard = Listeners(beyond=PROCESS)
        self._on_demand = on_demand
        self._own: BedrockClient | None = None
        self._making = threading.Lock()
        self._aws = AwsJobs(self._guarded("bedrock", region_name, timeout=_CALL_SECONDS))
        self._s3 = self._guarded("s3", region_name)
        # Refused conditions are everyday answers for the states of these, and no failures to be logged or repeated.
        self._plain_s3, _, _ = make_client("s3", session, region_name=region_name)
        self._local = LocalJobs(self._plain_s3, self._caller, clock=clock, wall=clocks.wall)
        self._groups = Groups(self._plain_s3, self._submit_part, self._aws.status, self._aws.stop, wall=clocks.wall)

    @property
    def region_name(self) -> str:
        """The Region of the jobs."""
        return self._aws.region_name

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every event (`JobCreated`, `JobProgressed`, `JobPollFailed`, and those of the calls that
        are made for them); the returned function removes it.
        """
        return self._heard.add(listener)

    def get_job_status(self, job_id: str, *, take_over: bool = True) -> JobStatus:
        """Return the job as it is now: `status` in the documents' words, `error`, counts and times.

        A job that is run on demand, and whose process has died, is taken over by whoever asks again and again, unless
        `take_over` is false.
        """
        home = self._home(job_id)
        if home is self._local:
            return status_of(self._local.status(job_id, take_over=take_over))
        return status_of(home.status(job_id))

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
        job = waited(job_id, timeout, self.get_job_status, clock=self.clock, sleep=self._sleep, notify=self.notify)
        return self.completed(job, dead_letters)

    def list_jobs(self, *, status: str | None = None, limit: int = 100) -> Iterator[JobStatus]:
        """Yield AWS's jobs of the account in this Region, the newest first, at most `limit`; `status` is AWS's word, in
        any spelling. Raises `ValueError` for another one.
        """
        if not is_number(limit, least=1, whole=True):
            raise ValueError(f"limit={shown(limit)}: give a number of jobs, 1 or more")
        return map(status_of, self._aws.listed(status, limit))

    def cancel_job(self, job_id: str) -> JobStatus:
        """Stop a job, and return its status; one that has ended is left as it is."""
        return status_of(self._home(job_id).cancel(job_id))

    def finish(self, job_id: str) -> None:
        """Wait until the work of this process for a job is done; it has some only for a job that is run on demand."""
        self._local.finish(job_id)

    def completed(self, job: JobStatus, dead_letters: DeadLetterQueue | None = None) -> JobResult:
        """Return the result of a job that was waited for. Raises `JobFailed`."""
        check_completed(job)
        return self._result(job, dead_letters)

    def notify(self, event: object) -> None:
        """Log an event, and pass it to the listeners."""
        log(event)
        self._heard.notify(event)

    def close(self) -> None:
        """Close the connections. A job that this process runs on demand is left to whoever waits for it next."""
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
        """Return whose job it is. Raises `ValueError` for what is no id."""
        if not isinstance(job_id, str) or not job_id.strip():
            raise ValueError(f"job_id={shown(job_id)}: give the id that create_job returned")
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
        """Return the id of AWS's job of that order: one that is there, or a new one, whose input is put into S3 by
        `place`, which returns where.
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
        """Return the client for calls on demand."""
        if self._on_demand is not None:
            return self._on_demand
        with self._making:
            if self._own is None:
                self._own = BedrockClient(
                    model_id, region_name=self.region_name, session=self._session, priority="batch"
                )
            return self._own

    def _guarded(self, service: str, region_name: str | None, timeout: float | None = None) -> Any:
        client, _, _ = make_client(service, self._session, region_name=region_name)
        return resilient(client, timeout=timeout, listener=self._heard.notify, clock=self.clock, sleep=self._sleep)


def region_of(job_id: str) -> str | None:
    """Return the Region that an ARN names; None for another id."""
    parts = job_id.split(":")
    return parts[3] if parts[0] == "arn" and len(parts) > 5 else None  # noqa: PLR2004 - arn:aws:bedrock:REGION:ACCOUNT:...
