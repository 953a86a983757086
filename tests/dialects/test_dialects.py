"""The request and answer bodies of each model family, as the Bedrock user guide shows them, and how they are read."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

import aws_bedrock_inference
from aws_bedrock_inference.call import Usage
from aws_bedrock_inference.dialects import request, usage
from aws_bedrock_inference.dialects.request import is_converse, max_tokens
from aws_bedrock_inference.dialects.usage import (
    FILTERED,
    TRUNCATED,
    stop_reason,
    usage_in_chunk,
    usage_in_headers,
    usage_of,
    usage_of_generation,
)

MESSAGES = [{"role": "user", "content": "Why is the sky blue?"}]
BLOCKS = [{"role": "user", "content": [{"text": "Why is the sky blue?"}]}]
SAID = {"role": "assistant", "content": "Because of"}

ANSWERS: dict[str, tuple[dict[str, Any], Usage | None, str]] = {
    "Converse": (
        {
            "output": {"message": {"role": "assistant", "content": [{"text": "Because of"}]}},
            "stopReason": "max_tokens",
            "usage": {
                "inputTokens": 12,
                "outputTokens": 3,
                "totalTokens": 15,
                "cacheReadInputTokens": 5,
                "cacheWriteInputTokens": 6,
            },
            "metrics": {"latencyMs": 551},
        },
        Usage(12, 3, 5, 6),
        "max_tokens",
    ),
    "Anthropic": (
        {
            "id": "msg_bdrk_01",
            "type": "message",
            "role": "assistant",
            "model": "claude-sonnet-4-5",
            "content": [{"type": "text", "text": "Because of"}],
            "stop_reason": "refusal",
            "stop_sequence": None,
            "usage": {
                "input_tokens": 12,
                "cache_creation_input_tokens": 6,
                "cache_read_input_tokens": 5,
                "output_tokens": 3,
            },
        },
        Usage(12, 3, 5, 6),
        "refusal",
    ),
    "Nova": (
        {
            "output": {"message": {"role": "assistant", "content": [{"text": "Because of"}]}},
            "stopReason": "end_turn",
            "usage": {
                "inputTokens": 12,
                "outputTokens": 3,
                "totalTokens": 15,
                "cacheReadInputTokenCount": 5,
                "cacheWriteInputTokenCount": 6,
            },
        },
        Usage(12, 3, 5, 6),
        "end_turn",
    ),
    "Titan": (
        {
            "inputTextTokenCount": 12,
            "results": [
                {"tokenCount": 2, "outputText": "Because", "completionReason": "LENGTH"},
                {"tokenCount": 1, "outputText": "of", "completionReason": "FINISH"},
            ],
        },
        Usage(12, 3),
        "LENGTH",
    ),
    "Titan, embedding": ({"embedding": [0.1, 0.2], "inputTextTokenCount": 12}, Usage(12, 0), ""),
    "Llama": (
        {
            "generation": "Because of",
            "prompt_token_count": 12,
            "generation_token_count": 3,
            "stop_reason": "length",
        },
        Usage(12, 3),
        "length",
    ),
    "Mistral, text": ({"outputs": [{"text": "Because of", "stop_reason": "length"}]}, None, "length"),
    "Mistral, chat": (
        {"choices": [{"index": 0, "message": SAID, "stop_reason": "stop"}]},
        None,
        "stop",
    ),
    "Cohere Command": (
        {
            "generations": [{"finish_reason": "MAX_TOKENS", "id": "g1", "text": "Because of"}],
            "id": "c1",
            "prompt": "Why is the sky blue?",
        },
        None,
        "MAX_TOKENS",
    ),
    "Cohere Command R": (
        {"response_id": "r1", "text": "Because of", "generation_id": "g1", "finish_reason": "COMPLETE"},
        None,
        "COMPLETE",
    ),
    "AI21 Jamba": (
        {
            "id": "chat-1",
            "choices": [{"index": 0, "message": SAID, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
        },
        Usage(12, 3),
        "stop",
    ),
    "DeepSeek": ({"choices": [{"text": "Because of", "stop_reason": "length"}]}, None, "length"),
    "OpenAI": (
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "choices": [{"index": 0, "message": SAID, "finish_reason": "length"}],
            "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
        },
        Usage(12, 3),
        "length",
    ),
    "short form of a batch": (
        {
            "id": "p1",
            "text": "Because of",
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 12, "output_tokens": 3, "cache_read_tokens": 5, "cache_write_tokens": 6},
        },
        Usage(12, 3, 5, 6),
        "end_turn",
    ),
}

REQUESTS: dict[str, tuple[dict[str, Any], int | None, bool]] = {
    "Converse": ({"messages": BLOCKS, "inferenceConfig": {"maxTokens": 400, "temperature": 0.2}}, 400, True),
    "Converse, unbounded": ({"messages": BLOCKS, "inferenceConfig": {"temperature": 0.2}}, None, True),
    "Anthropic": ({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 400, "messages": MESSAGES}, 400, False),
    "Nova": (
        {"schemaVersion": "messages-v1", "messages": BLOCKS, "inferenceConfig": {"max_new_tokens": 400}},
        400,
        False,
    ),
    "Titan": ({"inputText": "Why?", "textGenerationConfig": {"maxTokenCount": 400, "topP": 0.9}}, 400, False),
    "Llama": ({"prompt": "Why?", "max_gen_len": 400, "temperature": 0.5}, 400, False),
    "Mistral": ({"prompt": "<s>[INST]Why?[/INST]", "max_tokens": 400}, 400, False),
    "Cohere Command R": ({"message": "Why?", "max_tokens": 400}, 400, False),
    "AI21 Jamba": ({"messages": MESSAGES, "max_tokens": 400}, 400, False),
    "AI21 Jurassic": ({"prompt": "Why?", "maxTokens": 400}, 400, False),
    "DeepSeek": ({"prompt": "<|User|>Why?<|Assistant|>", "max_tokens": 400}, 400, False),
    "OpenAI": ({"messages": MESSAGES, "max_completion_tokens": 400}, 400, False),
}


@pytest.mark.parametrize(("body", "tokens", "reason"), ANSWERS.values(), ids=ANSWERS)
def test_the_usage_and_stop_reason_of_an_answer_are_read(body: Any, tokens: Usage | None, reason: str) -> None:
    assert usage_of(body) == tokens
    assert stop_reason(body) == reason


@pytest.mark.parametrize(("body", "tokens", "converse"), REQUESTS.values(), ids=REQUESTS)
def test_the_maximum_and_the_dialect_of_a_request_are_read(body: Any, tokens: int | None, converse: Any) -> None:
    assert max_tokens(body) == tokens
    assert is_converse(body) == converse


def test_an_embedding_has_no_answer_length() -> None:
    for name, (body, tokens, _) in ANSWERS.items():
        assert usage_of_generation(body) == (None if name == "Titan, embedding" else tokens)


@pytest.mark.parametrize("body", [{"usage": {"topicPolicyUnits": 1}}, {"usage": None}, {"inputTokens": 5}, {}])
def test_usage_with_unknown_field_names_is_unknown_and_not_zero(body: dict[str, Any]) -> None:
    """With no usage the full reservation is charged; with zero tokens all of it would be refunded. CountTokens used
    none either."""
    assert usage_of(body) is None


def test_bedrock_reports_usage_for_every_dialect_in_headers_and_in_the_last_chunk() -> None:
    head = {"x-amzn-bedrock-input-token-count": "12", "x-amzn-bedrock-output-token-count": "3"}
    assert usage_in_headers(head) == Usage(12, 3)
    assert usage_in_headers({"content-type": "application/json"}) is None
    metrics = {"inputTokenCount": 12, "outputTokenCount": 3, "cacheReadInputTokenCount": 5}
    assert usage_in_chunk({"type": "message_stop", "amazon-bedrock-invocationMetrics": metrics}) == Usage(12, 3, 5)
    assert usage_in_chunk({"type": "message_start"}) is None


def test_truncated_and_filtered_stop_reasons_are_distinguished() -> None:
    cut = {name for name, (body, _, _) in ANSWERS.items() if stop_reason(body).lower() in TRUNCATED}
    held = {name for name, (body, _, _) in ANSWERS.items() if stop_reason(body).lower() in FILTERED}
    assert cut == {"Converse", "Titan", "Llama", "Mistral, text", "Cohere Command", "DeepSeek", "OpenAI"}
    assert held == {"Anthropic"}


# The simulator shares no code with what it tests, and the demo's other side is a program that knows only boto3. The
# rest are this package's own words where it writes its own lines: options, the short form of a batch, the command's
# JSON, the keys of the table of metrics' names, the kinds of failures that alerts count.
ELSEWHERE = {"simulator/", "cli/demo/plain.py"}
OUR_OWN = {"max_tokens", "stop_reason", "input_tokens", "output_tokens", "usage"}
OUR_OWN |= {"cache_read_tokens", "cache_write_tokens", "refusal"}


def words(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text()))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_each_field_name_occurs_in_one_source_file() -> None:
    root = Path(aws_bedrock_inference.__file__).parent
    spelt = {name for names in usage._COUNTS for name in names} | {*usage._STOP_REASONS, *usage._HEADERS}
    spelt |= {*request._MAXIMUM, *request._SETTINGS, usage._TITAN_INPUT, usage._TITAN_OUTPUT, usage._METRICS}
    spelt |= {*TRUNCATED, *FILTERED}
    again = {
        f"{place}: {word}"
        for path in root.rglob("*.py")
        if not (place := path.relative_to(root).as_posix()).startswith(("dialects/", *ELSEWHERE))
        for word in (words(path) & spelt) - OUR_OWN
    }
    assert not again
    assert len(words(root / "dialects/usage.py") & words(root / "dialects/request.py") & spelt) <= 1  # max_tokens
