"""Doubles: a world whose time, service and listeners a test controls, and makers of calls and faults."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3

from aws_bedrock_inference.call import Call, Estimate, Outcome, Route, Usage
from aws_bedrock_inference.fault import Decision, Fault
from aws_bedrock_inference.knowledge.classify import answered, unanswered

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from aws_bedrock_inference.flow import Effect, Flow

ROUTE = Route("anthropic.claude-test-v1:0", "us-east-1", base="anthropic.claude-test-v1:0")
OK = Outcome(value={"answer": 42}, usage=Usage(10, 20))
THROTTLE = answered("ThrottlingException", "Too many tokens, please wait before trying again.", status=429)
UNAVAILABLE = answered("ServiceUnavailableException", "Bedrock is unable to process your request.", status=503)
INTERNAL = answered("InternalServerException", "oops", status=500)
INVALID = answered("ValidationException", "bad", status=400)
NOT_READY = answered("ModelNotReadyException", "wait", status=429)
READ_TIMEOUT = unanswered(None, code="ReadTimeoutError", message="no answer")
REFUSED_CONNECTION = unanswered(None, code="EndpointConnectionError", message="refused")
FAULTS = [THROTTLE, UNAVAILABLE, INTERNAL, INVALID, NOT_READY, READ_TIMEOUT, REFUSED_CONNECTION]


def call(*, tokens: int = 100, output: int = 100, **fields: Any) -> Call:
    estimate = Estimate(tokens, output, fields.pop("burndown", 1.0))
    return Call(operation="converse", params={}, route=fields.pop("route", ROUTE), estimate=estimate, **fields)


def failed(fault: Fault, **fields: Any) -> Outcome:
    return Outcome(fault=replace(fault, **fields))


def never_again(fault: Fault) -> Fault:
    return replace(fault, decision=Decision.FAIL)


@cache
def session() -> Any:
    """One for all tests: a session reads its models once."""
    return boto3.Session("AKIDEXAMPLE", "secret", region_name="us-east-1")


class World:
    """Time that moves only when the test advances it, and a random source with a fixed value."""

    def __init__(self) -> None:
        self.now = 0.0
        self.sleeps: list[float] = []

    def clock(self) -> float:
        return self.now

    def chance(self) -> float:
        return 0.5

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds


def drive_by_hand(flow: Flow, replies: Iterable[Any] = ()) -> tuple[list[Any], Any]:
    """Send `replies` into a flow one after the other; return the effects it yielded, and its outcome if it ended."""
    effects: list[Any] = []
    try:
        effects.append(next(flow))
        for reply in replies:
            effect = flow.send(reply)
            effects.append(effect)
    except StopIteration as end:
        return effects, end.value
    return effects, None


def scripted(outcomes: Iterable[Outcome]) -> Any:
    """Return an innermost step that ends as scripted, with one outcome for each attempt."""
    script = iter(outcomes)

    def step(call: Call) -> Generator[Effect, Any, Outcome]:
        yield from ()
        return next(script)

    return step
