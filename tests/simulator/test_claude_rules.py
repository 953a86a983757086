"""Refusals of Anthropic's models, in their own words; Converse marks the words as the model's."""

from __future__ import annotations

from typing import Any

import pytest
from support.simulated_account import CLAUDE, HAIKU, Account

OPUS = "us.anthropic.claude-opus-4-8"
SONNET = "us.anthropic.claude-sonnet-4-6"
CONVERSE = "The model returned the following errors: "
USER = {"role": "user", "content": "Where is my order?"}
USE = {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_7", "name": "orders", "input": {}}]}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_7", "content": "sent"}]}
TOOLS = [{"name": "orders", "input_schema": {"type": "object"}}]
ENABLED = {"type": "enabled", "budget_tokens": 1024}
ADAPTIVE = {"type": "adaptive"}
OBJECT = {"type": "object"}


def invoke(model: str = HAIKU, *, operation: str = "invoke", **more: Any) -> Any:
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 2000, "messages": [USER], **more}
    return Account().post(f"/model/{model}/{operation}", body)


def said(*blocks: dict[str, Any], role: str = "user") -> dict[str, Any]:
    return {"messages": [{"role": role, "content": list(blocks)}]}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a version that is none": ({"anthropic_version": "claude-3"}, "Invalid API version: claude-3"),
    "no messages": ({"messages": []}, "messages: at least one message is required"),
    "a system message": (
        {"messages": [{"role": "system", "content": "Be brief."}, USER]},
        'messages: Unexpected role "system". The Messages API accepts a top-level `system` parameter',
    ),
    "another role": ({"messages": [USER, {"role": "tool", "content": "x"}]}, "messages.1.role: Input should be 'user'"),
    "no role": ({"messages": [{"content": "x"}]}, "messages.0.role: Field required"),
    "no content": ({"messages": [{"role": "user"}]}, "messages.0.content: Field required"),
    "empty content": ({"messages": [{"role": "user", "content": []}]}, "messages.0: all messages must have non-empty"),
    "an empty text": (said({"type": "text", "text": ""}), "messages: text content blocks must be non-empty"),
    "a blank text": (
        said({"type": "text", "text": " \n"}),
        "messages: text content blocks must contain non-whitespace",
    ),
    "a block of Converse": (said({"text": "hello"}), "messages.0.content.0.type: Field required"),
    "a block of OpenAI": (
        said({"type": "image_url", "image_url": {"url": "x"}}),
        "messages.0.content.0: Input tag 'image_url' found using 'type' does not match any of the expected tags: 'doc",
    ),
    "a picture without its source": (said({"type": "image"}), "messages.0.content.0.image.source: Field required"),
    "a result of another form": (
        {
            "messages": [
                USER,
                USE,
                {"role": "user", "content": [{**RESULT["content"][0], "content": [{"type": "json"}]}]},  # type: ignore[dict-item]
            ]
        },
        "messages.2.content.0.tool_result.content.0: Input tag 'json' found",
    ),
    "a system prompt of Converse": ({"system": [{"text": "Be brief."}]}, "system.0.type: Field required"),
    "no result": (
        {"messages": [USER, USE, USER]},
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_7. Each",
    ),
    "no result at the end": ({"messages": [USER, USE]}, "messages.1: `tool_use` ids were found without"),
    "no use": (
        {"messages": [USER, RESULT]},
        "messages.1.content.0: unexpected `tool_use_id` found in `tool_result` blocks: toolu_7. Each",
    ),
    "a blank at the end": (
        {"messages": [USER, {"role": "assistant", "content": "It is "}]},
        "messages: final assistant content cannot end with trailing whitespace",
    ),
    "five cache points": (
        said(*[{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}] * 5),
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
    ),
    "a tool of OpenAI": (
        {"tools": [{"type": "function", "function": {"name": "orders"}}]},
        "tools.0: Input tag 'function' found using 'type' does not match any of the expected tags: 'bash_20250124'",
    ),
    "a tool without a schema": ({"tools": [{"name": "orders"}]}, "tools.0.custom.input_schema: Field required"),
    "a schema without a type": (
        {"tools": [{"name": "orders", "input_schema": {}}]},
        "tools.0.custom.input_schema.type: Field required",
    ),
    "a tool with a blank in its name": (
        {"tools": [{"name": "my orders", "input_schema": {"type": "object"}}]},
        "tools.0.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'",
    ),
    "two tools of one name": ({"tools": TOOLS * 2}, "tools: Tool names must be unique."),
    "too many tokens": (
        {"max_tokens": 64_001},
        "max_tokens: 64001 > 64000, which is the maximum allowed number of output tokens for claude-haiku-4-5-20251001",
    ),
}


@pytest.mark.parametrize("operation", ["invoke", "invoke-with-response-stream"])
@pytest.mark.parametrize("case", REFUSED)
def test_a_request_that_breaks_the_rules_is_refused(case: Any, operation: Any) -> None:
    more, message = REFUSED[case]
    status, code, text = invoke(operation=operation, **more).error
    assert (status, code) == (400, "ValidationException")
    assert text.startswith(message)


def test_an_old_style_body_is_refused_with_the_api_to_use() -> None:
    body = {"prompt": "\n\nHuman: Hello\n\nAssistant:", "max_tokens_to_sample": 50}
    said = Account().post(f"/model/{CLAUDE}/invoke", body).error[2]
    assert said == '"claude-3-sonnet-20240229" is not supported on this API. Please use the Messages API instead.'


TAKEN: dict[str, tuple[str, dict[str, Any]]] = {
    "a whole conversation with a tool": (HAIKU, {"messages": [USER, USE, RESULT], "tools": TOOLS}),
    "the start of an answer": (HAIKU, {"messages": [USER, {"role": "assistant", "content": "It is"}]}),
    "an empty answer at the end": (HAIKU, {"messages": [USER, {"role": "assistant", "content": []}]}),
    "two messages of one role": (HAIKU, {"messages": [USER, USER]}),
    "a system message of a new model": (OPUS, {"messages": [USER, {"role": "system", "content": "Be brief."}]}),
    "a version that is empty": (HAIKU, {"anthropic_version": ""}),
    "a version that is a date alone": (HAIKU, {"anthropic_version": "2026-10-21"}),
    "a tool of Anthropic's": (HAIKU, {"tools": [{"type": "bash_20250124", "name": "bash"}, *TOOLS]}),
    "adaptive thinking": (SONNET, {"thinking": ADAPTIVE}),
    "a budget of a model that can do both": (SONNET, {"thinking": ENABLED}),
    "a temperature of 1 with thinking": (HAIKU, {"thinking": ENABLED, "temperature": 1}),
}


THOUGHT = [{"type": "thinking", "thinking": "So.", "signature": "sig"}, {"type": "text", "text": ""}]
TAKEN["an empty text beside thinking, as the model wrote it"] = (
    HAIKU,
    {"messages": [USER, {"role": "assistant", "content": THOUGHT}, USER]},
)


@pytest.mark.parametrize("case", TAKEN)
def test_a_valid_request_is_answered(case: Any) -> None:
    model, more = TAKEN[case]
    assert invoke(model, **more).status == 200


BOTH: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    (HAIKU, {"thinking": ADAPTIVE}, {}, "thinking: Input tag 'adaptive' found using 'type' does not match any of"),
    (OPUS, {"thinking": ENABLED}, {}, '"thinking.type.enabled" is not supported for this model. Use "thinking.type.ad'),
    (HAIKU, {"thinking": ENABLED}, {"temperature": 0.5}, "`temperature` may only be set to 1 when thinking is enabled"),
    (HAIKU, {}, {"temperature": 0.5, "top_p": 0.5}, "`temperature` and `top_p` cannot both be specified"),
]


@pytest.mark.parametrize(("model", "fields", "sampling", "message"), BOTH)
def test_only_converse_marks_the_message_as_the_model_s(model: Any, fields: Any, sampling: Any, message: Any) -> None:
    assert invoke(model, **fields, **sampling).error[2].startswith(message)
    config = {{"top_p": "topP"}.get(name, name): value for name, value in sampling.items()}
    got = Account().converse(model=model, additionalModelRequestFields=fields, inferenceConfig=config)
    assert got.error[2].startswith(CONVERSE + message)


@pytest.mark.parametrize("schema", [{}, {"type": "string"}, {"properties": {}}, True, {"type": ["object", "null"]}])
def test_converse_accepts_only_tools_with_an_object_as_input(schema: Any) -> None:
    tools = [
        {"toolSpec": {"name": name, "inputSchema": {"json": part}}} for name, part in (("a", OBJECT), ("b", schema))
    ]
    said = Account().converse(toolConfig={"tools": tools}).error[2]
    assert (
        said == "The value at toolConfig.tools.1.toolSpec.inputSchema.json.type must be one of the following: object."
    )


def test_converse_accepts_an_empty_text_next_to_reasoning() -> None:
    thought = {"reasoningContent": {"reasoningText": {"text": "So.", "signature": "sig"}}}
    messages = [
        {"role": "user", "content": [{"text": "Hello"}]},
        {"role": "assistant", "content": [thought, {"text": ""}, {"text": "Hello."}]},
        {"role": "user", "content": [{"text": "Again"}]},
    ]
    assert Account().post(f"/model/{HAIKU}/converse", {"messages": messages}).status == 200
