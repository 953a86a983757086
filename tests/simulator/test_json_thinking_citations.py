"""JSON answers, reasoning and citations of simulated models, in Converse and in Anthropic's bodies, as streams too."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.simulated_account import HAIKU, NOVA, Account

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "array", "items": {"$ref": "#/$defs/Day"}}},
    "required": ["city", "days"],
    "additionalProperties": False,
    "$defs": {
        "Day": {
            "type": "object",
            "properties": {"rain": {"type": "boolean"}},
            "required": ["rain"],
            "additionalProperties": False,
        }
    },
}
ANSWER = {"city": "simulated", "days": [{"rain": True}]}
FORMAT = {"type": "json_schema", "schema": SCHEMA}
TEXT_FORMAT = {"type": "json_schema", "structure": {"jsonSchema": {"schema": json.dumps(SCHEMA), "name": "trip"}}}
OPENAI_FORMAT = {"type": "json_schema", "json_schema": {"name": "trip", "schema": SCHEMA}}
SONNET = "us.anthropic.claude-sonnet-4-6"
THINKING: dict[str, Any] = {"thinking": {"type": "enabled", "budget_tokens": 1024}}


def invoke(account: Account, *, stream: bool = False, **more: Any) -> Any:
    body = {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 2000,
        "messages": [{"role": "user", "content": "Why is the sky blue?"}],
        **more,
    }
    return account.post(f"/model/{HAIKU}/invoke{'-with-response-stream' if stream else ''}", body)


def content(got: Any) -> Any:
    return got.json["output"]["message"]["content"]


@pytest.mark.parametrize(
    "request_",
    [
        {"outputConfig": {"textFormat": TEXT_FORMAT}},
        {"additionalModelRequestFields": {"output_config": {"format": FORMAT}}},
        {"additionalModelRequestFields": {"output_format": FORMAT}},
        {"additionalModelRequestFields": {"response_format": OPENAI_FORMAT}},
    ],
)
def test_converse_returns_json_that_matches_the_schema(request_: Any) -> None:
    (block,) = content(Account().converse(model=HAIKU, **request_))
    assert json.loads(block["text"]) == ANSWER
    events = Account().converse(model=HAIKU, stream=True, **request_).events
    assert "".join(e["delta"]["text"] for name, e in events if name == "contentBlockDelta") == block["text"]


def test_json_mode_without_a_schema_returns_an_object() -> None:
    fields: Any = {"additionalModelRequestFields": {"response_format": {"type": "json_object"}}}
    assert json.loads(content(Account().converse(**fields))[0]["text"]) == {}


@pytest.mark.parametrize("field", [{"output_config": {"format": FORMAT}}, {"output_format": FORMAT}])
def test_anthropic_bodies_return_json(field: Any) -> None:
    assert json.loads(invoke(Account(), **field).json["content"][0]["text"]) == ANSWER


@pytest.mark.parametrize("native", [True, False])
def test_structured_output_requires_closed_objects(native: Any) -> None:
    """https://github.com/future-agi/future-agi/pull/412."""
    schema = {"type": "object", "properties": {"a": {"type": "object"}}, "additionalProperties": False}
    text_format = {"type": "json_schema", "structure": {"jsonSchema": {"schema": json.dumps(schema)}}}
    got = (
        invoke(Account(), output_config={"format": {"type": "json_schema", "schema": schema}})
        if native
        else Account().converse(model=HAIKU, outputConfig={"textFormat": text_format})
    )
    assert got.error[:2] == (400, "ValidationException")
    assert "'additionalProperties' must be explicitly set to false" in got.error[2]


def test_a_schema_that_is_not_json_is_refused() -> None:
    text_format = {"type": "json_schema", "structure": {"jsonSchema": {"schema": "{"}}}
    assert Account().converse(model=HAIKU, outputConfig={"textFormat": text_format}).status == 400


@pytest.mark.parametrize(
    "prompt",
    [
        f"Answer with JSON that follows this schema: {json.dumps(SCHEMA)}",
        'As an example, for the JSON schema {"properties": {"a": {}}} it is {}. Yours: ```'
        + json.dumps(SCHEMA, indent=2)
        + "```",
    ],
)
def test_a_prompt_that_shows_a_json_schema_gets_json(prompt: Any) -> None:
    assert json.loads(content(Account().converse(prompt))[0]["text"]) == ANSWER
    assert json.loads(content(Account().converse("Hi", system=[{"text": prompt}]))[0]["text"]) == ANSWER
    assert json.loads(invoke(Account(), system=prompt).json["content"][0]["text"]) == ANSWER


def test_a_prompt_that_shows_the_fields_in_braces_gets_json() -> None:
    fields = {
        "thought": "{thought}",
        "next": "{next}    # note: the value you produce must exactly match (no extra characters) one of: go; stop",
        "count": "{count}    # note: the value you produce must be a single int value",
        "arguments": '{arguments}    # note: the value you produce must adhere to the JSON schema: {"type": "object"}',
    }
    got = content(Account().converse(f"Outputs will be a JSON object:\n{json.dumps(fields, indent=2)}"))
    assert json.loads(got[0]["text"]) == {"thought": "simulated", "next": "go", "count": 1, "arguments": {}}


def test_a_prompt_that_shows_fields_after_markers_gets_those_fields() -> None:
    shown = (
        "[[ ## question ## ]]\n{question}\n\n[[ ## next ## ]]\n"
        "{next}        # note: the value you produce must exactly match (no extra characters) one of: go; stop\n\n"
        '[[ ## arguments ## ]]\n{arguments}    # note: must adhere to the JSON schema: {"type": "object"}\n\n'
        "[[ ## completed ## ]]"
    )
    ask = (
        "Respond with the corresponding output fields, starting with the field `[[ ## next ## ]]`, then "
        "`[[ ## arguments ## ]]`, and then ending with the marker for `[[ ## completed ## ]]`."
    )
    (block,) = content(Account().converse(ask, system=[{"text": shown}]))
    assert block["text"] == "[[ ## next ## ]]\ngo\n\n[[ ## arguments ## ]]\n{}\n\n[[ ## completed ## ]]\n"


@pytest.mark.parametrize(
    "prompt", ["JSON " + "{" * 5000, 'JSON {"properties": 5}', 'JSON "properties" {}', 'JSON {"a": 1}', "{properties}"]
)
def test_a_prompt_with_braces_only_gets_plain_text(prompt: Any) -> None:
    with pytest.raises(json.JSONDecodeError):
        json.loads(content(Account().converse(prompt))[0]["text"])


def test_json_is_truncated_at_max_tokens() -> None:
    got = Account().converse(model=HAIKU, outputConfig={"textFormat": TEXT_FORMAT}, inferenceConfig={"maxTokens": 2})
    assert (got.json["stopReason"], got.json["usage"]["outputTokens"]) == ("max_tokens", 2)


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (HAIKU, THINKING),
        (SONNET, {"thinking": {"type": "adaptive"}}),
        (HAIKU, {"reasoning_config": THINKING["thinking"]}),
        (HAIKU, {"reasoningConfig": {"type": "enabled"}}),
    ],
)
def test_reasoning_comes_first_and_has_a_signature(model: Any, fields: Any) -> None:
    request: Any = {"model": model, "additionalModelRequestFields": fields}
    reasoning, text = content(Account().converse(**request))
    thought = reasoning["reasoningContent"]["reasoningText"]
    assert thought["text"]
    assert thought["signature"]
    deltas: dict[int, str] = {}
    signatures = []
    for name, event in Account().converse(stream=True, **request).events:
        if name == "contentBlockDelta":
            delta = event["delta"].get("reasoningContent", event["delta"])
            signatures += [delta["signature"]] if "signature" in delta else []
            deltas[event["contentBlockIndex"]] = deltas.get(event["contentBlockIndex"], "") + delta.get("text", "")
    assert deltas == {0: thought["text"], 1: text["text"]}
    assert signatures == [thought["signature"]]


def test_anthropic_bodies_return_thinking() -> None:
    thinking, text = invoke(Account(), **THINKING).json["content"]
    assert thinking["type"] == "thinking"
    assert thinking["signature"]
    assert text["type"] == "text"


def test_some_models_reason_by_default_without_a_signature() -> None:
    reasoning, text = content(Account().converse(model="us.deepseek.r1-v1:0"))
    assert list(reasoning["reasoningContent"]["reasoningText"]) == ["text"]
    assert text["text"]
    plain = Account(models={"reasoning": []}).converse(model="us.deepseek.r1-v1:0")
    assert [list(block) for block in content(plain)] == [["text"]]


def test_an_effort_alone_makes_a_model_reason_without_a_signature() -> None:
    fields = {"reasoning_config": "high"}
    reasoning, _ = content(Account().converse(model="qwen.qwen3-32b-v1:0", additionalModelRequestFields=fields))
    assert list(reasoning["reasoningContent"]["reasoningText"]) == ["text"]


def test_reasoning_counts_as_output_and_is_truncated_at_max_tokens() -> None:
    fields: Any = {"additionalModelRequestFields": {"thinking": {"type": "adaptive"}}}
    more = Account().converse(model=SONNET, **fields).json["usage"]["outputTokens"]
    assert more > Account().converse(model=SONNET).json["usage"]["outputTokens"] + 20
    cut = Account().converse(model=SONNET, inferenceConfig={"maxTokens": 8}, **fields).json
    assert (cut["stopReason"], cut["usage"]["outputTokens"]) == ("max_tokens", 8)


REFUSED: dict[str, Any] = {
    "Thinking may not be enabled when tool_choice forces tool use.": {
        **THINKING,
        "tools": [{"name": "a", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "any"},
    },
    "`max_tokens` must be greater than `thinking.budget_tokens`.": {**THINKING, "max_tokens": 1024},
    "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024": {
        "thinking": {"type": "enabled", "budget_tokens": 1023}
    },
}


@pytest.mark.parametrize("message", REFUSED)
def test_an_invalid_thinking_configuration_is_refused(message: Any) -> None:
    assert message in invoke(Account(), **REFUSED[message]).error[2]


def document(source: Any, **more: Any) -> Any:
    block = {"document": {"name": "Report", "source": source, "citations": {"enabled": True}, **more}}
    return [{"role": "user", "content": [{"text": "What does it say?"}, block]}]


CITED = {
    "documentChar": ({"text": "The grass is green."}, {"format": "txt"}, "The grass is green."),
    "documentPage": ({"bytes": "JVBERi0="}, {"format": "pdf"}, "simulated"),
    "documentChunk": ({"content": [{"text": "First."}, {"text": "Second."}]}, {}, "First."),
}


@pytest.mark.parametrize("place", CITED)
def test_a_document_with_citations_is_cited(place: Any) -> None:
    source, more, quote = CITED[place]
    messages = document(source, **more)
    (block,) = content(Account().converse(model=HAIKU, messages=messages))
    (citation,) = block["citationsContent"]["citations"]
    assert citation["location"][place]["documentIndex"] == 0
    assert (citation["title"], citation["sourceContent"]) == ("Report", [{"text": quote}])
    deltas = [
        e["delta"]
        for name, e in Account().converse(model=HAIKU, messages=messages, stream=True).events
        if name == "contentBlockDelta"
    ]
    assert "".join(delta.get("text", "") for delta in deltas) == block["citationsContent"]["content"][0]["text"]
    assert deltas[-1] == {"citation": citation}


def test_anthropic_bodies_return_citations() -> None:
    source = {"type": "text", "media_type": "text/plain", "data": "The grass is green."}
    blocks = [
        {"type": "document", "source": source},
        {"type": "document", "source": source, "title": "T", "citations": {"enabled": True}},
        {"type": "text", "text": "What does it say?"},
    ]
    (text,) = invoke(Account(), messages=[{"role": "user", "content": blocks}]).json["content"]
    (citation,) = text["citations"]
    assert citation == {
        "type": "char_location",
        "cited_text": "The grass is green.",
        "document_index": 1,
        "document_title": "T",
        "start_char_index": 0,
        "end_char_index": 19,
    }


def test_without_citations_a_document_is_not_cited() -> None:
    messages = document({"text": "The grass is green."}, citations={"enabled": False})
    assert [list(block) for block in content(Account().converse(model=NOVA, messages=messages))] == [["text"]]


@pytest.mark.parametrize("kind", ["content-filtered", "guardrail"])
def test_a_filtered_answer_is_plain_text(kind: Any) -> None:
    request: Any = {"model": HAIKU, "messages": document({"text": "x"}), "additionalModelRequestFields": THINKING}
    assert [list(block) for block in content(Account(faults=[{"kind": kind}]).converse(**request))] == [["text"]]
