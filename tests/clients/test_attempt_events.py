"""The events of a call's start and of its attempts, for listeners that request them."""

from __future__ import annotations

from typing import Any

import pytest
from support.answers import FRAMES, INTERNAL, MESSAGES, REPLY, THROTTLED
from support.client_faces import at_once
from support.wire import Wire, answer, stream

from aws_bedrock_inference import Usage, resilient
from aws_bedrock_inference.clients.base import sibling
from aws_bedrock_inference.events import (
    AttemptEnded,
    AttemptStarted,
    CallEnded,
    CallStarted,
    RetryScheduled,
    ThrottleReceived,
)
from aws_bedrock_inference.listeners import PROCESS

OK = answer(REPLY)


def kinds(heard: list[Any]) -> list[type]:
    return [type(event) for event in heard]


def test_each_attempt_emits_an_event_with_the_number_of_its_call(face: Any) -> None:
    heard: list[Any] = []
    with Wire(THROTTLED, INTERNAL, OK) as wire:
        client = face.open(wire.url)
        client.listen(heard.append, attempts=True)
        face.get(client.invoke("TOP SECRET", tenant="acme"))
        face.get(client.invoke("Why?"))
    first, second = heard[: kinds(heard).index(CallEnded) + 1], heard[kinds(heard).index(CallEnded) + 1 :]
    assert kinds(first) == [
        *(CallStarted, AttemptStarted, ThrottleReceived, AttemptEnded, RetryScheduled),
        *(AttemptStarted, AttemptEnded, RetryScheduled, AttemptStarted, AttemptEnded, CallEnded),
    ] or kinds(first) == [
        *(CallStarted, AttemptStarted, AttemptEnded, ThrottleReceived, RetryScheduled),
        *(AttemptStarted, AttemptEnded, RetryScheduled, AttemptStarted, AttemptEnded, CallEnded),
    ]
    assert len({event.call_id for event in first}) == 1
    assert first[0].call_id not in {0, *(event.call_id for event in second)}
    ended = [event for event in first if isinstance(event, AttemptEnded)]
    assert [event.attempt for event in ended] == [1, 2, 3]
    assert [event.fault and event.fault.code for event in ended] == [
        "ThrottlingException",
        "InternalServerException",
        None,
    ]
    assert ended[-1].usage == Usage(3, 5)
    assert ended[-1].request_id == "request-1"
    assert (first[0].tenant, first[0].streams, first[-1].stop) == ("acme", False, "end_turn")
    assert kinds(second) == [CallStarted, AttemptStarted, AttemptEnded, CallEnded]
    assert "SECRET" not in repr(heard)


def test_a_stream_reports_when_its_first_content_arrived(face: Any) -> None:
    heard: list[Any] = []
    with Wire(stream(*FRAMES), stream(*FRAMES)) as wire:
        client = face.open(wire.url)
        client.listen(heard.append, attempts=True)
        list(face.items(client.invoke_stream("Why?")))
        face.get(client.invoke("Why?", stream=True))
    assert kinds(heard) == [CallStarted, AttemptStarted, AttemptEnded, CallEnded] * 2
    for attempt in (heard[2], heard[6]):
        assert 0 < attempt.first_content <= attempt.seconds
    assert [event.streams for event in (heard[0], heard[4])] == [True, False]


def test_an_abandoned_stream_emits_an_end_event(face: Any) -> None:
    heard: list[Any] = []
    with Wire(stream(*FRAMES)) as wire:
        client = face.open(wire.url)
        client.listen(heard.append, attempts=True)
        events = face.get(client.converse_stream(messages=MESSAGES))["stream"]
        next(face.items(events))
        face.leave(events)
    assert kinds(heard)[-1] is CallEnded
    assert heard[-1].fault.cause == "abandoned"


def test_attempts_are_emitted_only_to_listeners_that_request_them(face: Any) -> None:
    plain: list[Any] = []
    asked: list[Any] = []
    with Wire(OK) as wire:
        client = face.open(wire.url)
        client.listen(plain.append)
        face.get(client.invoke("Why?"))
        stop = client.listen(asked.append, attempts=True)
        face.get(client.invoke("Why?"))
        stop()
        face.get(client.invoke("Why?"))
    assert kinds(plain) == [CallEnded] * 3
    assert [event.call_id > 0 for event in plain] == [False, True, False]
    assert kinds(asked) == [CallStarted, AttemptStarted, AttemptEnded, CallEnded]


def test_a_process_wide_listener_gets_each_event_once(face: Any) -> None:
    heard: list[Any] = []
    stop = PROCESS.add(heard.append, attempts=True)
    try:
        with Wire(OK) as wire:
            client = face.open(wire.url)
            face.get(client.invoke("Why?"))
            face.get(sibling(client, at_once(), lambda _: None).invoke("Why?"))
        for number in range(2):
            assert resilient(lambda given: given)(number) == number
    finally:
        stop()
    assert kinds(heard) == [CallStarted, AttemptStarted, AttemptEnded, CallEnded] * 4
    assert len({event.call_id for event in heard}) == 4


def test_a_wrapped_function_emits_its_attempts() -> None:
    heard: list[Any] = []
    answers = iter([ConnectionError("broken"), 7])

    def once() -> Any:
        given = next(answers)
        if isinstance(given, Exception):
            raise given
        return given

    stop = PROCESS.add(heard.append, attempts=True)
    try:
        assert resilient(once, sleep=lambda _: None)() == 7
    finally:
        stop()
    ended = [event for event in heard if isinstance(event, AttemptEnded)]
    assert [(event.attempt, event.fault is None) for event in ended] == [(1, False), (2, True)]
    with pytest.raises(StopIteration):
        resilient(once, sleep=lambda _: None)()
