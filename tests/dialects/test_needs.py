"""The abilities that a request needs from a model, in Converse's form and in the forms of the model families."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws_bedrock_inference.call import Estimate
from aws_bedrock_inference.dialects.needs import needs
from aws_bedrock_inference.knowledge.abilities import Need

COST = Estimate(input_tokens=70, output_tokens=400)
PNG = {"format": "png", "source": {"bytes": b"png"}}
TOOL = {"toolSpec": {"name": "weather", "inputSchema": {"json": {"type": "object"}}}}
SECRET = "the marmot is under the third stone"


def asked(*blocks: Any, **more: Any) -> dict[str, Any]:
    return {"modelId": "us.amazon.nova-lite-v1:0", "messages": [{"role": "user", "content": list(blocks)}], **more}


def native(body: Any, model: str = "zz.model-v1:0", **more: Any) -> dict[str, Any]:
    return {"modelId": model, "body": json.dumps(body), **more}


CONVERSE = [
    (asked({"text": "Hi"}), ""),
    (asked({"text": "Hi"}, system=[{"text": "Be brief."}]), "system"),
    (asked({"text": "Hi"}, system=[]), ""),
    (asked({"image": PNG}), "image"),
    (asked({"document": {"name": "a", "format": "pdf", "source": {"bytes": b"%PDF"}}}), "document"),
    (asked({"video": {"format": "mp4", "source": {"s3Location": {"uri": "s3://films/a.mp4"}}}}), "video s3"),
    (asked({"audio": {"format": "mp3", "source": {"bytes": b"mp3"}}}), "audio"),
    (asked({"text": "Hi"}, {"cachePoint": {"type": "default"}}), "cache"),
    (asked({"text": "Hi"}, system=[{"text": "Be brief."}, {"cachePoint": {"type": "default"}}]), "system cache"),
    (asked({"text": "Hi"}, toolConfig={"tools": [TOOL]}), "tools"),
    (asked({"text": "Hi"}, toolConfig={"tools": [TOOL, {"cachePoint": {"type": "default"}}]}), "tools cache"),
    (asked({"text": "Hi"}, toolConfig={"tools": [TOOL], "toolChoice": {"auto": {}}}), "tools"),
    (asked({"text": "Hi"}, toolConfig={"tools": [TOOL], "toolChoice": {"any": {}}}), "tools choice_any"),
    (
        asked({"text": "Hi"}, toolConfig={"tools": [TOOL], "toolChoice": {"tool": {"name": "weather"}}}),
        "tools choice_tool",
    ),
    (
        asked({"text": "Hi"}, toolConfig={"tools": [{"toolSpec": {**TOOL["toolSpec"], "strict": True}}]}),
        "tools strict_tools",
    ),
    (asked({"toolResult": {"toolUseId": "t", "content": [{"text": "sunny"}]}}), "tools"),
    (asked({"toolResult": {"toolUseId": "t", "content": [{"image": PNG}]}}), "tools image image_in_result"),
    (asked({"image": PNG}, {"toolResult": {"toolUseId": "t", "content": [{"json": {"image": 1}}]}}), "image tools"),
    (asked({"toolUse": {"toolUseId": "t", "name": "n", "input": {"document": {"video": [1]}}}}), "tools"),
    (asked({"text": "Hi"}, outputConfig={"textFormat": {"type": "json_schema", "structure": {}}}), "schema"),
    (asked({"text": "Hi"}, outputConfig={"effort": "low"}), "effort"),
    (asked({"text": "Hi"}, outputConfig={"effort": "max"}), "effort effort_above_high"),
    (asked({"text": "Hi"}, inferenceConfig={"maxTokens": 400, "temperature": 1, "stopSequences": ["."]}), ""),
    (asked({"text": "Hi"}, inferenceConfig={"temperature": 0}), "sampling"),
    (asked({"text": "Hi"}, inferenceConfig={"temperature": 1, "topP": 1}), "two_samplings"),
    (asked({"text": "Hi"}, additionalModelRequestFields={"inferenceConfig": {"topK": 5}}), ""),
    (asked({"text": "Hi"}, additionalModelRequestFields={"top_k": 5}), "fields"),
    (asked({"text": "Hi"}, additionalModelRequestFields={"reasoningConfig": {"type": "enabled"}}), "other_reasoning"),
    (asked({"reasoningContent": {"reasoningText": {"text": "So"}}}), "unsigned_reasoning"),
    (asked({"reasoningContent": {"reasoningText": {"text": "So", "signature": "s"}}}), ""),
    (asked({"reasoningContent": {"redactedContent": b"?"}}), ""),
    (
        asked({"text": "Hi"}, additionalModelRequestFields={"thinking": {"type": "adaptive"}}),
        "fields adaptive_thinking",
    ),
    (
        asked({"text": "Hi"}, additionalModelRequestFields={"thinking": {"type": "enabled", "budget_tokens": 2000}}),
        "fields thinking_budget",
    ),
    (asked({"text": "Hi"}, additionalModelRequestFields={"thinking": {"type": "disabled"}}), "fields no_thinking"),
    (
        asked({"text": "Hi"}, additionalModelRequestFields={"output_config": {"effort": "xhigh"}}),
        "fields effort effort_above_high",
    ),
    (asked({"text": "Hi"}, guardrailConfig={"guardrailIdentifier": "gr1", "guardrailVersion": "1"}), "guardrail"),
    (asked({"text": "Hi"}, projectIdentifier="proj_1"), "project"),
    (asked({"text": "Hi"}, projectIdentifier="default"), ""),
    ({"modelId": "arn:aws:bedrock:us-east-1:123456789012:prompt/P12345:1", "promptVariables": {}}, "prompt"),
]


@pytest.mark.parametrize(("params", "expected"), CONVERSE)
def test_a_request_to_converse_needs_the_abilities_that_it_uses(params: dict[str, Any], expected: str) -> None:
    assert needs("converse", params, COST).uses == {Need.CONVERSE, *map(Need, expected.split())}


USER = {"role": "user", "content": "Hi"}
NATIVE = [
    ({"messages": [USER], "max_tokens": 9, "anthropic_version": "bedrock-2023-05-31"}, "", "claude"),
    ({"messages": [USER], "anthropic_version": "b", "system": "Be brief."}, "system", "claude"),
    (
        {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "base64", "data": "aa"}}]}]},
        "image",
        "",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi", "cache_control": {"type": "x"}}]}]},
        "cache",
        "",
    ),
    (
        {
            "messages": [
                {"role": "user", "content": [{"type": "tool_result", "content": [{"type": "image", "source": {}}]}]}
            ],
            "tools": [{"name": "weather", "input_schema": {}, "strict": True}],
            "tool_choice": {"type": "tool", "name": "weather"},
        },
        "tools strict_tools choice_tool image image_in_result",
        "",
    ),
    ({"messages": [USER], "output_config": {"format": {"type": "json_schema"}, "effort": "high"}}, "schema effort", ""),
    ({"messages": [USER], "thinking": {"type": "enabled", "budget_tokens": 1024}}, "thinking_budget", ""),
    ({"messages": [USER, {"role": "assistant", "content": "It is"}]}, "prefill", ""),
    (
        {
            "messages": [{"role": "user", "content": [{"image": PNG | {"source": {"bytes": "aa"}}}]}],
            "inferenceConfig": {"temperature": 0.1},
        },
        "image sampling",
        "nova",
    ),
    (
        {"messages": [{"role": "developer", "content": "Be brief."}, USER], "response_format": {"type": "json_schema"}},
        "system schema",
        "openai",
    ),
    (
        {"messages": [USER], "tools": [{"type": "function", "function": {"strict": True}}], "tool_choice": "required"},
        "tools strict_tools choice_any",
        "",
    ),
    (
        {"messages": [USER], "reasoning_effort": "low", "temperature": 0.5, "top_p": 0.5},
        "effort sampling two_samplings",
        "openai",
    ),
    ({"messages": [{"role": "user", "content": [{"type": "thinking", "thinking": "So"}]}]}, "unsigned_reasoning", ""),
    ({"messages": [{"role": "user", "content": [{"type": "thinking", "thinking": "So", "signature": "s"}]}]}, "", ""),
    ({"messages": [USER], "store": True}, "store", ""),
    ({"messages": [USER], "store": False}, "", ""),
    ({"input": "Hi"}, "store", ""),
    ({"input": "Hi", "store": False, "previous_response_id": "resp_1"}, "stored_response", "openai"),
    (
        {
            "input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}],
            "instructions": "Be brief.",
            "reasoning": {"effort": "max"},
            "text": {"format": {"type": "json_schema"}},
            "store": False,
        },
        "document system effort effort_above_high schema",
        "",
    ),
    ({"prompt": "Hi", "max_gen_len": 9}, "", "llama"),
    ({"inputText": "Hi", "textGenerationConfig": {}}, "", "titan"),
    (["no", "object"], "", ""),
]


@pytest.mark.parametrize(("body", "expected", "form"), NATIVE)
def test_a_native_body_needs_the_abilities_that_it_uses_in_its_dialect(body: Any, expected: str, form: str) -> None:
    found = needs("invoke_model", native(body), COST)
    assert found.uses == set(map(Need, expected.split()))
    assert found.form == form


def test_an_ambiguous_body_has_the_dialect_of_its_model() -> None:
    body = {"messages": [USER]}
    assert needs("invoke_model", native(body, "us.anthropic.claude-haiku-4-5-20251001-v1:0"), COST).form == "claude"
    assert (
        needs("invoke_model", native(body, "arn:aws:bedrock:us-east-1:123456789012:imported-model/a"), COST).form == ""
    )


@pytest.mark.parametrize("body", [b"\xff", "no json", "[" * 100_000, b"", None, 7])
def test_a_body_that_is_not_json_has_no_known_needs(body: Any) -> None:
    assert needs("invoke_model", {"modelId": "m", "body": body}, COST).uses == set()


def test_a_guardrail_in_the_parameters_of_invoke_model_is_a_need() -> None:
    assert needs("invoke_model", native({}, guardrailIdentifier="gr1"), COST).uses == {Need.GUARDRAIL}


def test_a_stream_and_a_stream_with_tools_are_separate_needs() -> None:
    assert needs("converse_stream", asked({"text": "Hi"}), COST).uses == {Need.CONVERSE, Need.STREAM}
    tools = asked({"text": "Hi"}, toolConfig={"tools": [TOOL]})
    assert needs("converse_stream", tools, COST).uses == {Need.CONVERSE, Need.STREAM, Need.TOOLS, Need.STREAMED_TOOLS}
    assert Need.STREAM in needs("invoke_model_with_response_stream", native({}), COST).uses


@pytest.mark.parametrize(
    ("params", "tier"),
    [
        (asked(serviceTier={"type": "flex"}), "flex"),
        (native({}, serviceTier="priority"), "priority"),
        (asked(serviceTier={"type": SECRET}), ""),
        (asked(), ""),
    ],
)
def test_the_service_tier_is_a_need(params: dict[str, Any], tier: str) -> None:
    assert needs("converse", params, COST).tier == tier


def test_the_needed_tokens_are_those_of_the_estimate() -> None:
    found = needs("converse", asked(), COST)
    assert (found.input_tokens, found.max_tokens) == (70, 400)
    assert needs("converse", asked(), Estimate(output_tokens=128_000, unbounded=True)).max_tokens is None
    assert needs("count_tokens", {"input": {"converse": asked()}}, Estimate(metered=False)).max_tokens is None


def test_parameters_may_be_any_mapping() -> None:
    params = MappingProxyType(asked({"image": PNG}))
    assert Need.IMAGE in needs("converse", params, COST).uses


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.just(SECRET),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["type", "content", "image", "source", "role", "toolResult", "tools", "thinking", SECRET]),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip
MEMBERS = (
    "messages system tools toolConfig tool_choice input thinking output_config outputConfig reasoning text store",
    "response_format inferenceConfig additionalModelRequestFields serviceTier guardrailConfig temperature modelId",
)


@given(
    st.dictionaries(st.sampled_from(" ".join(MEMBERS).split()), JSON, max_size=6),
    st.sampled_from(["converse", "converse_stream", "invoke_model"]),
)
def test_the_needs_contain_no_text_of_the_request(request: dict[str, Any], operation: str) -> None:
    params = {"modelId": "m", "body": json.dumps(request)} if operation == "invoke_model" else request
    found = needs(operation, params, COST)
    assert SECRET not in repr(found)
    assert all(isinstance(need, Need) for need in found.uses)
