"""A Marketplace agreement that is still pending: AWS says to try again after 15 minutes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from support.doubles import OK, World, call

from aws_bedrock_inference import (
    Deadline,
    Denied,
    Pipeline,
    classify,
    explain,
    resilient,
    retry_with_exponential_backoff,
    standard,
)
from aws_bedrock_inference.call import Outcome, Route
from aws_bedrock_inference.drivers.virtual import VirtualDriver
from aws_bedrock_inference.flow import send
from aws_bedrock_inference.knowledge.classify import answered
from aws_bedrock_inference.raising import error_of

if TYPE_CHECKING:
    from collections.abc import Callable

MINUTE = 60.0
SENTENCES = [
    "The model cannot be used yet. Your AWS Marketplace subscription for this model is still being processed.",
    "Model access is denied: the AWS Marketplace agreement is being created.",
    "The AWS Marketplace Agreement has not succeeded and it has been 15 minutes since the request was made.",
]
PENDING = answered("AccessDeniedException", SENTENCES[0], status=403)


def asked(pending: float, pipeline: Pipeline, deadline: float) -> tuple[Outcome, list[float]]:
    """Return how a call ends when the agreement is pending for so many seconds, and when it was sent."""
    sent: list[float] = []

    def service(_: object, now: float) -> tuple[float, Outcome]:
        sent.append(now)
        return 0.1, Outcome(fault=PENDING) if now < pending else OK

    driver = VirtualDriver(service)
    task = driver.spawn(pipeline.around(send, driver.clock)(call(deadline=deadline)))
    driver.run()
    return task.result, sent


@pytest.mark.parametrize(
    ("minutes", "times"),
    [(8, [0, 15]), (10, [0, 15]), (14.9, [0, 15]), (16, [0, 15, 30]), (44, [0, 15, 30, 45])],
)
def test_a_pending_agreement_is_retried_every_15_minutes(minutes: float, times: list[float]) -> None:
    outcome, sent = asked(minutes * MINUTE, standard(), deadline=50 * MINUTE)
    assert outcome.fault is None
    assert sent == [pytest.approx(minute * MINUTE, abs=1) for minute in times]


@pytest.mark.parametrize(
    ("pipeline", "deadline"),
    [(standard(), float("inf")), (Pipeline(Deadline(60), *standard().policies), float("inf")), (standard(), 900.0)],
)
def test_a_call_whose_deadline_is_before_the_retry_fails_immediately(pipeline: Pipeline, deadline: float) -> None:
    outcome, sent = asked(8 * MINUTE, pipeline, deadline)
    assert sent == [0]
    error = error_of(outcome, "converse", Route("model"))
    assert isinstance(error, Denied)
    assert error.retry_after == 900
    assert error.decision.value == "RETRY"
    assert "the stated wait is 900 s" in str(error)


def test_the_retries_end_when_the_next_wait_exceeds_the_deadline() -> None:
    outcome, sent = asked(16 * MINUTE, standard(), deadline=20 * MINUTE)
    assert sent == [0, pytest.approx(15 * MINUTE, abs=1)]
    assert outcome.attempts == 2
    assert outcome.fault is not None
    assert outcome.fault.retry_after == 900


@pytest.mark.parametrize("sentence", SENTENCES)
@pytest.mark.parametrize("code", ["AccessDeniedException", ""])
def test_each_message_of_a_pending_agreement_implies_the_wait(code: str, sentence: str) -> None:
    fault = classify(f"{code}: {sentence}" if code else sentence)
    assert (fault.cause, fault.retry_after) == ("marketplace-agreement-pending", 900)
    assert explain(sentence).wait == 900


def test_the_error_code_implies_the_wait_and_a_wait_in_the_answer_takes_precedence() -> None:
    assert answered("MPAgreementBeingCreated", "m", status=403).retry_after == 900
    assert answered("MPAgreementBeingCreated", "m", status=403, retry_after=30.0).retry_after == 30
    assert answered("AccessDeniedException", "no", status=403).retry_after is None


@pytest.mark.parametrize("wait", [600.0, 1000.0])
def test_wrapped_functions_wait_15_minutes_if_their_deadline_allows(wait: float, world: World) -> None:
    made = [boto3s(), boto3s()]

    def ask() -> str:
        if world.now < 8 * MINUTE:
            raise made.pop()
        return "answer"

    guarded: Callable[[], Any] = resilient(ask, timeout=wait, clock=world.clock, sleep=world.sleep)
    if wait > 15 * MINUTE:
        assert guarded() == "answer"
        assert world.now == 900
    else:
        with pytest.raises(ClientError):
            guarded()
        assert world.now == 0


def test_the_documents_retry_function_does_not_sleep_for_15_minutes(world: World) -> None:
    def ask() -> None:
        raise boto3s()

    with pytest.raises(ClientError) as raised:
        retry_with_exponential_backoff(ask, clock=world.clock, sleep=world.sleep)
    assert world.sleeps == []
    assert "the service states a wait of 900 s" in raised.value.__notes__[0]


def boto3s() -> ClientError:
    return ClientError({"Error": {"Code": "AccessDeniedException", "Message": SENTENCES[0]}}, "Converse")
