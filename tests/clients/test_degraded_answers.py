"""`Degrade`: a substitute answers after everything else failed, is marked, and hides no error of the caller."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from support.answers import FRAMES, INTERNAL, MESSAGES, REPLY, THROTTLED_FRAME, UNAVAILABLE, fault
from support.wire import Wire, answer, stream

from aws_bedrock_inference import (
    BedrockError,
    Breaker,
    ClientClosed,
    Deadline,
    Degrade,
    Denied,
    Fault,
    InvalidByService,
    InvalidRequest,
    NotFound,
    Pipeline,
    Quota,
    QuotaExhausted,
    Retry,
    ServerFailed,
    StreamBroken,
    Usage,
    standard,
)
from aws_bedrock_inference.events import AnswerDegraded, CallEnded
from aws_bedrock_inference.fault import Category, Kind
from aws_bedrock_inference.policies.degrade import may_be_degraded
from aws_bedrock_inference.policies.refusals import (
    circuit_open,
    client_closed,
    day_spent,
    held,
    invalid_request,
    queue_full,
    too_close,
    too_large,
)

if TYPE_CHECKING:
    from aws_bedrock_inference import Call

BUSY = "Busy, try later."


def using(substitute: Any, quota: Quota | None = None) -> Pipeline:
    retry = Retry(attempts=2, chance=lambda: 0.0)  # and no circuit, which would be waited for
    return Pipeline(Degrade(substitute), Deadline(), retry, quota if quota is not None else Quota(rpm=600_000))


def opened(face: Any, wire: Wire, substitute: Any = BUSY) -> tuple[Any, list[Any]]:
    client = face.open(wire.url, pipeline=using(substitute))
    heard: list[Any] = []
    client.listen(lambda each: heard.append(each) if isinstance(each, (AnswerDegraded, CallEnded)) else None)
    return client, heard


@pytest.mark.parametrize("streamed", [False, True])
def test_the_substitute_is_marked_and_logged(face: Any, caplog: pytest.LogCaptureFixture, *, streamed: bool) -> None:
    with Wire(INTERNAL) as wire, caplog.at_level(logging.WARNING):
        client, heard = opened(face, wire)
        reply = face.get(client.invoke("Why?", stream=streamed))
        sent = len(wire.received)
    assert (reply.text, reply.stop_reason, reply.usage) == (BUSY, "end_turn", Usage())
    assert (reply.degraded_by.code, reply.filtered) == ("InternalServerException", None)
    assert sent > 1
    assert reply.attempts == sent
    degraded, ended = heard
    assert degraded == AnswerDegraded(ended.route, reply.degraded_by, sent)
    assert (ended.fault, ended.attempts) == (None, sent)
    [line] = [record for record in caplog.records if "substitute" in record.getMessage()]
    assert line.levelname == "WARNING"
    assert f"after {sent} attempt(s) with InternalServerException" in line.getMessage()


def test_a_stream_without_content_yields_the_substitute(face: Any) -> None:
    with Wire(UNAVAILABLE) as wire:
        client, _ = opened(face, wire)
        pieces = client.invoke_stream("Why?")
        assert list(face.items(pieces)) == [BUSY]
        assert (pieces.reply.text, pieces.reply.degraded_by.code) == (BUSY, "ServiceUnavailableException")
        events = face.get(client.converse_stream(messages=MESSAGES))
        assert events["ResponseMetadata"]["HTTPStatusCode"] == 200
        assert [next(iter(each)) for each in face.items(events["stream"])] == [
            "messageStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata",
        ]  # fmt: skip


def test_a_stream_with_content_fails_without_a_substitute(face: Any) -> None:
    shown: list[str] = []
    with Wire(stream(*FRAMES[:3], THROTTLED_FRAME)) as wire:
        client, heard = opened(face, wire)
        with pytest.raises(StreamBroken):
            shown.extend(face.items(client.invoke_stream("Why?")))
    assert shown == ["Because ", "of Rayleigh."]
    assert [type(each) for each in heard] == [CallEnded]


def test_an_answer_of_the_model_is_not_replaced(face: Any) -> None:
    with Wire(answer(REPLY)) as wire:
        client, heard = opened(face, wire)
        reply = face.get(client.invoke("Why?"))
    assert (reply.text, reply.degraded_by) == ("Because of Rayleigh.", None)
    assert [type(each) for each in heard] == [CallEnded]


def test_a_function_gets_the_call_and_the_fault(face: Any) -> None:
    def substitute(call: Call, failed: Fault) -> dict[str, Any]:
        use = {"toolUse": {"toolUseId": "t", "name": "look", "input": {"of": len(call.params["messages"])}}}
        return {"output": {"message": {"role": "assistant", "content": [{"text": failed.code}, use]}},
                "stopReason": "tool_use"}  # fmt: skip

    with Wire(INTERNAL) as wire:
        client, _ = opened(face, wire, substitute)
        response = face.get(client.converse(messages=MESSAGES))
        content = response["output"]["message"]["content"]
        assert (response["stopReason"], content[0]["text"]) == ("tool_use", "InternalServerException")
        pieces = client.invoke_stream("Why?")
        assert "".join(face.items(pieces)) == "InternalServerException"
        assert pieces.reply.output["message"]["content"] == content
        assert pieces.reply.stop_reason == "tool_use"


def test_a_native_body_is_substituted_only_by_a_function(face: Any) -> None:
    body = json.dumps({"max_tokens": 9, "messages": []})
    with Wire(INTERNAL) as wire:
        for own in ({"completion": BUSY}, json.dumps({"completion": BUSY}).encode()):
            response = face.get(opened(face, wire, lambda call, failed: own)[0].invoke_model(body=body))  # noqa: B023 - called here
            assert json.loads(response["body"].read()) == {"completion": BUSY}
        for none in (BUSY, lambda call, failed: BUSY):
            client, _ = opened(face, wire, none)
            with pytest.raises(ServerFailed):
                face.get(client.invoke_model(body=body))
        with pytest.raises(ServerFailed):
            face.get(client.invoke_model_with_response_stream(body=body))
        with pytest.raises(ServerFailed):
            face.get(client.count_tokens(input={"converse": {"messages": MESSAGES}}))


def _broken(call: Call, failed: Fault) -> str:
    raise ZeroDivisionError


def _none(call: Call, failed: Fault) -> None:
    """Have no substitute."""


WRONG = [{"text": BUSY}, {"output": BUSY}, {"output": {"message": {"content": [BUSY]}}}]


@pytest.mark.parametrize("substitute", [_broken, _none, *(lambda call, failed, each=each: each for each in WRONG)])
def test_a_function_that_returns_none_leaves_the_fault(
    face: Any, substitute: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with Wire(INTERNAL) as wire:
        client, heard = opened(face, wire, substitute)
        with pytest.raises(ServerFailed):
            face.get(client.invoke("Why?"))
    assert ("substitute of Degrade failed" in caplog.text) is (substitute is not _none)
    assert [type(each) for each in heard] == [CallEnded]


@pytest.mark.parametrize(
    ("answered", "kind"),
    [
        (fault(400, "ValidationException", "The input is not right."), InvalidByService),
        (fault(400, "ValidationException", "This request has been blocked by our content filters."), InvalidByService),
        (fault(403, "AccessDeniedException", "You may not."), Denied),
        (fault(404, "ResourceNotFoundException", "Could not resolve the foundation model."), NotFound),
    ],
)
def test_an_error_that_the_caller_must_correct_is_not_replaced(
    face: Any, answered: bytes, kind: type[BedrockError]
) -> None:
    with Wire(answered) as wire:
        client, heard = opened(face, wire)
        for ask in (lambda: face.get(client.invoke("Why?")), lambda: list(face.items(client.invoke_stream("Why?")))):
            with pytest.raises(kind):
                ask()
    assert [type(each) for each in heard] == [CallEnded, CallEnded]


def test_a_permanent_refusal_is_not_replaced(face: Any) -> None:
    with Wire(answer(REPLY)) as wire:
        client = face.open(wire.url, pipeline=using(BUSY, Quota(tpm=1000)))
        with pytest.raises(InvalidRequest):
            face.get(client.invoke(""))
        with pytest.raises(QuotaExhausted):
            face.get(client.invoke("Why?", max_tokens=5000))
        face.get(client.aclose() if hasattr(client, "aclose") else client.close())
        with pytest.raises(ClientClosed):
            face.get(client.invoke("Why?"))


def test_an_open_circuit_and_a_missed_deadline_are_replaced(face: Any) -> None:
    with Wire(UNAVAILABLE) as wire:
        pipeline = Pipeline(Degrade(BUSY), Deadline(), Retry(attempts=1), Breaker(failures=1))
        client = face.open(wire.url, pipeline=pipeline)
        assert face.get(client.invoke("Why?")).attempts == 1
        refused = face.get(client.invoke("Why?"))
        assert (refused.degraded_by.code, refused.attempts, len(wire.received)) == ("CircuitOpen", 0, 1)
        assert face.get(client.converse(messages=MESSAGES))["ResponseMetadata"]["RetryAttempts"] == 0
    with Wire(("stall", b"")) as wire:
        late = face.get(face.open(wire.url, pipeline=using(BUSY), timeout=0.2).invoke("Why?"))
        assert late.text == BUSY


OF_NO_KIND = Fault(code="Odd", message="", status=418)


@pytest.mark.parametrize(
    ("failed", "hidden"),
    [
        (circuit_open("m", 1.0), True),
        (queue_full(9), True),
        (too_close("late"), True),
        (day_spent(9.0, "us-east-1"), True),
        (too_large(9, 3), False),
        (held("m", "requests per minute"), False),
        (invalid_request("x"), False),
        (client_closed(), False),
        (OF_NO_KIND, False),
        (replace(OF_NO_KIND, status=None), False),
        (replace(OF_NO_KIND, status=599), True),
        (replace(OF_NO_KIND, kind=Kind.UNREACHABLE, category=Category.PERMANENT), False),
        (replace(OF_NO_KIND, kind=Kind.UNREACHABLE, category=Category.TRANSIENT), True),
    ],
    ids=lambda value: value.code if isinstance(value, Fault) else str(value),
)
def test_the_kind_of_fault_decides_whether_the_substitute_is_used(failed: Fault, *, hidden: bool) -> None:
    assert may_be_degraded(failed) is hidden


async def _later(call: Call, failed: Fault) -> str:
    return BUSY


@pytest.mark.parametrize("wrong", ["", " ", None, 3, {"output": {}}, _later])
def test_an_invalid_substitute_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"Degrade\("):
        Degrade(wrong)


def test_the_standard_pipeline_places_degrade_outermost() -> None:
    own = Degrade(BUSY)
    names = [type(policy).__name__ for policy in standard(degrade=own, filtered="raise").policies]
    assert names[:3] == ["Degrade", "Filtered", "Deadline"]
    assert BUSY not in repr(own)
    with pytest.raises(ValueError, match=r"standard\(degrade=.*pass a Degrade"):
        standard(degrade=BUSY)  # type: ignore[arg-type]  # what it says
