"""A request is checked once before it is sent, and no request spoils the quota for others."""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from math import inf, nan
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.answers import FRAMES, REPLY, THROTTLED, chunk, fault
from support.client_faces import Asyncio, Blocking, Streaming, at_once
from support.wire import Wire, answer, stream

from aws_bedrock_inference import InvalidRequest, Quota, QuotaExhausted, Usage
from aws_bedrock_inference.dialects.request import max_tokens
from aws_bedrock_inference.tokens.estimate import BodyError, Weighed, estimate, learn
from aws_bedrock_inference.tokens.ratio import TokenGauge

if TYPE_CHECKING:
    from collections.abc import Iterator

HALF = "\ud83d"
PROMPT = [{"role": "user", "content": [{"text": "Why?"}]}]
HUGE = 10**400
DEEP: Any = {}
for _ in range(900):
    DEEP = {"a": DEEP}
CYCLE: dict[str, Any] = {}
CYCLE["again"] = [CYCLE]


@pytest.fixture(params=[Blocking, Streaming, Asyncio])
def face(request: pytest.FixtureRequest, alone: None) -> Iterator[Any]:
    made = request.param()
    yield made
    made.end()


def tool_use(**more: Any) -> list[Any]:
    use = {"toolUseId": "t", "name": "n", "input": {"a": 1}, **more}
    return [*PROMPT, {"role": "assistant", "content": [{"toolUse": use}]}]


def result(content: Any) -> list[Any]:
    return [*PROMPT, {"role": "user", "content": [{"toolResult": {"toolUseId": "t", "content": content}}]}]


UNSENDABLE: dict[str, tuple[dict[str, Any], str]] = {
    "text": ({"messages": [{"role": "user", "content": [{"text": f"x{HALF}y"}]}]}, "messages[0].content[0].text has"),
    "system": ({"system": [{"text": HALF}]}, "system[0].text has half a character"),
    "tool input": ({"messages": tool_use(input={"city": [HALF]})}, "toolUse.input.city[0] has half a character"),
    "key": ({"messages": tool_use(input={HALF: 1})}, "a key in messages[1].content[0].toolUse.input has half"),
    "tool result": ({"messages": result([{"json": {"a": HALF}}])}, "toolResult.content[0].json.a has half"),
    "stop sequence": ({"inferenceConfig": {"stopSequences": [HALF]}}, "inferenceConfig.stopSequences[0] has half"),
    "metadata": ({"requestMetadata": {"a": HALF}}, "requestMetadata.a has half a character"),
    "fields": ({"additionalModelRequestFields": {"a": HALF}}, "additionalModelRequestFields.a has half"),
    "schema": (
        {"toolConfig": {"tools": [{"toolSpec": {"name": "n", "inputSchema": {"json": {"title": HALF}}}}]}},
        "inputSchema.json.title has half a character",
    ),
    "model id": ({"modelId": HALF + "x"}, "modelId has half a character"),
    "nan": ({"additionalModelRequestFields": {"a": nan}}, "additionalModelRequestFields.a is nan, which JSON"),
    "infinity": ({"additionalModelRequestFields": {"a": [inf]}}, "additionalModelRequestFields.a[0] is inf"),
    "nan setting": ({"inferenceConfig": {"temperature": nan}}, "inferenceConfig.temperature is nan"),
    "nan decimal": ({"inferenceConfig": {"topP": Decimal("nan")}}, "inferenceConfig.topP is NaN"),
    "cycle": ({"additionalModelRequestFields": CYCLE}, "nested more than 200 levels deep, or contains itself"),
    "deep": ({"additionalModelRequestFields": DEEP}, "additionalModelRequestFields is nested more than 200 levels"),
    "huge integer": ({"additionalModelRequestFields": {"a": 10**5000}}, "is an integer of more than 2048 bits"),
    "huge maximum": ({"inferenceConfig": {"maxTokens": HUGE}}, "inferenceConfig.maxTokens must be at most 2147483647"),
    "true maximum": ({"inferenceConfig": {"maxTokens": True}}, "inferenceConfig.maxTokens must be int, not bool"),
    "negative maximum": ({"inferenceConfig": {"maxTokens": -5}}, "inferenceConfig.maxTokens must be at least 1"),
    "text maximum": ({"inferenceConfig": {"maxTokens": "5"}}, "inferenceConfig.maxTokens must be int, not str"),
    "nan maximum": ({"inferenceConfig": {"maxTokens": nan}}, "inferenceConfig.maxTokens"),
    "set": ({"additionalModelRequestFields": {"a": {1}}}, "additionalModelRequestFields.a must be a value that JSON"),
    "bytes": ({"messages": tool_use(input={"a": b"x"})}, "toolUse.input.a must be a value that JSON can represent"),
    "decimal": (
        {"messages": result([{"json": {"rows": [{"price": Decimal("1.5")}]}}])},
        "toolResult.content[0].json.rows[0].price must be a value that JSON can represent, not Decimal",
    ),
    "tuple key": ({"additionalModelRequestFields": {(1, 2): 3}}, "has a key of type tuple; keys must be strings"),
    "object": ({"additionalModelRequestFields": {"a": object()}}, "not object"),
}


@pytest.mark.parametrize(("params", "sentence"), UNSENDABLE.values(), ids=UNSENDABLE)
@pytest.mark.parametrize("method", ["converse", "converse_stream"])
def test_a_value_that_no_request_can_contain_is_refused_unsent_and_named(
    face: Any, method: str, params: dict[str, Any], sentence: str
) -> None:
    with Wire(answer(REPLY)) as wire:
        client = face.open(wire.url)
        with pytest.raises(InvalidRequest) as raised:
            face.get(getattr(client, method)(**{"messages": PROMPT, **params}))
        assert sentence in str(raised.value)
        str(raised.value).encode()
        assert wire.received == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"prompt": f"x{HALF}"}, "messages[0].content[0].text has half a character"),
        ({"prompt": "x", "system": HALF + "x"}, "system[0].text has half a character"),
        ({"prompt": "x", "system": 5}, "system must be a string, or a list"),
        ({"prompt": "x", "stop_sequences": [HALF]}, "stopSequences[0] has half a character"),
        ({"prompt": "x", "stop_sequences": 5}, "stop_sequences=5: pass a list"),
        ({"prompt": "x", "stop_sequences": {"END"}}, "stop_sequences=<set>: pass a list"),
        ({"prompt": "x", "tools": 5}, "tools must be a list of tools"),
        ({"prompt": "x", "max_tokens": HUGE}, "pass a whole number of tokens, at least 1 and at most 2,147,483,647"),
        ({"prompt": "x", "max_tokens": nan}, "max_tokens=nan: pass a whole number"),
        ({"prompt": "x", "max_tokens": "a prompt by mistake"}, "max_tokens=<str>: pass a whole number"),
        ({"prompt": "x", "temperature": inf}, "temperature=inf: pass a number from 0 to 1"),
        ({"prompt": "x", "temperature": "a prompt by mistake"}, "temperature=<str>: pass"),
        ({"prompt": "x", "tier": "a prompt by mistake"}, "tier=<str>: pass one of"),
        ({"prompt": "x", "inferenceConfig": "x", "max_tokens": 5}, "inferenceConfig must be a dictionary, not str"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0]['content'] must be a string or a list"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0]['content'] must be a string or a list"),
    ],
)
@pytest.mark.parametrize("method", ["invoke", "invoke_stream"])
def test_invalid_arguments_of_invoke_are_refused_unsent(
    face: Any, method: str, arguments: dict[str, Any], sentence: str
) -> None:
    with Wire(answer(REPLY)) as wire:
        client = face.open(wire.url)
        with pytest.raises(InvalidRequest) as raised:
            face.get(getattr(client, method)(**arguments))
        assert sentence in str(raised.value)
        assert "by mistake" not in str(raised.value)
        assert wire.received == []


BODIES: dict[str, tuple[Any, str]] = {
    "half character, escaped": (json.dumps({"messages": [{"content": HALF}]}), "body.messages[0].content has half"),
    "half character in bytes": (json.dumps({"a": {HALF: 1}}).encode(), "a key in body.a has half a character"),
    "half character, upper case": (b'{"a": "\\uD83D"}', "body.a has half a character"),
    "half character, plain": (json.dumps({"a": HALF}, ensure_ascii=False), "body has half a character"),
    "nan": (json.dumps({"temperature": nan}), "body contains NaN, which JSON cannot represent"),
    "infinity": (json.dumps({"temperature": -inf}).encode(), "body contains -Infinity"),
    "latin-1": ('{"prompt": "caf\xe9"}'.encode("latin-1"), "body is not UTF-8 (byte 15)"),
}


@pytest.mark.parametrize(("body", "sentence"), BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("method", ["invoke_model", "invoke_model_with_response_stream"])
def test_an_invalid_json_body_is_refused_unsent(face: Any, method: str, body: Any, sentence: str) -> None:
    with Wire(answer({})) as wire:
        client = face.open(wire.url)
        with pytest.raises(InvalidRequest) as raised:
            face.get(getattr(client, method)(body=body))
        assert sentence in str(raised.value)
        assert wire.received == []


@pytest.mark.parametrize("value", ["a\r\nX-Injected: 1", "caf\xe9", "\x00"])
def test_a_header_accepts_only_printable_ascii(face: Any, value: str) -> None:
    with Wire(answer({})) as wire:
        client = face.open(wire.url)
        with pytest.raises(InvalidRequest, match="guardrailIdentifier must be printable ASCII"):
            face.get(client.invoke_model(body=b"{}", guardrailIdentifier=value, guardrailVersion="1"))
        assert wire.received == []


@pytest.mark.parametrize(
    "body",
    [json.dumps({"a": "\U0001f600"}), '{"a": "\\\\ud83d"}', json.dumps(DEEP), b"plain text", b"", '{"a": 1e999}'],
    ids=["emoji", "escaped backslash", "deep", "no json", "empty", "large float"],
)
def test_a_body_that_the_service_may_accept_is_sent_unchanged(face: Any, body: Any) -> None:
    with Wire(answer({})) as wire:
        client = face.open(wire.url)
        face.get(client.invoke_model(body=body))
        assert wire.received[0].body == (body.encode() if isinstance(body, str) else body)


def test_a_body_of_another_type_is_not_read_as_json(face: Any) -> None:
    with Wire(answer({})) as wire:
        client = face.open(wire.url)
        face.get(client.invoke_model(body=b"\xff\xfe", contentType="application/octet-stream"))
        assert wire.received[0].body == b"\xff\xfe"


def test_a_request_that_boto3_accepts_is_sent_as_boto3_sends_it(face: Any, oracle: Any) -> None:
    for params in (
        {"additionalModelRequestFields": {1: 2, None: 3, "a": 2**100}},
        {"inferenceConfig": {"temperature": Decimal("0.5"), "topP": 1}},
        {"system": [{"text": "\U0001f600 \x00 \u2028"}]},
    ):
        with Wire(answer(REPLY)) as wire:
            client = face.open(wire.url)
            face.get(client.converse(messages=PROMPT, **copy.deepcopy(params)))
            oracle(wire.url).converse(modelId=client.model_id, messages=PROMPT, **params)
            assert wire.received[0].body == wire.received[1].body


FAMILIES: list[Any] = [
    lambda number: {"anthropic_version": "bedrock-2023-05-31", "max_tokens": number, "messages": []},
    lambda number: {"prompt": "x", "max_gen_len": number},
    lambda number: {"inputText": "x", "textGenerationConfig": {"maxTokenCount": number}},
    lambda number: {"messages": [], "inferenceConfig": {"max_new_tokens": number}},
    lambda number: {"messages": [], "max_completion_tokens": number},
    lambda number: {"messages": [], "inferenceConfig": {"maxTokens": number}},
]
NUMBERS: list[Any] = [-1, -(10**12), 0, HUGE, -HUGE, 1e300, 0.5, True, "5", None, [], {}]


@pytest.mark.parametrize("number", NUMBERS, ids=[str(each)[:9] for each in NUMBERS])
@pytest.mark.parametrize("family", range(len(FAMILIES)))
@pytest.mark.parametrize("ends", ["throttled", "refused", "answered"])
def test_no_value_of_max_tokens_blocks_the_quota_for_later_calls(family: int, number: Any, ends: str) -> None:
    face = Blocking()
    first = {"throttled": THROTTLED, "refused": fault(400, "ValidationException"), "answered": answer({})}[ends]
    with Wire(first, answer({})) as wire:
        client = face.open(wire.url, pipeline=at_once(Quota(rpm=600_000)))
        body = json.dumps(FAMILIES[family](number))
        try:
            client.invoke_model(body=body)
        except Exception as error:  # noqa: BLE001 - the service's own refusal is as good as an answer
            assert type(error).__name__ == "InvalidByService"  # noqa: PT017 - as is asked here
        for _ in range(3):
            client.invoke_model(body=json.dumps(FAMILIES[family](5)))
    face.end()


@pytest.mark.parametrize("number", NUMBERS, ids=[str(each)[:9] for each in NUMBERS])
@pytest.mark.filterwarnings("ignore::aws_bedrock_inference.tokens.max_tokens_warning.UnboundedAnswerWarning")
def test_only_a_call_above_the_limit_is_refused(face: Any, number: Any) -> None:
    quota = Quota(tpm=900_000)
    with Wire(stream(chunk({"a": 1})), stream(chunk({"a": 1}))) as wire:
        client = face.open(wire.url, quota=quota)
        body = json.dumps({"max_tokens": number, "messages": []})
        opened = None
        try:
            opened = face.get(client.invoke_model_with_response_stream(body=body))
        except QuotaExhausted as error:
            assert "the call would reserve 1,000,0" in str(error)  # noqa: PT017 - as is asked here
            assert number in (HUGE, 1e300)
            assert wire.received == []
        # While it is in flight, others go on.
        others = [
            face.get(client.invoke_model_with_response_stream(body=json.dumps({"max_tokens": 9, "messages": []})))
            for _ in range(3)
        ]
        for each in [*others, *([opened] if opened is not None else [])]:
            face.leave(each["body"])


def test_a_valid_stream_works_after_an_invalid_one(face: Any) -> None:
    with Wire(THROTTLED, stream(*FRAMES)) as wire:
        client = face.open(wire.url)
        with pytest.raises(InvalidRequest):
            face.get(client.converse(messages=PROMPT, inferenceConfig={"maxTokens": -1}))
        assert face.whole(client.invoke_stream("Why?")) == ["Because ", "of Rayleigh."]


MEMBERS = st.sampled_from([
    "max_tokens", "maxTokens", "max_gen_len", "maxTokenCount", "inferenceConfig", "textGenerationConfig", "messages",
    "content", "text", "image", "images", "source", "document", "citations", "format", "type", "data", "tools", "json",
    "input", "enabled", "bytes", "url", "video", "media_type",
])  # fmt: skip
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from([HUGE, HALF, "pdf"])
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBERS, inner, max_size=4),
    max_leaves=15,
)


@given(JSON)
def test_every_body_has_a_finite_estimate_or_is_refused(body: Any) -> None:
    try:
        made = estimate("invoke_model", {"body": json.dumps(body)}, "anthropic.claude-sonnet-4-5-20250929-v1:0")
    except BodyError as error:
        str(error).encode()
        return
    assert 0 <= made.output_tokens <= 1_000_000
    assert 0 < made.input_tokens <= 20_000_000
    assert isinstance(made.reservation, int)


@given(st.dictionaries(MEMBERS, JSON, max_size=4))
def test_max_tokens_is_read_as_a_small_integer_or_as_unset(request: dict[str, Any]) -> None:
    found = max_tokens(request)
    assert found is None or (type(found) is int and 0 <= found <= 1_000_000)


@given(st.lists(st.integers(-10, HUGE) | st.sampled_from([1e300, nan, inf, -1e300]), max_size=20))
def test_no_reported_usage_makes_an_estimate_that_blocks_later_calls(counts: list[Any]) -> None:
    gauge = TokenGauge()
    for count in counts:
        learn(gauge, "m", Weighed(5, 5, 1.0, text_bytes=16), Usage(count, 1))
    assert 0 < gauge.tokens("m", 1000) < 3_000_000
