"""The simulator survives any request: no internal error, no silence, and no control by web pages."""

from __future__ import annotations

import asyncio
import json
import socket
from base64 import b64encode
from math import inf, nan
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.simulated_account import CLAUDE, NOVA, TITAN, Account

from aws_bedrock_inference.simulator.request import Request
from aws_bedrock_inference.simulator.scenario import ScenarioError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_bedrock_inference.testing import Simulator

PATH = f"/model/{NOVA.replace(':', '%3A')}/converse"
ASK = {"messages": [{"role": "user", "content": [{"text": "Why is the sky blue?"}]}]}
IN_JSON = {"content-type": "application/json"}

SCHEMA = {"type": "object", "properties": {"city": {"type": "string", "enum": ["a"]}}, "required": ["city"]}
TOOLS = {"tools": [{"toolSpec": {"name": "w", "inputSchema": {"json": SCHEMA}}}], "toolChoice": {"any": {}}}
RESULT = {"toolUseId": "a", "content": [{"json": {"a": 1}}, {"text": "t"}], "status": "success"}
CONVERSE: dict[str, Any] = {
    "messages": [
        {"role": "user", "content": [{"text": "hi"}, {"image": {"format": "png", "source": {"bytes": "aGk="}}}]},
        {"role": "assistant", "content": [{"toolUse": {"toolUseId": "a", "name": "b", "input": {"x": 1}}}]},
        {"role": "user", "content": [{"toolResult": RESULT}, {"cachePoint": {"type": "default"}}]},
    ],
    "system": [{"text": "Be kind."}],
    "inferenceConfig": {"maxTokens": 7, "temperature": 0.5, "topP": 0.2, "stopSequences": ["e"]},
    "toolConfig": TOOLS,
    "additionalModelRequestFields": {"k": 1},
    "requestMetadata": {"a": "b"},
}
ANTHROPIC: dict[str, Any] = {
    "anthropic_version": "bedrock-2023-05-31",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]}],
    "system": "Be kind.",
    "tools": [{"name": "t", "input_schema": SCHEMA}],
    "tool_choice": {"type": "any"},
    "stop_sequences": ["z"],
}
NOVAS = {**ASK, "inferenceConfig": {"max_new_tokens": 4, "stopSequences": ["q"]}, "toolConfig": TOOLS}
TITANS = {"inputText": "hi", "textGenerationConfig": {"maxTokenCount": 5, "stopSequences": ["x"]}}
COUNTING = "anthropic.claude-3-5-sonnet-20240620-v1:0"
FUNCTION = {"name": "t", "parameters": SCHEMA}
CHAT = {
    "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
    "max_tokens": 9,
    "tools": [{"type": "function", "function": FUNCTION}],
    "tool_choice": {"type": "function", "function": {"name": "t"}},
}
COUNTED = {"messages": CONVERSE["messages"], "system": CONVERSE["system"], "toolConfig": TOOLS}
OPERATIONS: list[tuple[str, dict[str, Any]]] = [
    (f"{NOVA}/converse", CONVERSE),
    (f"{NOVA}/converse-stream", CONVERSE),
    (f"{NOVA}/invoke", NOVAS),
    (f"{CLAUDE}/invoke", ANTHROPIC),
    (f"{CLAUDE}/invoke-with-response-stream", ANTHROPIC),
    (f"{TITAN}/invoke", TITANS),
    (f"{TITAN}/invoke-with-response-stream", TITANS),
    (f"{COUNTING}/count-tokens", {"input": {"converse": COUNTED}}),
    (
        f"{COUNTING}/count-tokens",
        {"input": {"invokeModel": {"body": b64encode(json.dumps(ANTHROPIC).encode()).decode()}}},
    ),
    ("meta.llama3-8b-instruct-v1:0/invoke-with-response-stream", {"prompt": "hi", "max_gen_len": 9}),
    ("mistral.mistral-7b-instruct-v0:2/invoke", {"prompt": "hi", "max_tokens": 9, "stop": ["z"]}),
    ("mistral.mistral-large-2407-v1:0/invoke-with-response-stream", CHAT),
    ("openai.gpt-oss-120b-1:0/invoke", CHAT),
    ("qwen.qwen3-32b-v1:0/invoke-with-response-stream", CHAT),
    ("deepseek.r1-v1:0/invoke", {"prompt": "hi", "max_tokens": 9, "stop": ["z"]}),
    ("cohere.command-text-v14/invoke-with-response-stream", {"prompt": "hi", "max_tokens": 9, "num_generations": 2}),
    (
        "cohere.command-r-v1:0/invoke",
        {"message": "hi", "chat_history": [{"role": "USER", "message": "a"}], "max_tokens": 9, "stop_sequences": ["z"]},
    ),
    ("amazon.titan-embed-text-v2:0/invoke", {"inputText": "hi", "dimensions": 256, "embeddingTypes": ["float"]}),
    ("amazon.titan-embed-image-v1/invoke", {"inputText": "hi", "embeddingConfig": {"outputEmbeddingLength": 256}}),
    (
        "amazon.nova-2-multimodal-embeddings-v1:0/invoke",
        {
            "taskType": "SINGLE_EMBEDDING",
            "singleEmbeddingParams": {"embeddingDimension": 256, "text": {"value": "hi", "truncationMode": "END"}},
        },
    ),
    (
        "cohere.embed-v4:0/invoke",
        {"texts": ["hi"], "input_type": "search_query", "embedding_types": ["int8"], "output_dimension": 256},
    ),
    ("cohere.rerank-v3-5:0/invoke", {"query": "hi", "documents": ["hi", "you"], "top_n": 1}),
]


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


ODD = st.one_of(
    st.sampled_from([None, True, 0, -1, 10**400, 2**31, 1e308, nan, inf, "", "\ud83d", "\0", [], {}, [[]], [None]]),
    st.sampled_from([{"x": None}, {"text": 1}, [{}], {"type": ["string"], "required": [1]}, nested(150), nested(700)]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=5,
    ),
)


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each value in a body, that of the body itself first."""
    yield above
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from places(part, (*above, key))


def put(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    """Return a copy of the body with another value in that place."""
    if not place:
        return new
    copied: Any = dict(value) if isinstance(value, dict) else list(value)
    copied[place[0]] = put(value[place[0]], place[1:], new)
    return copied


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, Any]:
    path, body = draw(st.sampled_from(OPERATIONS))
    return f"/model/{path}", put(body, draw(st.sampled_from(list(places(body)))), draw(ODD))


@given(requests())
@settings(max_examples=400)
def test_any_value_in_any_field_is_answered_or_refused_as_by_the_service(
    request: tuple[str, Any],
) -> None:
    path, body = request
    got = Account().post(path, body)
    assert got.status in {200, 400}
    if got.status == 400:
        assert got.error[1] in {"SerializationException", "ValidationException"}


@pytest.mark.parametrize(("path", "body"), OPERATIONS)
def test_the_valid_requests_behind_the_fuzzed_ones_are_answered(path: str, body: dict[str, Any]) -> None:
    assert Account().post(f"/model/{path}", body).status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"null",
        b'"x"',
        b"[" * 100_000,
        b'{"a": ' * 900 + b"1" + b"}" * 900,
        b'{"n": 1' + b"0" * 5000 + b"}",
    ],
)
@pytest.mark.parametrize("path", [path for path, _ in OPERATIONS])
def test_a_body_that_is_not_a_json_object_is_refused(path: str, body: bytes) -> None:
    assert Account().post(f"/model/{path}", body).status == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer é"},
        {"authorization": "AWS4-HMAC-SHA256 Credential=A/2/r/s/aws4_request, SignedHeaders=a, Signature=é"},
        {
            "authorization": "AWS4-HMAC-SHA256 Credential=A, SignedHeaders=a, Signature=b",
            "x-amz-date": "9" * 8 + "T999999Z",
        },
        {"authorization": "Credential=" * 1000},
    ],
)
def test_a_malformed_signature_is_denied(headers: dict[str, str]) -> None:
    account = Account(credentials={"access_key": "A", "secret_key": "secret", "bearer_token": "é"})
    stamp = {"x-amz-date": "20231114T223000Z"}
    got = account.perform(Request("POST", f"/model/{NOVA}/converse", "a=é", {**stamp, **headers}, b"{}"))
    assert got.status in {400, 403} or headers["authorization"] == "Bearer é"


@pytest.mark.parametrize(
    "tables",
    [
        {"latency": {"tokens_per_second": 0}},
        {"latency": {"tokens_per_second": nan}},
        {"latency": {"first_token": inf}},
        {"latency": {"spread": 1e6}},
        {"answers": {"tokens": 1e300}},
        {"quota": {"rpm": 10**400}},
        {"seed": 10**400},
        {"faults": 5},
        {"quotas": [5]},
        {"region": "\ud83d"},
        {"faults": [{"kind": []}]},
        {"faults": [{"kind": "error", "code": "x\r\ny: z", "status": 500}]},
        {"faults": [{"kind": "error", "code": ["x"], "status": 500}]},
        {"faults": [{"kind": "error", "code": "X", "status": 99}]},
        {"faults": [{"kind": "error", "code": "ThrottlingException", "retry_after": inf}]},
        {"faults": [{"kind": "reset", "rate": nan}]},
        {"faults": [{"kind": "refused", "until": inf}]},
    ],
    ids=str,
)
def test_a_scenario_that_cannot_be_simulated_is_refused(tables: dict[str, Any]) -> None:
    with pytest.raises(ScenarioError):
        Account(**tables)


SCENARIO = {
    "latency": {"first_token": 0.1, "tokens_per_second": 50, "spread": 0.3},
    "answers": {"tokens": 100, "spread": 0.5},
    "quota": {"rpm": 1e6, "tpm": 1e12},
    "quotas": [{"model": "*", "rpm": 1e5}],
    "changes": [{"at": 1, "rpm": 1e5}],
    "faults": [{"kind": "stall", "after": 1, "seconds": 2, "rate": 0.5}, {"kind": "truncate", "after": 2}],
}


@given(st.sampled_from(list(places(SCENARIO))[1:]), ODD)
def test_a_scenario_that_is_accepted_can_be_simulated(place: tuple[Any, ...], new: Any) -> None:
    try:
        account = Account(**put(SCENARIO, place, new))
    except ScenarioError:
        return
    account.service.refusing()
    assert {account.converse(stream=stream).status for stream in (True, False)} <= {200, 400, 429}


@pytest.fixture(params=["HTTP/1.1", "HTTP/2"])
def http(request: Any, bedrock_simulator: Simulator) -> Iterator[httpx.Client]:
    http2 = request.param == "HTTP/2"
    with httpx.Client(base_url=bedrock_simulator.url, http1=not http2, http2=http2, trust_env=False) as client:
        yield client


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "text/plain", "origin": "https://example.com"},
        {"content-type": "application/x-www-form-urlencoded"},
        {},
        {**IN_JSON, "origin": "https://example.com"},
        {**IN_JSON, "origin": "null"},
        {**IN_JSON, "host": "rebound.example.com"},
        {**IN_JSON, "host": "127.0.0.1.example.com:8099"},
        {**IN_JSON, "host": "93.184.216.34"},
    ],
    ids=str,
)
def test_a_web_page_cannot_change_the_scenario(
    http: httpx.Client, bedrock_simulator: Simulator, headers: dict[str, str]
) -> None:
    refused = http.post("/_simulator/scenario", content=b'{"quota": {"rpm": 0}}', headers=headers)
    assert refused.status_code in {403, 415}
    assert http.post(PATH, json=ASK).status_code == 200
    assert bedrock_simulator.stats()["throttled"] == {}


def test_a_web_page_cannot_read_the_statistics(http: httpx.Client) -> None:
    assert http.get("/_simulator/stats", headers={"host": "rebound.example.com"}).status_code == 403
    assert http.get("/_simulator/stats", headers={"origin": "https://example.com"}).status_code == 403
    assert http.get("/_simulator/stats", headers={"host": "localhost:1"}).status_code == 200
    assert http.get("/_simulator/stats", headers={"host": "[::1]:1"}).status_code == 200


def test_a_chunked_body_has_the_same_size_limit(bedrock_simulator: Simulator) -> None:
    url = urlsplit(bedrock_simulator.url)
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    with socket.create_connection((url.hostname, url.port), timeout=60) as raw:
        raw.sendall(head)
        for _ in range(26):
            raw.sendall(b"f4240\r\n" + b"x" * 1_000_000 + b"\r\n")
        assert raw.recv(65536).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("http2", [False, True])
def test_a_reset_is_never_an_answer_nor_silence_however_many_connections_there_are(
    bedrock_simulator: Simulator, *, http2: bool
) -> None:
    bedrock_simulator.scenario(faults=[{"kind": "reset"}])

    async def ask(client: httpx.AsyncClient) -> str:
        try:
            return str((await client.post(PATH, json=ASK)).status_code)
        except (httpx.ReadError, httpx.WriteError):
            return "reset"

    async def all_of_them() -> set[str]:
        clients = 1 if http2 else 40
        url, limits = bedrock_simulator.url, httpx.Limits(max_connections=clients, max_keepalive_connections=0)
        async with httpx.AsyncClient(
            base_url=url, http1=not http2, http2=http2, trust_env=False, timeout=60, limits=limits
        ) as client:
            return {outcome for _ in range(10) for outcome in await asyncio.gather(*[ask(client) for _ in range(30)])}

    assert asyncio.run(all_of_them()) == {"reset"}
