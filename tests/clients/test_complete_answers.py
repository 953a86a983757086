"""A truncated tool call or truncated JSON is requested again with a larger limit, or raises an exception."""

from __future__ import annotations

import json
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from support.answers import MESSAGES, REPLY, UNAVAILABLE, fault
from support.client_faces import at_once
from support.wire import Wire, answer, event, stream

from aws_bedrock_inference import (
    AnswerIncomplete,
    Call,
    Complete,
    Decision,
    Degrade,
    Outcome,
    Pipeline,
    Quota,
    Route,
    ServiceFault,
    Usage,
    standard,
)
from aws_bedrock_inference.drivers.blocking import Driver
from aws_bedrock_inference.events import CallEnded, RetryScheduled

if TYPE_CHECKING:
    from aws_bedrock_inference.flow import Flow

TOOLS = [{"toolSpec": {"name": "look", "inputSchema": {"json": {"type": "object"}}}}]
REQUIRED = {"tools": TOOLS, "toolChoice": {"any": {}}}
SCHEMA = {"type": "object", "properties": {"sky": {"type": "string"}}, "required": ["sky"]}


def wanted(schema: Any = SCHEMA) -> dict[str, Any]:
    structure = {"jsonSchema": {"name": "s", "schema": json.dumps(schema)}}
    return {"outputConfig": {"textFormat": {"type": "json_schema", "structure": structure}}}


def said(*content: dict[str, Any], reason: str = "max_tokens") -> dict[str, Any]:
    return {**REPLY, "output": {"message": {"role": "assistant", "content": list(content)}}, "stopReason": reason}


USE = {"toolUse": {"toolUseId": "t", "name": "look", "input": {"at": "sky"}}}
HALF = {"toolUse": {"toolUseId": "t", "name": "look", "input": {}}}
TEXT = {"text": "Let me look."}
CUT_TOOL = said(TEXT, HALF)
WHOLE_TOOL = said(TEXT, USE, reason="tool_use")
CUT_JSON = said({"text": '{"sky": "bl'})
WHOLE_JSON = said({"text": '{"sky": "blue"}'}, reason="end_turn")


def using(quota: Quota | None = None, **options: int) -> Pipeline:
    return Pipeline(Complete(**options), *at_once(quota).policies)


def opened(face: Any, wire: Wire, quota: Quota | None = None, **options: int) -> tuple[Any, list[Any]]:
    client = face.open(wire.url, pipeline=using(quota, **options))
    heard: list[Any] = []
    client.listen(heard.append)
    return client, heard


def limits(wire: Wire) -> list[Any]:
    return [json.loads(request.body).get("inferenceConfig", {}).get("maxTokens") for request in wire.received]


DUE = [
    pytest.param(CUT_TOOL, WHOLE_TOOL, {"tools": TOOLS}, id="inside a tool call"),
    pytest.param(said(TEXT), WHOLE_TOOL, {"tools": REQUIRED}, id="before the tool call"),
    pytest.param(said(), WHOLE_TOOL, {"tools": {**REQUIRED, "toolChoice": {"tool": {"name": "look"}}}}, id="nothing"),
    pytest.param(CUT_JSON, WHOLE_JSON, wanted(), id="inside the JSON"),
]


@pytest.mark.parametrize(("cut", "whole", "options"), DUE)
def test_a_truncated_answer_is_requested_again_with_a_larger_limit(
    face: Any, cut: Any, whole: Any, options: Any
) -> None:
    with Wire(answer(cut), answer(whole)) as wire:
        client, heard = opened(face, wire)
        reply = face.get(client.invoke("Why?", max_tokens=40, **options))
        assert limits(wire) == [40, 80]
        first, second = (json.loads(request.body) for request in wire.received)
    assert first | {"inferenceConfig": None} == second | {"inferenceConfig": None}
    assert reply.output["message"]["content"] == whole["output"]["message"]["content"]
    assert (reply.attempts, reply.usage, reply.made.enlarged) == (2, Usage(6, 10), 80)
    repeated, ended = heard
    assert isinstance(repeated, RetryScheduled)
    assert (repeated.fault.code, repeated.attempt, repeated.wait, repeated.tokens) == ("AnswerIncomplete", 1, 0.0, 5)
    assert isinstance(ended, CallEnded)
    assert (ended.attempts, ended.usage) == (2, Usage(6, 10))


@pytest.mark.parametrize("reason", ["malformed_tool_use", "malformed_model_output"])
def test_output_that_the_service_could_not_read_is_no_answer(face: Any, reason: str) -> None:
    with Wire(answer(said(TEXT, reason=reason))) as wire:
        client, _ = opened(face, wire)
        with pytest.raises(AnswerIncomplete, match=reason) as raised:
            face.get(client.invoke("Why?", tools=TOOLS))
        assert face.get(client.invoke("Why?")).stop_reason == reason
        assert len(wire.received) == 2
    error = raised.value
    assert (error.cause, error.decision) == ("model-invalid-tool-output", Decision.RETRY_LIMITED)
    assert (error.usage, error.received) == (Usage(3, 5), "Let me look.")


@pytest.mark.parametrize(("method", "options"), [("invoke", {"stream": True}), ("invoke_stream", {})])
def test_a_streamed_tool_call_whose_input_is_not_json_is_no_answer(face: Any, method: str, options: Any) -> None:
    use = {"toolUse": {"toolUseId": "t", "name": "f"}}
    started = event("contentBlockStart", {"contentBlockIndex": 0, "start": use})
    pieces = [
        event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"toolUse": {"input": piece}}})
        for piece in ('{"at": ', "sky")
    ]
    stopped = event("contentBlockStop", {"contentBlockIndex": 0}), event("messageStop", {"stopReason": "tool_use"})
    with Wire(stream(started, *pieces, *stopped)) as wire:
        client, _ = opened(face, wire)
        with pytest.raises(AnswerIncomplete, match="input is not JSON") as raised:
            face.whole(getattr(client, method)("Why?", tools=TOOLS, **options))
    assert (raised.value.cause, raised.value.decision) == ("model-invalid-tool-output", Decision.RETRY_LIMITED)


@pytest.mark.parametrize(("cut", "whole", "options"), DUE)
def test_a_second_truncated_answer_raises_with_the_received_part(face: Any, cut: Any, whole: Any, options: Any) -> None:
    with Wire(answer(cut)) as wire:
        client, _ = opened(face, wire)
        with pytest.raises(AnswerIncomplete, match="max_tokens=80 truncated the answer") as raised:
            face.get(client.invoke("Why?", max_tokens=40, **options))
        assert limits(wire) == [40, 80]
    error = raised.value
    assert (error.cause, error.decision, error.attempts) == ("answer-truncated", Decision.FAIL, 2)
    assert (error.usage, error.answer["output"]) == (Usage(6, 10), cut["output"])
    assert error.request_id == "request-1"
    assert pickle.loads(pickle.dumps(error)).received == error.received  # noqa: S301 - made here


def test_a_truncated_collected_stream_is_requested_again_too(face: Any) -> None:
    with Wire(*(stream(*tool(end)) for end in ('{"at', '{"at": "sky"}'))) as wire:
        client, _ = opened(face, wire)
        reply = face.get(client.invoke("Why?", max_tokens=40, tools=TOOLS, stream=True))
        assert limits(wire) == [40, 80]
    assert reply.output["message"]["content"] == [USE]


def tool(piece: str) -> list[bytes]:
    start = {"toolUse": {"toolUseId": "t", "name": "look"}}
    reason = "tool_use" if piece.endswith("}") else "max_tokens"
    return [
        event("messageStart", {"role": "assistant"}),
        event("contentBlockStart", {"contentBlockIndex": 0, "start": start}),
        event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"toolUse": {"input": piece}}}),
        event("contentBlockStop", {"contentBlockIndex": 0}),
        event("messageStop", {"stopReason": reason}),
        event("metadata", {"usage": REPLY["usage"], "metrics": {"latencyMs": 1}}),
    ]


def test_a_truncated_stream_raises_at_its_end_and_is_not_repeated(face: Any) -> None:
    given: list[Any] = []
    with Wire(stream(*tool('{"at'))) as wire:
        client, _ = opened(face, wire)
        with pytest.raises(AnswerIncomplete) as raised:
            given.extend(face.items(client.invoke_stream("Why?", max_tokens=40, tools=TOOLS).events))
        assert limits(wire) == [40]
    assert list(given[-1]) == ["metadata"]
    assert raised.value.answer["output"]["message"]["content"][0]["toolUse"]["input"] == '{"at'
    assert raised.value.usage == Usage(3, 5)


@pytest.mark.parametrize(
    ("answered", "options"),
    [
        pytest.param(said(TEXT), {}, id="text alone"),
        pytest.param(said(TEXT), {"tools": TOOLS}, id="text, though a tool may be used"),
        pytest.param(said(USE, TEXT), {"tools": TOOLS}, id="text after a whole tool call"),
        pytest.param(said({"text": '{"sky": "blue"}\n'}), wanted(), id="the JSON was whole"),
        pytest.param(said(TEXT, reason="refusal"), wanted(), id="a refusal"),
        pytest.param(said(TEXT, reason="a_word_of_next_year"), wanted(), id="an unknown reason"),
        pytest.param(said(USE, reason="tool_use"), {"tools": TOOLS, **wanted()}, id="a tool call instead of the JSON"),
    ],
)
def test_a_complete_answer_is_returned_unchanged(face: Any, answered: Any, options: Any) -> None:
    with Wire(answer(answered)) as wire:
        client, heard = opened(face, wire)
        reply = face.get(client.invoke("Why?", max_tokens=40, **options))
        assert len(wire.received) == 1
    assert reply.stop_reason == answered["stopReason"]
    assert [type(each) for each in heard] == [CallEnded]


def test_the_larger_limit_never_exceeds_the_maximum_of_the_model(face: Any) -> None:
    with Wire(answer(CUT_TOOL)) as wire:
        client, _ = opened(face, wire, repeats=2)
        for given, sent in ((6000, [6000, 10_000]), (10_000, [10_000]), (None, [None])):
            del wire.received[:]
            with pytest.raises(AnswerIncomplete, match=r"max_tokens") as raised:
                face.get(client.invoke("Why?", max_tokens=given, tools=TOOLS))
            assert limits(wire) == sent
            assert raised.value.attempts == len(sent)


def test_an_answer_that_filled_the_context_window_is_not_requested_again(face: Any) -> None:
    with Wire(answer({**CUT_TOOL, "stopReason": "model_context_window_exceeded"})) as wire:
        client, _ = opened(face, wire)
        with pytest.raises(AnswerIncomplete, match="context window truncated the answer inside a tool call"):
            face.get(client.invoke("Why?", max_tokens=40, tools=TOOLS))
        assert limits(wire) == [40]


def test_a_larger_limit_that_exceeds_the_quota_is_reported(face: Any) -> None:
    with Wire(answer(CUT_TOOL)) as wire:
        client, _ = opened(face, wire, Quota(tpm=1500))
        with pytest.raises(AnswerIncomplete, match="max_tokens=1600 failed with QuotaExhausted") as raised:
            face.get(client.invoke("Why?", max_tokens=800, tools=TOOLS))
        assert limits(wire) == [800]
    assert (raised.value.attempts, raised.value.answer["output"]) == (1, CUT_TOOL["output"])


def test_a_failed_repeat_raises_with_the_first_answer(face: Any) -> None:
    with Wire(answer(CUT_TOOL), fault(400, "ValidationException", "the limit is too large")) as wire:
        client, _ = opened(face, wire)
        with pytest.raises(AnswerIncomplete, match="max_tokens=80 failed with ValidationException") as raised:
            face.get(client.invoke("Why?", max_tokens=40, tools=TOOLS))
    assert (raised.value.attempts, raised.value.usage) == (2, Usage(3, 5))
    with Wire(UNAVAILABLE, answer(CUT_TOOL), UNAVAILABLE, answer(WHOLE_TOOL)) as wire:
        client, _ = opened(face, wire)
        reply = face.get(client.invoke("Why?", max_tokens=40, tools=TOOLS))
        assert limits(wire) == [40, 40, 80, 80]
    assert reply.attempts == 4


def test_the_methods_named_after_boto3s_repeat_truncated_answers_too(face: Any) -> None:
    with Wire(answer(CUT_TOOL), answer(WHOLE_TOOL)) as wire:
        client, _ = opened(face, wire)
        response = face.get(client.converse(messages=MESSAGES, toolConfig=REQUIRED, inferenceConfig={"maxTokens": 7}))
        assert limits(wire) == [7, 14]
    assert response["stopReason"] == "tool_use"
    assert response["ResponseMetadata"]["RetryAttempts"] == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("The sky is blue.", "it is not well-formed JSON"),
        ("", "it is empty"),
        ('{"sea": "blue"}', "it violates the rule required"),
        ('{"sky": 4711}', "it violates the rule properties/sky/type"),
    ],
)
def test_json_that_does_not_match_its_schema_raises_with_the_answer(face: Any, text: str, problem: str) -> None:
    frames = [
        event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": text}}),
        event("messageStop", {"stopReason": "end_turn"}),
        event("metadata", {"usage": REPLY["usage"], "metrics": {"latencyMs": 1}}),
    ]
    with Wire(answer(said({"text": text}, reason="end_turn")), stream(*frames)) as wire:
        client, _ = opened(face, wire)
        with pytest.raises(AnswerIncomplete, match=problem) as raised:
            face.get(client.invoke("Why?", max_tokens=40, **wanted()))
        with pytest.raises(AnswerIncomplete, match=problem):
            list(face.items(client.invoke_stream("Why?", max_tokens=40, **wanted())))
        assert limits(wire) == [40, 40]
    error = raised.value
    assert (error.cause, error.decision, error.received) == ("answer-breaks-schema", Decision.RETRY_LIMITED, text)
    assert "4711" not in str(error)
    assert isinstance(error, ServiceFault)


def test_json_that_matches_its_schema_is_returned(face: Any) -> None:
    with Wire(answer(WHOLE_JSON)) as wire:
        client = face.open(wire.url, pipeline=standard(Quota(rpm=600_000)))
        assert face.get(client.invoke("Why?", max_tokens=40, **wanted())).text == '{"sky": "blue"}'


def test_a_truncated_answer_raises_immediately_if_repeats_are_turned_off(face: Any) -> None:
    with Wire(answer(CUT_TOOL)) as wire:
        client, _ = opened(face, wire, repeats=0)
        with pytest.raises(AnswerIncomplete):
            face.get(client.invoke("Why?", max_tokens=40, tools=TOOLS))
        assert limits(wire) == [40]


def test_a_substitute_answer_does_not_hide_a_limit_that_is_too_small(face: Any) -> None:
    with Wire(answer(CUT_TOOL)) as wire:
        client = face.open(wire.url, pipeline=Pipeline(Degrade("Busy."), *using().policies))
        with pytest.raises(AnswerIncomplete):
            face.get(client.invoke("Why?", max_tokens=40, tools=TOOLS))


@pytest.mark.parametrize("wrong", [-1, 0.5, True, None, "1"])
def test_an_invalid_number_of_repeats_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"Complete\(repeats="):
        Complete(repeats=wrong)


def test_a_truncated_answer_is_not_repeated_after_the_deadline() -> None:
    sent: list[Call] = []

    def step(call: Call) -> Flow:
        sent.append(call)
        yield from ()
        return Outcome(CUT_TOOL)

    params = {"messages": MESSAGES, "toolConfig": REQUIRED, "inferenceConfig": {"maxTokens": 40}}
    for deadline, times in ((5.0, 1), (5.1, 3)):
        flow = Complete().around(step, lambda: 5.0)(Call("converse", params, Route("m"), deadline=deadline))
        outcome = Driver(lambda _: Outcome()).run(flow)
        assert outcome.fault is not None
        assert (outcome.fault.code, len(sent)) == ("AnswerIncomplete", times)
