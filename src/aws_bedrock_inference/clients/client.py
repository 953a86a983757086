"""The blocking clients. `aclient` has the asyncio version in the same order; a test compares the two."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack

from aws_bedrock_inference.clients.base import BaseClient, with_attempts
from aws_bedrock_inference.clients.readiness import READY_SECONDS, checked, ready
from aws_bedrock_inference.clients.reply import Reply, reply_of
from aws_bedrock_inference.clients.request import Prompt
from aws_bedrock_inference.clients.safer import AUTO
from aws_bedrock_inference.clients.streams import EventStream, TextStream
from aws_bedrock_inference.drivers.blocking import Driver
from aws_bedrock_inference.observed import observed
from aws_bedrock_inference.transports.blocking import BlockingTransport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aws_bedrock_inference.call import Call, OnInterrupt, Outcome, Priority, Timeout
    from aws_bedrock_inference.clients.request import ConverseOptions, Tier
    from aws_bedrock_inference.flow import Flow


class BedrockClient(BaseClient):
    """A client for one model, with retries, quota control and circuit breaking. Threads can share it.

    `model_id` is a model id, inference profile id or ARN; a call may name another one. If `region_name`, `endpoint_url`
    or credentials are not given, they are found as boto3 finds them, from `session` (boto3's or botocore's) if given.
    `quota` is the account's `Quota(rpm=..., tpm=...)`; clients with the same object share it. `pipeline` replaces the
    recommended policies. `timeout` is the maximum number of seconds for a whole call, including waits and retries
    (default 900), or a `Timeout` with limits for each attempt. `priority` orders the calls that wait for quota:
    `interactive`, `normal`, `batch` or a number.

    Raises `ValueError` for invalid arguments, and botocore's `NoRegionError` if no Region is found.
    """

    def _connect(self) -> None:
        self._transport = BlockingTransport(self._endpoint, clock=self._clock)
        self._driver = Driver(self._transport.send, clock=self._clock, listeners=self._listeners)

    def invoke(
        self,
        prompt: str | None = None,
        *,
        messages: Sequence[Mapping[str, Any]] | None = None,
        system: str | Sequence[Mapping[str, Any]] | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        stop_sequences: Sequence[str] | None = None,
        tools: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        stream: bool | Literal["auto"] = False,
        priority: Priority | None = None,
        tier: Tier | None = None,
        timeout: float | Timeout | None = None,
        tenant: str | None = None,
        pin: str | None = None,
        **converse: Unpack[ConverseOptions],
    ) -> Reply:
        """Send the prompt and return the complete answer.

        Give `prompt`, or `messages` in Converse's form. Set `max_tokens`: Bedrock reserves it from the quota, and
        without it reserves the model's maximum. `tools` is a list of Converse tools or a whole `toolConfig`. Other
        parameters of Converse can be given by their own names. With `stream=True` the answer is received as a stream
        and returned when it is complete: a stalled generation is then noticed early, and a stream that breaks is
        retried. `stream="auto"` does so for answers of 1,000 tokens or more, where streaming is allowed and supported.
        `priority` applies to this call alone. `tier` is one of Bedrock's service tiers (`priority`, `default`, `flex`),
        or `match` for the tier that corresponds to the priority; not every model has every tier. `timeout` replaces the
        client's for this call. `tenant` names on whose behalf the call is made: where calls of one priority wait for
        quota, their tenants share it equally, however many calls each has. `pin` names a conversation that stays on one
        route while that is healthy, so that its prompt cache stays warm (see `Fallback`).

        Raises `InvalidRequest` before anything is sent, another `Refused` if the call was not sent, and `ServiceFault`
        if the call failed.
        """
        call = self._invoke_call(
            "converse_stream" if stream and stream != AUTO else "converse",
            Prompt(
                prompt=prompt,
                messages=messages,
                system=system,
                max_tokens=max_tokens,
                temperature=temperature,
                stop_sequences=stop_sequences,
                tools=tools,
                tier=tier,
                more=converse,
            ),
            priority,
            timeout,
            tenant=tenant,
            pin=pin,
        )
        outcome = self._outcome(call, self._whole(call, stream=stream))
        return reply_of(outcome, call.route)

    def invoke_stream(
        self,
        prompt: str | None = None,
        *,
        messages: Sequence[Mapping[str, Any]] | None = None,
        system: str | Sequence[Mapping[str, Any]] | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        stop_sequences: Sequence[str] | None = None,
        tools: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        priority: Priority | None = None,
        tier: Tier | None = None,
        timeout: float | Timeout | None = None,
        tenant: str | None = None,
        pin: str | None = None,
        on_interrupt: OnInterrupt | None = None,
        **converse: Unpack[ConverseOptions],
    ) -> TextStream:
        """Send the prompt and return the answer as pieces of text, as they arrive.

        A fault before the first piece is retried, and the caller does not notice. A later fault raises `StreamBroken`,
        with the text that arrived in `received`; so does a stream that ends without its closing event. With
        `on_interrupt="restart"` a notice follows instead, then the answer anew; with `"continue"` the model is asked to
        go on from what arrived (see `Resume`). After the end, `reply` on the stream has the usage and the stop reason.
        `timeout` replaces the client's for this call: its seconds are for the whole stream.
        """
        call = self._invoke_call(
            "converse_stream",
            Prompt(
                prompt=prompt,
                messages=messages,
                system=system,
                max_tokens=max_tokens,
                temperature=temperature,
                stop_sequences=stop_sequences,
                tools=tools,
                tier=tier,
                more=converse,
            ),
            priority,
            timeout,
            tenant=tenant,
            pin=pin,
            on_interrupt=on_interrupt,
        )
        return TextStream(self._events(call))

    def converse(self, *, timeout: Any = None, **params: Any) -> dict[str, Any]:
        """boto3's `converse`: the same parameters (`modelId` is optional), the same response. `timeout` is as in
        `invoke`; its type is left open so that any dictionary can be unpacked into the parameters.
        """
        return self._unary("converse", params, timeout)

    def converse_stream(self, *, timeout: Any = None, **params: Any) -> dict[str, Any]:
        """boto3's `converse_stream`. Its `stream` raises `StreamBroken` if the answer is incomplete."""
        events = self._open(self._make_call("converse_stream", params, timeout))
        return {**events.head, "stream": events}

    def invoke_model(self, *, timeout: Any = None, **params: Any) -> dict[str, Any]:
        """boto3's `invoke_model`: request and response bodies in the model's own format."""
        return self._unary("invoke_model", params, timeout)

    def invoke_model_with_response_stream(self, *, timeout: Any = None, **params: Any) -> dict[str, Any]:
        """boto3's `invoke_model_with_response_stream`. Its `body` raises `StreamBroken` if the answer is incomplete."""
        events = self._open(self._make_call("invoke_model_with_response_stream", params, timeout))
        return {**events.head, "body": events}

    def count_tokens(self, *, timeout: Any = None, **params: Any) -> dict[str, Any]:
        """boto3's `count_tokens`; it is free and does not use the quota. Where AWS refuses an inference profile, the
        model behind it is counted; where AWS does not count that either, the response is a guess, with
        `"estimated": True`.
        """
        call = self._make_call("count_tokens", params, timeout)
        return self._run(call, self._counting.count(self._send, call))

    def wait_until_ready(self, timeout: float = READY_SECONDS) -> None:
        """Wait until the client's model can be called: until its agreement is made, or an imported model is loaded.

        Sends a call with one token of output, again after the time that AWS documents for what is missing: 15 minutes
        for an agreement, 5 to 60 seconds for a model that is loaded. Each wait emits `ReadinessAwaited`. The calls pass
        no policies. Raises the exception of the last one after `timeout` seconds, and at once what no wait heals.
        """
        seconds = checked(timeout)
        call = self._probe_call()
        self._outcome(call, ready(call, self._clock, seconds))

    def close(self) -> None:
        """Close the client and its connections, and free a part of a shared quota that no call uses. Attempts in flight
        end by themselves, and nothing is sent any more: a later call, and one that would need another attempt, raises
        `ClientClosed`.
        """
        self._refuse()
        self._driver.close()
        try:
            self._driver.run(self.pipeline.leave())
        finally:
            self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _unary(self, operation: str, params: Mapping[str, Any], timeout: float | Timeout | None) -> dict[str, Any]:
        call = self._make_call(operation, params, timeout)
        return self._run(call, self._send(call))

    def _run(self, call: Call, flow: Flow) -> dict[str, Any]:
        outcome = self._outcome(call, flow)
        return with_attempts(outcome.value, outcome)

    def _outcome(self, call: Call, flow: Flow) -> Outcome:
        outcome = self._driver.run(observed(flow, call), partial(self._finish, call))
        self._finish(call, outcome)
        self._raise_for(call, outcome)
        return outcome

    def _open(self, call: Call) -> EventStream:
        events = self._events(call)
        events.begin()
        return events

    def _events(self, call: Call) -> EventStream:
        stream = self._driver.stream(observed(self._stream(call), call, streams=True), partial(self._finish, call))
        return EventStream(stream, call)


class BedrockStreamingClient(BedrockClient):
    """`BedrockClient` under a name that suggests `invoke_stream`."""
