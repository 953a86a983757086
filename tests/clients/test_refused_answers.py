"""A refusal with HTTP status 200 is an answer: it is returned, not repeated, and its tokens are charged."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.answers import MESSAGES, REPLY, chunk
from support.client_faces import at_once
from support.wire import Wire, answer, event, stream

from aws_bedrock_inference import Quota, Usage
from aws_bedrock_inference.events import CallEnded

REFUSED: dict[str, Any] = {
    **REPLY,
    "output": {"message": {"role": "assistant", "content": []}},
    "stopReason": "refusal",
    "additionalModelResponseFields": {"stop_details": {"type": "refusal", "category": "cyber"}},
}
DETAILS = {"type": "refusal", "category": "bio", "explanation": "A classifier declined the request."}
METADATA = event("metadata", {"usage": REPLY["usage"], "metrics": {"latencyMs": 1}})
STREAMED = [
    event("messageStart", {"role": "assistant"}),
    event("messageStop", {"stopReason": "refusal", "additionalModelResponseFields": {"stop_details": DETAILS}}),
    METADATA,
]
NATIVE = {
    "type": "message",
    "role": "assistant",
    "content": [],
    "stop_reason": "refusal",
    "stop_details": DETAILS,
    "usage": {"input_tokens": 3, "output_tokens": 5},
}
METRICS = {"inputTokenCount": 3, "outputTokenCount": 5}
CHUNKS: list[dict[str, Any]] = [
    {"type": "message_start", "message": {"role": "assistant", "content": []}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "To begin"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "refusal", "stop_details": DETAILS}},
    {"type": "message_stop", "amazon-bedrock-invocationMetrics": METRICS},
]
BEFORE_ANY_TEXT = [CHUNKS[0], *CHUNKS[4:]]


def opened(face: Any, wire: Wire) -> tuple[Any, Quota, list[CallEnded]]:
    """Return a client with a quota, and the ends of its calls."""
    quota = Quota(rpm=600_000, tpm=1_000_000)
    client = face.open(wire.url, pipeline=at_once(quota))
    ended: list[CallEnded] = []
    client.listen(lambda each: ended.append(each) if isinstance(each, CallEnded) else None)
    return client, quota, ended


def charged(quota: Quota, ended: CallEnded) -> float:
    from aws_bedrock_inference.clock import monotonic  # noqa: PLC0415 - the clock of the clients

    return quota.ledger(ended.route, monotonic()).snapshot(monotonic()).used["tokens"]


def assert_passed_through(wire: Wire, quota: Quota, ended: list[CallEnded]) -> None:
    assert len(wire.received) == 1
    (end,) = ended
    assert end.fault is None
    assert end.usage == Usage(3, 5)
    assert charged(quota, end) == pytest.approx(8)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("reason", ["refusal", "a_word_of_next_year"])
def test_invoke_returns_a_refusal(face: Any, reason: str, *, streamed: bool) -> None:
    frames = [STREAMED[0], event("messageStop", {"stopReason": reason}), METADATA]
    with Wire(stream(*frames) if streamed else answer({**REFUSED, "stopReason": reason})) as wire:
        client, quota, ended = opened(face, wire)
        reply = face.get(client.invoke("Why?", max_tokens=9, stream=streamed))
    assert (reply.stop_reason, reply.text, reply.attempts) == (reason, "", 1)
    assert_passed_through(wire, quota, ended)


def test_a_stream_of_text_ends_with_the_refusal(face: Any) -> None:
    with Wire(stream(*STREAMED)) as wire:
        client, quota, ended = opened(face, wire)
        pieces = client.invoke_stream("Why?", max_tokens=9)
        assert list(face.items(pieces)) == []
        assert pieces.reply.stop_reason == "refusal"
        assert pieces.reply["additionalModelResponseFields"]["stop_details"]["category"] == "bio"
    assert_passed_through(wire, quota, ended)


def test_converse_has_the_category_of_a_refusal_if_it_was_requested(face: Any) -> None:
    with Wire(answer(REFUSED)) as wire:
        client, quota, ended = opened(face, wire)
        asked = {"inferenceConfig": {"maxTokens": 9}, "additionalModelResponseFieldPaths": ["/stop_details"]}
        response = face.get(client.converse(messages=MESSAGES, **asked))
    assert response["stopReason"] == "refusal"
    assert response["additionalModelResponseFields"]["stop_details"]["category"] == "cyber"
    assert_passed_through(wire, quota, ended)


def test_a_refusal_in_a_native_body_is_returned(face: Any) -> None:
    with Wire(answer(NATIVE)) as wire:
        client, quota, ended = opened(face, wire)
        response = face.get(client.invoke_model(body=json.dumps({"max_tokens": 9, "messages": []})))
    assert json.loads(response["body"].read()) == NATIVE
    assert_passed_through(wire, quota, ended)


@pytest.mark.parametrize("chunks", [CHUNKS, BEFORE_ANY_TEXT], ids=["in the middle", "before any text"])
def test_a_refusal_in_a_native_stream_is_yielded(face: Any, chunks: list[dict[str, Any]]) -> None:
    with Wire(stream(*map(chunk, chunks))) as wire:
        client, quota, ended = opened(face, wire)
        body = json.dumps({"max_tokens": 9, "messages": []})
        events = face.get(client.invoke_model_with_response_stream(body=body))["body"]
        assert [json.loads(each["chunk"]["bytes"]) for each in face.items(events)] == chunks
    assert_passed_through(wire, quota, ended)
