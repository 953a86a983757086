"""A stream that breaks after its first content goes on as the caller wants it to: raised, anew, or continued."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.answers import FRAMES, MESSAGES, THROTTLED_FRAME
from support.client_faces import at_once
from support.wire import Wire, event, exception, stream

from aws_bedrock_inference import Interrupted, InvalidRequest, Pipeline, Retry, StreamBroken, TimedOut, Timeout, Usage
from aws_bedrock_inference.events import CallEnded, StreamResumed

OLD = "us.anthropic.claude-3-haiku-20240307-v1:0"
FIRST = "The sky is blue because air scatters short waves more than long ones."
REST = " At sunset the light has a longer way."
NOTICE = "\n[Stream was interrupted. Retrying...]\n"


def text(*pieces: str, index: int = 0) -> list[bytes]:
    return [event("contentBlockDelta", {"contentBlockIndex": index, "delta": {"text": piece}}) for piece in pieces]


def end(index: int = 0, reason: str = "end_turn", usage: tuple[int, int] = (30, 9)) -> list[bytes]:
    used = {"inputTokens": usage[0], "outputTokens": usage[1], "totalTokens": sum(usage)}
    return [
        event("contentBlockStop", {"contentBlockIndex": index}),
        event("messageStop", {"stopReason": reason}),
        event("metadata", {"usage": used, "metrics": {"latencyMs": 7}}),
    ]


START = event("messageStart", {"role": "assistant"})
CUT = stream(START, *text(FIRST[:30], FIRST[30:]))
GOES_ON = stream(START, *text(FIRST[-40:], REST), *end())
WHOLE = stream(START, *text(FIRST, REST), *end())


def bodies(wire: Wire) -> list[Any]:
    return [json.loads(request.body) for request in wire.received]


def test_a_broken_answer_is_continued_as_one_text(face: Any) -> None:
    heard: list[Any] = []
    with Wire(CUT, GOES_ON) as wire:
        client = face.open(wire.url)
        client.listen(heard.append)
        answer = client.invoke_stream("Why?", max_tokens=100, on_interrupt="continue")
        assert "".join(face.items(answer)) == FIRST + REST
        first, second = bodies(wire)
    assert second["messages"][:2] == [*first["messages"], {"role": "assistant", "content": [{"text": FIRST}]}]
    assert FIRST[-40:] in second["messages"][2]["content"][0]["text"]
    assert second["inferenceConfig"]["maxTokens"] < 100 + 40
    reply = answer.reply
    assert (reply.text, reply.stop_reason, reply.attempts) == (FIRST + REST, "end_turn", 2)
    [seam] = reply.seams
    assert (seam.at, seam.how, seam.verified, seam.fault.code) == (len(FIRST), "turn", True, "StreamIncomplete")
    assert reply.usage == Usage(30 + seam.usage.input_tokens, 9 + seam.usage.output_tokens)
    resumed, ended = heard
    assert isinstance(resumed, StreamResumed)
    assert (resumed.how, resumed.received) == ("turn", len(FIRST))
    assert isinstance(ended, CallEnded)
    assert (ended.fault, ended.attempts, ended.usage) == (None, 2, reply.usage)


def test_the_events_of_both_parts_are_those_of_one_answer(face: Any) -> None:
    thinks = [
        event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "hm"}}}),
        event("contentBlockStop", {"contentBlockIndex": 0}),
    ]
    first = stream(START, *thinks, *text(FIRST, index=1))
    with Wire(first, stream(START, *thinks, *text(FIRST[-40:] + REST, index=1), *end(1))) as wire:
        answer = face.open(wire.url).invoke_stream("Why?", on_interrupt="continue")
        events = list(face.items(answer.events))
    assert [next(iter(event)) for event in events].count("messageStart") == 1
    assert {
        body["contentBlockIndex"] for event in events for body in event.values() if "contentBlockIndex" in body
    } == {
        0,
        1,
    }
    content = answer.reply.output["message"]["content"]
    assert content == [{"reasoningContent": {"reasoningText": {"text": "hm"}}}, {"text": FIRST + REST}]


def test_a_model_that_takes_a_prefill_goes_on_by_itself(face: Any) -> None:
    with Wire(stream(START, *text(FIRST + " ")), stream(START, *text(REST), *end())) as wire:
        client = face.open(wire.url)
        answer = client.invoke_stream("Why?", modelId=OLD, on_interrupt="continue")
        assert "".join(face.items(answer)) == FIRST + REST
        assert bodies(wire)[1]["messages"][1:] == [{"role": "assistant", "content": [{"text": FIRST}]}]
    [seam] = answer.reply.seams
    assert (seam.how, seam.verified) == ("prefill", True)


def test_a_restart_says_so_and_begins_anew(face: Any) -> None:
    with Wire(CUT, WHOLE, CUT, WHOLE) as wire:
        client = face.open(wire.url)
        answer = client.invoke_stream("Why?", on_interrupt="restart")
        assert "".join(face.items(answer)) == FIRST + NOTICE + FIRST + REST
        assert (answer.reply.text, [seam.how for seam in answer.reply.seams]) == (FIRST + REST, ["restart"])
        events = list(face.items(client.invoke_stream("Why?", on_interrupt="restart").events))
        assert bodies(wire)[0] == bodies(wire)[1]
    [interrupted] = [event for event in events if isinstance(event, Interrupted)]
    assert interrupted.fault.code == "StreamIncomplete"


TOOL = event("contentBlockStart", {"contentBlockIndex": 1, "start": {"toolUse": {"toolUseId": "t", "name": "n"}}})
HALF = event("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"toolUse": {"input": '{"ci'}}})
SCHEMA = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": "{}"}}}}
TOOLS = [{"toolSpec": {"name": "n", "inputSchema": {"json": {"type": "object"}}}}]


@pytest.mark.parametrize(
    ("cut", "options"),
    [
        pytest.param(stream(START, *text(FIRST), TOOL, HALF), {"tools": TOOLS}, id="half a tool call"),
        pytest.param(CUT, {"outputConfig": SCHEMA}, id="an answer that follows a schema"),
        pytest.param(CUT, {"tools": {"tools": TOOLS, "toolChoice": {"any": {}}}}, id="a tool is due"),
        pytest.param(stream(START, *text(" \n")), {}, id="nothing but white space"),
    ],
)
def test_what_cannot_be_continued_begins_anew(face: Any, cut: bytes, options: dict[str, Any]) -> None:
    with Wire(cut, WHOLE) as wire:
        answer = face.open(wire.url).invoke_stream("Why?", on_interrupt="continue", **options)
        assert "".join(face.items(answer)).endswith(NOTICE + FIRST + REST)
        assert bodies(wire)[0] == bodies(wire)[1]
    assert answer.reply.output["message"]["content"] == [{"text": FIRST + REST}]


def test_a_seam_that_cannot_be_checked_says_so(face: Any) -> None:
    with Wire(CUT, stream(START, *text(REST), *end())) as wire:
        answer = face.open(wire.url).invoke_stream("Why?", on_interrupt="continue")
        assert "".join(face.items(answer)) == FIRST + REST
    assert [seam.verified for seam in answer.reply.seams] == [False]


def test_the_second_part_may_break_too_and_lose_nothing(face: Any) -> None:
    second = stream(START, *text(FIRST[-40:] + REST[:9]))
    lead = stream(START, *text("Right: "))
    with Wire(CUT, second, lead, stream(START, *text((FIRST + REST)[30:]), *end())) as wire:
        answer = face.open(wire.url).invoke_stream("Why?", on_interrupt="continue")
        assert "".join(face.items(answer)) == FIRST + REST
        assert len(wire.received) == 4
    assert [seam.verified for seam in answer.reply.seams] == [True, False, True]


def test_three_interruptions_are_the_most(face: Any) -> None:
    with Wire(CUT) as wire:
        pieces: list[str] = []
        answer = face.open(wire.url).invoke_stream("Why?", on_interrupt="restart")
        with pytest.raises(StreamBroken) as raised:
            pieces.extend(face.items(answer))
        assert (len(wire.received), raised.value.attempts) == (4, 4)
    assert "".join(pieces) == NOTICE.join([FIRST] * 4)
    assert raised.value.received == FIRST


def test_a_fault_that_no_repeat_heals_is_raised(face: Any) -> None:
    refused = exception("validationException", {"message": "the input is too long"})
    with Wire(stream(START, *text(FIRST), refused)) as wire:
        with pytest.raises(StreamBroken, match="too long"):
            list(face.items(face.open(wire.url).invoke_stream("Why?", on_interrupt="continue")))
        assert len(wire.received) == 1


def test_the_deadline_holds_for_all_parts(face: Any) -> None:
    with Wire(("stall", stream(START, *text(FIRST), end=False))) as wire:
        client = face.open(wire.url, timeout=0.3)
        with pytest.raises(StreamBroken) as raised:
            list(face.items(client.invoke_stream("Why?", on_interrupt="continue")))
        assert (len(wire.received), raised.value.received) == (1, FIRST)


def test_a_consumer_may_leave_the_second_part(face: Any) -> None:
    with Wire(CUT, ("stall", stream(START, *text(FIRST[-40:], REST), end=False))) as wire:
        answer = face.open(wire.url).invoke_stream("Why?", on_interrupt="continue")
        items = face.items(answer)
        assert [next(items), next(items), next(items)] == [FIRST[:30], FIRST[30:], REST]
        face.leave(answer)
        assert wire.gone.wait(10)


def test_without_a_word_the_fault_is_raised(face: Any) -> None:
    with Wire(stream(*FRAMES[:3], THROTTLED_FRAME)) as wire:
        client = face.open(wire.url)
        for options in ({}, {"on_interrupt": "raise"}):
            with pytest.raises(StreamBroken, match="ThrottlingException"):
                list(face.items(client.invoke_stream("Why?", **options)))
        with pytest.raises(StreamBroken):
            list(face.items(face.get(client.converse_stream(messages=MESSAGES))["stream"]))
        assert len(wire.received) == 3


@pytest.mark.parametrize("wrong", ["again", True, 3])
def test_another_word_is_refused(face: Any, wrong: Any) -> None:
    with Wire(WHOLE) as wire, pytest.raises(InvalidRequest, match="pass one of raise, restart, continue"):
        face.open(wire.url).invoke_stream("Why?", on_interrupt=wrong)


def test_a_pipeline_without_the_policy_says_what_is_missing(face: Any) -> None:
    with Wire(WHOLE) as wire:
        client = face.open(wire.url, pipeline=Pipeline(Retry()))
        with pytest.raises(InvalidRequest, match="needs the policy Resume"):
            client.invoke_stream("Why?", on_interrupt="continue")
        assert "".join(face.items(client.invoke_stream("Why?", on_interrupt="raise"))) == FIRST + REST


def test_a_stream_that_stays_empty_is_asked_for_again(face: Any) -> None:
    empty = ("stall", stream(START, end=False))
    with Wire(empty, WHOLE, empty) as wire:
        client = face.open(wire.url, pipeline=at_once(), timeout=Timeout(first_content=0.2))
        assert "".join(face.items(client.invoke_stream("Why?"))) == FIRST + REST
        with pytest.raises(TimedOut) as raised:
            list(face.items(client.invoke_stream("Why?")))
        assert (raised.value.code, raised.value.cause) == ("FirstContentTimeout", "first-content-late")
        assert len(wire.received) == 4
