"""The settings and connections that the doctor's probes check (the "world"). The doctor finds them as the user's
program would find them. A "probe" is one read-only check of the doctor.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.doctor.api_key import ApiKey, read_key
from aws_bedrock_inference.doctor.route import Route, find_route
from aws_bedrock_inference.fault import Kind, Origin
from aws_bedrock_inference.knowledge.classify import classify
from aws_bedrock_inference.knowledge.commands import named
from aws_bedrock_inference.knowledge.explain import explain
from aws_bedrock_inference.sessions import core_of, make_client
from aws_bedrock_inference.transports.endpoint import Endpoint, find_endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.knowledge.explain import Explanation


BEARER = "AWS_BEARER_TOKEN_BEDROCK"
"""The environment variable that contains a Bedrock API key. boto3 sends this key instead of a signature."""


@dataclass(kw_only=True)
class World:
    """The settings of the user's program that a diagnosis checks, and the settings of the diagnosis itself.

    * `limit` is the maximum time for one probe, in seconds.
    * `wait` is a shorter time, in seconds. A request may take `wait` seconds to connect, and then `wait` seconds to
      receive its answer. Twice `wait` is at most `limit`, so that a request ends before the time of its probe ends. For
      example, `wait` is 2 if `limit` is 5.
    * `wall` returns the time of day.
    * `account` is the account id that the caller expects, and `project` the id or ARN of the Bedrock project in the
      calls.
    * `max_tokens` is the maximum length of an answer, and `concurrency` the number of concurrent calls.
    * `config` contains the botocore settings of the client whose calls fail, or None if this client is not a boto3
      client.
    * `error_text` is the text of the error to diagnose. `error` contains the explanation of this error from the
      package's catalogue of errors, such as the possible causes.
    """

    session: Any = None
    region_name: str | None = None
    endpoint_url: str | None = None
    model_id: str | None = None
    account: str | None = None
    project: str | None = None
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
        """The botocore session with the program's settings."""
        return core_of(self.session)

    @cached_property
    def endpoint(self) -> Endpoint:
        """The endpoint of Bedrock's runtime to which boto3 would send the calls. An invalid setting raises the same
        exception as when a client is created, such as `NoRegion`.
        """
        return find_endpoint(self.session, region_name=self.region_name, endpoint_url=self.endpoint_url)

    @property
    def region(self) -> str:
        """The Region as boto3 finds it; empty if it finds none."""
        return self.region_name or self.core.get_config_variable("region") or ""

    @property
    def partition(self) -> str:
        """The partition that the Region belongs to, such as `aws` or `aws-us-gov`."""
        return str(self.core.get_partition_for_region(self.region))

    def named(self, placeholder: str) -> str:
        """Return the value that the error's text contains for a placeholder, such as BUCKET. The result is empty if
        the text does not contain the value.
        """
        return named(placeholder, self.error_text)

    def asked_about(self, *causes: str) -> bool:
        """Return whether the cause of the error to diagnose is one of `causes`."""
        return self.error is not None and self.error.cause in causes

    @property
    def candidates(self) -> tuple[str, ...]:
        """The causes that the error can have according to its text, the most likely first."""
        return () if self.error is None else (self.error.cause, *self.error.alternatives)

    @cached_property
    def route(self) -> Route:
        """The route of a call to the specified model, according to the Region's model lists."""
        return find_route(self)

    @cached_property
    def api_key(self) -> ApiKey | None:
        """The Bedrock API key that boto3 sends instead of a signature, or None."""
        key = self.environ.get(BEARER)
        return read_key(key) if key else None

    @cached_property
    def caller(self) -> Answer:
        """The answer of STS to GetCallerIdentity."""
        return self.ask("sts", "get_caller_identity")

    def ask_all(self, questions: Iterable[Callable[[], Answer]]) -> list[Answer]:
        """Return the answers to several requests.

        The requests are sent concurrently, so together they take as long as the slowest of them.
        """
        answers: dict[int, Answer | Exception] = {}

        def run(number: int, question: Callable[[], Answer]) -> None:
            try:
                answers[number] = question()
            except Exception as error:  # noqa: BLE001 - raised below, in the thread of the probe
                answers[number] = error

        threads = [threading.Thread(target=run, args=each, daemon=True) for each in enumerate(questions)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        found = []
        for number in range(len(threads)):
            answer = answers[number]
            if isinstance(answer, Exception):
                raise answer
            found.append(answer)
        return found

    def ask(self, service: str, operation: str, *, region_name: str | None = None, **params: Any) -> Answer:
        """Call the boto3 method `operation` of a client for `service`, and return the answer. An error is not raised;
        the returned `Answer` contains it.

        The request is not retried. A probe (a check of the doctor) must report an error of the first answer, and a
        retry could hide this error.
        """
        from botocore.config import Config  # noqa: PLC0415 - heavy, and only probes that send requests need it
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - the same
        from botocore.parsers import ResponseParserError  # noqa: PLC0415 - the same

        config = Config(retries={"total_max_attempts": 1}, connect_timeout=self.wait, read_timeout=self.wait)
        try:
            region = region_name or self.region or None
            client, _, _ = make_client(service, self.session, region_name=region, config=config)
            try:
                if not hasattr(client, operation):
                    return Answer({}, explain("sdk-too-old"))
                return Answer(getattr(client, operation)(**params))
            finally:
                client.close()
        except (
            BotoCoreError,
            ClientError,
            ResponseParserError,
        ) as error:  # ResponseParserError: the answer is not from AWS
            return Answer({}, explain(error), error)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request that a probe (a check of the doctor) sent: the response, or the `error` together with its
    explanation `why`.
    """

    value: dict[str, Any]
    why: Explanation | None = None
    error: Exception | None = None

    @property
    def status(self) -> int:
        """The HTTP status of the error. It is 0 if no answer arrived."""
        response: dict[str, Any] = getattr(self.error, "response", None) or {}
        return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)

    @property
    def code(self) -> str:
        """The code of the error, as the service returned it."""
        response: dict[str, Any] = getattr(self.error, "response", None) or {}
        return str(response.get("Error", {}).get("Code", ""))

    @property
    def silent(self) -> bool:
        """True if no service answered the request."""
        return self.error is not None and not self.status

    @property
    def denied(self) -> bool:
        """True if the identity lacks the permission for the request."""
        if self.error is None:
            return False
        fault = classify(self.error)
        # A fault of the credentials is not a missing permission.
        return fault.kind is Kind.DENIED and fault.origin is not Origin.IDENTITY

    @property
    def reason(self) -> str:
        """The reason why the request has no response, in a few words and without a full stop."""
        return "" if self.why is None else f"{self.why.title[:1].lower()}{self.why.title[1:]}"

    def why_not(self, permission: str) -> str:
        """Return the reason why the request has no response. If the identity lacks `permission`, the text states this
        and the recommended action. Otherwise the text is a short name of the error.
        """
        if self.denied:
            return f"the caller's identity lacks {permission}; allow this permission, and run the check again"
        return self.reason
