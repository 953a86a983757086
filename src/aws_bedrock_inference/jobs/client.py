"""The blocking client of batch jobs: what creates them. `aclient` has the asyncio version; a test compares the two."""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING, Any, Literal

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.events import JobCreated
from aws_bedrock_inference.jobs import creating
from aws_bedrock_inference.jobs.creating import LONGEST_HOURS, Order
from aws_bedrock_inference.jobs.existing import Jobs
from aws_bedrock_inference.jobs.preparing import Prepared, prepared, records_of
from aws_bedrock_inference.jobs.reading import found_input
from aws_bedrock_inference.jobs.uploading import input_location, upload
from aws_bedrock_inference.s3 import S3Location

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from aws_bedrock_inference.clients.client import BedrockClient
    from aws_bedrock_inference.clock import Clock

ROLE = "BEDROCK_BATCH_ROLE_ARN"


class BedrockJobClient(Jobs):
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
        super().__init__(region_name=region_name, session=session, clock=clock, sleep=sleep)

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

    @property
    def output_s3_uri(self) -> str:
        """The prefix for what jobs write."""
        return str(self.output)

    def _created(self, order: Order, input_s3_uri: str | None, lines: Prepared | None = None) -> str:
        """Return the id of the job of that order: one that is there, or a new one."""
        job, ended = creating.existing(self.bedrock, order)
        if job is not None:
            self.notify(JobCreated(job["job_id"], job["name"], adopted=True))
            return job["job_id"]
        if lines is not None:
            location = input_location(self.output, order.token)
            upload(self.s3, lines, location)
            input_s3_uri = str(location)
        assert input_s3_uri is not None  # noqa: S101 - one of both was given
        job_id = creating.create(self.bedrock, order, input_s3_uri, ended)
        self.notify(JobCreated(job_id, order.name, adopted=False))
        return job_id

    def _role(self) -> str:
        if not self.role_arn:
            raise ValueError(f"no role: give role_arn=, or set {ROLE}, to a role that Bedrock may assume")
        return self.role_arn


def _output(uri: Any) -> S3Location:
    """Return the location of the outputs, as a prefix that ends with a slash."""
    location = S3Location.parse(uri) if isinstance(uri, str) else None
    if location is None:
        raise ValueError("output_s3_uri: give a URL such as s3://BUCKET/PREFIX/")
    key = location.key
    return location if not key or key.endswith("/") else S3Location(location.bucket, f"{key}/")
