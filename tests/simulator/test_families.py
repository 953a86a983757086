"""The bodies of InvokeModel, family by family, read with boto3 from a real socket."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import TYPE_CHECKING, Any

import pytest
from support.doubles import session
from support.simulated_account import Account

if TYPE_CHECKING:
    from collections.abc import Callable

SAID = "Why is the sky blue?"
CHAT = {"messages": [{"role": "user", "content": SAID}], "max_tokens": 40}
TEXT = {"prompt": SAID, "max_tokens": 40}
MESSAGES = [{"role": "user", "content": [{"text": SAID}]}]


def first(*path: Any) -> Callable[[dict[str, Any]], str]:
    """Return a reader of the text at that place; empty if it has none."""

    def read(body: Any) -> str:
        for key in path:
            try:
                body = body[key]
            except (KeyError, IndexError):
                return ""
        return body or ""

    return read


# Model, request, place of the text in the answer, place of the text in each chunk, and the stop reason.
FAMILIES: dict[str, tuple[str, dict[str, Any], Any, Any, Any]] = {
    "Llama": (
        "us.meta.llama3-3-70b-instruct-v1:0",
        {"prompt": SAID, "max_gen_len": 40},
        first("generation"),
        first("generation"),
        first("stop_reason"),
    ),
    "Mistral 7B": (
        "mistral.mistral-7b-instruct-v0:2",
        TEXT,
        first("outputs", 0, "text"),
        first("outputs", 0, "text"),
        first("outputs", 0, "stop_reason"),
    ),
    "Mistral Large": (
        "mistral.mistral-large-2407-v1:0",
        CHAT,
        first("choices", 0, "message", "content"),
        first("choices", 0, "message", "content"),
        first("choices", 0, "stop_reason"),
    ),
    "Cohere Command": (
        "cohere.command-text-v14",
        TEXT,
        first("generations", 0, "text"),
        first("text"),
        first("generations", 0, "finish_reason"),
    ),
    "Cohere Command R": (
        "cohere.command-r-plus-v1:0",
        {"message": SAID, "max_tokens": 40},
        first("text"),
        first("text"),
        first("finish_reason"),
    ),
    "DeepSeek R1": (
        "us.deepseek.r1-v1:0",
        TEXT,
        first("choices", 0, "text"),
        first("choices", 0, "text"),
        first("choices", 0, "stop_reason"),
    ),
    "DeepSeek V3": (
        "deepseek.v3-v1:0",
        CHAT,
        first("choices", 0, "message", "content"),
        first("choices", 0, "delta", "content"),
        first("choices", 0, "finish_reason"),
    ),
    "OpenAI": (
        "openai.gpt-oss-120b-1:0",
        {"messages": CHAT["messages"], "max_completion_tokens": 40},
        first("choices", 0, "message", "content"),
        first("choices", 0, "delta", "content"),
        first("choices", 0, "finish_reason"),
    ),
    "Qwen": (
        "qwen.qwen3-32b-v1:0",
        CHAT,
        first("choices", 0, "message", "content"),
        first("choices", 0, "delta", "content"),
        first("choices", 0, "finish_reason"),
    ),
    "Claude 2": (
        "anthropic.claude-v2:1",
        {"prompt": f"\n\nHuman: {SAID}\n\nAssistant:", "max_tokens_to_sample": 40},
        first("completion"),
        first("completion"),
        first("stop_reason"),
    ),
}


@pytest.fixture
def runtime(bedrock_simulator: Any) -> Any:
    client = session().client("bedrock-runtime", endpoint_url=bedrock_simulator.url)
    yield client
    client.close()


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_answers_in_its_own_format_with_and_without_a_stream(runtime: Any, family: str) -> None:
    model, request, text, piece, reason = FAMILIES[family]
    got = runtime.invoke_model(modelId=model, body=json.dumps(request))
    whole = json.loads(got["body"].read())
    stream = runtime.invoke_model_with_response_stream(modelId=model, body=json.dumps(request))["body"]
    chunks = [json.loads(event["chunk"]["bytes"]) for event in stream]
    assert "".join(map(piece, chunks)) == text(whole)
    assert len(text(whole)) >= 160
    assert reason(whole).lower() in {"length", "max_tokens"}
    headers = got["ResponseMetadata"]["HTTPHeaders"]
    metrics = chunks[-1]["amazon-bedrock-invocationMetrics"]
    assert int(headers["x-amzn-bedrock-output-token-count"]) == 40 == metrics["outputTokenCount"]
    assert int(headers["x-amzn-bedrock-input-token-count"]) == metrics["inputTokenCount"] > 0
    assert all("amazon-bedrock-invocationMetrics" not in chunk for chunk in chunks[:-1])


def test_an_arn_without_a_model_name_is_answered_in_the_format_of_its_request(runtime: Any) -> None:
    arn = "arn:aws:bedrock:us-east-1:123456789012:imported-model/abcdefghijkl"
    for body, key in ((TEXT, "choices"), ({"prompt": "a", "max_gen_len": 9}, "generation"), (CHAT, "choices")):
        assert key in json.loads(runtime.invoke_model(modelId=arn, body=json.dumps(body))["body"].read())


def test_a_forced_function_is_called_with_arguments_that_match_its_schema(runtime: Any) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tools = [{"type": "function", "function": {"name": "weather", "parameters": schema}}]
    choice = {"type": "function", "function": {"name": "weather"}}
    body = json.dumps({**CHAT, "max_tokens": 400, "tools": tools, "tool_choice": choice})
    answered = json.loads(runtime.invoke_model(modelId="openai.gpt-oss-20b-1:0", body=body)["body"].read())
    said = answered["choices"][0]
    assert said["finish_reason"] == "tool_calls"
    called = said["message"]["tool_calls"][0]["function"]
    assert (called["name"], list(json.loads(called["arguments"]))) == ("weather", ["city"])


def test_a_stream_of_a_model_without_streaming_is_refused() -> None:
    got = Account().post("/model/ai21.j2-mid-v1/invoke-with-response-stream", {"prompt": "a"})
    assert got.error == (400, "ValidationException", "The model is unsupported for streaming.")


@pytest.mark.parametrize(
    ("model", "key"), [("meta.llama3-8b-instruct-v1:0", "prompt"), ("openai.gpt-oss-20b-1:0", "messages")]
)
def test_a_body_of_another_family_is_refused_with_the_missing_key(model: str, key: str) -> None:
    message = Account().post(f"/model/{model}/invoke", {"inputText": "a"}).error[2]
    assert (
        message
        == f"Malformed input request: #: required key [{key}] not found, please reformat your input and try again."
    )


def test_a_stream_of_llama_counts_its_tokens() -> None:
    got = Account().post("/model/meta.llama3-8b-instruct-v1:0/invoke-with-response-stream", FAMILIES["Llama"][1])
    chunks = [json.loads(b64decode(event["bytes"])) for _, event in got.events]
    written = [chunk["generation_token_count"] for chunk in chunks]
    assert written == sorted(set(written))
    assert written[-1] == 40
    assert [chunk["prompt_token_count"] for chunk in chunks] == [5] + [None] * (len(chunks) - 1)
    assert [chunk["stop_reason"] for chunk in chunks] == [None] * (len(chunks) - 1) + ["length"]


def test_a_stream_of_nova_has_a_separate_block_for_each_delta(runtime: Any) -> None:
    stream = runtime.invoke_model_with_response_stream(
        modelId="amazon.nova-lite-v1:0", body=json.dumps({"messages": MESSAGES, "inferenceConfig": {"maxTokens": 9}})
    )["body"]
    events = [json.loads(event["chunk"]["bytes"]) for event in stream]
    deltas = [event["contentBlockDelta"]["contentBlockIndex"] for event in events if "contentBlockDelta" in event]
    stops = [event["contentBlockStop"]["contentBlockIndex"] for event in events if "contentBlockStop" in event]
    assert deltas == stops == [0, 1]
    assert events[-1]["metadata"] == {
        "usage": {
            "inputTokens": 5,
            "outputTokens": 9,
            "cacheReadInputTokenCount": 0,
            "cacheWriteInputTokenCount": 0,
        },
        "metrics": {},
        "trace": {},
    }
    assert events[-1]["amazon-bedrock-invocationMetrics"]["outputTokenCount"] == 9


def test_a_stream_of_titan_is_one_chunk(runtime: Any) -> None:
    stream = runtime.invoke_model_with_response_stream(
        modelId="amazon.titan-text-express-v1", body=json.dumps({"inputText": SAID})
    )["body"]
    (chunk,) = [json.loads(event["chunk"]["bytes"]) for event in stream]
    assert chunk["completionReason"] == "FINISH"
    assert chunk["totalOutputTextTokenCount"] == chunk["amazon-bedrock-invocationMetrics"]["outputTokenCount"]


@pytest.mark.parametrize(
    ("model", "name", "cached"),
    [
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4-5-20251001", True),
        ("us.anthropic.claude-opus-4-8", "claude-opus-4-8", True),
        ("anthropic.claude-3-haiku-20240307-v1:0", "claude-3-haiku-20240307", False),
        ("anthropic.claude-v2", "claude-2.0", False),
    ],
)
def test_a_claude_answer_contains_its_own_model_name(runtime: Any, model: str, name: str, cached: Any) -> None:
    body = {**CHAT, "anthropic_version": "bedrock-2023-05-31"}
    answered = json.loads(runtime.invoke_model(modelId=model, body=json.dumps(body))["body"].read())
    assert answered["model"] == name
    written = {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}
    assert answered["usage"].get("cache_creation") == (written if cached else None)
