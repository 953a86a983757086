"""The asyncio client. `client` has the blocking version in the same order; a test compares the two."""

# ruff: noqa: ASYNC109 - `timeout` covers waits for quota and retries, which `asyncio.timeout` would only cancel

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack

from aws_bedrock_inference.clients.base import BaseClient, with_attempts
from aws_bedrock_inference.clients.readiness import READY_SECONDS, checked, ready
from aws_bedrock_inference.clients.reply import Reply, reply_of
from aws_bedrock_inference.clients.request import Prompt
from aws_bedrock_inference.clients.safer import AUTO
from aws_bedrock_inference.clients.streams import AsyncEventStream, AsyncTextStream
from aws_bedrock_inference.drivers.asynchronous import AsyncDriver
from aws_bedrock_inference.observed import observed
from aws_bedrock_inference.transports.asynchronous import AiohttpTransport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aws_bedrock_inference.call import Call, OnInterrupt, Outcome, Priority, Timeout
    from aws_bedrock_inference.clients.request import ConverseOptions, Tier
    from aws_bedrock_inference.flow import Flow


class AsyncBedrockClient(BaseClient):
    """A client for one model, with retries, quota control and circuit breaking. Tasks of one event loop can share it.

    `model_id` is a model id, inference profile id or ARN; a call may name a different one. `region_name`,
    `endpoint_url` and credentials that are not passed are found as boto3 finds them, from `session` (a boto3 or
    botocore session) if it is passed. `quota` is the account's `Quota(rpm=..., tpm=...)`; clients with the same object
    share the quota. `pipeline` replaces the recommended policies. `timeout` is the maximum number of seconds for a
    whole call, including waits and retries (default 900), or a `Timeout` with limits for each attempt. `priority`
    orders the calls that wait for quota: `interactive`, `normal`, `batch` or a number.

    Raises `ValueError` for invalid arguments, and botocore's `NoRegionError` if no Region is found.
    """

    def _connect(self) -> None:
        self._transport = AiohttpTransport(self._endpoint, clock=self._clock)
        self._driver = AsyncDriver(self._transport.send, clock=self._clock, listeners=self._listeners)

    async def invoke(
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

        Pass either `prompt`, or `messages` in Converse's form. Set `max_tokens`: Bedrock reserves that many tokens
        from the quota, and the model's maximum without it. `tools` is a list of Converse tools or a complete
        `toolConfig`. Other parameters of Converse can be passed by their own names. With `stream=True` the client
        receives the answer as a stream and returns it when it is complete: it notices a stalled generation early, and
        retries a stream that breaks. `stream="auto"` does so for answers of 1,000 tokens or more, where streaming is
        allowed and supported. `priority` applies to this call alone. `tier` is one of Bedrock's service tiers
        (`priority`, `default`, `flex`), or `match` for the tier that corresponds to the priority; not every model
        supports every tier. `timeout` replaces the client's timeout for this call. `tenant` names the party on whose
        behalf the call is made: when calls of one priority wait for quota, their tenants share it equally, regardless
        of how many calls each has. `pin` names a conversation that stays on one route while that route is healthy, so
        that its prompt cache stays warm (see `Fallback`).

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
        outcome = await self._outcome(call, self._whole(call, stream=stream))
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
    ) -> AsyncTextStream:
        """Send the prompt and return the answer as pieces of text, as they arrive.

        A fault before the first piece is retried without the caller noticing. A later fault raises `StreamBroken`,
        with the text that arrived in `received`; a stream that ends without its closing event does the same. With
        `on_interrupt="restart"` the stream instead yields a notice and then the whole answer again; with `"continue"`
        the model is asked to continue from the text that arrived (see `Resume`). After the end, `reply` on the stream
        has the usage and the stop reason. `timeout` replaces the client's timeout for this call; its seconds cover the
        whole stream.
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
        return AsyncTextStream(self._events(call))

    async def converse(self, *, timeout: Any = None, **params: Any) -> dict[str, Any]:
        """boto3's `converse`, with the same parameters and the same response. `modelId` is optional. `timeout` is as
        in `invoke`; its type is open so that any dictionary can be unpacked into the parameters.
        """
        return await self._unary("converse", params, timeout)

    async def converse_stream(self, *, timeout: Any = None, **params: Any) -> dict[str, Any]:
        """boto3's `converse_stream`. Its `stream` raises `StreamBroken` if the answer is incomplete."""
        events = await self._open(self._make_call("converse_stream", params, timeout))
        return {**events.head, "stream": events}

    async def invoke_model(self, *, timeout: Any = None, **params: Any) -> dict[str, Any]:
        """boto3's `invoke_model`: request and response bodies in the model's own format."""
        return await self._unary("invoke_model", params, timeout)

    async def invoke_model_with_response_stream(self, *, timeout: Any = None, **params: Any) -> dict[str, Any]:
        """boto3's `invoke_model_with_response_stream`. Its `body` raises `StreamBroken` if the answer is incomplete."""
        events = await self._open(self._make_call("invoke_model_with_response_stream", params, timeout))
        return {**events.head, "body": events}

    async def count_tokens(self, *, timeout: Any = None, **params: Any) -> dict[str, Any]:
        """boto3's `count_tokens`. It is free and does not use the quota. If AWS does not count tokens for an inference
        profile, the client counts for the model behind it. If AWS does not count for that model either, the response
        is an estimate and contains `"estimated": True`.
        """
        call = self._make_call("count_tokens", params, timeout)
        return await self._run(call, self._counting.count(self._send, call))

    async def wait_until_ready(self, timeout: float = READY_SECONDS) -> None:
        """Wait until the client's model can be called: until its agreement is complete, or an imported model is
        loaded.

        Sends a call with one token of output, and repeats it after the time that AWS documents: 15 minutes for an
        agreement, 5 to 60 seconds for a model that is loading. Each wait emits `ReadinessAwaited`. The calls bypass
        all policies. Raises the exception of the last call after `timeout` seconds, and raises immediately if waiting
        cannot help.
        """
        seconds = checked(timeout)
        call = self._probe_call()
        await self._outcome(call, ready(call, self._clock, seconds))

    async def aclose(self) -> None:
        """Close the client and its connections, and release its unused part of a shared quota. Attempts in flight
        finish. Nothing more is sent: a later call, and a call that needs another attempt, raises `ClientClosed`.
        """
        self._refuse()
        self._driver.close()
        try:
            await self._driver.run(self.pipeline.leave())
        finally:
            await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _unary(
        self, operation: str, params: Mapping[str, Any], timeout: float | Timeout | None
    ) -> dict[str, Any]:
        call = self._make_call(operation, params, timeout)
        return await self._run(call, self._send(call))

    async def _run(self, call: Call, flow: Flow) -> dict[str, Any]:
        outcome = await self._outcome(call, flow)
        return with_attempts(outcome.value, outcome)

    async def _outcome(self, call: Call, flow: Flow) -> Outcome:
        outcome = await self._driver.run(observed(flow, call), partial(self._finish, call))
        self._finish(call, outcome)
        self._raise_for(call, outcome)
        return outcome

    async def _open(self, call: Call) -> AsyncEventStream:
        events = self._events(call)
        await events.begin()
        return events

    def _events(self, call: Call) -> AsyncEventStream:
        stream = self._driver.stream(observed(self._stream(call), call, streams=True), partial(self._finish, call))
        return AsyncEventStream(stream, call)
