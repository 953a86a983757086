"""The recommended pipeline, and the variant that leaves retries to the caller."""

from __future__ import annotations

from typing import Any

import pytest
from support.answers import INTERNAL, TOO_MANY, fault
from support.client_faces import Asyncio, Blocking
from support.doubles import INTERNAL as INTERNAL_FAULT
from support.doubles import THROTTLE, call, failed
from support.wire import Wire, answer

from aws_bedrock_inference import (
    Breaker,
    Complete,
    Deadline,
    InvalidByService,
    Quota,
    Resume,
    Retry,
    ServerFailed,
    Throttled,
    standard,
)
from aws_bedrock_inference.drivers.virtual import VirtualDriver
from aws_bedrock_inference.flow import send
from aws_bedrock_inference.rules.retry import LEFT_TO_CALLER


def test_each_policy_has_its_place() -> None:
    quota, retry = Quota(rpm=60), Retry(attempts=3)
    assert [type(policy) for policy in standard().policies] == [Deadline, Complete, Resume, Retry, Breaker, Quota]
    assert standard(quota).policies[-1] is quota
    assert standard(retry=retry).policies[3] is retry


@pytest.mark.parametrize("wrong", ["inside", "Outside", False, 3, Retry])
def test_an_invalid_value_of_retry_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"standard\(retry=.*'outside'"):
        standard(retry=wrong)


@pytest.mark.parametrize("face", [Blocking, Asyncio])
@pytest.mark.parametrize(
    ("answered", "kind", "wait"),
    [
        (
            answer({"message": TOO_MANY}, status="429 X", x_amzn_ErrorType="ThrottlingException", Retry_After="7"),
            Throttled,
            7,
        ),
        (fault(429, "ThrottlingException", TOO_MANY), Throttled, None),
        (INTERNAL, ServerFailed, None),
        (fault(400, "ValidationException"), InvalidByService, None),
    ],
)
def test_with_retry_outside_a_call_is_sent_once_and_has_the_stated_wait(
    face: Any, answered: bytes, kind: type[Exception], wait: float | None
) -> None:
    made = face()
    with Wire(answered) as wire:
        clients = [made.open(wire.url, pipeline=standard(Quota(rpm=600), retry="outside")) for _ in range(2)]
        with pytest.raises(kind) as raised:
            made.get(clients[0].invoke("hi"))
        with pytest.raises(kind):
            made.whole(clients[1].invoke_stream("hi"))
        made.end()
    error: Any = raised.value
    assert len(wire.received) == 2
    assert error.attempts == 1
    assert error.retry_after == wait
    assert (LEFT_TO_CALLER in str(error)) is (kind is not InvalidByService)


@pytest.mark.parametrize("fault", [THROTTLE, INTERNAL_FAULT], ids=["throttle", "500"])
def test_with_retry_outside_a_throttled_call_is_not_queued_again(fault: Any) -> None:
    driver = VirtualDriver(lambda _, __: (0.1, failed(fault)))
    step = standard(Quota(rpm=60, tpm=10**6), retry="outside").around(send, driver.clock)
    task = driver.spawn(step(call()))
    driver.run()
    assert task.result.attempts == 1
    assert task.result.gave_up == LEFT_TO_CALLER
