"""What a guardrail, a provider's filter or a model keeps back: returned, replaced by a message, or raised."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from support.answers import MESSAGES, REPLY, chunk, fault
from support.client_faces import Blocking, at_once
from support.wire import Wire, answer, event, exception, stream

from aws_bedrock_inference import (
    ContentFilteredError,
    Filtered,
    FilteredContent,
    InvalidByService,
    Pipeline,
    Quota,
    Replaced,
    Usage,
    safe_invoke,
    standard,
)
from aws_bedrock_inference.events import CallEnded, ContentFiltered
from aws_bedrock_inference.fault import Decision

NO = "I can't answer that."
USED = {"usage": REPLY["usage"], "metrics": {"latencyMs": 1}}
HATE = {"contentPolicy": {"filters": [{"type": "HATE", "action": "BLOCKED", "detected": True}]}}
TRACE = {"trace": {"guardrail": {"inputAssessment": {"g1": HATE}}}}
START = event("messageStart", {"role": "assistant"})


def end(reason: str, **beside: Any) -> list[bytes]:
    return [event("messageStop", {"stopReason": reason}), event("metadata", {**USED, **beside})]


def text(*pieces: str) -> list[bytes]:
    return [event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": piece}}) for piece in pieces]


BLOCKED = answer({**REPLY, "stopReason": "guardrail_intervened", **TRACE})
BLOCKED_STREAM = stream(START, *text("To ", "begin"), *end("guardrail_intervened", **TRACE))
EMPTY_STREAM = stream(START, *end("content_filtered"))
REFUSED = fault(400, "ValidationException", "This request has been blocked by our content filters. Nothing was made.")
MODEL_REFUSED = fault(424, "ModelErrorException", "The answer was held back by a content filter.")
HELD_BACK = exception("validationException", {"message": "Output blocked by content filtering policy"})
BROKEN_OFF = stream(START, *text("To ", "begin"), HELD_BACK)


def using(on_filtered: Any, quota: Quota | None = None) -> Pipeline:
    policy = on_filtered if isinstance(on_filtered, Filtered) else Filtered(on_filtered)
    return Pipeline(policy, *at_once(quota).policies)


def opened(face: Any, wire: Wire, on_filtered: Any) -> tuple[Any, list[Any]]:
    client = face.open(wire.url, pipeline=using(on_filtered))
    heard: list[Any] = []
    client.listen(heard.append)
    return client, heard


@pytest.mark.parametrize("streamed", [False, True])
def test_a_message_stands_in_the_place_of_the_answer(face: Any, *, streamed: bool) -> None:
    with Wire(BLOCKED_STREAM if streamed else BLOCKED) as wire:
        client, heard = opened(face, wire, NO)
        reply = face.get(client.invoke("Why?", max_tokens=9, stream=streamed))
        assert len(wire.received) == 1
    assert (reply.text, reply.stop_reason, reply.attempts) == (NO, "guardrail_intervened", 1)
    assert (reply.made.replaced, reply.usage) == (True, Usage(3, 5))
    assert (reply.filtered.source, reply.filtered.categories) == ("guardrail", ("HATE",))
    filtered, ended = heard
    assert filtered == ContentFiltered(ended.route, reply.filtered, replaced=True)
    assert (ended.fault, ended.usage) == (None, Usage(3, 5))


@pytest.mark.parametrize("streamed", [False, True])
def test_an_exception_carries_what_came(face: Any, *, streamed: bool) -> None:
    with Wire(BLOCKED_STREAM if streamed else BLOCKED) as wire:
        client, heard = opened(face, wire, "raise")
        with pytest.raises(ContentFilteredError, match=r"blocked by a guardrail \(g1\): HATE") as raised:
            face.get(client.invoke("Why?", max_tokens=9, stream=streamed))
        assert len(wire.received) == 1
    error = raised.value
    assert (error.received, error.usage) == ("To begin" if streamed else "Because of Rayleigh.", Usage(3, 5))
    assert error.filtered is not None
    assert (error.filtered.categories, error.cause, error.decision) == (("HATE",), "guardrail-blocked", Decision.FAIL)
    assert (error.attempts, error.request_id) == (1, "request-1")
    assert isinstance(error, InvalidByService)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301 - made here
    assert [type(each) for each in heard] == [ContentFiltered, CallEnded]


def test_as_it_came_is_the_default(face: Any) -> None:
    with Wire(BLOCKED) as wire:
        reply = face.get(face.open(wire.url).invoke("Why?"))
    assert (reply.text, reply.made.replaced, reply.filtered.source) == ("Because of Rayleigh.", False, "guardrail")


def test_an_answer_of_the_model_is_left_alone(face: Any) -> None:
    frames = stream(START, *text("To ", "begin"), *end("a_word_of_next_year"))
    with Wire(answer(REPLY), frames, frames) as wire:
        client, heard = opened(face, wire, "raise")
        assert face.get(client.invoke("Why?")).filtered is None
        assert "".join(face.items(client.invoke_stream("Why?"))) == "To begin"
        assert face.get(client.invoke("Why?", stream=True)).text == "To begin"
    assert {type(each) for each in heard} == {CallEnded}


def test_masked_words_leave_an_answer(face: Any) -> None:
    masked = {"sensitiveInformationPolicy": {"piiEntities": [{"type": "EMAIL", "action": "ANONYMIZED"}]}}
    trace = {"trace": {"guardrail": {"outputAssessments": {"g1": [masked]}}}}
    frames = stream(START, *text("Write to {EMAIL}"), *end("guardrail_intervened", **trace))
    with Wire(answer({**REPLY, "stopReason": "guardrail_intervened", **trace}), frames) as wire:
        client, _ = opened(face, wire, "raise")
        reply = face.get(client.invoke("Why?"))
        assert (reply.text, reply.filtered.partial) == ("Because of Rayleigh.", True)
        pieces = client.invoke_stream("Why?")
        assert "".join(face.items(pieces)) == "Write to {EMAIL}"
        assert (pieces.reply.stop_reason, pieces.reply.usage) == ("guardrail_intervened", Usage(3, 5))


def test_a_stream_that_showed_nothing_is_the_message_alone(face: Any) -> None:
    with Wire(EMPTY_STREAM) as wire:
        client, _ = opened(face, wire, NO)
        pieces = client.invoke_stream("Why?")
        assert list(face.items(pieces)) == [NO]
        assert (pieces.reply.text, pieces.reply.filtered.source) == (NO, "provider")
        assert pieces.reply.made.replaced
        events = list(face.items(client.invoke_stream("Why?").events))
    assert [next(iter(each)) for each in events] == [
        "messageStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata",
    ]  # fmt: skip


def test_what_was_shown_is_followed_by_the_message(face: Any) -> None:
    with Wire(BLOCKED_STREAM) as wire:
        client, heard = opened(face, wire, NO)
        pieces = client.invoke_stream("Why?")
        assert list(face.items(pieces)) == ["To ", "begin", f"\n{NO}"]
        assert (pieces.reply.text, pieces.reply.usage) == (NO, Usage(3, 5))
        assert pieces.reply.filtered.categories == ("HATE",)
        events = list(face.items(client.invoke_stream("Why?").events))
    [replaced] = [each for each in events if isinstance(each, Replaced)]
    assert (replaced.message, replaced.shown, replaced.filtered.source) == (NO, 8, "guardrail")
    assert list(events[-2]) == ["messageStop"]
    assert [type(each) for each in heard] == [ContentFiltered, CallEnded] * 2


@pytest.mark.parametrize("frames", [BLOCKED_STREAM, EMPTY_STREAM], ids=["after text", "before any"])
def test_a_stream_raises_at_its_end(face: Any, frames: bytes) -> None:
    shown: list[str] = []
    with Wire(frames) as wire:
        client, _ = opened(face, wire, "raise")
        with pytest.raises(ContentFilteredError) as raised:
            shown.extend(face.items(client.invoke_stream("Why?")))
        with pytest.raises(ContentFilteredError):
            list(face.items(face.get(client.converse_stream(messages=MESSAGES))["stream"]))
    assert raised.value.received == "".join(shown)
    assert raised.value.request_id == "request-1"


@pytest.mark.parametrize("refused", [REFUSED, MODEL_REFUSED], ids=["400", "424"])
def test_errors_that_say_so_are_the_same(face: Any, refused: bytes) -> None:
    with Wire(refused) as wire:
        client, _ = opened(face, wire, NO)
        for streamed in (False, True):
            reply = face.get(client.invoke("Why?", stream=streamed))
            assert (reply.text, reply.filtered.source, reply.made.replaced) == (NO, "provider", True)
            assert (reply.attempts, reply.usage, reply.request_id) == (1, Usage(), "request-1")
        pieces = client.invoke_stream("Why?")
        assert list(face.items(pieces)) == [NO]
        assert (pieces.reply.text, pieces.reply.attempts) == (NO, 1)
        assert face.get(client.converse(messages=MESSAGES))["output"]["message"]["content"] == [{"text": NO}]
        assert len(wire.received) == 4
        for way in ("raise", "return"):
            with pytest.raises(ContentFilteredError) as raised:
                face.get(opened(face, wire, way)[0].invoke("Why?"))
            assert (raised.value.cause, raised.value.attempts, raised.value.answer) == ("content-filtered", 1, {})
            assert raised.value.filtered == FilteredContent("provider", "content-filtered")


def test_an_error_after_text_keeps_the_text(face: Any) -> None:
    with Wire(BROKEN_OFF) as wire:
        client, _ = opened(face, wire, NO)
        pieces = client.invoke_stream("Why?")
        assert list(face.items(pieces)) == ["To ", "begin", f"\n{NO}"]
        assert (pieces.reply.text, pieces.reply.stop_reason) == (NO, "content_filtered")
        with pytest.raises(ContentFilteredError) as raised:
            list(face.items(opened(face, wire, "raise")[0].invoke_stream("Why?")))
        assert (raised.value.received, len(wire.received)) == ("To begin", 2)


NATIVE = {
    "role": "assistant",
    "content": [],
    "stop_reason": "refusal",
    "stop_details": {"category": "bio"},
    "usage": {"input_tokens": 3, "output_tokens": 5},
}


def test_native_bodies(face: Any) -> None:
    body = json.dumps({"max_tokens": 9, "messages": []})
    with Wire(answer(NATIVE)) as wire:

        def asked(on_filtered: Any) -> Any:
            response = face.get(opened(face, wire, on_filtered)[0].invoke_model(body=body))
            return json.loads(response["body"].read())

        assert asked(NO) == asked("return") == NATIVE
        assert asked(lambda why: {"content": [why.source, *why.categories]}) == {"content": ["model", "bio"]}
        assert asked(lambda _: b"[]") == []
        with pytest.raises(ContentFilteredError, match="refused by the model: bio") as raised:
            asked("raise")
        assert (raised.value.answer, raised.value.usage) == (NATIVE, Usage(3, 5))
        pickle.dumps(raised.value)


def test_a_native_stream_raises_at_its_end(face: Any) -> None:
    chunks = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "To begin"}},
        {"type": "message_delta", "delta": {"stop_reason": "refusal"}},
        {"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 3, "outputTokenCount": 5}},
    ]
    body = json.dumps({"max_tokens": 9, "messages": []})
    given: list[Any] = []
    with Wire(stream(*map(chunk, chunks))) as wire:
        events = face.get(opened(face, wire, "raise")[0].invoke_model_with_response_stream(body=body))["body"]
        with pytest.raises(ContentFilteredError) as raised:
            given.extend(face.items(events))
        assert (raised.value.received, len(given)) == ("To begin", 3)
        events = face.get(opened(face, wire, NO)[0].invoke_model_with_response_stream(body=body))["body"]
        assert len(list(face.items(events))) == 3


def test_a_function_makes_the_message_or_none(face: Any, caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: FilteredContent) -> str:
        raise ZeroDivisionError

    with Wire(BLOCKED) as wire:
        reply = face.get(opened(face, wire, lambda why: f"No: {why.categories[0]}")[0].invoke("Why?"))
        assert reply.text == "No: HATE"
        for function in (broken, lambda _: None):
            with pytest.raises(ContentFilteredError):
                face.get(opened(face, wire, function)[0].invoke("Why?"))
    assert "ZeroDivisionError" in caplog.text


def test_a_message_may_be_one_of_the_words() -> None:
    face = Blocking()
    with Wire(BLOCKED) as wire:
        assert opened(face, wire, Filtered(message="raise"))[0].invoke("Why?").text == "raise"
        assert opened(face, wire, lambda _: "return")[0].invoke("Why?").text == "return"
    face.end()


def test_a_consumer_may_leave_before_the_end(face: Any) -> None:
    with Wire(("stall", stream(START, *text("To ", "begin"), end=False))) as wire:
        pieces = opened(face, wire, NO)[0].invoke_stream("Why?")
        assert next(face.items(pieces)) == "To "
        face.leave(pieces)
        assert wire.gone.wait(10)


def test_a_filter_is_no_failure_of_the_service(face: Any) -> None:
    from aws_bedrock_inference.clock import monotonic  # noqa: PLC0415 - the clock of the clients

    quota = Quota(rpm=600_000, tpm=1_000_000)
    with Wire(BLOCKED) as wire:
        client = face.open(wire.url, pipeline=using("raise", quota))
        routes = []
        client.listen(lambda each: routes.append(each.route))
        for _ in range(20):
            with pytest.raises(ContentFilteredError):
                face.get(client.invoke("Why?", max_tokens=9))
        assert len(wire.received) == 20
        assert quota.ledger(routes[0], monotonic()).snapshot(monotonic()).used["tokens"] == pytest.approx(160)


def test_the_friendly_function_of_the_page_gives_the_message_too() -> None:
    face = Blocking()
    with Wire(BLOCKED) as wire:
        for pipeline in (at_once(), using("raise"), using("return")):
            assert safe_invoke("Why?", NO, client=face.open(wire.url, pipeline=pipeline))["output"] == NO
    masked = {"sensitiveInformationPolicy": {"piiEntities": [{"type": "EMAIL", "action": "ANONYMIZED"}]}}
    trace = {"trace": {"guardrail": {"outputAssessments": {"g1": [masked]}}}}
    with Wire(answer({**REPLY, "stopReason": "guardrail_intervened", **trace})) as wire:
        client = face.open(wire.url)
        for asked in (client, _Boto3(client)):
            assert safe_invoke("Why?", NO, client=asked)["output"] == "Because of Rayleigh."
    face.end()


class _Boto3:
    """A client whose `invoke` gives boto3's dictionary."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def invoke(self, prompt: str) -> Any:
        return dict(self._client.invoke(prompt))


@pytest.mark.parametrize("wrong", ["Raise", " return ", "", "  ", None, 3, b"no", ["no"]])
def test_what_is_no_way_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"Filtered\("):
        standard(filtered=wrong)


def test_an_awaited_function_is_refused() -> None:
    async def later(_: FilteredContent) -> str:
        return NO

    with pytest.raises(ValueError, match="an async function cannot be used"):
        Filtered(later)
    with pytest.raises(ValueError, match=r"Filtered\("):
        Filtered(message=" ")


def test_standard_puts_it_outside_of_the_deadline() -> None:
    names = [type(policy).__name__ for policy in standard(filtered=NO).policies]
    assert names[:2] == ["Filtered", "Deadline"]
    own = Filtered("raise")
    assert standard(filtered=own).policies[0] is own
    assert repr(own) == "Filtered('raise')"


def test_a_call_that_streams_underneath_gives_one_answer(face: Any) -> None:
    with Wire(BLOCKED_STREAM, REFUSED) as wire:
        client, _ = opened(face, wire, NO)
        for _ in range(2):
            reply = face.get(client.invoke("Why?", max_tokens=2000, stream="auto"))
            assert (reply.text, reply.made.replaced) == (NO, True)
        assert all(request.target.endswith("/converse-stream") for request in wire.received)
