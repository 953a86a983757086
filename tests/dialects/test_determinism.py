"""Deterministic requests: an earlier answer is as good as a new one."""

from __future__ import annotations

from typing import Any

import pytest

from aws_bedrock_inference.dialects.determinism import is_deterministic
from aws_bedrock_inference.dialects.usage import is_complete

CHAT = "anthropic.claude-sonnet-4-5-20250929-v1:0"
SEARCH = {"type": "web_search_20250305", "name": "web_search"}
OWN = {"name": "clock", "input_schema": {"type": "object"}}


@pytest.mark.parametrize(
    "request_body",
    [
        {"inferenceConfig": {"temperature": 0}},
        {"inferenceConfig": {"temperature": 0.0, "topP": 0.9}},
        {"additionalModelRequestFields": {"top_k": 1}},
        {"additionalModelRequestFields": {"inferenceConfig": {"topK": 1}}, "inferenceConfig": {"maxTokens": 9}},
        {"temperature": 0, "messages": [], "tools": [OWN, {"type": "custom", **OWN}]},
        {"textGenerationConfig": {"temperature": 0}},
        {"k": 1, "message": "hi"},
        {"temperature": 0, "toolConfig": {"tools": [{"toolSpec": {"name": "clock"}}]}},
    ],
)
def test_a_request_without_randomness_is_deterministic(request_body: Any) -> None:
    assert is_deterministic(request_body, CHAT)


@pytest.mark.parametrize(
    "request_body",
    [
        {},
        {"inferenceConfig": {}},
        {"inferenceConfig": {"temperature": None}},
        {"inferenceConfig": {"temperature": 0.01}},
        {"inferenceConfig": {"topP": 0.1}},
        {"inferenceConfig": {"temperature": 0}, "additionalModelRequestFields": {"temperature": 1}},
        {"top_k": 1, "temperature": 1},
        {"top_k": 2},
        {"temperature": 0, "toolConfig": {"tools": [{"systemTool": {"name": "nova_grounding"}}]}},
        {"temperature": 0, "tools": [OWN, SEARCH]},
        {"inferenceConfig": {"temperature": 0}, "additionalModelRequestFields": {"tools": [SEARCH]}},
        {"temperature": 0, "mcp_servers": [{"url": "https://tools.example"}]},
        {"temperature": "0"},
        "text",
        None,
        [],
    ],
)
def test_a_request_with_randomness_is_not_deterministic(request_body: Any) -> None:
    assert not is_deterministic(request_body, CHAT)


@pytest.mark.parametrize(
    ("model", "computes"),
    [
        ("amazon.titan-embed-text-v2:0", True),
        ("amazon.titan-embed-image-v1", True),
        ("amazon.nova-2-multimodal-embeddings-v1:0", True),
        ("cohere.embed-multilingual-v3", True),
        ("cohere.rerank-v3-5:0", True),
        ("twelvelabs.marengo-embed-2-7-v1:0", True),
        ("amazon.titan-text-express-v1", False),
        ("stability.embedded-v1", False),
        ("unknown-model", False),
    ],
)
def test_embedding_and_ranking_models_are_deterministic(model: str, computes: Any) -> None:
    assert is_deterministic({"inputText": "blue"}, model) is computes


@pytest.mark.parametrize(
    ("body", "complete"),
    [
        ({"stopReason": "end_turn"}, True),
        ({"stopReason": "tool_use"}, True),
        ({"stop_reason": "refusal"}, False),
        ({"stopReason": "malformed_tool_use"}, False),
        ({"stopReason": "model_context_window_exceeded"}, False),
        ({"stopReason": 7}, False),
        ({"results": [{"completionReason": "FINISH"}, {"completionReason": "LENGTH"}]}, False),
        ({"choices": [{"finish_reason": "stop"}]}, True),
        ({"choices": [{"finish_reason": "content_filter"}]}, False),
        ({"generations": [{"finish_reason": "COMPLETE"}]}, True),
        ({"stop_reason": "end_turn", "amazon-bedrock-guardrailAction": "INTERVENED"}, False),
        ({"stop_reason": "end_turn", "amazon-bedrock-guardrailAction": "NONE"}, True),
        ({"images": [], "error": "This request has been blocked"}, False),
        ({"images": ["x"], "finish_reasons": ["Filter reason: prompt"]}, False),
        ({"images": ["x"], "finish_reasons": [None]}, None),
        ({"embedding": [0.5]}, None),
        ({}, None),
    ],
)
def test_an_answer_is_complete_only_if_every_stop_reason_is_a_normal_end(body: Any, complete: Any) -> None:
    assert is_complete(body, needs_reason=True) is bool(complete)
    assert is_complete(body, needs_reason=False) is (complete is not False)
