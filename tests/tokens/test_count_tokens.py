from __future__ import annotations

import json
from typing import Any

import pytest
from support.doubles import session

from aws_bedrock_inference import BedrockClient
from aws_bedrock_inference.testing import simulator
from aws_bedrock_inference.tokens.count_tokens import count_request, exactly
from aws_bedrock_inference.tokens.estimate import estimate

MODEL = "amazon.nova-lite-v1:0"
CONVERSE: dict[str, Any] = {
    "modelId": "us." + MODEL,
    "messages": [{"role": "user", "content": [{"text": "Why is the sky blue?"}]}],
    "system": [{"text": "Be brief."}],
    "toolConfig": {"tools": []},
    "inferenceConfig": {"maxTokens": 9},
    "requestMetadata": {"team": "x"},
}


@pytest.mark.parametrize("operation", ["converse", "converse_stream"])
def test_converse_is_counted_by_its_input_on_the_foundation_model(operation: str) -> None:
    assert count_request(operation, CONVERSE) == {
        "modelId": MODEL,
        "input": {"converse": {name: CONVERSE[name] for name in ("messages", "system", "toolConfig")}},
    }


@pytest.mark.parametrize("operation", ["invoke_model", "invoke_model_with_response_stream"])
@pytest.mark.parametrize("body", ['{"a": "ü"}', '{"a": "ü"}'.encode(), bytearray('{"a": "ü"}'.encode())])
def test_a_native_body_is_counted_unchanged(operation: str, body: Any) -> None:
    request = count_request(operation, {"modelId": MODEL, "body": body, "accept": "application/json"})
    assert request == {"modelId": MODEL, "input": {"invokeModel": {"body": '{"a": "ü"}'.encode()}}}


@pytest.mark.parametrize(
    ("model", "counted"),
    [
        ("global." + MODEL, MODEL),
        (f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.{MODEL}", MODEL),
        (f"arn:aws:bedrock:us-east-1::foundation-model/{MODEL}", MODEL),
        (
            "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc",
            "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc",
        ),
    ],
)
def test_a_profile_is_replaced_by_the_model_that_it_names(model: str, counted: str) -> None:
    assert count_request("converse", {**CONVERSE, "modelId": model})["modelId"] == counted


@pytest.mark.parametrize(
    ("operation", "params", "problem"),
    [
        ("apply_guardrail", CONVERSE, "apply_guardrail"),
        ("converse", {"messages": []}, "no modelId"),
        ("invoke_model", {"modelId": MODEL}, "body is NoneType"),
        ("invoke_model", {"modelId": MODEL, "body": object()}, "bytes or str"),
    ],
)
def test_a_request_that_cannot_be_counted_is_refused_with_the_reason(
    operation: str, params: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        count_request(operation, params)


@pytest.mark.parametrize("operation", ["converse", "invoke_model"])
def test_the_service_counts_what_it_would_charge(operation: str) -> None:
    model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
    params: dict[str, Any] = {"modelId": model, "messages": CONVERSE["messages"], "inferenceConfig": {"maxTokens": 9}}
    if operation == "invoke_model":
        messages = [{"role": "user", "content": "Why is the sky blue?"}]
        body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": messages}
        params = {"modelId": model, "body": json.dumps(body)}
    with (
        simulator(answers={"tokens": 5}) as running,
        BedrockClient(model, session=session(), endpoint_url=running.url) as client,
    ):
        counted = client.count_tokens(**count_request(operation, params))["inputTokens"]
        guess = exactly(estimate(operation, params, model), counted)
        assert guess.input_tokens == counted > 0
        assert guess.reservation == counted + 9
        if operation == "converse":
            assert client.converse(**params)["usage"]["inputTokens"] == counted


def test_a_negative_count_is_ignored() -> None:
    with pytest.raises(ValueError, match="input_tokens=-1"):
        exactly(estimate("converse", CONVERSE, MODEL), -1)
