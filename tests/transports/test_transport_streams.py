"""Streams over a real socket, through both transports, compared event by event with boto3."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from typing import Any

import pytest
from botocore.exceptions import EventStreamError
from support.doubles import session
from support.transport_faces import Asyncio
from support.wire import STREAM_HEAD, Wire, answer, exception, frame, stream
from support.wire import event as encoded

from aws_bedrock_inference import clock
from aws_bedrock_inference.call import Call, Route, Timeout
from aws_bedrock_inference.fault import Fault, Kind
from aws_bedrock_inference.transports.asynchronous import AiohttpTransport
from aws_bedrock_inference.transports.blocking import BlockingTransport
from aws_bedrock_inference.transports.connections import made_socket
from aws_bedrock_inference.transports.endpoint import find_endpoint

CONVERSE: dict[str, Any] = {"modelId": "m", "messages": [{"role": "user", "content": [{"text": "x"}]}]}
NATIVE: dict[str, Any] = {"modelId": "m", "body": b"{}"}

FRAMES = [
    encoded("messageStart", {"role": "assistant", "p": "abcdef"}),
    encoded(
        "contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "t", "name": "n"}}, "p": "a"}
    ),
    encoded("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "blüe"}, "p": "abc"}),
    encoded(
        "contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"redactedContent": "AAEC/w=="}}}
    ),
    encoded("inventedLater", {"x": 1}),
    encoded("contentBlockStop", {"contentBlockIndex": 0}),
    encoded("messageStop", {"stopReason": "end_turn"}),
    encoded(
        "metadata",
        {"usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}, "metrics": {"latencyMs": 4}, "trace": None},
    ),
]
THROTTLED = exception("throttlingException", {"message": "Too many tokens, please wait before trying again."})


def chunk(body: Any) -> bytes:
    return encoded("chunk", {"bytes": base64.b64encode(json.dumps(body).encode()).decode(), "p": "abcd"})


def call(operation: str = "converse_stream", **fields: Any) -> Call:
    params = CONVERSE if operation == "converse_stream" else NATIVE
    return Call(operation, params, Route("m"), **fields)


def opened(face: Any, wire: Wire, **fields: Any) -> Any:
    outcome = face.send(face.open(wire.url), call(**fields))
    assert outcome.fault is None
    return outcome.value


def read(face: Any, source: Any) -> tuple[list[Any], Fault | None]:
    """Read to the end; return the events and the fault that ended them."""
    events = []
    while isinstance(item := face.next(source), dict):
        events.append(item)
        source.begun = True
    return events, item


@pytest.mark.parametrize(
    ("operation", "params", "frames"),
    [
        ("converse_stream", CONVERSE, FRAMES),
        ("invoke_model_with_response_stream", NATIVE, [chunk({"type": "x"}), chunk({"done": True})]),
    ],
)
def test_the_events_equal_boto3_s(face: Any, oracle: Any, operation: str, params: Any, frames: list[bytes]) -> None:
    act = stream(*frames).replace(
        b"x-amzn-RequestId", b"X-Amzn-Bedrock-Content-Type: application/json\r\nx-amzn-RequestId"
    )
    with Wire(act) as wire:
        theirs = getattr(oracle(wire.url), operation)(**params)
        expected = list(theirs.pop("stream" if operation == "converse_stream" else "body"))
        source = opened(face, wire, operation=operation)
        assert read(face, source) == (expected, None)
        theirs["ResponseMetadata"].pop("MaxAttemptsReached", None)
        assert source.response == theirs


def test_a_stream_read_to_its_end_releases_its_connection(face: Any) -> None:
    with Wire(stream(*FRAMES)) as wire:
        transport = face.open(wire.url)
        for _ in range(2):
            read(face, face.send(transport, call()).value)
        assert wire.connections == 1


def test_a_stream_closed_early_does_not_reuse_its_connection(face: Any) -> None:
    with Wire(("stall", stream(*FRAMES[:3], end=False)), stream(*FRAMES)) as wire:
        transport = face.open(wire.url)
        source = face.send(transport, call()).value
        assert face.next(source) == {"messageStart": {"role": "assistant"}}
        source.close()
        source.close()
        assert face.next(source) is None
        assert wire.gone.wait(10)
        events, fault = read(face, face.send(transport, call()).value)
        assert (len(events), fault, wire.connections) == (7, None, 2)


@pytest.mark.parametrize("before", [0, 3])
def test_an_exception_in_the_stream_is_a_fault(face: Any, oracle: Any, before: int) -> None:
    with Wire(stream(*FRAMES[:before], THROTTLED)) as wire:
        theirs = oracle(wire.url).converse_stream(**CONVERSE)["stream"]
        with pytest.raises(EventStreamError) as raised:
            list(theirs)
        theirs.close()
        events, fault = read(face, opened(face, wire))
        assert len(events) == before
        assert fault is not None
        assert fault.response is not None
        assert fault.response["Error"] == raised.value.response["Error"]
        assert fault.response["ResponseMetadata"]["HTTPStatusCode"] == 200
        assert (fault.code, fault.kind, fault.limit) == ("ThrottlingException", Kind.THROTTLED, "tokens")
        assert (fault.status, fault.request_id) == (429, "request-1")


@pytest.mark.parametrize(
    ("broken", "code", "message"),
    [
        (exception("modelTimeoutException", {"message": "too slow"}), "ModelTimeoutException", "too slow"),
        (exception("inventedLaterException", {"Message": "new"}), "InventedLaterException", "new"),
        (exception("validationException", b"not json"), "ValidationException", "not json"),
        (frame(b"", message_type="error", error_code="InternalError", error_message="oh"), "InternalError", "oh"),
    ],
)
def test_no_exception_loses_its_name_or_text(face: Any, broken: bytes, code: str, message: str) -> None:
    with Wire(stream(broken)) as wire:
        _, fault = read(face, opened(face, wire))
        assert fault is not None
        assert (fault.code, fault.message) == (code, message)


def test_additional_fields_of_an_exception_are_preserved(face: Any) -> None:
    members = {"message": "m", "originalStatusCode": 500, "originalMessage": "o"}
    with Wire(stream(exception("modelStreamErrorException", members))) as wire:
        _, fault = read(face, opened(face, wire))
        assert fault is not None
        assert fault.response is not None
        assert (fault.response["originalStatusCode"], fault.response["originalMessage"]) == (500, "o")


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(stream(FRAMES[0], flipped(FRAMES[2], 9)), id="bad checksum of a prelude"),
        pytest.param(stream(FRAMES[0], flipped(FRAMES[2], -6)), id="bad checksum of a message"),
        pytest.param(stream(FRAMES[0], FRAMES[2][:-7]), id="body ends inside a frame"),
        pytest.param(stream(FRAMES[0], encoded("contentBlockDelta", b'{"delta": {"te')), id="half JSON"),
        pytest.param(("cut", stream(FRAMES[0], end=False)), id="connection closed between frames"),
        pytest.param(("cut", stream(FRAMES[0], FRAMES[2])[:-20]), id="connection closed inside a frame"),
        pytest.param(("reset", stream(FRAMES[0], end=False)), id="connection reset"),
    ],
)
def test_a_broken_stream_is_a_fault_after_its_complete_events(face: Any, act: Any) -> None:
    with Wire(act) as wire:
        source = opened(face, wire)
        events, fault = read(face, source)
        assert len(events) <= 1
        assert fault is not None
        assert (fault.code, fault.kind) == ("StreamBroken", Kind.STREAM)
        assert face.next(source) is None


def test_a_body_shorter_than_its_declared_length_is_a_fault(face: Any) -> None:
    body = b"".join(FRAMES)
    head = STREAM_HEAD.replace(b"Transfer-Encoding: chunked", b"Content-Length: %d" % len(body))
    with Wire(("cut", head + b"".join(FRAMES[:3]))) as wire:
        events, fault = read(face, opened(face, wire))
        # aiohttp drops its buffer when the connection breaks.
        assert len(events) == 3 or isinstance(face, Asyncio)
        assert fault is not None
        assert fault.code == "StreamBroken"


def test_a_stream_without_its_closing_event_ends_without_a_fault(face: Any) -> None:
    """The transport does not decide whether the answer is complete."""
    with Wire(stream(*FRAMES[:3])) as wire:
        events, fault = read(face, opened(face, wire))
        assert (len(events), fault) == (3, None)


@pytest.mark.parametrize(
    ("sent", "timeout", "code", "limit"),
    [
        (FRAMES[:2], Timeout(idle=0.05), "IdleTimeout", "idle"),
        ([], Timeout(first_content=0.2), "FirstContentTimeout", "first_content"),
        (FRAMES[:2], Timeout(total=0.2), "AttemptTimeout", "total"),
    ],
)
def test_silence_in_a_stream_is_a_fault(face: Any, sent: list[bytes], timeout: Timeout, code: str, limit: str) -> None:
    with Wire(("stall", stream(*sent, end=False))) as wire:
        events, fault = read(face, opened(face, wire, timeout=timeout))
        assert len(events) == len(sent)
        assert fault is not None
        assert fault.code == code
        assert limit in fault.message
        assert wire.gone.wait(10)


def test_a_stream_that_never_starts_is_a_fault(face: Any) -> None:
    with Wire(("stall", b"")) as wire:
        fault = face.send(face.open(wire.url), call(timeout=Timeout(first_content=0.05))).fault
        assert fault.code == "FirstContentTimeout"
        assert "first_content" in fault.message


def test_the_deadline_of_the_call_bounds_a_stream(face: Any) -> None:
    with Wire(("stall", stream(*FRAMES[:2], end=False))) as wire:
        events, fault = read(face, opened(face, wire, deadline=clock.monotonic() + 0.2))
        assert len(events) == 2
        assert fault is not None
        assert fault.code == "AttemptTimeout"
        assert "deadline" in fault.message


def test_an_error_before_the_stream_is_an_outcome(face: Any) -> None:
    error = answer({"message": "slow"}, status="429 Slow", x_amzn_ErrorType="ThrottlingException")
    with Wire(error) as wire:
        outcome = face.send(face.open(wire.url), call())
        assert (outcome.value, outcome.fault.code) == (None, "ThrottlingException")


def test_tcp_keep_alive_probes_are_sent_while_an_answer_is_generated() -> None:
    """Long silent generations survive NAT gateways only with TCP keep-alive."""
    with Wire(stream(*FRAMES)) as wire:
        transport = BlockingTransport(find_endpoint(session(), endpoint_url=wire.url))
        source = transport.send(call()).value
        sockets = [source._body._wire.socket, made_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("", 0)))]
        for used in sockets:
            assert used.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert used.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert 0 < used.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) < 350
        sockets[1].close()
        source.close()
        transport.close()


def test_a_task_cancelled_during_a_read_closes_the_connection() -> None:
    with Wire(("stall", stream(*FRAMES[:1], end=False))) as wire:

        async def main() -> None:
            transport = AiohttpTransport(find_endpoint(session(), endpoint_url=wire.url))
            source = (await transport.send(call())).value
            await source.next()
            task = asyncio.create_task(source.next())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(wire.gone.wait, 10)
            await transport.close()

        asyncio.run(main())


def test_events_arrive_as_they_are_sent(face: Any) -> None:
    """A reader that wants its buffer full would wait for ever here."""
    with Wire(("stall", stream(FRAMES[0], end=False))) as wire:
        source = opened(face, wire)
        assert face.next(source) == {"messageStart": {"role": "assistant"}}
        assert not wire.gone.is_set()
        source.close()
