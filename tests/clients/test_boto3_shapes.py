"""The methods named after boto3's send and return exactly what boto3 sends and returns."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.answers import FRAMES, MESSAGES, REPLY, UNAVAILABLE, chunk
from support.client_faces import MODEL
from support.judge import assert_same_requests, plain
from support.wire import STREAM_HEAD, Wire, answer, stream

from aws_bedrock_inference import Reply, Usage

PICTURE = b"\x89PNG\x00\xff"
SHOWN: list[dict[str, Any]] = [
    {"role": "user", "content": [{"image": {"format": "png", "source": {"bytes": PICTURE}}}, {"text": "What is it?"}]}
]
DRAWN = {
    **REPLY,
    "output": {
        "message": {
            "role": "assistant",
            "content": [
                {"image": {"format": "png", "source": {"bytes": "iVBORwD/"}}},
                {"toolUse": {"toolUseId": "t", "name": "n", "input": {"n": 1.5, "nothing": None}}},
            ],
        }
    },
}
NEWER: dict[str, Any] = {
    "messages": [
        *MESSAGES,
        {"role": "system", "content": [{"text": "Be brief."}]},
        {"role": "user", "content": [{"toolAddition": {"tool": {"type": "tool", "name": "n"}}}]},
        {"role": "user", "content": [{"toolRemoval": {"tool": {"type": "tool", "name": "n"}}}]},
    ],
    "projectIdentifier": "proj_0a1b2c3d4e5f",
    "outputConfig": {
        "effort": "xhigh",
        "textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": '{"type": "object"}'}}},
    },
    "serviceTier": {"type": "flex"},
    "performanceConfig": {"latency": "optimized"},
    "requestMetadata": {"team": "sky"},
    "promptVariables": {"topic": {"text": "sky"}},
    "guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1", "trace": "enabled_full"},
    "additionalModelRequestFields": {"thinking": {"type": "adaptive"}},
    "additionalModelResponseFieldPaths": ["/stop_details"],
    "toolConfig": {"tools": [{"toolSpec": {"name": "n", "strict": True, "inputSchema": {"json": {"type": "object"}}}}]},
}
NATIVE: dict[str, Any] = {
    "body": b'{"prompt": "x"}',
    "projectIdentifier": "proj_0a1b2c3d4e5f",
    "serviceTier": "priority",
    "requestMetadata": '{"team": "sky"}',
    "performanceConfigLatency": "optimized",
    "guardrailIdentifier": "g",
    "guardrailVersion": "1",
}
UNARY: list[tuple[str, dict[str, Any], Any]] = [
    ("converse", {"messages": MESSAGES}, REPLY),
    ("converse", NEWER, REPLY),
    ("invoke_model", NATIVE, {"completion": "y"}),
    ("converse", {"messages": SHOWN, "inferenceConfig": {"maxTokens": 9, "stopSequences": ["x"]}}, DRAWN),
    ("invoke_model", {"body": b'{"prompt": "x"}', "contentType": "application/json"}, {"completion": "y"}),
    ("invoke_model", {"body": '{"prompt": "\u00fc"}', "trace": "ENABLED"}, {"completion": "y"}),
    ("count_tokens", {"input": {"converse": {"messages": SHOWN}}}, {"inputTokens": 12}),
    ("count_tokens", {"input": {"invokeModel": {"body": b'{"a": 1}'}}}, {"inputTokens": 12}),
]
STREAMED: list[tuple[str, str, dict[str, Any], list[bytes]]] = [
    ("converse_stream", "stream", {"messages": SHOWN}, FRAMES),
    ("converse_stream", "stream", NEWER, FRAMES),
    (
        "invoke_model_with_response_stream",
        "body",
        {"body": b'{"prompt": "x"}', "accept": "application/json"},
        [
            chunk({"type": "content_block_delta", "delta": {"text": "y"}}),
            chunk({"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 1}}),
        ],
    ),
]


@pytest.mark.parametrize("named", [True, False], ids=["model named", "the client's own model"])
@pytest.mark.parametrize(("method", "params", "reply"), UNARY)
def test_a_method_without_a_stream_behaves_as_in_boto3(
    face: Any, oracle: Any, method: str, params: dict[str, Any], reply: Any, *, named: bool
) -> None:
    model = "us.anthropic.claude-3-sonnet-20240229-v1:0" if named else MODEL
    with Wire(answer(reply)) as wire:
        theirs = getattr(oracle(wire.url), method)(modelId=model, **params)
        ours = face.get(getattr(face.open(wire.url), method)(**({"modelId": model} if named else {}), **params))
        assert plain(ours) == plain(theirs)
        assert_same_requests(wire)


@pytest.mark.parametrize(("method", "member", "params", "frames"), STREAMED)
def test_a_streaming_method_behaves_as_in_boto3(
    face: Any, oracle: Any, *, method: str, member: str, params: dict[str, Any], frames: list[bytes]
) -> None:
    head = b"X-Amzn-Bedrock-Content-Type: application/json\r\n"
    act = stream(*frames).replace(STREAM_HEAD, STREAM_HEAD.removesuffix(b"\r\n") + head + b"\r\n")
    with Wire(act) as wire:
        theirs = getattr(oracle(wire.url), method)(modelId=MODEL, **params)
        their_events = list(theirs.pop(member))
        ours = face.get(getattr(face.open(wire.url), method)(**params))
        assert list(face.items(ours.pop(member))) == their_events
        assert plain(ours) == plain(theirs)
        assert_same_requests(wire)


def test_retries_are_counted_in_the_same_field_as_in_boto3(face: Any) -> None:
    with Wire(UNAVAILABLE, UNAVAILABLE, answer(REPLY)) as wire:
        response = face.get(face.open(wire.url).converse(messages=MESSAGES))
        assert response["ResponseMetadata"]["RetryAttempts"] == 2


def test_invoke_calls_converse_and_its_reply_contains_boto3s_response(face: Any, oracle: Any) -> None:
    tool = {"toolSpec": {"name": "n", "inputSchema": {"json": {"type": "object"}}}}
    with Wire(answer(REPLY)) as wire:
        theirs = oracle(wire.url).converse(
            modelId=MODEL,
            messages=[{"role": "user", "content": [{"text": "Why?"}]}],
            system=[{"text": "Be brief."}],
            inferenceConfig={"topP": 0.5, "maxTokens": 9, "temperature": 0, "stopSequences": ["END"]},
            toolConfig={"tools": [tool]},
            requestMetadata={"team": "sky"},
        )
        reply = face.get(
            face.open(wire.url).invoke(
                "Why?",
                system="Be brief.",
                max_tokens=9,
                temperature=0,
                stop_sequences=("END",),
                tools=[tool],
                inferenceConfig={"topP": 0.5},
                requestMetadata={"team": "sky"},
            )
        )
        assert dict(reply) == plain(theirs)
        their_request, our_request = wire.received
        assert our_request.target == their_request.target
        assert json.loads(our_request.body) == json.loads(their_request.body)
    assert isinstance(reply, Reply)
    assert (reply.text, reply.stop_reason, reply.attempts) == ("Because of Rayleigh.", "end_turn", 1)
    assert (reply.usage, reply.request_id) == (Usage(3, 5), "request-1")
    assert (reply.route.model, reply.route.region) == (MODEL, "us-east-1")
    assert reply.output == reply["output"] == theirs["output"]
    assert "usage" in reply
    assert reply.get("nothing", 5) == 5


@pytest.mark.parametrize(
    ("messages", "sent"),
    [
        ([{"role": "user", "content": "Why?"}], [{"role": "user", "content": [{"text": "Why?"}]}]),
        (tuple(MESSAGES), MESSAGES),
    ],
)
def test_messages_may_be_plain_text(face: Any, messages: Any, sent: Any) -> None:
    with Wire(answer(REPLY)) as wire:
        face.get(face.open(wire.url).invoke(messages=messages))
        assert json.loads(wire.received[0].body)["messages"] == sent


def test_invoke_over_a_stream_returns_the_same_reply_as_converse(face: Any) -> None:
    with Wire(answer(REPLY), stream(*FRAMES)) as wire:
        client = face.open(wire.url)
        whole = face.get(client.invoke("Why?"))
        streamed = face.get(client.invoke("Why?", stream=True))
        assert [request.target.rpartition("/")[2] for request in wire.received] == ["converse", "converse-stream"]
    assert (streamed.text, streamed.stop_reason, streamed.usage) == (whole.text, whole.stop_reason, whole.usage)
    assert streamed["metrics"] == whole["metrics"]


def test_invoke_passes_newer_parameters_to_converse(face: Any) -> None:
    more = {name: value for name, value in NEWER.items() if name not in ("messages", "toolConfig")}
    with Wire(answer(REPLY)) as wire:
        face.get(
            face.open(wire.url).invoke(messages=NEWER["messages"], tools=NEWER["toolConfig"], max_tokens=9, **more)
        )
    sent = json.loads(wire.received[0].body)
    assert sent == {**NEWER, "inferenceConfig": {"maxTokens": 9}}


def test_the_project_of_invoke_model_is_sent_as_a_header(face: Any) -> None:
    with Wire(answer({"completion": "y"})) as wire:
        face.get(face.open(wire.url).invoke_model(**NATIVE))
    assert wire.received[0].headers["x-amzn-bedrock-projectidentifier"] == "proj_0a1b2c3d4e5f"
