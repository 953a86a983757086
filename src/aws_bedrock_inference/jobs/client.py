"""The blocking client that creates batch jobs. `aclient` contains the same client for asyncio. A test checks that both
have the same methods.
"""

from __future__ import annotations

import os
from contextlib import closing
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.foundation.models import Models
from aws_bedrock_inference.jobs.checks import JobChecks, too_few
from aws_bedrock_inference.jobs.creating import LONGEST_HOURS, Order, name_of, token_of
from aws_bedrock_inference.jobs.existing import Jobs
from aws_bedrock_inference.jobs.limits import limits_of
from aws_bedrock_inference.jobs.model_checks import body_problem
from aws_bedrock_inference.jobs.parts import upload_parts
from aws_bedrock_inference.jobs.preparing import Prepared, check_no_settings, prepared, records_of
from aws_bedrock_inference.jobs.reading import FoundInput, found_input
from aws_bedrock_inference.jobs.splitting import fits
from aws_bedrock_inference.jobs.uploading import input_location, upload
from aws_bedrock_inference.knowledge.models import target
from aws_bedrock_inference.log import LOGGER
from aws_bedrock_inference.s3 import S3Location
from aws_bedrock_inference.service_quotas.discovery import QuotasUnknown, discover

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from aws_bedrock_inference.clients.client import BedrockClient
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.jobs.limits import JobLimits

ROLE = "BEDROCK_BATCH_ROLE_ARN"


class BedrockJobClient(Jobs):
    """A client for batch jobs of one model. Threads can share a client.

    `output_s3_uri` is the prefix for the outputs of jobs; the inputs are uploaded below the same prefix. `role_arn` is
    the role that Bedrock assumes. The default role is the value of the environment variable BEDROCK_BATCH_ROLE_ARN.
    `session` is a session of boto3 or botocore with the credentials. Its Region is used, unless `region_name` is set.
    For `endpoint_url`, `clock` and `sleep`, see the class `Jobs`.

    `on_too_few` applies to a job with fewer records than the service accepts for the model. With `"local"`, this
    process sends the records on demand, through the client `on_demand` or through a client of this session. With
    `"error"`, `create_job` raises `ValueError`.

    If there are more records than one job accepts, the client creates several jobs under one id. `limits` are the
    limits of one job. By default, the account's quotas are used.

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
        endpoint_url: str | None = None,
        on_too_few: Literal["local", "error"] = "local",
        on_demand: BedrockClient | None = None,
        limits: JobLimits | None = None,
        clock: Clock = clocks.monotonic,
        sleep: Callable[[float], None] = clocks.sleep,
    ) -> None:
        if not str(model_id or "").strip():
            raise ValueError(f"model_id={model_id!r}: pass a model id, inference profile id or ARN")
        if on_too_few not in ("local", "error"):
            raise ValueError(f"on_too_few={on_too_few!r:.80}: use 'local' or 'error'")
        super().__init__(
            region_name=region_name,
            session=session,
            endpoint_url=endpoint_url,
            on_demand=on_demand,
            clock=clock,
            sleep=sleep,
        )
        self.model_id = str(model_id)
        self._output = _prefix(output_s3_uri)
        self._role_arn = role_arn or os.environ.get(ROLE) or ""
        self._on_too_few = on_too_few
        self._limits = limits

    @property
    def output_s3_uri(self) -> str:
        """The S3 prefix for the outputs of jobs."""
        return str(self._output)

    @cached_property
    def limits(self) -> JobLimits:
        """The limits of one job: the account's quotas for the model, or AWS's published values if these quotas are
        unknown.
        """
        if self._limits is not None:
            return self._limits
        base = target(self.model_id).base
        try:
            return limits_of(base, discover(self._session, region_name=self.region_name))
        except QuotasUnknown as error:
            LOGGER.info("the account's quotas of batch jobs are unknown, so AWS's published limits are used: %s", error)
            return limits_of(base)

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
        """Create a job and return its id. The id is an ARN, or starts with `group:` (several jobs) or `local:` (on
        demand).

        Pass one of `prompt`, `prompts`, `records` or `input_s3_uri`. Each of `records` is either a dictionary such as
        `{"id": "a", "prompt": "Hello", "max_tokens": 50}`, or one such as `{"recordId": "a", "modelInput": {...}}`. The
        first form accepts the arguments of `invoke`, and `messages` instead of `prompt`. In both forms, the id is
        optional. `input_s3_uri` is a file or a folder of JSONL in S3. `system`, `max_tokens` and `temperature` apply to
        prompts. The records need not fit into memory.

        A restarted program can call this method again: if a job with the same content is running or has completed, the
        method returns the id of that job. If the job failed or was stopped, a new job is created. `client_token`
        identifies the content; its default is a digest of the content. Pass a different token for different content. To
        run the same prompts a second time, pass a new token.

        AWS stops the job after `timeout_hours`. Records that were not processed by then have no output.

        Raises `ValueError` for invalid records, and the exceptions of botocore.
        """
        settings = {"system": system, "max_tokens": max_tokens, "temperature": temperature}
        defaults = {name: value for name, value in settings.items() if value is not None}
        source = records_of(prompt=prompt, prompts=prompts, records=records, input_s3_uri=input_s3_uri)
        order = partial(self._order, name=name, client_token=client_token, timeout_hours=timeout_hours, tags=tags)
        if input_s3_uri is not None:
            check_no_settings(defaults)
            found = found_input(self._s3, input_s3_uri)
            return self._created(order(found), lambda: input_s3_uri, found.location)
        lines = prepared(source, defaults, partial(body_problem, model_id=self.model_id))
        with closing(lines.file):
            return self._created_of(lines, order(lines))

    def _order(
        self, content: Prepared | FoundInput, *, name: str | None, client_token: str | None, **more: Any
    ) -> Order:
        """Return the parameters of a job with this content (see `Order`)."""
        parts = (self.model_id, self.output_s3_uri, content.invocation, content.digest)
        token = client_token or token_of(*parts, *([name] if name else ()))
        return Order(
            model_id=self.model_id,
            role_arn=self._role_arn,
            output_s3_uri=self.output_s3_uri,
            invocation=content.invocation,
            token=token,
            name=name or name_of(token),
            content=token_of(*parts)[:16] if client_token else "",
            **more,
        )

    def _created_of(self, lines: Prepared, order: Order) -> str:
        """Return the id of the job with these lines.

        If there are too few lines for AWS, the job is a local job: this process sends the records on demand. If there
        are too many lines for one job, they become a group of jobs with one id.
        """
        least = self.limits.least_records
        if lines.records < least:
            if self._on_too_few == "error":
                raise ValueError(too_few(lines.records, least, self.model_id))
            return self._local.create(
                self._output,
                lines.file,
                token=order.token,
                model=order.model_id,
                invocation=order.invocation,
                records=lines.records,
                name=order.name,
                content=order.content,
            )
        if lines.problem:
            raise ValueError(lines.problem)
        if fits(lines.records, lines.size, self.limits):
            return self._created(order, partial(self._uploaded, lines, order))
        self._check(order)
        parts = upload_parts(self._s3, self._output, lines, order, self.limits)
        if len(parts) == 1:
            return self._submit(order, lambda: parts[0]["input"])
        return self._groups.create(self._output, order.token, parts)

    def _created(self, order: Order, place: Callable[[], str], given_input: S3Location | None = None) -> str:
        """Return the id of the job with the parameters `order`.

        If this job does not exist yet, check its role, its model and its buckets. Then upload its input with `place`,
        and create the job.
        """

        def checked_place() -> str:
            self._check(order, given_input)
            return place()

        return self._submit(order, checked_place)

    def _check(self, order: Order, given_input: S3Location | None = None) -> None:
        """Raise `ValueError` for a job with a known problem, such as a role that Bedrock cannot assume. Without this
        check, AWS would accept the job, and report it as failed minutes later.
        """
        if not order.role_arn:
            raise ValueError(f"no role: pass role_arn= or set {ROLE} to the ARN of a role that Bedrock can assume")
        models = Models(self._session, region_name=self.region_name, endpoint_url=self._endpoint_url)
        JobChecks(self._session, self.region_name, models=models).check(
            role_arn=order.role_arn, model_id=order.model_id, output=self._output, given_input=given_input
        )

    def _uploaded(self, lines: Prepared, order: Order) -> str:
        """Upload the lines, and return their S3 URI."""
        location = input_location(self._output, order.input_name)
        upload(self._s3, lines, location)
        return str(location)


def _prefix(uri: Any) -> S3Location:
    """Return the location of the outputs, as a prefix that ends with a slash."""
    location = S3Location.parse(uri) if isinstance(uri, str) else None
    if location is None:
        raise ValueError("output_s3_uri: pass a URL such as s3://BUCKET/PREFIX/")
    key = location.key
    return location if not key or key.endswith("/") else S3Location(location.bucket, f"{key}/")
