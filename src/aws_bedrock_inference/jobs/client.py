"""The blocking client of batch jobs. `aclient` has the asyncio version in the same order; a test compares the two."""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING, Any, Literal, Self

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.events import JobCreated, Listeners
from aws_bedrock_inference.jobs import creating
from aws_bedrock_inference.jobs.creating import LONGEST_HOURS, Order
from aws_bedrock_inference.jobs.failures import keep_failures
from aws_bedrock_inference.jobs.preparing import Prepared, prepared, records_of
from aws_bedrock_inference.jobs.reading import Records, found_input
from aws_bedrock_inference.jobs.statuses import check_completed, check_ended, status_of
from aws_bedrock_inference.jobs.uploading import input_location, upload
from aws_bedrock_inference.jobs.values import ENDED, JobResult
from aws_bedrock_inference.jobs.waiting import TIMEOUT, waited
from aws_bedrock_inference.log import log
from aws_bedrock_inference.resilience.wrap import resilient
from aws_bedrock_inference.s3 import S3Location
from aws_bedrock_inference.sessions import make_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from aws_bedrock_inference.clients.client import BedrockClient
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.deadletters.queue import DeadLetterQueue
    from aws_bedrock_inference.events import Listener
    from aws_bedrock_inference.jobs.values import JobStatus

ROLE = "BEDROCK_BATCH_ROLE_ARN"

# Seconds for one call of the control plane with its repeats: a wait outlasts its own limit by no more.
_CALL_SECONDS = 60.0


class BedrockJobClient:
    """A client for batch jobs of one model. Threads can share it.

    `output_s3_uri` is the prefix for what jobs write; their inputs are uploaded below it, too. `role_arn` is the role
    that Bedrock works with, by default the environment's BEDROCK_BATCH_ROLE_ARN. Region, credentials and endpoints are
    found as boto3 finds them, from `session` (boto3's or botocore's) if given. Fewer records than the service takes for
    the model are run on demand (`on_too_few="local"`), by `on_demand` or a client of this session, or refused
    (`"error"`). `clock` and `sleep` replace time.

    Raises `ValueError` for invalid arguments, and botocore's `NoRegionError` if no Region is found.
    """

    def __init__(
        self,
        model_id: str,
        *,
        output_s3_uri: str,
        role_arn: str | None = None,
        region_name: str | None = None,
        session: Any = None,
        on_too_few: Literal["local", "error"] = "local",
        on_demand: BedrockClient | None = None,
        clock: Clock = clocks.monotonic,
        sleep: Callable[[float], None] = clocks.sleep,
    ) -> None:
        if not str(model_id or "").strip():
            raise ValueError(f"model_id={model_id!r}: give a model id, inference profile id or ARN")
        if on_too_few not in ("local", "error"):
            raise ValueError("on_too_few: give 'local' or 'error'")
        self.model_id = str(model_id)
        self.output = _output(output_s3_uri)
        self.role_arn = role_arn or os.environ.get(ROLE) or ""
        self.on_too_few = on_too_few
        self.on_demand = on_demand
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

    def create_job(
        self,
        *,
        prompt: str | None = None,
        prompts: Iterable[str] | None = None,
        records: Iterable[Mapping[str, Any]] | None = None,
        input_s3_uri: str | None = None,
        system: str | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        name: str | None = None,
        client_token: str | None = None,
        timeout_hours: int = LONGEST_HOURS,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Create a job and return its id, an ARN.

        Give one of `prompt`, `prompts`, `records` (prompts with an id and arguments of `invoke`, or `recordId` and
        `modelInput`), or `input_s3_uri`, a file or folder of JSONL in S3. `system`, `max_tokens` and `temperature` are
        for prompts. The records may be more than memory holds.

        The same content has one job: where one runs or has completed, its id is returned, so a program that died may
        create its job again. `client_token` names the content instead; give another one to run the same prompts anew.
        A job that failed or was stopped is followed by a new one. After `timeout_hours` AWS ends the job, and what was
        not processed is lost.

        Raises `ValueError` for invalid records, and botocore's exceptions.
        """
        settings = {"system": system, "max_tokens": max_tokens, "temperature": temperature}
        source = records_of(prompt=prompt, prompts=prompts, records=records, input_s3_uri=input_s3_uri)

        def order(invocation: str, content: str) -> Order:
            token = client_token or creating.token_of(self.model_id, self.output_s3_uri, invocation, content)
            return Order(
                model_id=self.model_id,
                role_arn=self._role(),
                output_s3_uri=self.output_s3_uri,
                invocation=invocation,
                token=token,
                name=name or creating.name_of(token),
                timeout_hours=timeout_hours,
                tags=tags,
            )

        if input_s3_uri is not None:
            found = found_input(self.s3, input_s3_uri)
            return self._created(order(found.invocation, found.digest), input_s3_uri)
        lines = prepared(source, settings)
        with closing(lines.file):
            return self._created(order(lines.invocation, lines.digest), None, lines)

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
        job = waited(job_id, timeout, self.get_job_status, clock=self.clock, sleep=self.sleep, notify=self._notify)
        check_completed(job)
        return self._result(job, dead_letters)

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

    def close(self) -> None:
        """Close the connections."""
        self.bedrock.close()
        self.s3.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def output_s3_uri(self) -> str:
        """The prefix for what jobs write."""
        return str(self.output)

    def _created(self, order: Order, input_s3_uri: str | None, lines: Prepared | None = None) -> str:
        """Return the id of the job of that order: one that is there, or a new one."""
        job, ended = creating.existing(self.bedrock, order)
        if job is not None:
            self._notify(JobCreated(job["job_id"], job["name"], adopted=True))
            return job["job_id"]
        if lines is not None:
            location = input_location(self.output, order.token)
            upload(self.s3, lines, location)
            input_s3_uri = str(location)
        assert input_s3_uri is not None  # noqa: S101 - one of both was given
        job_id = creating.create(self.bedrock, order, input_s3_uri, ended)
        self._notify(JobCreated(job_id, order.name, adopted=False))
        return job_id

    def _result(self, job: JobStatus, dead_letters: DeadLetterQueue | None) -> JobResult:
        records = Records(self.s3, job)
        if dead_letters is not None:
            keep_failures(records, job, dead_letters, self.region_name)
        return JobResult(records, job)

    def _role(self) -> str:
        if not self.role_arn:
            raise ValueError(f"no role: give role_arn=, or set {ROLE}, to a role that Bedrock may assume")
        return self.role_arn

    def _notify(self, event: object) -> None:
        log(event)
        self._heard.notify(event)

    def _guarded(self, service: str, region_name: str | None, timeout: float | None = None) -> Any:
        client, _, _ = make_client(service, self.session, region_name=region_name)
        return resilient(client, timeout=timeout, listener=self._heard.notify, clock=self.clock, sleep=self.sleep)


def _output(uri: Any) -> S3Location:
    """Return the location of the outputs, as a prefix that ends with a slash."""
    location = S3Location.parse(uri) if isinstance(uri, str) else None
    if location is None:
        raise ValueError("output_s3_uri: give a URL such as s3://BUCKET/PREFIX/")
    key = location.key
    return location if not key or key.endswith("/") else S3Location(location.bucket, f"{key}/")
