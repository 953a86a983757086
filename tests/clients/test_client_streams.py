"""Streamed answers: faults before the first piece are hidden, and a truncated answer never looks complete."""

from __future__ import annotations

from typing import Any

import pytest
from support.answers import FRAMES, MESSAGES, THROTTLED_FRAME, UNAVAILABLE, chunk
from support.client_faces import at_once
from support.wire import Wire, event, exception, stream

from aws_bedrock_inference import (
    InvalidRequest,
    Pipeline,
    Quota,
    Retry,
    ServiceFault,
    StreamBroken,
    Throttled,
    TimedOut,
    Timeout,
    Usage,
)
from aws_bedrock_inference.events import CallEnded, RetryScheduled

WHOLE = stream(*FRAMES)
TOOL = [
    FRAMES[0],
    event("contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "t", "name": "n"}}}),
    event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"toolUse": {"input": '{"ci'}}}),
]


def broken(face: Any, stream: Any) -> tuple[list[str], Any]:
    """Read until the stream breaks; return the received items and the exception."""
    pieces: list[str] = []
    with pytest.raises(StreamBroken) as raised:
        pieces.extend(face.items(stream))
    return pieces, raised.value


def test_a_stream_yields_pieces_and_then_has_the_reply(face: Any) -> None:
    with Wire(WHOLE) as wire:
        answer = face.open(wire.url).invoke_stream("Why?", max_tokens=9)
        with pytest.raises(ValueError, match="read it to its end before you use"):
            _ = answer.reply
        assert list(face.items(answer)) == ["Because ", "of Rayleigh."]
        assert list(face.items(answer)) == []
    reply = answer.reply
    assert (reply.text, reply.stop_reason, reply.usage) == ("Because of Rayleigh.", "end_turn", Usage(3, 5))
    assert (reply.attempts, reply.request_id) == (1, "request-1")


def test_a_stream_is_not_sent_before_its_first_piece_is_requested(face: Any) -> None:
    with Wire(WHOLE) as wire:
        answer = face.open(wire.url).invoke_stream("Why?")
        assert wire.received == []
        assert next(face.items(answer)) == "Because "
        face.leave(answer)


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(UNAVAILABLE, id="an error answer"),
        pytest.param(stream(THROTTLED_FRAME), id="a fault as first frame"),
        pytest.param(stream(FRAMES[0], THROTTLED_FRAME), id="a fault before the first piece"),
        pytest.param(stream(), id="an empty stream"),
        pytest.param(("cut", stream(FRAMES[0], end=False)), id="a connection cut before the first piece"),
    ],
)
def test_a_fault_before_the_first_piece_is_retried_silently(face: Any, bad: Any) -> None:
    with Wire(bad, WHOLE, bad, WHOLE, bad, WHOLE) as wire:
        client = face.open(wire.url)
        answer = client.invoke_stream("Why?")
        assert "".join(face.items(answer)) == "Because of Rayleigh."
        assert (answer.reply.attempts, len(wire.received)) == (2, 2)
        events = face.get(client.converse_stream(messages=MESSAGES))["stream"]
        assert len(list(face.items(events))) == len(FRAMES)
        assert face.get(client.invoke("Why?", stream=True)).attempts == 2
        assert len(wire.received) == 6


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        pytest.param(stream(*FRAMES[:3]), "StreamIncomplete", id="the closing event is missing"),
        pytest.param(("cut", stream(*FRAMES[:3], end=False)), "StreamBroken", id="the connection is cut"),
        pytest.param(stream(*FRAMES[:3], THROTTLED_FRAME), "ThrottlingException", id="a fault in the middle"),
        pytest.param(
            stream(*FRAMES[:3], exception("modelStreamErrorException", {"message": "oh"})),
            "ModelStreamErrorException",
            id="the model's own fault in the middle",
        ),
    ],
)
def test_a_broken_stream_raises_and_never_looks_complete(face: Any, bad: Any, code: str) -> None:
    with Wire(bad) as wire:
        pieces, error = broken(face, face.open(wire.url).invoke_stream("Why?"))
        assert len(wire.received) == 1
    assert error.code == code
    assert error.received == "".join(pieces) == "Because of Rayleigh."
    assert error.received_message == {"role": "assistant", "content": [{"text": "Because of Rayleigh."}]}
    assert isinstance(error, ServiceFault)


def test_broken_streams_of_boto3s_methods_raise_too(face: Any) -> None:
    native = [chunk({"type": "content_block_delta", "delta": {"text": "Bec"}})]
    with Wire(stream(*FRAMES[:2]), stream(*native)) as wire:
        client = face.open(wire.url)
        events, error = broken(face, face.get(client.converse_stream(messages=MESSAGES))["stream"])
        assert (len(events), error.received) == (2, "Because ")
        events, error = broken(face, face.get(client.invoke_model_with_response_stream(body=b"{}"))["body"])
        assert (len(events), error.received) == (1, "Bec")


def test_a_truncated_tool_call_keeps_its_input_as_text(face: Any) -> None:
    with Wire(stream(*TOOL)) as wire:
        _, error = broken(face, face.get(face.open(wire.url).converse_stream(messages=MESSAGES))["stream"])
    [block] = error.received_message["content"]
    assert block == {"toolUse": {"toolUseId": "t", "name": "n", "input": '{"ci'}}


def test_a_collected_stream_is_requested_again_wherever_it_breaks(face: Any) -> None:
    with Wire(stream(*FRAMES[:3]), stream(*FRAMES[:2], THROTTLED_FRAME), WHOLE) as wire:
        reply = face.get(face.open(wire.url).invoke("Why?", stream=True))
        assert (reply.text, reply.attempts, len(wire.received)) == ("Because of Rayleigh.", 3, 3)


def test_permanent_faults_are_raised_where_boto3_raises_them(face: Any) -> None:
    denied = exception("validationException", {"message": "no"})
    with Wire(stream(denied)) as wire:
        client = face.open(wire.url)
        with pytest.raises(ServiceFault, match="ValidationException: no"):
            face.get(client.converse_stream(messages=MESSAGES))
        with pytest.raises(ServiceFault, match="ValidationException: no"):
            next(face.items(client.invoke_stream("Why?")))


def test_silence_after_the_first_piece_breaks_the_stream(face: Any) -> None:
    with Wire(("stall", stream(*FRAMES[:2], end=False))) as wire:
        client = face.open(wire.url, timeout=Timeout(idle=0.05))
        pieces, error = broken(face, client.invoke_stream("Why?"))
    assert (pieces, error.code, error.received) == (["Because "], "IdleTimeout", "Because ")


def test_silence_before_the_first_piece_is_a_timeout(face: Any) -> None:
    with Wire(("stall", stream(end=False))) as wire:
        client = face.open(wire.url, pipeline=at_once(), timeout=Timeout(first_content=0.05, total=0.2))
        client.pipeline.policies[2].attempts = 1
        with pytest.raises(TimedOut):
            list(face.items(client.invoke_stream("Why?")))


@pytest.mark.parametrize("how", ["left", "forgotten"])
def test_an_abandoned_stream_releases_its_reserved_tokens(face: Any, how: str) -> None:
    with Wire(("stall", stream(*FRAMES[:2], end=False)), WHOLE) as wire:
        client = face.open(wire.url, quota=Quota(tpm=1000), timeout=30.0)
        answer = client.invoke_stream("Why?", max_tokens=900)
        assert next(face.items(answer)) == "Because "
        if how == "left":
            face.leave(answer)
        del answer
        assert "".join(face.items(client.invoke_stream("Why?", max_tokens=900))) == "Because of Rayleigh."
        assert len(wire.received) == 2


def test_a_broken_stream_releases_its_reserved_tokens(face: Any) -> None:
    with Wire(stream(*FRAMES[:2]), WHOLE) as wire:
        client = face.open(wire.url, quota=Quota(tpm=1000), timeout=30.0)
        broken(face, client.invoke_stream("Why?", max_tokens=900))
        assert "".join(face.items(client.invoke_stream("Why?", max_tokens=900))) == "Because of Rayleigh."


def test_an_abandoned_stream_ends_without_an_error(face: Any) -> None:
    with Wire(("stall", stream(*FRAMES[:2], end=False))) as wire:
        answer = face.open(wire.url).invoke_stream("Why?")
        assert next(face.items(answer)) == "Because "
        face.leave(answer)
        face.leave(answer)
        assert list(face.items(answer)) == []
        assert wire.gone.wait(10)


def test_listeners_get_the_end_of_a_stream_once(face: Any) -> None:
    heard: list[Any] = []
    with Wire(UNAVAILABLE, WHOLE, stream(*FRAMES[:2])) as wire:
        client = face.open(wire.url)
        client.listen(heard.append)
        answer = client.invoke_stream("Why?")
        list(face.items(answer))
        list(face.items(answer))
        assert [type(event) for event in heard] == [RetryScheduled, CallEnded]
        assert (heard[1].operation, heard[1].attempts) == ("converse_stream", 2)
        assert (heard[1].fault, heard[1].usage) == (None, Usage(3, 5))
        heard.clear()
        broken(face, client.invoke_stream("Why?"))
        [ended] = heard
        assert (ended.fault.code, ended.attempts) == ("StreamIncomplete", 1)


def test_a_persistent_throttle_is_not_reported_as_a_broken_stream(face: Any) -> None:
    with Wire(stream(THROTTLED_FRAME)) as wire:
        client = face.open(wire.url, pipeline=Pipeline(Retry(attempts=2, chance=lambda: 0.0)))
        with pytest.raises(Throttled) as raised:
            list(face.items(client.invoke_stream("Why?")))
        assert raised.value.attempts == len(wire.received) == 2


def test_invalid_input_of_a_stream_is_refused_when_the_stream_is_created(face: Any) -> None:
    with Wire(WHOLE) as wire:
        with pytest.raises(InvalidRequest):
            face.open(wire.url).invoke_stream("")
        assert wire.received == []
