"""Typical uses as mypy sees them: it checks this file with all others, and nothing runs it.

A wrong use is marked with the error it must raise; mypy reports a mark that is not needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, assert_type

import aws_bedrock_inference as package
from aws_bedrock_inference import (
    AsyncBedrockClient,
    BedrockClient,
    BedrockError,
    BedrockStreamingClient,
    Breaker,
    Call,
    Deadline,
    Decision,
    Explanation,
    Fault,
    Pipeline,
    Quota,
    Reply,
    Retry,
    Route,
    StreamBroken,
    Timeout,
    Usage,
    classify,
    explain,
    resilient,
    standard,
)
from aws_bedrock_inference.clients.streams import AsyncTextStream, TextStream

if TYPE_CHECKING:
    from aws_bedrock_inference.flow import Flow, Step


class S3Client:
    """A placeholder for any class of a boto3 client."""


def blocking(client: BedrockClient) -> None:
    reply = assert_type(client.invoke("Why?", max_tokens=9, system="Be brief."), Reply)
    assert_type(reply.text, str)
    assert_type(reply.usage, Usage)
    assert_type(reply.usage.output_tokens, int)
    assert_type(reply.route, Route)
    assert_type(reply.attempts, int)
    assert_type(reply.request_id, str | None)
    client.invoke(messages=[{"role": "user", "content": "Why?"}], tools=[{"toolSpec": {}}], requestMetadata={"a": "b"})
    client.invoke("Why?", priority="batch", tier="match", additionalModelRequestFields={"top_k": 5})
    client.invoke("Why?", priority=0.5, tier="flex")
    client.invoke("Why?", priority="urgent")  # type: ignore[arg-type]
    client.invoke("Why?", tier="fast")  # type: ignore[arg-type]
    client.invoke("Why?", temprature=0.5)  # type: ignore[call-arg]
    assert_type(client.converse(messages=[]), dict[str, Any])
    assert_type(client.count_tokens(input={}), dict[str, Any])
    assert_type(client.listen(print), Callable[[], None])
    with assert_type(client.invoke_stream("Why?"), TextStream) as pieces:
        for piece in pieces:
            assert_type(piece, str)
        assert_type(pieces.reply, Reply)
    with assert_type(BedrockStreamingClient("m"), BedrockStreamingClient) as streaming:
        assert_type(streaming.region_name, str)


async def asynchronous(client: AsyncBedrockClient) -> None:
    assert_type(await client.invoke("Why?"), Reply)
    assert_type(await client.converse(messages=[]), dict[str, Any])
    async with assert_type(client.invoke_stream("Why?"), AsyncTextStream) as pieces:
        async for piece in pieces:
            assert_type(piece, str)
    async with AsyncBedrockClient("m", quota=Quota(rpm=1)) as another:
        assert_type(another, AsyncBedrockClient)


def failing(client: BedrockClient) -> None:
    try:
        client.invoke("Why?")
    except StreamBroken as broken:
        assert_type(broken.received, str)
    except BedrockError as error:
        assert_type(error.decision, Decision)
        assert_type(error.fault, Fault)
        assert_type(error.retry_after, float | None)
        assert_type(error.request_ids, tuple[str, ...])


class Watch:
    """A policy of a user's own."""

    def around(self, step: Step, clock: Callable[[], float]) -> Step:
        def flow(call: Call) -> Flow:
            started = clock()
            outcome = yield from step(call)
            assert_type(clock() - started, float)
            return outcome

        return flow


def built() -> None:
    pipeline = assert_type(Pipeline(Deadline(60), Retry(attempts=3), Breaker(failures=3), Watch(), Quota()), Pipeline)
    BedrockClient("m", region_name="us-east-1", pipeline=pipeline, timeout=Timeout(idle=5))
    BedrockClient("m", quota=Quota(rpm=500, tpm=200_000), timeout=60)
    assert_type(standard(Quota(rpm=1)), Pipeline)


def knowing(error: Exception) -> None:
    assert_type(explain(error), Explanation)
    assert_type(explain("text", service="s3").decision, Decision)
    assert_type(classify(error), Fault)


def others(s3: S3Client, ask: Callable[[str], int]) -> None:
    assert_type(resilient(s3), S3Client)
    assert_type(resilient(ask)("why"), int)


def wrong(client: BedrockClient, later: AsyncBedrockClient) -> None:
    client.invoke(5)  # type: ignore[arg-type]
    client.invoke("Why?", 400)  # type: ignore[arg-type, call-arg]
    client.invoke("Why?", max_tokens="9")  # type: ignore[arg-type]
    client.converse("Why?")  # type: ignore[call-arg]
    BedrockClient("m", "us-east-1")  # type: ignore[call-arg]
    BedrockClient()  # type: ignore[call-arg]
    BedrockClient("m", quota=500)  # type: ignore[arg-type]
    BedrockClient("m", retries=5)  # type: ignore[call-arg]
    Quota(500)  # type: ignore[call-arg]
    Retry(tries=5)  # type: ignore[call-arg]
    Pipeline(5)  # type: ignore[arg-type]
    Timeout(read=5)  # type: ignore[call-arg]
    client.invoke("Why?").text = "Because."  # type: ignore[misc]
    later.invoke("Why?").text  # type: ignore[attr-defined]  # noqa: B018
    package.BedrockKlient("m")  # type: ignore[attr-defined]
