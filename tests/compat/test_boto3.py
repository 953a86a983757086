"""boto3, unmodified, against the simulator."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EventStreamError
from support.agents import CITY, QUESTION, Order

HAIKU = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
NOVA = "amazon.nova-lite-v1:0"
MESSAGES: Any = [{"role": "user", "content": [{"text": "Why is the sky blue?"}]}]
BODY = json.dumps(
    {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 30,
        "messages": [{"role": "user", "content": "Why is the sky blue?"}],
    }
)


@pytest.fixture
def client(endpoint: Any) -> Any:
    client = boto3.client("bedrock-runtime")
    yield client
    client.close()


@pytest.mark.parametrize("model", [HAIKU, NOVA, f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/{HAIKU}"])
def test_converse_and_converse_stream_have_the_same_answer(client: Any, model: Any) -> None:
    whole = client.converse(modelId=model, messages=MESSAGES)
    text = whole["output"]["message"]["content"][0]["text"]
    events = list(client.converse_stream(modelId=model, messages=MESSAGES)["stream"])
    deltas = [event["contentBlockDelta"]["delta"]["text"] for event in events if "contentBlockDelta" in event]
    assert "".join(deltas) == text
    cache = {"cacheReadInputTokens", "cacheWriteInputTokens"}  # left out of streams where nothing is cached
    assert events[-1]["metadata"]["usage"] == {k: v for k, v in whole["usage"].items() if k not in cache}
    assert next(event for event in events if "messageStop" in event)["messageStop"]["stopReason"] == whole["stopReason"]


def test_invoke_model_and_its_stream_have_the_same_answer(client: Any) -> None:
    whole = json.loads(client.invoke_model(modelId=HAIKU, body=BODY)["body"].read())
    stream = client.invoke_model_with_response_stream(modelId=HAIKU, body=BODY)["body"]
    chunks = [json.loads(event["chunk"]["bytes"]) for event in stream]
    text = "".join(chunk["delta"].get("text", "") for chunk in chunks if chunk["type"] == "content_block_delta")
    assert text == whole["content"][0]["text"]
    assert chunks[-1]["amazon-bedrock-invocationMetrics"]["outputTokenCount"] == whole["usage"]["output_tokens"] == 30
    assert whole["stop_reason"] == "max_tokens"


def test_images_and_documents_are_accepted(client: Any) -> None:
    content: Any = [
        {"text": "What is this?"},
        {"image": {"format": "png", "source": {"bytes": b"\x89PNG"}}},
        {"document": {"format": "pdf", "name": "doc", "source": {"bytes": b"%PDF"}}},
    ]
    answer = client.converse(modelId=NOVA, messages=[{"role": "user", "content": content}])
    assert answer["usage"]["inputTokens"] > 3000


def test_count_tokens_returns_the_input_tokens(client: Any) -> None:
    base = HAIKU.removeprefix("us.")
    assert client.count_tokens(modelId=base, input={"converse": {"messages": MESSAGES}})["inputTokens"] == 5
    assert client.count_tokens(modelId=base, input={"invokeModel": {"body": BODY}})["inputTokens"] == 5
    with pytest.raises(client.exceptions.ValidationException, match="doesn't support counting tokens"):
        client.count_tokens(modelId=HAIKU, input={"invokeModel": {"body": BODY}})


def test_errors_are_the_modelled_exceptions(client: Any, endpoint: Any, signing: Any) -> None:
    with pytest.raises(client.exceptions.ValidationException) as invalid:
        client.converse(modelId="nobody.knows", messages=MESSAGES)
    assert invalid.value.response["Error"]["Message"] == "The provided model identifier is invalid."
    assert invalid.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert len(invalid.value.response["ResponseMetadata"]["RequestId"]) == 36
    for code in (
        "ThrottlingException",
        "ServiceUnavailableException",
        "ModelTimeoutException",
        "ModelNotReadyException",
    ):
        endpoint.scenario(faults=[{"kind": "error", "code": code}], **signing)
        with pytest.raises(getattr(client.exceptions, code)):
            client.converse(modelId=NOVA, messages=MESSAGES)


def test_an_exception_in_a_stream_is_an_event_stream_error(client: Any, endpoint: Any, signing: Any) -> None:
    endpoint.scenario(faults=[{"kind": "exception", "code": "throttlingException", "after": 3}], **signing)
    seen = []
    with pytest.raises(EventStreamError) as broken:
        seen.extend(iter(client.converse_stream(modelId=NOVA, messages=MESSAGES)["stream"]))
    assert broken.value.response["Error"]["Code"] == "throttlingException"


def test_a_wrong_secret_is_refused(endpoint: Any) -> None:
    client = boto3.client("bedrock-runtime", aws_secret_access_key="wrong", aws_access_key_id="AKIDSIMULATOR")
    with pytest.raises(ClientError) as denied:
        client.converse(modelId=NOVA, messages=MESSAGES)
    client.close()
    assert denied.value.response["Error"]["Code"] == "InvalidSignatureException"


def tools(**schemas: Any) -> Any:
    return {
        "tools": [{"toolSpec": {"name": name, "inputSchema": {"json": schema}}} for name, schema in schemas.items()]
    }


def test_a_tool_with_a_nested_schema_is_called(client: Any) -> None:
    config = {**tools(book=Order.model_json_schema()), "toolChoice": {"tool": {"name": "book"}}}
    answer = client.converse(modelId=HAIKU, messages=MESSAGES, toolConfig=config)
    Order.model_validate(answer["output"]["message"]["content"][0]["toolUse"]["input"])


def test_an_agent_with_two_tools_completes(client: Any) -> None:
    messages: Any = [{"role": "user", "content": [{"text": QUESTION}]}]
    used = []
    while True:
        answer = client.converse(modelId=HAIKU, messages=messages, toolConfig=tools(weather=CITY, clock=CITY))
        messages.append(answer["output"]["message"])
        if answer["stopReason"] != "tool_use":
            break
        use = answer["output"]["message"]["content"][0]["toolUse"]
        used.append(use["name"])
        result = {"toolUseId": use["toolUseId"], "content": [{"text": "ok"}]}
        messages.append({"role": "user", "content": [{"toolResult": result}]})
    assert used == ["clock", "weather"]


def test_an_answer_in_json_matches_its_schema(client: Any) -> None:
    schema = {"jsonSchema": {"name": "order", "schema": json.dumps(Order.model_json_schema())}}
    config = {"textFormat": {"type": "json_schema", "structure": schema}}
    answer = client.converse(modelId=HAIKU, messages=MESSAGES, outputConfig=config)
    Order.model_validate_json(answer["output"]["message"]["content"][0]["text"])


def test_an_answer_contains_reasoning_and_citations(client: Any) -> None:
    document = {"name": "Report", "format": "txt", "source": {"text": "Blue light is scattered."}}
    messages: Any = [
        {
            "role": "user",
            "content": [{"document": {**document, "citations": {"enabled": True}}}, MESSAGES[0]["content"][0]],
        }
    ]
    request: Any = {
        "modelId": HAIKU,
        "messages": messages,
        "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1024}},
    }
    reasoning, cited = client.converse(**request)["output"]["message"]["content"]
    assert reasoning["reasoningContent"]["reasoningText"]["signature"]
    assert cited["citationsContent"]["citations"][0]["sourceContent"] == [{"text": "Blue light is scattered."}]
    kinds = {
        key
        for event in client.converse_stream(**request)["stream"]
        for key in event.get("contentBlockDelta", {}).get("delta", {})
    }
    assert kinds == {"reasoningContent", "text", "citation"}


def test_an_embedding_is_returned(client: Any) -> None:
    answer = client.invoke_model(modelId="amazon.titan-embed-text-v2:0", body=json.dumps({"inputText": "hello"}))
    assert len(json.loads(answer["body"].read())["embedding"]) == 1024
