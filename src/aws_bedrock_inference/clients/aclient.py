"""The asyncio client, twin of `client` in the same order; a parity test holds them equal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from aws_bedrock_inference.clients.base import BaseClient, with_attempts
from aws_bedrock_inference.clients.reply import Reply, reply_of
from aws_bedrock_inference.clients.request import Prompt
from aws_bedrock_inference.clients.streams import AsyncEventStream, AsyncTextStream
from aws_bedrock_inference.drivers.asynchronous import AsyncDriver
from aws_bedrock_inference.transports.asynchronous import AiohttpTransport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aws_bedrock_inference.call import Call


class AsyncBedrockClient(BaseClient):
    """Calls one model, and carries each call through throttling, faults and waits. Tasks of one event loop may share
    it.

    `model_id` is a model id, inference profile id or ARN; a call may name another. `region_name`, `endpoint_url` and
    credentials are found as boto3 finds them where they are not given, from `session` (boto3's or botocore's) if
    there is one. `quota` is the account's `Quota(rpm=..., tpm=...)`; the same object may be given to several clients,
    which then share it. `pipeline` replaces the recommended policies. `timeout` is the seconds a whole call may take,
    waits and repeats included (default 900), or a `Timeout` with limits for each attempt. `priority` says who goes
    first where calls wait for quota: `interactive`, `normal`, `batch` or a number.

    Raises `ValueError` for arguments that cannot be right and botocore's `NoRegionError` when no Region is found.
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
        stream: bool = False,
        priority: str | float | None = None,
        tier: str | None = None,
        **converse: Any,
    ) -> Reply:
        """Ask the model and return its whole answer.

        Give `prompt`, or `messages` in Converse's form. `max_tokens` is worth setting: Bedrock reserves it from the
        quota, and unset it counts as the model's maximum. `tools` is a list of Converse tools or a whole
        `toolConfig`. Anything else that Converse takes may be given by its own name. With `stream=True` the answer
        travels as a stream and is returned when it is whole: long generations are then watched chunk by chunk, and
        one that breaks is asked for again. `priority` is for this call alone. `tier` is one of Bedrock's service tiers
        (`priority`, `default`, `flex`), or `match` for the one that goes with the priority; not all models have all.

        Raises `InvalidRequest` before anything is sent, other `Refused` when the call could not be made,
        `ServiceFault` when it failed.
        """
        call = self._invoke_call(
            "converse_stream" if stream else "converse",
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
        )
        outcome = await self._driver.run(self._collect(call) if stream else self._send(call))
        self._finish(call, outcome)
        self._raise_for(call, outcome)
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
        priority: str | float | None = None,
        tier: str | None = None,
        **converse: Any,
    ) -> AsyncTextStream:
        """Ask the model and return its answer as pieces of text, as they come.

        A fault before the first piece is retried unseen. One after it raises `StreamBroken`, with what arrived in
        `received`; so does a stream that ends without its closing event. After the end, `reply` on the stream has
        usage and stop reason.
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
        )
        return AsyncTextStream(self._events(call))

    async def converse(self, **params: Any) -> dict[str, Any]:
        """boto3's `converse`: the same parameters (`modelId` may be left out), the same response."""
        return await self._unary("converse", params)

    async def converse_stream(self, **params: Any) -> dict[str, Any]:
        """boto3's `converse_stream`. Its `stream` raises `StreamBroken` when the answer breaks off."""
        events = await self._open(self._make_call("converse_stream", params))
        return {**events.head, "stream": events}

    async def invoke_model(self, **params: Any) -> dict[str, Any]:
        """boto3's `invoke_model`: the model's own body in, the model's own body out."""
        return await self._unary("invoke_model", params)

    async def invoke_model_with_response_stream(self, **params: Any) -> dict[str, Any]:
        """boto3's `invoke_model_with_response_stream`. Its `body` raises `StreamBroken` when the answer breaks off."""
        events = await self._open(self._make_call("invoke_model_with_response_stream", params))
        return {**events.head, "body": events}

    async def count_tokens(self, **params: Any) -> dict[str, Any]:
        """boto3's `count_tokens`; free, and takes nothing from the quota."""
        return await self._unary("count_tokens", params)

    async def aclose(self) -> None:
        """Let go of the connections. Calls under way end by themselves."""
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _unary(self, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
        call = self._make_call(operation, params)
        outcome = await self._driver.run(self._send(call))
        self._finish(call, outcome)
        self._raise_for(call, outcome)
        return with_attempts(outcome.value, outcome)

    async def _open(self, call: Call) -> AsyncEventStream:
        events = self._events(call)
        await events.begin()
        return events

    def _events(self, call: Call) -> AsyncEventStream:
        return AsyncEventStream(self._driver.stream(self._stream(call)), call, self._finish)
