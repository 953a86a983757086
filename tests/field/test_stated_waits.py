"""A wait that the service states is obeyed, whatever the fault; what cannot be meant as one is ignored."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from math import inf
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from support.client_faces import Asyncio, Blocking
from support.doubles import ROUTE, World, call
from support.wire import Wire, answer

from aws_bedrock_inference import Deadline, Pipeline, Quota, Retry, ServiceFault, classify, resilient
from aws_bedrock_inference.call import Outcome, Usage
from aws_bedrock_inference.drivers.virtual import VirtualDriver
from aws_bedrock_inference.flow import send
from aws_bedrock_inference.knowledge.waits import milliseconds, retry_after
from aws_bedrock_inference.transports.answers import outcome
from aws_bedrock_inference.transports.operations import operation

if TYPE_CHECKING:
    from aws_bedrock_inference.fault import Fault

WALL = datetime(2026, 11, 29, 10, 0, 0, tzinfo=UTC)
FAULTS = {
    "throttle": (429, "ThrottlingException", "Too many requests, please wait before trying again."),
    "unavailable": (503, "ServiceUnavailableException", "busy"),
    "internal": (500, "InternalServerException", "oops"),
    "overloaded": (529, "overloaded_error", "Overloaded"),
    "loading": (429, "ModelNotReadyException", "wait"),
    "the model": (424, "ModelErrorException", "odd"),
    "the model's time": (408, "ModelTimeoutException", "slow"),
    "unknown": (418, "OddException", "odd"),
}
STATED = {
    "seconds": {"retry-after": "20"},
    "a fraction": {"retry-after": "20.0"},
    "a date": {"retry-after": format_datetime(WALL + timedelta(seconds=20), usegmt=True)},
    "milliseconds": {"x-amz-retry-after": "20000"},
    "both": {"retry-after": "1", "x-amz-retry-after": "20000"},
}


def answered(name: str, headers: dict[str, str]) -> Fault:
    status, code, message = FAULTS[name]
    body = json.dumps({"message": message}).encode()
    fault = outcome(
        operation("converse"), status, {"x-amzn-errortype": code, **headers}, body, wall=WALL.timestamp()
    ).fault
    assert fault is not None
    return fault


@pytest.mark.parametrize("stated", STATED)
@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("quota", [None, Quota(rpm=600, tpm=10_000_000)])
def test_the_next_attempt_waits_as_the_service_says(name: str, stated: str, quota: Quota | None) -> None:
    fault = answered(name, STATED[stated])
    sent: list[float] = []

    def service(_: object, now: float) -> tuple[float, Outcome]:
        sent.append(now)
        return 0.0, Outcome(fault=fault) if len(sent) == 1 else Outcome({}, usage=Usage(1, 1))

    driver = VirtualDriver(service)
    pipeline = Pipeline(Deadline(), Retry(chance=lambda: 0.0), *([] if quota is None else [Quota(rpm=600, tpm=10**7)]))
    task = driver.spawn(pipeline.around(send, driver.clock)(call()))
    driver.run()
    assert task.result.fault is None
    assert 20.0 <= sent[1] - sent[0] < 20.5


def test_a_throttle_that_states_a_wait_holds_the_calls_that_follow() -> None:
    fault = answered("throttle", {"retry-after": "20"})
    sent: list[float] = []

    def service(_: object, now: float) -> tuple[float, Outcome]:
        sent.append(now)
        return 0.1, Outcome(fault=fault) if len(sent) == 1 else Outcome({}, usage=Usage(1, 1))

    driver = VirtualDriver(service)
    step = Pipeline(Deadline(), Retry(chance=lambda: 0.0), Quota(rpm=600, tpm=10**7)).around(send, driver.clock)
    for start in (0.0, 1.0, 5.0, 19.0):
        driver.spawn(step(call(arrived=start)), after=start)
    driver.run()
    assert len(sent) == 5
    assert [now for now in sent if 0.2 < now < 20.0] == []


@pytest.mark.parametrize("face", [Blocking, Asyncio])
@pytest.mark.parametrize("headers", [{"Retry_After": "120"}, {"x_amz_retry_after": "120000"}])
@pytest.mark.parametrize("status", ["429 X", "503 X", "500 X"])
def test_a_wait_beyond_the_deadline_fails_at_once_and_is_named(face: Any, headers: Any, status: str) -> None:
    made = face()
    with Wire(answer({"message": "m"}, status=status, **headers)) as wire:
        client = made.open(wire.url, timeout=60)
        with pytest.raises(ServiceFault, match=r"the stated wait is 120 s") as raised:
            made.get(client.invoke("hi"))
        made.end()
    assert len(wire.received) == 1
    assert raised.value.retry_after == 120


@pytest.mark.parametrize(
    "value",
    [
        "-1", "-0.5", "nan", "inf", "-inf", "1e300", "9" * 400, "9" * 19, "", " ", "soon", "\u0663", "0x10", "1_0",
        "Fri, 99 Jan 2026 00:00:00 GMT", "Fri, 01 Jan 2026 00:00:00 +99999999999", "Fri, 01 Jan 9999999 00:00:00 GMT",
        True, None, [], {}, b"5", 10**400, float("nan"), -5, object(),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_as_a_wait_is_ignored(value: Any) -> None:
    assert retry_after(value, WALL.timestamp()) is None
    assert milliseconds(value) is None
    facts: Any = {"Error": {"Code": "X"}, "ResponseMetadata": {"HTTPHeaders": {"retry-after": value}}}
    assert classify(ClientError(facts, "Converse")).stated_wait == 0.0


def test_waits_in_their_forms() -> None:
    now = WALL.timestamp()
    assert [retry_after(value, now) for value in ("7", " 7 ", "0", 7, "7.5", "Fri, 01 Jan 1999 00:00:00 GMT")] == [
        7.0, 7.0, 0.0, 7.0, 7.5, 0.0,
    ]  # fmt: skip
    assert [milliseconds(value) for value in ("1500", "0", 1500)] == [1.5, 0.0, 1.5]


def boto3_throttle(**parts: Any) -> ClientError:
    headers = parts.pop("headers", {})
    facts: Any = {
        "Error": {"Code": parts.pop("code", "ThrottlingException"), "Message": "slow"},
        "ResponseMetadata": {"HTTPStatusCode": 429, "HTTPHeaders": headers},
        **parts,
    }
    return ClientError(facts, "Invoke")


class VendorError(Exception):
    """As the SDKs of model vendors raise it."""

    def __init__(self, **headers: str) -> None:
        super().__init__("Rate limited")
        self.status_code = 429
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.response = SimpleNamespace(status_code=429, headers=named, text='{"message": "Too many requests"}')


@pytest.mark.parametrize(
    "error",
    [
        boto3_throttle(headers={"retry-after": "20"}),
        boto3_throttle(headers={"x-amz-retry-after": "20000"}),
        boto3_throttle(code="TooManyRequestsException", retryAfterSeconds="20"),
        boto3_throttle(code="InternalServerException", retryAfterSeconds=20),
        VendorError(retry_after="20"),
        VendorError(retry_after_ms="20000", retry_after="19"),
        VendorError(x_amz_retry_after="20000"),
    ],
)
def test_functions_wait_as_long_as_their_service_says(error: Exception) -> None:
    world = World()
    failures = [error]

    @resilient(clock=world.clock, sleep=world.sleep)
    def ask() -> str:
        if failures:
            raise failures.pop()
        return "answer"

    assert ask() == "answer"
    assert world.now >= 20.0


def test_functions_fail_at_once_when_the_wait_is_too_long() -> None:
    world = World()

    @resilient(clock=world.clock, sleep=world.sleep, timeout=30)
    def ask() -> None:
        raise boto3_throttle(headers={"retry-after": "90"})

    with pytest.raises(ClientError) as raised:
        ask()
    assert world.now == 0.0
    assert "the stated wait is 90 s" in raised.value.__notes__[0]


def test_the_pause_of_a_ledger_ends_even_when_the_stated_wait_is_a_day() -> None:
    quota = Quota(rpm=600)
    driver = VirtualDriver(lambda _, __: (0.1, Outcome(fault=answered("throttle", {"retry-after": "86400"}))))
    task = driver.spawn(Pipeline(Deadline(60), Retry(), quota).around(send, driver.clock)(call()))
    driver.run()
    assert "the stated wait is 8.64e+04 s" in task.result.gave_up
    assert quota.ledger(ROUTE, driver.now).earliest(1, driver.now) < 1000
    assert inf > driver.now
