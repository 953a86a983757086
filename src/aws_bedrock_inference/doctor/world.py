"""The things that the probes look at: the program's settings and connections, as the program itself would use them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.foundation.models import Models
from aws_bedrock_inference.knowledge.commands import named
from aws_bedrock_inference.knowledge.explain import explain
from aws_bedrock_inference.sessions import core_of, make_client
from aws_bedrock_inference.transports.endpoint import Endpoint, find_endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.knowledge.explain import Explanation


@dataclass(kw_only=True)
class World:
    """The settings that a diagnosis is about. `limit` is the longest time that one probe may take, in seconds,
    `wait` that which a connection may take, and then an answer: two of them fit into the limit. `wall` tells the time
    of day. `max_tokens` is the limit of an answer, `concurrency` how many calls are made at once,
    `config` botocore's settings of the client in question, where it is boto3's. `error` is the explanation of the error
    that was asked about, `error_text` its text.
    """

    session: Any = None
    region_name: str | None = None
    endpoint_url: str | None = None
    model_id: str | None = None
    role_arn: str | None = None
    output_s3_uri: str | None = None
    table: str | None = None
    store: str | None = None
    max_tokens: int | None = None
    concurrency: int | None = None
    config: Any = None
    error: Explanation | None = None
    error_text: str = ""
    limit: float = 5.0
    wait: float = 2.0
    wall: Clock = clocks.wall
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @cached_property
    def core(self) -> Any:
        """Botocore's session."""
        return core_of(self.session)

    @cached_property
    def endpoint(self) -> Endpoint:
        """The endpoint of the runtime as a client would find it. Raises what a client would raise."""
        return find_endpoint(self.session, region_name=self.region_name, endpoint_url=self.endpoint_url)

    @property
    def region(self) -> str:
        """The Region as boto3 finds it; empty if it finds none."""
        return self.region_name or self.core.get_config_variable("region") or ""

    def named(self, placeholder: str) -> str:
        """Return what the error's text names in the place of a placeholder, such as BUCKET, or nothing."""
        return named(placeholder, self.error_text)

    def asked_about(self, *causes: str) -> bool:
        """Return whether the error that was asked about has one of these causes."""
        return self.error is not None and self.error.cause in causes

    @property
    def candidates(self) -> tuple[str, ...]:
        """The causes that the text of the error leaves possible, the likeliest first."""
        return () if self.error is None else (self.error.cause, *self.error.alternatives)

    @cached_property
    def models(self) -> Models:
        """The models of the Region, read anew."""
        return Models(self.session, region_name=self.region, max_age=0, clock=self.wall)

    @cached_property
    def caller(self) -> Answer:
        """The answer of STS to the question who calls."""
        return self.ask("sts", "get_caller_identity")

    def ask(self, service: str, operation: str, *, region_name: str | None = None, **params: Any) -> Answer:
        """Return what boto3's `operation` of `service` answers, asked once, without retries: a probe tells the first
        answer.
        """
        from botocore.config import Config  # noqa: PLC0415 - heavy, and only probes that call need it
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - the same

        config = Config(retries={"total_max_attempts": 1}, connect_timeout=self.wait, read_timeout=self.wait)
        try:
            region = region_name or self.region or None
            client, _, _ = make_client(service, self.session, region_name=region, config=config)
            try:
                return Answer(getattr(client, operation)(**params))
            finally:
                client.close()
        except (BotoCoreError, ClientError) as error:
            return Answer({}, explain(error), error)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a question of a probe: the response, or the `error` with its explanation, `why`."""

    value: dict[str, Any]
    why: Explanation | None = None
    error: Exception | None = None

    @property
    def status(self) -> int:
        """The HTTP status of an error; 0 if there was no answer."""
        response: dict[str, Any] = getattr(self.error, "response", None) or {}
        return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)

    @property
    def error_code(self) -> str:
        """The code of an error; empty if there is none."""
        response: dict[str, Any] = getattr(self.error, "response", None) or {}
        return str(response.get("Error", {}).get("Code", ""))

    @property
    def denied(self) -> bool:
        """True if the identity may not ask. S3 says no more of it than the status, 403."""
        if self.why is None:
            return False
        return self.why.cause.startswith(("iam-denied", "access-denied", "s3-access-denied", "kms-denied"))

    def why_not(self, permission: str) -> str:
        """Return why there is no answer: the permission that is missing, or what the service said."""
        if self.denied:
            return f"the identity lacks {permission}"
        return self.why.title if self.why is not None else ""
