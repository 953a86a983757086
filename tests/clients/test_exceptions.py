"""The exceptions that a user catches: their classes and attributes, and that they contain no secret."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from botocore.exceptions import ClientError
from support.answers import FRAMES, INTERNAL, MESSAGES, THROTTLED_FRAME, TOO_MANY, UNAVAILABLE, fault
from support.client_faces import MODEL, at_once
from support.wire import Wire, stream

import aws_bedrock_inference as package
from aws_bedrock_inference import (
    BedrockError,
    Decision,
    Fault,
    Pipeline,
    Retry,
    ServerFailed,
    ServiceFault,
    StreamBroken,
    Throttled,
    TimedOut,
    Timeout,
    Unreachable,
    explain,
)
from aws_bedrock_inference.call import Outcome, Route
from aws_bedrock_inference.knowledge.classify import answered
from aws_bedrock_inference.policies import refusals
from aws_bedrock_inference.raising import error_of

ANSWERED = [
    (429, "ThrottlingException", "Throttled", Decision.RETRY),
    (503, "ServiceUnavailableException", "Overloaded", Decision.RETRY),
    (429, "ModelNotReadyException", "NotReady", Decision.RETRY),
    (500, "InternalServerException", "ServerFailed", Decision.RETRY),
    (424, "ModelErrorException", "ModelFailed", None),
    (400, "ValidationException", "InvalidByService", Decision.FAIL),
    (403, "AccessDeniedException", "Denied", Decision.FAIL),
    (404, "ResourceNotFoundException", "NotFound", Decision.FAIL),
    (418, "InventedLaterException", "ServiceFault", Decision.RETRY_LIMITED),
]


@pytest.mark.parametrize(("status", "code", "name", "decision"), ANSWERED)
def test_each_error_answer_has_its_exception_class_and_attributes(
    face: Any, status: int, code: str, name: str, decision: Decision | None
) -> None:
    with Wire(fault(status, code, "The service's own words.")) as wire:
        client = face.open(wire.url, pipeline=Pipeline())
        with pytest.raises(ClientError) as raised:
            face.get(client.converse(messages=MESSAGES))
    error: Any = raised.value
    assert type(error) is getattr(package, name)
    assert decision in (None, error.decision)
    assert (error.code, error.attempts, error.request_id) == (code, 1, "request-1")
    assert (error.model, error.region, error.operation) == (MODEL, "us-east-1", "converse")
    assert error.response["Error"] == {"Code": code, "Message": "The service's own words."}
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert error.operation_name == "Converse"
    assert error.advice == answered(code, "The service's own words.", status=status).advice
    for part in (code, "The service's own words.", f"converse on {MODEL} in us-east-1", "request-1", error.advice):
        assert part in str(error)


def test_an_exception_is_also_boto3_s_client_error(face: Any, oracle: Any) -> None:
    with Wire(fault(400, "ValidationException", "No.")) as wire:
        with pytest.raises(ClientError) as theirs:
            oracle(wire.url).converse(modelId=MODEL, messages=MESSAGES)
        with pytest.raises(ClientError) as ours:
            face.get(face.open(wire.url).converse(messages=MESSAGES))
    assert ours.value.operation_name == theirs.value.operation_name
    assert ours.value.response["Error"] == theirs.value.response["Error"]
    our_metadata: dict[str, Any] = {**ours.value.response["ResponseMetadata"]}
    their_metadata: dict[str, Any] = {**theirs.value.response["ResponseMetadata"]}
    for name in ("RequestId", "HTTPStatusCode", "HTTPHeaders", "RetryAttempts"):
        assert our_metadata[name] == their_metadata[name]


def test_an_exception_lists_every_attempt(face: Any) -> None:
    acts = [fault(500, "InternalServerException", number=number) for number in (1, 2, 3)]
    with Wire(*acts) as wire:
        with pytest.raises(ServerFailed) as raised:
            face.get(face.open(wire.url, pipeline=Pipeline(Retry(attempts=3, chance=lambda: 0.0))).invoke("x"))
        assert len(wire.received) == 3
    error = raised.value
    assert (error.attempts, error.request_ids) == (3, ("request-1", "request-2", "request-3"))
    assert error.response["ResponseMetadata"]["RetryAttempts"] == 2
    assert "after 3 attempts, gave up: no attempts are left" in str(error)
    assert [note.partition(", then")[0] for note in error.__notes__] == [
        f"earlier attempt: InternalServerException: It went wrong. (request id request-{number})" for number in (1, 2)
    ]


def test_retry_after_is_the_value_that_the_server_sent(face: Any) -> None:
    act = UNAVAILABLE.replace(b"\r\n\r\n", b"\r\nRetry-After: 7\r\n\r\n", 1)
    with Wire(act) as wire, pytest.raises(ServiceFault) as raised:
        face.get(face.open(wire.url, pipeline=Pipeline()).invoke("x"))
    assert raised.value.retry_after == 7


def failures(face: Any) -> list[BedrockError]:
    """One error of each origin."""
    found: list[BedrockError] = []

    def fail(wire: Wire, method: str, *given: Any, **options: Any) -> None:
        client = face.open(wire.url, **options)
        with pytest.raises(BedrockError) as raised:
            face.whole(getattr(client, method)(*given))
        found.append(raised.value)

    with Wire(fault(429, "ThrottlingException", TOO_MANY)) as wire:
        fail(wire, "invoke", "TOP SECRET", pipeline=Pipeline(Retry(attempts=2, chance=lambda: 0.0)))
    with Wire(stream(*FRAMES[:2])) as wire:
        fail(wire, "invoke_stream", "TOP SECRET")
    with Wire(stream(*FRAMES[:2], THROTTLED_FRAME)) as wire:
        fail(wire, "invoke_stream", "TOP SECRET")
    with Wire(("stall", b"")) as wire:
        fail(wire, "invoke", "TOP SECRET", pipeline=Pipeline(), timeout=Timeout(first_byte=0.05))
        fail(wire, "invoke", "")
    fail(wire, "invoke", "TOP SECRET", pipeline=Pipeline())
    return found


def test_exceptions_can_be_pickled_with_all_attributes(face: Any) -> None:
    errors = failures(face)
    assert [type(error).__name__ for error in errors] == [
        "Throttled",
        "StreamBroken",
        "StreamBroken",
        "TimedOut",
        "InvalidRequest",
        "Unreachable",
    ]
    for error in errors:
        copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
        assert type(copy) is type(error)
        assert str(copy) == str(error)
        assert getattr(copy, "__notes__", []) == getattr(error, "__notes__", [])
        for name in ("code", "decision", "cause", "advice", "attempts", "request_ids", "route", "retry_after"):
            assert getattr(copy, name) == getattr(error, name)
        assert getattr(copy, "received", None) == getattr(error, "received", None)
        assert getattr(copy, "response", None) == getattr(error, "response", None)


def test_no_error_shows_the_prompt_or_a_secret(face: Any) -> None:
    for error in failures(face):
        shown = [str(error), repr(error), repr(error.fault), repr(error.route), *getattr(error, "__notes__", [])]
        for secret in ("TOP SECRET", "AKIDEXAMPLE", "AWS4-HMAC-SHA256"):
            assert secret not in "".join(shown)


def test_python_s_timeout_and_connection_errors_catch_the_matching_exceptions(face: Any) -> None:
    throttled, broken, throttled_inside, late, _, unreachable = failures(face)
    assert isinstance(throttled, Throttled)
    assert isinstance(broken, StreamBroken)
    assert isinstance(throttled_inside, StreamBroken)
    assert throttled_inside.code == "ThrottlingException"
    assert isinstance(late, TimedOut)
    assert isinstance(late, TimeoutError)
    assert isinstance(unreachable, Unreachable)
    assert isinstance(unreachable, ConnectionError)
    assert unreachable.__cause__ is not None


def test_the_exception_after_retries_is_that_of_the_last_attempt(face: Any) -> None:
    with Wire(INTERNAL, fault(400, "ValidationException", number=2)) as wire, pytest.raises(ServiceFault) as raised:
        face.get(face.open(wire.url, pipeline=at_once()).invoke("x"))
    assert (raised.value.code, raised.value.attempts) == ("ValidationException", 2)
    assert "gave up: the same request would fail again" in str(raised.value)


@pytest.mark.parametrize(
    ("refuse", "code"),
    [
        (refusals.invalid_request("the prompt is empty"), "ValidationException"),
        (refusals.circuit_open("model", 3.0), "ServiceUnavailableException"),
        (refusals.day_spent(60.0, "us-east-1"), "ThrottlingException"),
        (refusals.too_large(9, 5), "ValidationException"),
        (refusals.too_large(9, 5, "day"), "ValidationException"),
        (refusals.queue_full(9), "ThrottlingException"),
        (refusals.too_close("late"), "RequestTimeout"),
        (refusals.client_closed(), ""),
    ],
    ids=lambda value: getattr(value, "code", None),
)
def test_a_local_refusal_names_the_equivalent_code_of_the_service(refuse: Fault, code: str) -> None:
    error = error_of(Outcome(fault=refuse), "converse", Route("model"))
    text = str(error)
    assert text.endswith(f" (equivalent to {code})" if code else "Nothing was sent.")
    assert error.code == refuse.code
    assert explain(text).cause == explain(error).cause == refuse.cause
