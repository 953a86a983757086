"""Native streams that a guardrail ended; streams that are silent while the model thinks or writes a tool's input."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.answers import FRAMES, chunk
from support.wire import Wire, event, stream

from aws_bedrock_inference import Pipeline, Retry, ServiceFault, StreamBroken, Timeout
from aws_bedrock_inference.call import Call, Route
from aws_bedrock_inference.dialects.stream import NativeTranscript, Transcript
from aws_bedrock_inference.events import RetryScheduled
from aws_bedrock_inference.transports.timeouts import Exchange

MASKED = {"amazon-bedrock-guardrailAction": "INTERVENED"}
BLOCKED = {**MASKED, "amazon-bedrock-trace": {"guardrail": {"input": {}}}}
LET_PASS = {"amazon-bedrock-guardrailAction": "NONE"}
METRICS = {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 5, "outputTokenCount": 7}}

# What each family's chunk has when nothing but the guardrail's words are in it; none says why the model stopped.
SAID: dict[str, dict[str, Any]] = {
    "titan": {"outputText": "No.", "index": 0, "totalOutputTextTokenCount": 3, "inputTextTokenCount": 6.0},
    "llama": {"generation": "No.", "prompt_token_count": 6, "generation_token_count": 3, "stop_reason": None},
    "mistral": {"outputs": [{"text": "No.", "stop_reason": None}]},
    "mistral chat": {"choices": [{"index": 0, "message": {"content": "No."}, "stop_reason": None}]},
    "cohere": {"text": "No.", "is_finished": False},
    "ai21": {"choices": [{"index": 0, "delta": {"content": "No."}, "finish_reason": None}]},
    "claude, completions": {"completion": "No.", "stop_reason": None},
    "claude": {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "No."}},
    "nova": {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "No."}}},
}


def opened(client_face: Any, wire: Wire, **options: Any) -> Any:
    return client_face.open(wire.url, pipeline=Pipeline(Retry(attempts=1)), **options)


def native(client_face: Any, wire: Wire) -> list[Any]:
    body = client_face.get(opened(client_face, wire).invoke_model_with_response_stream(body=b"{}"))["body"]
    return list(client_face.items(body))


def follow(*chunks: dict[str, Any]) -> NativeTranscript:
    transcript = NativeTranscript()
    for one in chunks:
        transcript.add({"chunk": {"bytes": chunk_bytes(one)}})
    return transcript


def chunk_bytes(body: dict[str, Any]) -> bytes:
    return json.dumps(body).encode()


@pytest.mark.parametrize("family", SAID)
def test_a_stream_that_a_guardrail_blocked_is_complete(client_face: Any, family: str) -> None:
    """boto3 can read the stream, and AWS ended it: its body is complete, and its last chunk says that the guardrail
    intervened."""
    with Wire(stream(chunk({**SAID[family], **BLOCKED}))) as wire:
        assert len(native(client_face, wire)) == 1
    transcript = follow({**SAID[family], **BLOCKED})
    assert (transcript.text, transcript.stop_reason) == ("No.", "guardrail_intervened")


@pytest.mark.parametrize("family", SAID)
@pytest.mark.parametrize("action", [{}, LET_PASS])
def test_the_same_stream_without_a_guardrail_is_truncated(client_face: Any, family: str, action: Any) -> None:
    with Wire(stream(chunk({**SAID[family], **action}))) as wire, pytest.raises(StreamBroken) as raised:
        native(client_face, wire)
    assert raised.value.fault.code == "StreamIncomplete"
    assert raised.value.received == "No."


def test_a_guardrail_that_masked_a_part_does_not_make_a_broken_stream_complete(client_face: Any) -> None:
    """A guardrail that masks names says so in every chunk, as recorded for Titan and Nova."""
    titan = {"outputText": "Emily", "index": 0.0, "inputTextTokenCount": 28.0, **MASKED}
    nova = {**SAID["nova"], **MASKED}
    for parts in (
        [titan],
        [titan, titan],
        [nova],
        [nova, {"contentBlockStop": {}}],
        [SAID["llama"], {**SAID["llama"], **MASKED}],
    ):
        with Wire(stream(*map(chunk, parts))) as wire, pytest.raises(StreamBroken):
            native(client_face, wire)
    with Wire(("cut", stream(chunk({**SAID["titan"], **BLOCKED}), end=False))) as wire, pytest.raises(StreamBroken):
        native(client_face, wire)


@pytest.mark.parametrize(
    "family", ["titan", "llama", "mistral", "mistral chat", "cohere", "ai21", "claude, completions"]
)
def test_a_blocked_prompt_in_one_chunk_is_complete_even_without_a_trace(client_face: Any, family: str) -> None:
    with Wire(stream(chunk({**SAID[family], **MASKED}))) as wire:
        assert len(native(client_face, wire)) == 1


@pytest.mark.parametrize("family", SAID)
def test_the_metrics_of_bedrock_end_a_stream_of_any_family(client_face: Any, family: str) -> None:
    with Wire(stream(chunk({**SAID[family], **METRICS}))) as wire:
        assert len(native(client_face, wire)) == 1


def test_a_stream_is_complete_only_when_all_of_its_answers_ended() -> None:
    first = {"text": "a", "index": 0}, {"finish_reason": "COMPLETE", "index": 0}
    assert follow(*first).whole
    assert not follow(*first, {"text": "b", "index": 1}).whole
    assert follow(*first, {"text": "b", "index": 1}, {"finish_reason": "COMPLETE", "index": 1}).whole


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        ({"type": "overloaded_error", "message": "Overloaded"}, "overloaded_error", "Overloaded"),
        ({}, "StreamBroken", "the model reported an error"),
        (None, "StreamBroken", "the model reported an error"),
        ("bad", "StreamBroken", "the model reported an error"),
    ],
)
def test_an_error_event_of_the_model_is_a_fault(client_face: Any, error: Any, code: str, words: str) -> None:
    chunks = [SAID["claude"], {"type": "error", "error": error, **METRICS}]
    with Wire(stream(*map(chunk, chunks))) as wire, pytest.raises(ServiceFault) as raised:
        native(client_face, wire)
    assert raised.value.fault.code.lower().replace("_", "") == code.lower().replace("_", "")
    assert words in str(raised.value)


# Silence.

TOOL = event("contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "t", "name": "f"}}})
ARGUMENT = event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"toolUse": {"input": '{"a": "long'}}})
THOUGHT = event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "hm " * 20}}})


@pytest.mark.parametrize(
    ("event", "quiet"),
    [
        ({}, True),
        ({"messageStart": {"role": "assistant"}}, True),
        ({"contentBlockDelta": {"delta": {"text": "a"}}}, False),
        ({"contentBlockDelta": {"delta": {"citation": {}}}}, False),
        ({"contentBlockDelta": {"delta": {"reasoningContent": {"text": "a"}}}}, True),
        ({"contentBlockDelta": {"delta": {"reasoningContent": {"redactedContent": b"a"}}}}, True),
        ({"contentBlockDelta": {"delta": {"toolUse": {"input": "a"}}}}, True),
        ({"contentBlockStart": {"start": {"toolUse": {}}}}, True),
        ({"contentBlockStart": {}}, True),
        ({"messageStop": {}}, False),
    ],
)
def test_silence_is_expected_except_while_text_arrives(event: dict[str, Any], quiet: Any) -> None:
    transcript = Transcript()
    transcript.add(event)
    assert transcript.quiet is quiet
    transcript.add({"contentBlockStop": {}})
    assert transcript.quiet is quiet


@pytest.mark.parametrize(
    ("chunk", "quiet"),
    [
        ({"type": "message_start"}, True),
        ({"type": "content_block_start", "content_block": {"type": "tool_use"}}, True),
        ({"type": "content_block_delta", "delta": {"partial_json": "{"}}, True),
        ({"type": "content_block_delta", "delta": {"thinking": "hm"}}, True),
        ({"type": "content_block_delta", "delta": {"text": "a"}}, False),
        ({"outputText": "a"}, False),
        ({"contentBlockDelta": {"delta": {"text": "a"}}}, False),
        ({"contentBlockStart": {"start": {"toolUse": {}}}}, True),
    ],
)
def test_silence_is_expected_at_the_same_places_in_native_streams(chunk: dict[str, Any], quiet: Any) -> None:
    assert follow(chunk).quiet is quiet


def test_the_idle_limit_is_four_times_as_long_while_silence_is_expected() -> None:
    """AWS is silent for 125 to 196 s inside the input of a tool."""
    exchange = Exchange(Call("converse_stream", {}, Route("m"), timeout=Timeout()), "host", lambda: 0.0)
    assert exchange.timeout("idle") == 60.0
    exchange.quiet = True
    assert exchange.timeout("idle") == 240.0
    assert "within 240 s (Timeout(idle))" in exchange.late().message
    assert exchange.timeout("first_content") == 240.0


@pytest.mark.parametrize(
    ("frames", "limit", "tokens", "attempts"),
    [
        ([FRAMES[0], TOOL, ARGUMENT], "0.2 s", 2, 1),
        ([FRAMES[0], THOUGHT], "0.2 s", 15, 1),
        ([FRAMES[0], FRAMES[1]], "0.05 s", 2, 2),
    ],
)
def test_a_silent_generation_reports_its_cost_and_is_not_repeated_if_it_would_be_silent_again(
    client_face: Any, frames: list[bytes], limit: str, tokens: int, attempts: int
) -> None:
    with Wire(("stall", stream(*frames, end=False))) as wire:
        client = client_face.open(wire.url, pipeline=Pipeline(Retry(chance=lambda: 0.0)), timeout=Timeout(idle=0.05))
        events: list[Any] = []
        client.listen(events.append)
        with pytest.raises(StreamBroken) as raised:
            client_face.get(client.invoke("Why?", max_tokens=9, stream=True))
        assert raised.value.fault.code == "IdleTimeout"
        assert f"within {limit} (Timeout(idle)); about {tokens} tokens of the answer had arrived" in str(raised.value)
        assert len(wire.received) == attempts
        retried = [one.fault.message for one in events if isinstance(one, RetryScheduled)]
        assert len(retried) == attempts - 1
        assert all("are charged" in message for message in retried)
