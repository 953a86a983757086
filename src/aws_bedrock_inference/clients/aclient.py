"""The asyncio client. The module `client` contains the blocking client, with the same methods in the same order. A test
compares the two modules.
"""

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
    """A client for one model, with retries, quota control and circuit breaking. All tasks of a process can share
    it, also if they run in several event loops.

    * `model_id`: a model id, an inference profile id or an ARN. A call can replace it with the parameter `modelId`.
    * `region_name`, `endpoint_url`: if they are not passed, the client finds them as boto3 does. The client finds
      credentials in the same way.
    * `session`: a boto3 or botocore session, in which the client looks for Region, endpoint and credentials.
    * `quota`: the account's `Quota(rpm=..., tpm=...)`. Clients with the same `Quota` object share the quota.
    * `pipeline`: a `Pipeline` that replaces the recommended policies.
    * `timeout`: the maximum number of seconds for a whole call, including waits and retries (default 900), or a
      `Timeout` with limits for each attempt.
    * `priority`: orders the calls that wait for quota: `interactive`, `normal`, `batch` or a number.

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

        * `prompt`, or `messages` in Converse's form: pass one of the two.
        * `max_tokens`: the maximum number of tokens in the answer. Bedrock reserves this number of tokens from the
          quota. If `max_tokens` is not set, Bedrock reserves the model's maximum, so set it.
        * `tools`: a list of Converse tools, or a complete `toolConfig`. Pass other parameters of Converse under their
          names in Converse, such as `guardrailConfig`.
        * `stream`: with True, the client receives the answer as a stream and returns the answer when it is complete.
          The client then notices a stalled generation early, and retries a stream that breaks. With `"auto"`, the
          client uses a stream if the answer can have 1,000 tokens or more. If AWS refuses this
          stream, because of the model or a missing permission, the client sends the call again without streaming.
        * `priority`: the priority of this call alone.
        * `tier`: one of Bedrock's service tiers (`priority`, `default`, `flex`), or `match` for the tier that
          corresponds to the priority. Not every model supports every tier.
        * `timeout`: the maximum number of seconds for this whole call, including waits and retries, or a `Timeout`
          with limits for each attempt. A limit that is not set here is the client's limit.
        * `tenant`: the party on whose behalf the call is made. When calls with the same priority wait for quota, the
          tenants share the quota equally, regardless of how many calls each tenant has.
        * `pin`: names a conversation that stays on one route (model, Region and account) while that route is healthy.
          Each call of the conversation can then use the same prompt cache (see `Fallback`).

        Raises `Refused` if the call was not sent. Its subclass `InvalidRequest` means that an argument is invalid.
        Raises `ServiceFault` if the service or the network failed.
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

        A fault before the first piece is retried, and the caller does not notice the retry. A later fault raises
        `StreamBroken`, whose attribute `received` contains the text that arrived. A stream that ends without its
        closing event raises `StreamBroken`, too.

        * `on_interrupt`: states what happens instead of `StreamBroken`. With `"restart"`, the stream yields a notice
          and then a complete new answer. With `"continue"`, the model receives the text that arrived, and continues
          this text (see `Resume`).
        * `timeout`: the maximum number of seconds for this whole call, including waits, retries and the whole stream,
          or a `Timeout` with limits for each attempt. A limit that is not set here is the client's limit.

        After the end, `reply` on the stream has the usage and the stop reason.
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
        """boto3's `converse`, with the same parameters and the same response. `modelId` is optional. `timeout` has the
        same meaning as in `invoke`. The annotation of `timeout` is `Any`, because type checkers then accept
        `converse(**kwargs)` with any dictionary.
        """
        return await self._unary("converse", params, timeout)

    async def converse_stream(self, *, timeout: Any = None, **params: Any) -> dict[str, Any]:
        """boto3's `converse_stream`. The response's `stream` raises `StreamBroken` if the answer is incomplete."""
        events = await self._open(self._make_call("converse_stream", params, timeout))
        return {**events.head, "stream": events}

    async def invoke_model(self, *, timeout: Any = None, **params: Any) -> dict[str, Any]:
        """boto3's `invoke_model`: request and response bodies in the model's own format."""
        return await self._unary("invoke_model", params, timeout)

    async def invoke_model_with_response_stream(self, *, timeout: Any = None, **params: Any) -> dict[str, Any]:
        """boto3's `invoke_model_with_response_stream`. The response's `body` raises `StreamBroken` if the answer is
        incomplete.
        """
        events = await self._open(self._make_call("invoke_model_with_response_stream", params, timeout))
        return {**events.head, "body": events}

    async def count_tokens(self, *, timeout: Any = None, **params: Any) -> dict[str, Any]:
        """boto3's `count_tokens`, which is free and uses no quota. The service rejects some model ids. If it rejects an
        inference profile, the client sends the id of the model behind the profile. If the service also rejects that
        model id, the client returns its own estimate, and the response contains `"estimated": True`.
        """
        call = self._make_call("count_tokens", params, timeout)
        return await self._run(call, self._counting.count(self._send, call))

    async def wait_until_ready(self, timeout: float = READY_SECONDS) -> None:
        """Wait until the client's model can be called: until its access agreement is complete, or until an imported
        model is loaded.

        The client sends a test call with one output token. While the model cannot be called, the client repeats the
        test call. If the access agreement is not complete, the client waits 15 minutes before the next test call. If
        an imported model is not loaded, the client waits 5 to 60 seconds. AWS documents these times. Before each wait,
        the client emits `ReadinessAwaited`. The test calls bypass all policies.

        If the model still cannot be called after `timeout` seconds, the exception of the last test call is raised. An
        error that waiting cannot fix is raised immediately.
        """
        seconds = checked(timeout)
        call = self._probe_call()
        await self._outcome(call, ready(call, self._clock, seconds))

    async def aclose(self) -> None:
        """Close the client and its connections. Attempts in flight finish, but nothing more is sent.

        A later call raises `ClientClosed`. A running call that needs another attempt also raises `ClientClosed`.

        If processes share a quota through a store, the client releases the share of this process, so that the other
        processes can use it. If calls of this process still use the share, it is released at the end of the program.
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
