"""Details of answers and errors beyond the service model, as recorded answers of the service have them."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError
from support.doubles import session
from support.simulated_account import CLAUDE, HAIKU, NOVA, Account

from aws_bedrock_inference.simulator.server import Endpoint

ASK = {"messages": [{"role": "user", "content": [{"text": "Why is the sky blue?"}]}]}
DOCUMENTED = {"inputTokens", "outputTokens", "totalTokens"}
CACHE = {"cacheReadInputTokens", "cacheReadInputTokenCount", "cacheWriteInputTokens", "cacheWriteInputTokenCount"}
CACHED = [{"text": "x" * 400}, {"cachePoint": {"type": "default"}}, {"text": "y"}]


@pytest.fixture
def runtime(bedrock_simulator: Any) -> Any:
    client = session().client("bedrock-runtime", endpoint_url=bedrock_simulator.url)
    yield client
    client.close()


@pytest.mark.parametrize(
    ("model", "keys"),
    [
        (HAIKU, DOCUMENTED | CACHE | {"serverToolUsage"}),
        (
            "us.anthropic.claude-sonnet-5",
            (DOCUMENTED | CACHE | {"serverToolUsage"}) - {"cacheWriteInputTokens", "cacheWriteInputTokenCount"},
        ),
        (NOVA, DOCUMENTED | {"serverToolUsage"}),
        ("openai.gpt-oss-120b-1:0", DOCUMENTED | {"serverToolUsage"}),
    ],
)
def test_usage_has_cache_counts_if_the_model_reports_them(model: str, keys: set[str]) -> None:
    assert Account().post(f"/model/{model}/converse", ASK).json["usage"].keys() == keys
    streamed = Account().post(f"/model/{model}/converse-stream", ASK).events[-1][1]
    assert streamed["usage"].keys() == DOCUMENTED | {"serverToolUsage"}


@pytest.mark.parametrize("stream", [False, True])
def test_usage_of_a_cached_prompt_counts_reads_and_writes(stream: Any) -> None:
    account = Account()
    body = {"messages": [{"role": "user", "content": CACHED}]}

    def usage(model: str) -> Any:
        got = account.post(f"/model/{model}/converse{'-stream' if stream else ''}", body)
        return (got.events[-1][1] if stream else got.json)["usage"]

    first, second = usage(HAIKU), usage(HAIKU)
    assert first["cacheWriteInputTokens"] == first["cacheWriteInputTokenCount"] == 100
    assert first["cacheDetails"] == [{"inputTokens": 100, "ttl": "5m"}]
    assert second["cacheReadInputTokens"] == second["cacheReadInputTokenCount"] == 100
    assert "cacheDetails" not in second
    assert usage(NOVA).keys() == DOCUMENTED | CACHE | {"serverToolUsage"}


def test_options_of_the_request_are_repeated_in_the_answer(runtime: Any) -> None:
    chosen: Any = {"performanceConfig": {"latency": "optimized"}, "serviceTier": {"type": "flex"}}
    guardrail: Any = {"guardrailIdentifier": "gr1", "guardrailVersion": "1", "trace": "enabled"}
    whole = runtime.converse(modelId=CLAUDE, **ASK, **chosen, guardrailConfig=guardrail)
    streamed = list(runtime.converse_stream(modelId=CLAUDE, **ASK, **chosen, guardrailConfig=guardrail)["stream"])
    for got in (whole, streamed[-1]["metadata"]):
        assert {key: got[key] for key in chosen} == chosen
        assert got["trace"]["guardrail"].keys() >= {"inputAssessment", "outputAssessments"}
        assert list(got["trace"]["guardrail"]["inputAssessment"]) == ["gr1"]


def test_options_that_were_not_set_are_not_in_the_answer(runtime: Any) -> None:
    whole = runtime.converse(modelId=CLAUDE, **ASK)
    assert whole.keys() == {"ResponseMetadata", "output", "stopReason", "usage", "metrics"}


def test_a_guardrail_that_intervened_is_in_the_trace() -> None:
    account = Account(faults=[{"kind": "guardrail"}])
    guardrail = {"guardrailIdentifier": "gr1", "guardrailVersion": "1", "trace": "enabled"}
    trace = account.post(f"/model/{NOVA}/converse", {**ASK, "guardrailConfig": guardrail}).json["trace"]["guardrail"]
    assert trace["inputAssessment"]["gr1"]["topicPolicy"]["topics"][0]["action"] == "BLOCKED"


def test_requested_fields_of_the_native_answer_are_returned(runtime: Any) -> None:
    paths = ["/stop_sequence", "/usage/input_tokens", "/nothing"]
    asked: Any = {**ASK, "additionalModelResponseFieldPaths": paths, "inferenceConfig": {"stopSequences": ["e"]}}
    own = {"stop_sequence": "e", "usage": {"input_tokens": 5}}
    assert runtime.converse(modelId=CLAUDE, **asked)["additionalModelResponseFields"] == own
    (stop,) = [event for event in runtime.converse_stream(modelId=CLAUDE, **asked)["stream"] if "messageStop" in event]
    assert stop["messageStop"]["additionalModelResponseFields"] == own


@pytest.mark.parametrize("operation", ["converse-stream", "invoke-with-response-stream"])
def test_every_frame_is_padded(operation: str) -> None:
    events = Account().post(f"/model/{NOVA}/{operation}", ASK).events
    alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    assert all(event["p"] and alphabet.startswith(event["p"]) for _, event in events)
    assert len({len(event["p"]) for _, event in events}) > 1


def test_every_answer_reports_a_latency_above_zero(runtime: Any) -> None:
    assert runtime.converse(modelId=NOVA, **ASK)["metrics"]["latencyMs"] >= 159
    got = runtime.invoke_model(modelId=NOVA, body=json.dumps(ASK))
    assert int(got["ResponseMetadata"]["HTTPHeaders"]["x-amzn-bedrock-invocation-latency"]) >= 159


@pytest.mark.parametrize(("model", "there"), [(NOVA, True), (HAIKU, True), (CLAUDE, False)])
def test_headers_have_cache_counts_if_the_model_has_a_cache(runtime: Any, model: str, there: Any) -> None:
    claude = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9}
    body = ASK if model == NOVA else {**claude, "messages": [{"role": "user", "content": "a"}]}
    headers = runtime.invoke_model(modelId=model, body=json.dumps(body))["ResponseMetadata"]["HTTPHeaders"]
    names = [f"x-amzn-bedrock-cache-{kind}-input-token-count" for kind in ("read", "write")]
    assert [headers.get(name) for name in names] == ["0" if there else None] * 2


@pytest.mark.parametrize(("model", "least"), [(HAIKU, 346), (NOVA, 320)])
def test_a_prompt_with_tools_counts_the_tool_instructions(model: str, least: int) -> None:
    tool = {"toolSpec": {"name": "t", "inputSchema": {"json": {"type": "object"}}}}
    plain = Account().post(f"/model/{model}/converse", ASK).json["usage"]["inputTokens"]
    tools = Account().post(f"/model/{model}/converse", {**ASK, "toolConfig": {"tools": [tool]}}).json
    assert least < tools["usage"]["inputTokens"] - plain < least + 100


NAMESPACES = {
    "ExpiredTokenException": "com.amazon.coral.service",
    "UnrecognizedClientException": "com.amazon.coral.service",
    "ThrottlingException": "com.amazon.bedrock",
    "ValidationException": "com.amazon.bedrock",
}


@pytest.mark.parametrize("code", NAMESPACES)
def test_the_header_of_an_error_names_its_type_and_source(bedrock_simulator: Any, code: str) -> None:
    bedrock_simulator.scenario(faults=[{"kind": "error", "code": code}])
    got = httpx.post(f"{bedrock_simulator.url}/model/{NOVA}/converse", json=ASK, trust_env=False)
    named = f"{code}:http://internal.amazon.com/coral/{NAMESPACES[code]}/"
    assert got.headers["x-amzn-errortype"] == named
    assert got.headers["x-amzn-requestid"]


# "Troubleshooting Amazon Bedrock API Error Codes", read 2026-11-29.
GUIDE = {
    "BadCScoreException": 403,
    "FTUFormNotFilled": 404,
    "IncompleteSignature": 400,
    "InternalFailure": 500,
    "InvalidAction": 400,
    "InvalidClientTokenId": 403,
    "MPAgreementBeingCreated": 403,
    "NotAuthorized": 400,
    "RequestExpired": 400,
    "ServiceUnavailable": 503,
    "ValidationError": 400,
    "ResourceNotFound": 404,
}


@pytest.mark.parametrize("code", GUIDE)
def test_an_error_code_of_the_user_guide_has_its_status_and_message(
    runtime: Any, bedrock_simulator: Any, code: str
) -> None:
    bedrock_simulator.scenario(faults=[{"kind": "error", "code": code}])
    with pytest.raises(ClientError) as refused:
        runtime.converse(modelId=NOVA, **ASK)
    response: Any = refused.value.response
    assert response["Error"]["Code"] == code
    assert response["Error"]["Message"]
    assert response["ResponseMetadata"]["HTTPStatusCode"] == GUIDE[code]


class Written:
    """A connection of granian that records its written data."""

    def __init__(self) -> None:
        self.written: list[Any] = []

    async def __call__(self) -> bytes:
        return json.dumps(ASK).encode()

    def response_bytes(self, *answer: Any) -> None:
        self.written.append(answer)


def test_a_failure_of_the_simulator_itself_has_a_request_id_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Any) -> None:
        raise RuntimeError("a fault of its own")

    service = Account().service
    monkeypatch.setattr(service, "handle", fail)
    headers = {"content-length": "9", "host": "x"}
    path = f"/model/{NOVA}/converse"
    scope: Any = SimpleNamespace(headers=headers, authority="x", method="POST", path=path, query_string="", client="")
    written: Any = Written()
    asyncio.run(Endpoint(service, "127.0.0.1").__rsgi__(scope, written))
    ((status, sent, _),) = written.written
    assert status == 500
    assert dict(sent)["x-amzn-requestid"]
