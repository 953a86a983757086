"""What the service refuses, in its own words."""

from __future__ import annotations

from typing import Any

import pytest
from support.simulated_account import CLAUDE, HAIKU, NOVA, Account

HELLO = [{"text": "hello"}]
USER = {"role": "user", "content": HELLO}
INVALID = {
    "an assistant first": (
        {"messages": [{"role": "assistant", "content": HELLO}]},
        "A conversation must start with a user message.",
    ),
    "a document alone": (
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"document": {"format": "txt", "name": "a", "source": {"bytes": "aGVsbG8="}}}],
                }
            ]
        },
        "A text block must be included when using documents.",
    ),
    "a line break alone": (
        {"messages": [{"role": "user", "content": [{"text": "\n"}]}]},
        "The text field in the ContentBlock object at messages.0.content.0 is blank.",
    ),
    "blank text": (
        {"messages": [{"role": "user", "content": [{"text": "hi"}, {"text": "  "}]}]},
        "The text field in the ContentBlock object at messages.0.content.1 is blank.",
    ),
    "empty content": (
        {"messages": [{"role": "user", "content": []}]},
        "The content field in the Message object at messages.0 is empty.",
    ),
    "tools without configuration": (
        {
            "messages": [
                USER,
                {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t", "name": "n", "input": {}}}]},
            ]
        },
        "The toolConfig field must be defined when using toolUse and toolResult content blocks.",
    ),
    "an unknown role": (
        {"messages": [{"role": "robot", "content": HELLO}]},
        "Value at '/messages/0/role' failed to satisfy constraint: Member must satisfy enum value set: [user,",
    ),
    "no role": ({"messages": [{"content": HELLO}]}, "Value at '/messages/0/role' failed to satisfy constraint"),
    "maxTokens of 0": (
        {"messages": [USER], "inferenceConfig": {"maxTokens": 0}},
        "'/inferenceConfig/maxTokens' failed to satisfy constraint: Member must have value greater than or equal to 1",
    ),
    "more tokens than the model has": (
        {"messages": [USER], "inferenceConfig": {"maxTokens": 1_000_000}},
        "The maximum tokens you requested exceeds the model limit of",
    ),
    "too long": ({"messages": [{"role": "user", "content": [{"text": "x" * 900_000}]}]}, "Input is too long"),
}


@pytest.mark.parametrize("case", INVALID)
@pytest.mark.parametrize("operation", ["converse", "converse-stream"])
def test_conversations_are_held_to_the_rules(case: Any, operation: Any) -> None:
    body, message = INVALID[case]
    status, code, said = Account(quota={"rpm": 0}).post(f"/model/{NOVA}/{operation}", body).error
    assert (status, code) == (400, "ValidationException")
    assert message in said


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"messages": "x"}', b'{"messages": [5]}', b"[" * 5000])
@pytest.mark.parametrize("operation", ["converse", "invoke", "count-tokens"])
def test_bodies_that_are_no_request_are_refused_not_crashed_on(body: Any, operation: Any) -> None:
    assert Account().post(f"/model/{NOVA}/{operation}", body).status == 400


MODELS = {
    "no-such-model": "The provided model identifier is invalid.",
    "nobody.model-v1": "The provided model identifier is invalid.",
    HAIKU.removeprefix(
        "us."
    ): "with on-demand throughput isn\u2019t supported. Retry your request with the ID or ARN of",
    "amazon.titan-embed-text-v2:0": "This action doesn't support the model that you provided.",
}


@pytest.mark.parametrize("model", MODELS)
def test_models_that_are_not_there_or_not_so(model: Any) -> None:
    assert MODELS[model] in Account().converse(model=model).error[2]


@pytest.mark.parametrize(
    "model",
    [
        CLAUDE,
        HAIKU,
        f"arn:aws:bedrock:us-east-1::foundation-model/{CLAUDE}",
        f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/{HAIKU}",
        "arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abc",
    ],
)
def test_models_by_id_and_by_arn(model: Any) -> None:
    assert Account().converse(model=model).status == 200


def test_two_ways_of_sampling_exclude_each_other_for_new_models() -> None:
    both = {"temperature": 0.5, "topP": 0.5}
    assert "cannot both be specified" in Account().converse(model=HAIKU, inferenceConfig=both).error[2]
    assert Account().converse(model=CLAUDE, inferenceConfig=both).status == 200


ANTHROPIC = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": [{"role": "user", "content": "a"}]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"anthropic_version": None}, "required key [anthropic_version] not found"),
        ({"max_tokens": None}, "required key [max_tokens] not found"),
        ({"model": "claude"}, "extraneous key [model] is not permitted"),
        ({"messages": [{"role": "user", "content": ""}]}, "text content blocks must be non-empty"),
        ({"messages": [{"role": "user"}]}, "Malformed input request"),
    ],
)
def test_anthropic_bodies_are_held_to_their_schema(change: Any, message: Any) -> None:
    body = {key: value for key, value in {**ANTHROPIC, **change}.items() if value is not None}
    status, code, said = Account().post(f"/model/{CLAUDE}/invoke", body).error
    assert (status, code) == (400, "ValidationException")
    assert message in said


@pytest.mark.parametrize("path", ["/", "/model", "/model//converse", f"/model/{NOVA}/dance", "/guardrail/x"])
def test_what_is_no_operation(path: Any) -> None:
    assert Account().post(path, {}).error[:2] == (404, "UnknownOperationException")
