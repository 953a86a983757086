"""`stream="auto"`: long answers are streamed where streams are allowed, and nobody pays twice for the discovery."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.answers import FRAMES, REPLY, fault
from support.wire import Wire, answer, stream

from aws_bedrock_inference import Denied, InvalidByService, InvalidRequest

WHOLE = stream(*FRAMES)
TEXT = "Because of Rayleigh."
NO_PERMISSION = fault(
    403,
    "AccessDeniedException",
    "User: arn:aws:iam::111122223333:user/x is not authorized to perform: bedrock:InvokeModelWithResponseStream on "
    "resource: arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0",
)
NO_STREAMS = fault(400, "ValidationException", "The model is unsupported for streaming.")


def asked(wire: Wire) -> list[str]:
    return [request.target.rsplit("/", 1)[1] for request in wire.received]


@pytest.mark.parametrize(("most", "way"), [(999, "converse"), (1000, "converse-stream"), (None, "converse-stream")])
def test_an_answer_that_may_take_a_minute_is_streamed(face: Any, most: int | None, way: str) -> None:
    with Wire(WHOLE if way == "converse-stream" else answer(REPLY)) as wire:
        reply = face.get(face.open(wire.url).invoke("Why?", max_tokens=most, stream="auto"))
        assert (reply.text, asked(wire)) == (TEXT, [way])


REFUSALS = [
    "This model doesn't support the ConverseStream operation.",
    "Streaming is not supported for this model.",
    "The provided model doesn't support response streaming.",
]


@pytest.mark.parametrize(
    "refusal", [NO_PERMISSION, NO_STREAMS, *(fault(400, "ValidationException", text) for text in REFUSALS)]
)
def test_a_client_remembers_that_streams_are_refused(face: Any, refusal: bytes) -> None:
    with Wire(refusal, answer(REPLY)) as wire:
        client = face.open(wire.url)
        for _ in range(2):
            assert face.get(client.invoke("Why?", max_tokens=4000, stream="auto")).text == TEXT
        assert asked(wire) == ["converse-stream", "converse", "converse"]
        assert json.loads(wire.received[0].body) == json.loads(wire.received[1].body)


def test_a_model_that_cannot_stream_tools_still_streams_other_answers(face: Any) -> None:
    no_tools = fault(400, "ValidationException", "This model doesn't support tool use in streaming mode.")
    tools = [{"toolSpec": {"name": "n", "inputSchema": {"json": {"type": "object"}}}}]
    with Wire(no_tools, answer(REPLY), WHOLE, answer(REPLY)) as wire:
        client = face.open(wire.url)
        for options in ({"tools": tools}, {}, {"tools": tools}):
            assert face.get(client.invoke("Why?", max_tokens=4000, stream="auto", **options)).text == TEXT
        assert asked(wire) == ["converse-stream", "converse", "converse-stream", "converse"]


def test_a_refusal_that_also_occurs_without_a_stream_is_not_remembered(face: Any) -> None:
    wrong = fault(400, "ValidationException", "extraneous key [stream] is not permitted")
    with Wire(wrong, wrong, WHOLE) as wire:
        client = face.open(wire.url)
        with pytest.raises(InvalidByService):
            face.get(client.invoke("Why?", max_tokens=4000, stream="auto"))
        assert face.get(client.invoke("Why?", max_tokens=4000, stream="auto")).text == TEXT
        assert asked(wire) == ["converse-stream", "converse", "converse-stream"]


def test_an_unrelated_refusal_is_raised(face: Any) -> None:
    with Wire(
        fault(403, "AccessDeniedException", "You don't have access to the model with the specified model ID.")
    ) as wire:
        with pytest.raises(Denied):
            face.get(face.open(wire.url).invoke("Why?", max_tokens=4000, stream="auto"))
        assert asked(wire) == ["converse-stream"]


def test_a_long_answer_that_breaks_is_requested_again_as_a_stream(face: Any) -> None:
    with Wire(stream(*FRAMES[:3]), WHOLE) as wire:
        assert face.get(face.open(wire.url).invoke("Why?", max_tokens=4000, stream="auto")).attempts == 2
        assert asked(wire) == ["converse-stream"] * 2


def test_an_invalid_value_of_stream_is_refused(face: Any) -> None:
    with Wire(WHOLE) as wire, pytest.raises(InvalidRequest, match="pass True, False or 'auto'"):
        face.get(face.open(wire.url).invoke("Why?", stream="Auto"))
