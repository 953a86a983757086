"""Lines of OpenAI's batch format: the arguments of `invoke` that they become, and the form of their answers."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws_bedrock_inference.batch.answer_lines import answer_line, body_of_answer, key_of_answer
from aws_bedrock_inference.batch.pieces import Piece
from aws_bedrock_inference.batch.records import BadLine, Record, records_from
from aws_bedrock_inference.call import Route, Usage
from aws_bedrock_inference.clients.reply import Reply
from aws_bedrock_inference.dialects.openai_requests import UntranslatableError, translated

HI = [{"role": "user", "content": "Hi"}]
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
FUNCTION = {"name": "weather", "description": "Tell it", "parameters": PARAMETERS}
PIXEL = b"\x89PNG"


def line(body: Any = None, **members: Any) -> Record | BadLine:
    given = {"custom_id": "c1", "method": "POST", "url": "/v1/chat/completions", "body": body, **members}
    (found,) = records_from([Piece("batch.jsonl", 1, json.dumps(given).encode())])
    return found


def test_a_chat_completion_becomes_arguments_of_invoke() -> None:
    record = line(
        {
            "model": "gpt-x",
            "messages": [{"role": "system", "content": "Be brief."}, *HI],
            "max_completion_tokens": 40,
            "temperature": 0.5,
            "top_p": 0.9,
            "stop": "END",
            "service_tier": "flex",
            "metadata": {"team": "a"},
            "n": 1,
            "stream": False,
            "seed": None,
        }
    )
    assert isinstance(record, Record)
    assert (record.key, record.is_prompt, record.is_openai) == ("c1", True, True)
    assert record.arguments == {
        "messages": [{"role": "user", "content": [{"text": "Hi"}]}],
        "system": [{"text": "Be brief."}],
        "max_tokens": 40,
        "temperature": 0.5,
        "inferenceConfig": {"topP": 0.9},
        "stop_sequences": ["END"],
        "tier": "flex",
        "requestMetadata": {"team": "a"},
    }


def test_tools_calls_and_results_are_translated_and_adjacent_messages_of_one_role_joined() -> None:
    call = {"id": "t1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}
    given = translated(
        {
            "messages": [
                *HI,
                {"role": "assistant", "content": None, "tool_calls": [call, {**call, "id": "t2"}]},
                {"role": "tool", "tool_call_id": "t1", "content": "sunny"},
                {"role": "tool", "tool_call_id": "t2", "content": [{"type": "text", "text": "rain"}]},
                {"role": "user", "content": "So?"},
            ],
            "tools": [{"type": "function", "function": {**FUNCTION, "strict": True}}],
            "tool_choice": {"type": "function", "function": {"name": "weather"}},
        }
    )
    use = {"name": "weather", "input": {"city": "Rome"}}
    assert given["messages"] == [
        {"role": "user", "content": [{"text": "Hi"}]},
        {
            "role": "assistant",
            "content": [{"toolUse": {"toolUseId": "t1", **use}}, {"toolUse": {"toolUseId": "t2", **use}}],
        },
        {
            "role": "user",
            "content": [
                {"toolResult": {"toolUseId": "t1", "content": [{"text": "sunny"}]}},
                {"toolResult": {"toolUseId": "t2", "content": [{"text": "rain"}]}},
                {"text": "So?"},
            ],
        },
    ]
    spec = {"name": "weather", "description": "Tell it", "inputSchema": {"json": PARAMETERS}, "strict": True}
    assert given["tools"] == {"tools": [{"toolSpec": spec}], "toolChoice": {"tool": {"name": "weather"}}}


def test_images_and_schemas_are_translated() -> None:
    url = f"data:image/jpg;base64,{base64.b64encode(PIXEL).decode()}"
    part = {"type": "image_url", "image_url": {"url": url, "detail": "auto"}}
    form = {"name": "city", "schema": PARAMETERS, "strict": True}
    given = translated(
        {
            "messages": [{"role": "user", "content": [{"type": "text", "text": "What?"}, part]}],
            "response_format": {"type": "json_schema", "json_schema": form},
        }
    )
    assert given["messages"][0]["content"][1] == {"image": {"format": "jpeg", "source": {"bytes": PIXEL}}}
    wanted = {"name": "city", "schema": json.dumps(PARAMETERS)}
    assert given["outputConfig"] == {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": wanted}}}


def said(content: Any, role: str = "user", **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": content, **more}]}


TOOL = {"type": "function", "function": FUNCTION}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"messages": HI, "seed": 1}, '"body.seed" has no equivalent'),
        ({"messages": HI, "n": 2}, '"body.n" has no equivalent'),
        ({"messages": HI, "n": True}, '"body.n" has no equivalent'),
        ({"messages": HI, "stream": True}, '"body.stream"'),
        ({"messages": HI, "logprobs": True}, '"body.logprobs"'),
        ({"messages": HI, "reasoning_effort": "low"}, '"body.reasoning_effort"'),
        ({"messages": HI, "max_token": 4}, '"body.max_token"'),
        ({"messages": HI, "temperature": 1.5}, '"body.temperature" is not from 0 to 1'),
        ({"messages": HI, "max_tokens": 4, "max_completion_tokens": 5}, "differ"),
        ({"messages": HI, "max_tokens": 0}, '"max_tokens" is 0'),
        ({"messages": HI, "response_format": {"type": "json_object"}}, '"body.response_format"'),
        ({"messages": HI, "service_tier": "scale"}, '"body.service_tier"'),
        ({"messages": HI, "tools": [TOOL], "tool_choice": "none"}, '"body.tool_choice"'),
        ({"messages": HI, "tool_choice": "required"}, '"body.tools" is missing'),
        ({"messages": HI, "tools": [{"type": "web_search"}]}, '"body.tools[0].type"'),
        ({"messages": HI, "tools": [{"type": "function"}]}, '"body.tools[0].function" must be an object'),
        ({"messages": [*HI, {"role": "system", "content": "x"}]}, '"body.messages[1]" has the role system after'),
        ({"messages": [{"role": "system", "content": "x"}]}, "contains no user message"),
        ({"messages": []}, "contains no user message"),
        ({"messages": "Hi"}, '"body.messages" must be a list'),
        ({}, '"body.messages" must be a list'),
        (said("Hi", role="function"), '"body.messages[0].role"'),
        (said("Hi", name="Ann"), '"body.messages[0].name"'),
        (said([{"type": "input_audio", "input_audio": {}}]), '"body.messages[0].content[0]"'),
        (said([{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]), "images are not downloaded"),
        (said([{"type": "image_url", "image_url": {"url": "data:image/png;base64,%"}}]), "is not valid base64"),
        (said(None), '"body.messages[0].content" must be a list'),
        (said("x", role="tool"), '"body.messages[0].tool_call_id" must be text'),
        ("Hi", '"body" must be an object'),
        (None, '"body" must be an object'),
    ],
    ids=repr,
)
def test_an_unsupported_parameter_is_refused_by_name(body: Any, says: str) -> None:
    bad = line(body)
    assert isinstance(bad, BadLine)
    assert says in bad.problem


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"url": "/v1/embeddings"}, '"POST" and "/v1/embeddings". Only POST /v1/chat/completions'),
        ({"url": None}, "Only POST"),
        ({"method": "GET"}, "Only POST"),
        ({"custom_id": None}, '"custom_id" is missing'),
        ({"priority": 1}, '"priority" is unknown'),
    ],
)
def test_the_fields_around_the_body_are_checked_too(members: dict[str, Any], says: str) -> None:
    bad = line({"messages": HI}, **members)
    assert isinstance(bad, BadLine)
    assert says in bad.problem


@pytest.mark.parametrize("levels", [250, 900, 100_000])
def test_a_body_that_is_nested_too_deeply_does_not_end_the_run(levels: int) -> None:
    schema = '{"a": ' * levels + "1" + "}" * levels
    form = f'{{"type": "json_schema", "json_schema": {{"schema": {schema}}}}}'
    body = f'{{"messages": {json.dumps(HI)}, "response_format": {form}}}'
    text = f'{{"custom_id": 1, "url": "/v1/chat/completions", "body": {body}}}'
    good = json.dumps({"id": 2, "prompt": "Hi"})
    found = list(records_from([Piece("x", 1, text.encode()), Piece("x", 2, good.encode())]))
    assert isinstance(found[1], Record)


TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["role", "content", "type", "text", "function", "name", "arguments", "tool_calls", "image_url", "url", "id"]
    ), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(
    st.sampled_from(["messages", "tools", "tool_choice", "response_format", "stop", "n", "service_tier", "max_tokens"]),
    TREES,
))  # fmt: skip
def test_any_body_is_translated_or_refused(body: dict[str, Any]) -> None:
    with suppress(UntranslatableError):
        assert translated(body)["messages"]


def reply(stop_reason: str, *content: dict[str, Any]) -> Reply:
    return Reply(
        text="".join(block.get("text", "") for block in content),
        stop_reason=stop_reason,
        usage=Usage(10, 5, 3, 2),
        route=Route("amazon.nova-lite-v1:0"),
        earlier=(),
        response={"output": {"message": {"content": list(content)}}, "ResponseMetadata": {"RequestId": "r-1"}},
    )


def test_an_answer_is_a_line_of_openais_output_format() -> None:
    record = Record("c1", {"custom_id": "c1", "body": {"messages": HI}})
    written = json.loads(json.dumps(answer_line(record, reply("end_turn", {"text": "Hello"}), 1_700_000_000.5)))
    assert key_of_answer(written) == "c1"
    assert (written["custom_id"], written["error"]) == ("c1", None)
    assert (written["response"]["status_code"], written["response"]["request_id"]) == (200, "r-1")
    body = body_of_answer(written)
    assert (body["object"], body["created"], body["model"]) == (
        "chat.completion",
        1_700_000_000,
        "amazon.nova-lite-v1:0",
    )
    assert body["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello", "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]
    assert body["usage"] == {
        "prompt_tokens": 15,
        "completion_tokens": 5,
        "total_tokens": 20,
        "prompt_tokens_details": {"cached_tokens": 3},
    }


def test_a_tool_call_in_an_answer_can_be_sent_back_in_the_next_request() -> None:
    use = {"toolUse": {"toolUseId": "t1", "name": "weather", "input": {"city": "Rom"}}}
    record = Record("c1", {"custom_id": "c1", "body": {"messages": HI}})
    (choice,) = body_of_answer(answer_line(record, reply("tool_use", use), 0))["choices"]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("tool_calls", None)
    again = translated(
        {"messages": [*HI, {name: choice["message"][name] for name in ("role", "content", "tool_calls")}]}
    )
    assert again["messages"][1]["content"] == [use]


@pytest.mark.parametrize(
    ("stop_reason", "finish_reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("guardrail_intervened", "content_filter"),
        ("refusal", "content_filter"),
        ("something_new", "something_new"),
    ],
)
def test_stop_reasons_become_openais_finish_reasons(stop_reason: str, finish_reason: str) -> None:
    record = Record("c1", {"custom_id": "c1", "body": {"messages": HI}})
    (choice,) = body_of_answer(answer_line(record, reply(stop_reason, {"text": "x"}), 0))["choices"]
    assert choice["finish_reason"] == finish_reason
