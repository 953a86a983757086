"""A call that a client has already retried is not retried again by the code around it."""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from support.answers import MESSAGES, REPLY, fault
from support.client_faces import MODEL
from support.doubles import World, session
from support.wire import Wire, answer, event, exception, stream

from aws_bedrock_inference import (
    AsyncBedrockClient,
    BedrockClient,
    BedrockError,
    Deadline,
    InvalidByService,
    InvalidRequest,
    Pipeline,
    Retry,
    ServerFailed,
    StreamBroken,
    attempts,
    exponential_backoff_retry,
    invoke_with_retry,
    is_recoverable_error,
    resilient,
    retry_with_exponential_backoff,
    retry_with_jitter,
    stream_with_retry,
)

if TYPE_CHECKING:
    from collections.abc import Callable

INTERNAL = fault(500, "InternalServerException")
A_DAY = "Too many tokens per day, please wait before trying again."
ONCE = Pipeline(Retry(attempts=1))


def client_of(wire: Wire, pipeline: Pipeline | None = None) -> BedrockClient:
    at_once = Pipeline(Deadline(), Retry(chance=lambda: 0.0))
    return BedrockClient(MODEL, session=session(), endpoint_url=wire.url, pipeline=pipeline or at_once)


class Around:
    """Everything that repeats a call, as a function of the call and a world's time."""

    @staticmethod
    def block(call: Callable[[], Any], world: World) -> Any:
        for attempt in attempts(clock=world.clock, sleep=world.sleep):
            with attempt:
                return call()
        raise AssertionError("attempts() ends with an answer or an exception")

    @staticmethod
    def function(call: Callable[[], Any], world: World) -> Any:
        return resilient(call, clock=world.clock, sleep=world.sleep)()

    @staticmethod
    def backoff(call: Callable[[], Any], world: World) -> Any:
        return retry_with_exponential_backoff(call, clock=world.clock, sleep=world.sleep)

    @staticmethod
    def doubling(call: Callable[[], Any], world: World) -> Any:
        return exponential_backoff_retry(call, sleep=world.sleep)

    @staticmethod
    def jitter(call: Callable[[], Any], world: World) -> Any:
        return retry_with_jitter(call, sleep=world.sleep)


WAYS = [Around.block, Around.function, Around.backoff, Around.doubling, Around.jitter]
around = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)


def raised_as_it_is(call: Callable[[], Any]) -> Any:
    return call()


def raised_as_a_cause(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except ServerFailed as error:
        raise RuntimeError("no answer") from error


def raised_as_a_context(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except ServerFailed:
        raise ConnectionError("connection reset") from None


def raised_beneath_another_service(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except ServerFailed:
        raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow"}}, "PutItem") from None


def raised_in_a_group(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except ServerFailed as error:
        raise ExceptionGroup("two", [ConnectionError("reset"), error]) from None


FORMS = [
    raised_as_it_is, raised_as_a_cause, raised_as_a_context, raised_beneath_another_service, raised_in_a_group,
]  # fmt: skip


@around
@pytest.mark.parametrize("form", FORMS)
def test_only_the_client_retries(way: Any, form: Any, world: World) -> None:
    with Wire(INTERNAL) as wire, client_of(wire) as client:
        with pytest.raises((ServerFailed, RuntimeError, ConnectionError, ClientError, ExceptionGroup)):
            way(lambda: form(lambda: client.invoke("hi")), world)
        assert len(wire.received) == 12
    assert world.sleeps == []


@around
def test_a_request_that_cannot_succeed_is_sent_once(way: Any, world: World) -> None:
    calls: list[str] = []

    def ask(prompt: str) -> Any:
        calls.append(prompt)
        return client.invoke(prompt)

    with Wire(fault(400, "ValidationException")) as wire, client_of(wire) as client:
        for prompt in ("hi", ""):
            with pytest.raises((InvalidByService, InvalidRequest)):
                way(lambda prompt=prompt: ask(prompt), world)
        assert len(wire.received) == 1
    assert calls == ["hi", ""]


@around
def test_the_exception_records_that_its_client_retried(way: Any, world: World) -> None:
    with Wire(INTERNAL) as wire, client_of(wire) as client, pytest.raises(ServerFailed) as raised:
        way(lambda: client.invoke("hi"), world)
    assert raised.value.attempts == 12
    assert raised.value.decision.value == "RETRY"
    assert raised.value.outcome.gave_up == "no attempts are left"
    assert raised.value.response["ResponseMetadata"]["RetryAttempts"] == 11


@around
def test_a_client_that_leaves_retries_to_its_caller_is_retried(way: Any, world: World) -> None:
    with Wire(INTERNAL, INTERNAL, answer(REPLY)) as wire, client_of(wire, ONCE) as client:
        assert way(lambda: client.invoke("hi"), world).attempts == 1
        assert len(wire.received) == 3


@around
@pytest.mark.parametrize("service", ["converse", "invoke"])
def test_an_exhausted_day_is_not_retried(way: Any, service: str, world: World, oracle: Any) -> None:
    with Wire(fault(429, "ThrottlingException", A_DAY)) as wire, client_of(wire, ONCE) as client:
        theirs = oracle(wire.url)
        calls = {
            "invoke": lambda: client.invoke("hi"),
            "converse": lambda: theirs.converse(modelId=MODEL, messages=MESSAGES),
        }
        with pytest.raises(ClientError) as raised:
            way(calls[service], world)
        assert len(wire.received) == 1
    assert not is_recoverable_error(raised.value)
    assert world.sleeps == []


def test_calls_in_coroutines_are_not_retried_twice_either() -> None:
    async def run(url: str) -> None:
        pipeline = Pipeline(Deadline(), Retry(chance=lambda: 0.0))
        async with AsyncBedrockClient(MODEL, session=session(), endpoint_url=url, pipeline=pipeline) as client:
            await resilient(client.invoke)("hi")

    with Wire(INTERNAL) as wire:
        with pytest.raises(ServerFailed):
            asyncio.run(run(wire.url))
        assert len(wire.received) == 12


HALF = (event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "half"}}),)
WHOLE = stream(
    event("messageStart", {"role": "assistant"}), *HALF, event("messageStop", {"stopReason": "end_turn"}),
    event("metadata", {"usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}, "metrics": {"latencyMs": 1}}),
)  # fmt: skip
BROKEN = stream(*HALF, exception("internalServerException", {"message": "It went wrong."}))


@around
def test_a_stream_that_broke_after_its_start_is_retried_only_by_a_reader_of_the_complete_text(
    way: Any, world: World
) -> None:
    def whole() -> str:
        with client.invoke_stream("hi") as pieces:
            return "".join(pieces)

    with Wire(INTERNAL, BROKEN, WHOLE) as wire, client_of(wire) as client:
        assert way(whole, world) == "half"
        assert len(wire.received) == 3


def test_a_broken_stream_is_recoverable_for_the_page_s_own_loop(world: World) -> None:
    with Wire(BROKEN) as wire, client_of(wire) as client:
        with pytest.raises(StreamBroken) as raised:
            list(client.invoke_stream("hi"))
        assert len(wire.received) == 1
    assert is_recoverable_error(raised.value)


def test_functions_around_a_client_send_no_more_than_it_does(world: World) -> None:
    with Wire(INTERNAL) as wire, client_of(wire) as client:
        assert invoke_with_retry("hi", client=client, sleep=world.sleep) is None
        assert len(wire.received) == 12
        with pytest.raises(ServerFailed) as raised:
            list(stream_with_retry("hi", client=client, sleep=world.sleep))
        assert len(wire.received) == 24
    assert not is_recoverable_error(raised.value)
    assert world.sleeps == []


def while_handling(first: Callable[[], Any], fallback: Callable[[], Any]) -> Any:
    try:
        return first()
    except Exception:  # noqa: BLE001 - whatever it is
        return fallback()


@around
@pytest.mark.parametrize("code", ["InternalServerException", "ValidationException"])
def test_a_fallback_call_is_retried_even_if_its_error_has_the_client_s_as_context(
    way: Any, code: str, world: World
) -> None:
    calls: list[BaseException | None] = []

    def other() -> str:
        calls.append(sys.exception())
        if len(calls) < 3:
            raise ConnectionError("connection reset")
        return "answer"

    with Wire(fault(400 if code.startswith("V") else 500, code)) as wire, client_of(wire) as client:
        answers = [while_handling(lambda: client.invoke("hi"), lambda: way(other, world))]
    assert answers == ["answer"]
    assert [type(handled) for handled in calls] == [InvalidByService if code.startswith("V") else ServerFailed] * 3


def test_fallback_calls_in_asyncio_and_through_boto3_are_retried_too(world: World) -> None:
    calls: list[str] = []

    async def other() -> str:
        calls.append("other")
        if len(calls) < 3:
            raise ConnectionError("connection reset")
        return "answer"

    async def at_once(_: float) -> None:
        pass

    async def run(url: str) -> str:
        async with AsyncBedrockClient(MODEL, session=session(), endpoint_url=url) as client:
            try:
                await client.invoke("hi")
            except BedrockError:
                return await resilient(other, sleep=at_once)()
        raise AssertionError("the client's call fails")

    with Wire(fault(400, "ValidationException")) as wire:
        assert asyncio.run(run(wire.url)) == "answer"
    reset = ("reset", b"")
    with Wire(fault(400, "ValidationException"), reset, reset, answer({"TableNames": []})) as wire:
        table = resilient(session().client("dynamodb", endpoint_url=wire.url), sleep=world.sleep)
        with client_of(wire) as client:
            assert while_handling(lambda: client.invoke("hi"), table.list_tables)["TableNames"] == []


def test_an_exception_keeps_its_context_after_it_was_classified(world: World) -> None:
    def before() -> None:
        raise KeyError("before")

    def other() -> None:
        try:
            int("inner")
        except ValueError as error:
            raise ValueError("odd") from error

    for way in WAYS:
        with pytest.raises(ValueError, match="odd") as raised:
            while_handling(before, partial(way, other, world))
        inner = raised.value.__cause__
        assert inner is not None
        assert isinstance(inner.__context__, KeyError)


@around
def test_a_pipeline_without_retry_leaves_the_retries_to_its_caller(way: Any, world: World) -> None:
    with Wire(INTERNAL, INTERNAL, answer(REPLY)) as wire, client_of(wire, Pipeline(Deadline())) as client:
        way(lambda: client.invoke("hi"), world)
        assert len(wire.received) == 3


def test_functions_around_a_client_without_retries_do_retry(world: World) -> None:
    with Wire(INTERNAL) as wire, client_of(wire, ONCE) as client:
        assert invoke_with_retry("hi", client=client, sleep=world.sleep, chance=world.chance) is None
        assert len(wire.received) == 4
        with pytest.raises(ServerFailed):
            list(stream_with_retry("hi", max_retries=1, client=client, sleep=world.sleep, chance=world.chance))
        assert len(wire.received) == 6
    assert world.sleeps == [1.0, 2.0, 4.0, 1.0]
