from __future__ import annotations

import json
from typing import Any

import pytest

from aws_bedrock_inference.call import Estimate, Usage
from aws_bedrock_inference.dialects.stream import NativeTranscript, Transcript

START = {"messageStart": {"role": "assistant"}}
STOP = {"messageStop": {"stopReason": "end_turn"}}


def text(piece: Any, index: Any = 0) -> Any:
    return {"contentBlockDelta": {"contentBlockIndex": index, "delta": {"text": piece}}}


def follow(*events: Any) -> Any:
    transcript = Transcript()
    for event in events:
        transcript.add(event)
    return transcript


def chunks(*bodies: Any) -> Any:
    transcript = NativeTranscript()
    for body in bodies:
        transcript.add({"chunk": {"bytes": json.dumps(body).encode()}})
    return transcript


def test_a_stream_has_content_first_and_is_complete_after_its_closing_event() -> None:
    assert not follow(START).begun
    assert follow(START, text("a")).begun
    assert not follow(START, text("a")).whole
    assert follow(START, text("a"), STOP).whole


def test_a_collected_stream_equals_the_answer_of_converse() -> None:
    usage = {"inputTokens": 3, "outputTokens": 5, "totalTokens": 8}
    transcript = follow(
        START,
        {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "hm, "}}}},
        {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "yes"}}}},
        {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"reasoningContent": {"signature": "s1"}}}},
        {"contentBlockStop": {"contentBlockIndex": 0}},
        text("Hel", 1),
        text("lo", 1),
        {"contentBlockStart": {"contentBlockIndex": 2, "start": {"toolUse": {"toolUseId": "t", "name": "f"}}}},
        {"contentBlockDelta": {"contentBlockIndex": 2, "delta": {"toolUse": {"input": '{"a"'}}}},
        {"contentBlockDelta": {"contentBlockIndex": 2, "delta": {"toolUse": {"input": ": 1}"}}}},
        STOP,
        {"metadata": {"usage": usage, "metrics": {"latencyMs": 7}}},
    )
    assert transcript.response({"ResponseMetadata": {}}) == {
        "ResponseMetadata": {},
        "output": {
            "message": {
                "role": "assistant",
                "content": [
                    {"reasoningContent": {"reasoningText": {"text": "hm, yes", "signature": "s1"}}},
                    {"text": "Hello"},
                    {"toolUse": {"toolUseId": "t", "name": "f", "input": {"a": 1}}},
                ],
            }
        },
        "stopReason": "end_turn",
        "usage": usage,
        "metrics": {"latencyMs": 7},
    }
    assert transcript.spent(Estimate()) == Usage(3, 5)


def test_a_truncated_tool_input_remains_text() -> None:
    transcript = follow(
        START,
        {"contentBlockStart": {"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "t", "name": "f"}}}},
        {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"toolUse": {"input": '{"a"'}}}},
    )
    assert transcript.message()["content"][0]["toolUse"]["input"] == '{"a"'


def test_a_tool_without_input_has_an_empty_object() -> None:
    transcript = follow(
        {"contentBlockStart": {"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "t", "name": "f"}}}}
    )
    assert transcript.message()["content"][0]["toolUse"]["input"] == {}


def test_a_stream_without_reported_usage_is_charged_by_its_content() -> None:
    assert follow(START, text("x" * 400)).spent(Estimate(25, 1000)) == Usage(25, 100)


@pytest.mark.parametrize(
    "bodies",
    [
        [
            {"type": "message_start", "message": {"usage": {"input_tokens": 1}}},
            {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "hi"}},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
            {"type": "message_stop"},
        ],
        [
            {"messageStart": {"role": "assistant"}},
            {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "hi"}}},
            {"messageStop": {"stopReason": "end_turn"}},
        ],
        [{"outputText": "h"}, {"outputText": "i", "completionReason": "FINISH"}],
        [{"generation": "h", "stop_reason": None}, {"generation": "i", "stop_reason": "stop"}],
        [{"outputs": [{"text": "h", "stop_reason": None}]}, {"outputs": [{"text": "i", "stop_reason": "stop"}]}],
    ],
    ids=["anthropic", "nova", "titan", "llama", "mistral"],
)
def test_completeness_is_recognised_in_every_dialect(bodies: Any) -> None:
    assert chunks(*bodies).whole
    cut = chunks(*bodies[:-1])
    assert not cut.whole
    assert not cut.unknown
    assert chunks(*bodies).text == "hi"


def test_anthropic_s_opening_frames_do_not_count_as_content() -> None:
    opening = [
        {"type": "message_start", "message": {}},
        {"type": "content_block_start", "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
    ]
    assert not chunks(*opening).begun


def test_the_metrics_of_the_last_chunk_are_the_usage() -> None:
    metrics = {
        "inputTokenCount": 5,
        "outputTokenCount": 7,
        "cacheReadInputTokenCount": 2,
        "cacheWriteInputTokenCount": 3,
    }
    transcript = chunks({"whatever": 1}, {"amazon-bedrock-invocationMetrics": metrics})
    assert transcript.whole
    assert transcript.usage == Usage(5, 7, 2, 3)


def test_the_completeness_of_an_unknown_dialect_is_unknown() -> None:
    assert chunks({"whatever": 1}).unknown
    unreadable = NativeTranscript()
    unreadable.add({"chunk": {"bytes": b"\xff"}})
    assert unreadable.begun
    assert unreadable.unknown


THOUGHT = {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "Well"}}}}


def metered(**counts: int) -> Any:
    return {"metadata": {"usage": {"inputTokens": 10, "outputTokens": 5, "totalTokens": 0, **counts}}}


@pytest.mark.parametrize(
    ("guess", "written", "counted"),
    [
        (4_000, 8_000, 4_000),  # twice: half of it is the least that was written
        (4_500, 8_000, 4_490),  # twice, of a guess on the high side
        (1_000, 8_000, 4_000),  # a guess that is far too low takes no more than the half
        (8_010, 8_000, 8_000),  # a usage that the request may have had is accepted
        (4_000, 3_990, 3_990),
        (1_000, 7, 7),
        (1_000, 0, 0),
        (4, 3, 2),
    ],
)
def test_cache_writes_that_a_stream_with_reasoning_reports_twice_count_once(
    guess: int, written: int, counted: int
) -> None:
    transcript = follow(START, THOUGHT, STOP, metered(cacheWriteInputTokens=written))
    usage = transcript.spent(Estimate(input_tokens=guess))
    assert usage == Usage(10, 5, 0, counted, written - counted)


def test_the_usage_of_a_stream_without_reasoning_is_not_corrected() -> None:
    transcript = follow(START, text("Well"), STOP, metered(cacheWriteInputTokens=8_000))
    assert transcript.spent(Estimate(input_tokens=1_000)) == Usage(10, 5, 0, 8_000)


def test_the_usage_in_the_response_is_the_value_that_the_service_reported() -> None:
    transcript = follow(START, THOUGHT, STOP, metered(cacheWriteInputTokens=8_000))
    assert transcript.response({})["usage"]["cacheWriteInputTokens"] == 8_000
