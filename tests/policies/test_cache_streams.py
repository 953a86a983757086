"""Streams are recorded while they are given, and given again as they came."""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

import pytest
from support.doubles import INTERNAL, ROUTE, World, failed

from aws_bedrock_inference import Cache
from aws_bedrock_inference.caches.memory import MemoryAnswers
from aws_bedrock_inference.call import Call, Outcome, Usage
from aws_bedrock_inference.drivers.blocking import Driver
from aws_bedrock_inference.events import AnswerCached
from aws_bedrock_inference.flow import give
from aws_bedrock_inference.streaming import collect, stream

HEAD = {"ResponseMetadata": {"RequestId": "r", "HTTPStatusCode": 200, "HTTPHeaders": {"x": "y"}, "RetryAttempts": 0}}
START = {"messageStart": {"role": "assistant"}}
TEXT = {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "Because."}}}
REDACTED = {
    "contentBlockDelta": {"contentBlockIndex": 0, "delta": {"reasoningContent": {"redactedContent": b"\0\xff"}}}
}
STOP = {"messageStop": {"stopReason": "end_turn"}}
CUT = {"messageStop": {"stopReason": "max_tokens"}}
USAGE = {"metadata": {"usage": {"inputTokens": 7, "outputTokens": 1, "totalTokens": 8}, "metrics": {"latencyMs": 1}}}
WHOLE = [START, REDACTED, TEXT, STOP, USAGE]


def chunk(body: Any) -> dict[str, Any]:
    return {"chunk": {"bytes": json.dumps(body).encode()}}


NATIVE = [
    chunk({"outputText": "Because.", "index": 0}),
    chunk({"outputText": "", "completionReason": "FINISH", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 3}}),
]


class Source:
    def __init__(self, desk: Desk, events: Any) -> None:
        self.response = copy.deepcopy(HEAD)
        self.events = iter(copy.deepcopy(events))
        self.desk = desk

    def next(self) -> Any:
        self.desk.world.now += 0.1
        return next(self.events, None)

    def close(self) -> None:
        pass


class Desk:
    def __init__(self, *script: Any, step: Any = stream, **options: Any) -> None:
        self.world = World()
        self.sent: list[Call] = []
        self.script = list(script)
        self.events: list[Any] = []
        driver: Any = Driver(self.answer, clock=self.world.clock, sleep=self.world.sleep)
        self.driver = driver
        driver.listeners.add(self.events.append)
        driver._wait = lambda effect: self.world.sleep(effect.until - self.world.now)
        self.cache = Cache(MemoryAnswers(100, self.world.clock), **options)
        self.step: Any = self.cache.around(step, self.world.clock)

    def answer(self, call: Call) -> Outcome:
        self.sent.append(call)
        told = self.script.pop(0) if self.script else WHOLE
        return told if isinstance(told, Outcome) else Outcome(Source(self, told))

    def open(self, operation: str = "converse_stream", **fields: Any) -> Any:
        if operation == "converse_stream":
            request: Any = {"messages": [], "inferenceConfig": {"temperature": 0}}
        else:
            request = {"body": '{"textGenerationConfig": {"temperature": 0}}'}
        return self.driver.stream(self.step(Call(operation, request, ROUTE, **fields)))


def read(reading: Any) -> list[Any]:
    (head, *events) = list(reading)
    return [head.response, *events]


@pytest.mark.parametrize(
    ("operation", "events"), [("converse_stream", WHOLE), ("invoke_model_with_response_stream", NATIVE)]
)
def test_a_stream_is_given_again_as_it_came(operation: str, events: Any) -> None:
    desk = Desk(events, events)
    first, second = desk.open(operation), desk.open(operation)
    given = read(first)
    assert given == [HEAD, *events]
    given[1].clear()  # what a consumer does with its events is its own affair
    desk.world.now += 7.5
    again = read(second)
    marked = {**HEAD["ResponseMetadata"], "HTTPHeaders": {"x": "y", "age": "7"}}
    assert again == [{"ResponseMetadata": marked}, *events]
    assert len(desk.sent) == 1
    assert second.outcome.made.cached == pytest.approx(7.5)
    assert second.outcome.usage == Usage()
    assert second.outcome.value.response({}) == first.outcome.value.response({})
    assert [type(event) for event in desk.events] == [AnswerCached]


def test_a_collected_stream_answers_converse_and_the_other_way_round() -> None:
    desk = Desk(step=collect)
    request = {"messages": [], "inferenceConfig": {"temperature": 0}}
    streamed = Call("converse_stream", request, ROUTE, collected=True)
    first = desk.driver.run(desk.step(streamed))
    for call in (streamed, Call("converse", request, ROUTE)):
        outcome = desk.driver.run(desk.step(call))
        assert outcome.value["output"] == first.value["output"]
        assert outcome.made.cached is not None
    assert len(desk.sent) == 1


@pytest.mark.parametrize(
    "events", [[START, TEXT, CUT, USAGE], [START, TEXT], [START, TEXT, INTERNAL], [START, INTERNAL], []]
)
def test_a_stream_that_is_cut_or_breaks_is_not_kept(events: Any) -> None:
    desk = Desk(events)
    list(desk.open())
    assert read(desk.open()) == [HEAD, *WHOLE]
    assert len(desk.sent) == 2


def test_the_first_stream_that_is_cut_is_said_in_the_log(caplog: Any) -> None:
    caplog.set_level("INFO", "aws_bedrock_inference")
    cut = [START, TEXT, CUT, USAGE]
    desk = Desk(cut, cut)
    list(desk.open())
    list(desk.open())
    (line,) = caplog.records
    assert "max_tokens or a filter truncated" in line.getMessage()


def test_a_stream_that_its_consumer_leaves_is_not_kept() -> None:
    desk = Desk()
    left = desk.open()
    next(left)
    next(left)
    left.close()
    assert not desk.cache._flights._flights
    assert read(desk.open()) == [HEAD, *WHOLE]
    assert len(desk.sent) == 2
    replayed = desk.open()
    next(replayed)
    replayed.close()
    assert replayed.outcome.fault.code == "Abandoned"
    assert read(desk.open())[1:] == WHOLE
    assert len(desk.sent) == 2


def test_a_stream_that_began_anew_is_not_kept() -> None:
    def anew(call: Call) -> Any:
        yield from give(("interrupted",))
        return (yield from stream(call))

    desk = Desk(step=anew)
    for _ in range(2):
        list(desk.open())
    assert len(desk.sent) == 2


def test_a_stream_waits_for_an_equal_one_that_is_being_read() -> None:
    desk = Desk()
    leader = desk.open()
    next(leader)
    follower = desk.step(Call("converse_stream", {"messages": [], "inferenceConfig": {"temperature": 0}}, ROUTE))
    waits = next(follower)
    list(leader)
    assert not waits.waiter.attach(print)
    assert read(desk.driver.stream(follower))[1:] == WHOLE
    assert len(desk.sent) == 1


def test_a_stream_does_not_wait_for_one_whose_consumer_pauses() -> None:
    desk = Desk()
    leader = desk.open()
    next(leader)
    assert read(desk.open()) == [HEAD, *WHOLE]
    assert desk.world.sleeps == [pytest.approx(1.0)]
    assert len(list(leader)) == len(WHOLE)
    assert len(desk.sent) == 2


def test_an_expired_stream_takes_the_place_of_one_that_fails_before_its_first_event() -> None:
    desk = Desk(WHOLE, failed(INTERNAL), [START, TEXT, INTERNAL], ttl=10, stale_if_error=1000)
    read(desk.open())
    desk.world.now += 60
    stale = desk.open()
    assert read(stale)[1:] == WHOLE
    assert stale.outcome.made.cached >= 60
    assert stale.outcome.attempts == 1
    begun = desk.open()
    list(begun)
    assert begun.outcome.fault == INTERNAL


def test_bytes_are_kept_as_bytes_and_what_looks_like_them_as_it_is() -> None:
    look_alike = {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"$bytes": base64.b64encode(b"x").decode()}}}
    for events, sent in (([START, look_alike, TEXT, STOP], 1), ([START, {**look_alike, "a": b"x"}, TEXT, STOP], 2)):
        desk = Desk(events, events)
        assert read(desk.open())[1:] == events
        assert read(desk.open())[1:] == events
        assert len(desk.sent) == sent
