"""The requests of a resumed stream, and what the caller keeps if the stream cannot continue: no text is lost."""

from __future__ import annotations

import asyncio
import json
import pickle
from base64 import b64encode
from typing import Any

import pytest
from support.answers import fault
from support.client_faces import at_once
from support.wire import Wire, event, exception, frame, stream

from aws_bedrock_inference import Breaker, Deadline, Interrupted, Pipeline, Quota, Resume, Retry, StreamBroken
from aws_bedrock_inference.events import StreamResumed

OLD = "us.anthropic.claude-3-haiku-20240307-v1:0"
FIRST = "The sky is blue because air scatters short waves more than long ones."
REST = " At sunset the light has a longer way."
START = event("messageStart", {"role": "assistant"})
THINKING = {"thinking": {"type": "enabled", "budget_tokens": 2000}, "top_k": 5}


def text(*pieces: str, index: int = 0) -> list[bytes]:
    return [event("contentBlockDelta", {"contentBlockIndex": index, "delta": {"text": piece}}) for piece in pieces]


END = [
    event("contentBlockStop", {"contentBlockIndex": 0}),
    event("messageStop", {"stopReason": "end_turn"}),
    event("metadata", {"usage": {"inputTokens": 30, "outputTokens": 9, "totalTokens": 39}}),
]
CUT = stream(START, *text(FIRST[:30], FIRST[30:]))
GOES_ON = stream(START, *text(FIRST[-40:], REST), *END)
PREFILLED = stream(START, *text(REST), *END)
WHOLE = stream(START, *text(FIRST, REST), *END)
REFUSED = fault(400, "ValidationException", "The conversation must end with a user message.")
TOO_LONG = fault(400, "ValidationException", "Input is too long for requested model.")


def bodies(wire: Wire) -> list[Any]:
    return [json.loads(request.body) for request in wire.received]


@pytest.mark.parametrize("model", ["amazon.nova-lite-v1:0", OLD])
@pytest.mark.parametrize(
    ("given", "asked"),
    [
        pytest.param([{"text": "Well:"}], [{"text": "Well:" + FIRST}], id="text"),
        pytest.param(
            [{"text": "Well:"}, {"cachePoint": {"type": "default"}}],
            [{"text": "Well:"}, {"cachePoint": {"type": "default"}}, {"text": FIRST}],
            id="a cache point after it",
        ),
    ],
)
def test_the_prefill_of_the_caller_is_extended(face: Any, model: str, given: Any, asked: Any) -> None:
    messages = [{"role": "user", "content": [{"text": "Why?"}]}, {"role": "assistant", "content": given}]
    with Wire(CUT, PREFILLED) as wire:
        answer = face.open(wire.url).invoke_stream(modelId=model, messages=messages, on_interrupt="continue")
        assert "".join(face.items(answer)) == FIRST + REST
        assert bodies(wire)[1]["messages"] == [messages[0], {"role": "assistant", "content": asked}]
    assert answer.reply.seams[0].how == "prefill"
    assert messages[1] == {"role": "assistant", "content": given}


@pytest.mark.parametrize(("model", "second"), [(OLD, PREFILLED), ("us.anthropic.claude-opus-4-6-v1", GOES_ON)])
def test_a_resumed_request_does_not_enable_reasoning_again(face: Any, model: str, second: bytes) -> None:
    with Wire(CUT, second) as wire:
        answer = face.open(wire.url).invoke_stream(
            "Why?", modelId=model, max_tokens=2010, additionalModelRequestFields=THINKING, on_interrupt="continue"
        )
        assert "".join(face.items(answer)) == FIRST + REST
        first, again = bodies(wire)
    assert (first["additionalModelRequestFields"], again["additionalModelRequestFields"]) == (THINKING, {"top_k": 5})


def test_if_the_service_refuses_a_prefill_the_stream_continues_with_a_new_turn(face: Any) -> None:
    with Wire(CUT, REFUSED, GOES_ON) as wire:
        answer = face.open(wire.url).invoke_stream("Why?", modelId=OLD, on_interrupt="continue")
        assert "".join(face.items(answer)) == FIRST + REST
        assert [len(body["messages"]) for body in bodies(wire)] == [1, 2, 3]
    assert [(seam.how, seam.verified) for seam in answer.reply.seams] == [("prefill", False), ("turn", True)]


def test_an_answer_too_long_to_be_continued_restarts(face: Any) -> None:
    with Wire(CUT, TOO_LONG, CUT, WHOLE) as wire:
        answer = face.open(wire.url).invoke_stream("Why?", on_interrupt="continue")
        items = list(face.items(answer.events))
        assert bodies(wire)[0] == bodies(wire)[2] == bodies(wire)[3]
    assert answer.reply.text == FIRST + REST
    assert [seam.how for seam in answer.reply.seams] == ["turn", "restart", "restart"]
    assert sum(isinstance(item, Interrupted) for item in items) == 2


def test_a_refusal_that_applies_to_every_request_is_raised(face: Any) -> None:
    denied = fault(403, "AccessDeniedException", "You don't have access to the model with the specified model ID.")
    with Wire(CUT, denied) as wire:
        with pytest.raises(StreamBroken) as raised:
            list(face.items(face.open(wire.url).invoke_stream("Why?", on_interrupt="continue")))
        assert (raised.value.code, raised.value.received) == ("AccessDeniedException", FIRST)
        assert len(wire.received) == 2


def test_an_exhausted_quota_before_the_second_part_loses_no_text(face: Any) -> None:
    quota = Quota(tpm=200)
    with Wire(CUT, GOES_ON) as wire:
        client = face.open(wire.url, pipeline=at_once(quota))
        with pytest.raises(StreamBroken) as raised:
            list(face.items(client.invoke_stream("Why?", max_tokens=150, on_interrupt="continue")))
        error = raised.value
        assert (error.code, error.received, error.attempts) == ("QuotaExhausted", FIRST, 1)
        assert len(wire.received) == 1
        [ledger] = [quota.ledger(error.route, 0.0)]
        taken = ledger.snapshot(client._clock())
        assert (taken.in_flight, taken.waiting) == (0, {})
    [seam] = error.outcome.made.seams
    assert (seam.fault.code, error.outcome.usage) == ("StreamIncomplete", seam.usage)


def test_an_open_circuit_before_the_second_part_loses_no_text(face: Any) -> None:
    broken = stream(START, *text(FIRST), exception("internalServerException", {"message": "It failed."}))
    dice: Any = {"chance": lambda: 0.0}
    pipeline = Pipeline(Deadline(), Resume(**dice), Retry(attempts=1), Breaker(failures=1, recovery=600))
    with Wire(broken, GOES_ON) as wire:
        client = face.open(wire.url, pipeline=pipeline)
        with pytest.raises(StreamBroken) as raised:
            list(face.items(client.invoke_stream("Why?", on_interrupt="continue")))
        assert (raised.value.code, raised.value.received) == ("CircuitOpen", FIRST)
        assert len(wire.received) == 1


def test_a_client_that_closes_before_the_second_part_loses_no_text(face: Any) -> None:
    with Wire(CUT, GOES_ON) as wire:
        client = face.open(wire.url)
        client.listen(lambda event: client._driver.close() if isinstance(event, StreamResumed) else None)
        with pytest.raises(StreamBroken) as raised:
            list(face.items(client.invoke_stream("Why?", on_interrupt="continue")))
        assert (raised.value.code, raised.value.received) == ("ClientClosed", FIRST)


def test_an_error_with_seams_can_be_pickled(face: Any) -> None:
    with Wire(("reset", stream(START, *text(FIRST), end=False))) as wire:
        with pytest.raises(StreamBroken, match="gave up: the stream broke 4 times") as raised:
            list(face.items(face.open(wire.url).invoke_stream("Why?", on_interrupt="restart")))
        assert len(wire.received) == 4
    again = pickle.loads(pickle.dumps(raised.value))  # noqa: S301 - our own
    assert again.received == FIRST
    assert [seam.how for seam in again.outcome.made.seams] == ["restart"] * 3
    assert again.outcome.usage == raised.value.outcome.usage


def test_a_consumer_that_leaves_at_the_interruption_notice_causes_no_second_request(face: Any) -> None:
    with Wire(CUT, WHOLE) as wire:
        answer = face.open(wire.url).invoke_stream("Why?", on_interrupt="restart")
        items = face.items(answer)
        assert [next(items), next(items), next(items)][2].startswith("\n[")
        face.leave(answer)
        assert len(wire.received) == 1


@pytest.mark.parametrize("how", ["continue", "restart"])
def test_a_stream_that_is_closed_while_it_waits_sends_no_second_request(face: Any, how: Any) -> None:
    heard: list[Any] = []
    with Wire(CUT, WHOLE) as wire:
        client = face.open(wire.url)
        answer = client.invoke_stream("Why?", on_interrupt=how)

        def close(event: Any) -> None:
            heard.append(event)
            if isinstance(event, StreamResumed):
                heard.append(answer.close() if hasattr(answer, "close") else asyncio.ensure_future(answer.aclose()))

        client.listen(close)
        assert "".join(face.items(answer)).startswith(FIRST)
        assert len(wire.received) == 1
        assert heard[-1].fault.code == "Abandoned"
        with pytest.raises(ValueError, match="closed before its end"):
            _ = answer.reply


@pytest.mark.parametrize("how", ["continue", "restart"])
def test_a_native_body_and_a_stored_prompt_restart(face: Any, how: Any) -> None:
    dice: Any = {"chance": lambda: 0.0}
    pipeline = Pipeline(Resume(how, **dice), Retry(**dice))
    chunks = [{"outputText": FIRST}, {"outputText": REST, "completionReason": "FINISH"}]
    frames = [frame({"bytes": _base64(chunk)}, message_type="event", event_type="chunk") for chunk in chunks]
    with Wire(stream(frames[0]), stream(*frames), CUT, WHOLE) as wire:
        client = face.open(wire.url, pipeline=pipeline)
        body = face.get(client.invoke_model_with_response_stream(body='{"inputText": "Why?"}'))["body"]
        items = list(face.items(body))
        assert [isinstance(item, Interrupted) for item in items] == [False, True, False, False]
        kept = face.get(client.converse_stream(promptVariables={"q": {"text": "Why?"}}))["stream"]
        assert sum(isinstance(item, Interrupted) for item in face.items(kept)) == 1
        assert wire.received[0].body == wire.received[1].body
        assert wire.received[2].body == wire.received[3].body


def _base64(chunk: Any) -> str:
    return b64encode(json.dumps(chunk).encode()).decode()


def test_an_answer_with_reasoning_between_its_texts_restarts(face: Any) -> None:
    thinks = event("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"reasoningContent": {"text": "hm"}}})
    with Wire(stream(START, *text(FIRST), thinks), WHOLE) as wire:
        answer = face.open(wire.url).invoke_stream("Why?", on_interrupt="continue")
        assert "".join(face.items(answer)).endswith(FIRST + REST)
    assert [seam.how for seam in answer.reply.seams] == ["restart"]


@pytest.mark.parametrize("most", [1, 17, 18, 100])
def test_the_remaining_max_tokens_is_at_least_one(face: Any, most: int) -> None:
    with Wire(CUT, PREFILLED) as wire:
        answer = face.open(wire.url).invoke_stream("Why?", modelId=OLD, max_tokens=most, on_interrupt="continue")
        assert "".join(face.items(answer)) == FIRST + REST
        assert bodies(wire)[1]["inferenceConfig"]["maxTokens"] == max(1, most - 17)


def test_a_long_anchor_does_not_raise_max_tokens_by_its_length(face: Any) -> None:
    lines = "    return None\n" * 100
    with Wire(stream(START, *text(lines)), WHOLE) as wire:
        face.whole(face.open(wire.url).invoke_stream("Why?", max_tokens=500, on_interrupt="continue"))
        first, second = bodies(wire)
        assert len(second["messages"][2]["content"][0]["text"]) > 640
        assert second["inferenceConfig"]["maxTokens"] < first["inferenceConfig"]["maxTokens"]


def test_neither_prompt_nor_answer_is_in_events_and_errors(face: Any) -> None:
    prompt = "My secret is Rosebud, tell nobody about it."
    quoted = exception("internalServerException", {"message": f"cannot answer '{prompt}'"})
    heard: list[Any] = []
    with Wire(stream(START, *text(FIRST), quoted)) as wire:
        client = face.open(wire.url)
        client.listen(heard.append)
        with pytest.raises(StreamBroken) as raised:
            list(face.items(client.invoke_stream(prompt, on_interrupt="continue")))
    said = repr(heard) + str(raised.value) + repr(raised.value.outcome.made) + "".join(raised.value.__notes__)
    assert "StreamResumed" in said
    assert "Rosebud" not in said
    assert FIRST[:20] not in said


def test_a_second_part_without_new_text_still_uses_a_block_index(face: Any) -> None:
    closed = stream(START, *text(FIRST), event("contentBlockStop", {"contentBlockIndex": 0}))
    nothing = stream(START, *text(FIRST[-40:]), event("contentBlockStop", {"contentBlockIndex": 0}))
    with Wire(closed, nothing, GOES_ON) as wire:
        answer = face.open(wire.url).invoke_stream("Why?", on_interrupt="continue")
        events = list(face.items(answer.events))
    assert answer.reply.text == FIRST + REST
    assert [body["contentBlockIndex"] for event in events for body in event.values() if "delta" in body] == [0, 2]


def test_the_remaining_max_tokens_accounts_for_scripts_with_more_tokens(face: Any) -> None:
    chinese = "\u5929\u7a7a\u662f\u84dd\u8272\u7684" * 20
    with Wire(stream(START, *text(chinese)), PREFILLED) as wire:
        answer = face.open(wire.url).invoke_stream("Why?", modelId=OLD, max_tokens=100, on_interrupt="continue")
        assert "".join(face.items(answer)) == chinese + REST
        assert bodies(wire)[1]["inferenceConfig"]["maxTokens"] == 100 - 120 * 3 // 4
