"""How calls survive faults, quotas and unhealthy models, seen from outside: what is sent and what is returned."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from support.answers import INTERNAL, MESSAGES, REPLY, THROTTLED, UNAVAILABLE, fault
from support.client_faces import at_once
from support.wire import Wire, answer

from aws_bedrock_inference import (
    Breaker,
    CircuitOpen,
    DeadlineTooClose,
    Pipeline,
    Quota,
    QuotaExhausted,
    Refused,
    Retry,
    ServerFailed,
    Throttled,
    TimedOut,
    Timeout,
    Usage,
)
from aws_bedrock_inference.events import CallEnded, CircuitChanged, QuotaQueued, RetryScheduled, ThrottleReceived
from aws_bedrock_inference.transports.operations import operation

OK = answer(REPLY)
HOURLESS = 30.0  # seconds a call may take; a quota of one a minute cannot admit a second call in them


@pytest.mark.parametrize("bad", [UNAVAILABLE, INTERNAL, THROTTLED], ids=["503", "500", "429"])
def test_the_caller_never_sees_a_transient_fault(face: Any, bad: bytes) -> None:
    with Wire(bad, OK) as wire:
        reply = face.get(face.open(wire.url).invoke("Why?"))
        assert (reply.text, reply.attempts) == ("Because of Rayleigh.", 2)
        assert reply.earlier[0].wait == 0
        assert len(wire.received) == 2
        assert wire.received[0].body == wire.received[1].body


def test_the_body_of_a_call_is_checked_once_however_often_it_is_retried(
    face: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    converse, checked = operation("converse"), []
    original = converse.plain

    def plain(params: Any) -> bool:
        checked.append(params)
        return original(params)

    monkeypatch.setattr(converse, "plain", plain)
    with Wire(UNAVAILABLE, UNAVAILABLE, OK) as wire:
        face.get(face.open(wire.url).invoke("Why?"))
        assert len(wire.received) == 3
        assert len(checked) == 1


def test_a_lost_connection_is_a_transient_fault(face: Any) -> None:
    with Wire(("reset", b""), OK) as wire:
        assert face.get(face.open(wire.url).invoke("Why?")).attempts == 2
        assert len(wire.received) == 2


def test_a_permanent_fault_is_not_retried(face: Any) -> None:
    with Wire(fault(400, "ValidationException")) as wire:
        with pytest.raises(Exception, match="ValidationException"):
            face.get(face.open(wire.url).invoke("Why?"))
        assert len(wire.received) == 1


def test_a_persistent_throttle_is_raised_after_all_attempts(face: Any) -> None:
    with Wire(THROTTLED) as wire:
        with pytest.raises(Throttled) as raised:
            face.get(face.open(wire.url, pipeline=Pipeline(Retry(chance=lambda: 0.0))).invoke("Why?"))
        assert raised.value.attempts == len(wire.received) == 8
        assert raised.value.cause == "throttled-requests-per-minute"
        assert "Quota(rpm=...)" in raised.value.advice


@pytest.mark.parametrize("method", ["converse", "invoke_model", "count_tokens"])
def test_the_methods_named_after_boto3s_retry_in_the_same_way(face: Any, method: str) -> None:
    params: dict[str, Any] = {
        "converse": {"messages": MESSAGES},
        "invoke_model": {"body": b"{}"},
        "count_tokens": {"input": {"invokeModel": {"body": b"{}"}}},
    }
    with Wire(UNAVAILABLE, answer({**REPLY, "inputTokens": 3})) as wire:
        face.get(getattr(face.open(wire.url), method)(**params[method]))
        assert len(wire.received) == 2


def test_an_unhealthy_model_gets_no_calls_until_it_may_have_recovered(face: Any) -> None:
    with Wire(INTERNAL) as wire:
        client = face.open(wire.url, pipeline=Pipeline(Breaker(failures=3, recovery=60.0)))
        for _ in range(3):
            with pytest.raises(ServerFailed):
                face.get(client.invoke("Why?"))
        with pytest.raises(CircuitOpen) as raised:
            face.get(client.invoke("Why?"))
        assert len(wire.received) == 3
        assert raised.value.retry_after == pytest.approx(60, abs=30)
        assert isinstance(raised.value, Refused)
        assert raised.value.attempts == 0
        with pytest.raises(ServerFailed):
            face.get(client.converse(modelId="another.model", messages=MESSAGES))


def test_the_recommended_pipeline_has_a_breaker_too(face: Any) -> None:
    with Wire(INTERNAL) as wire:
        client = face.open(wire.url, quota=Quota(), timeout=3600.0)
        policies = {type(policy).__name__: policy for policy in client.pipeline.policies}
        policies["Retry"]._chance = lambda: 0.0
        policies["Retry"].attempts = 5
        with pytest.raises(ServerFailed):
            face.get(client.invoke("Why?"))
        policies["Retry"].attempts = 1
        with pytest.raises(CircuitOpen):
            face.get(client.invoke("Why?"))
        assert len(wire.received) == 5


def test_calls_wait_for_the_quota_or_are_refused_and_not_sent(face: Any) -> None:
    with Wire(OK) as wire:
        client = face.open(wire.url, quota=Quota(rpm=1), timeout=HOURLESS)
        face.get(client.invoke("Why?"))
        with pytest.raises(DeadlineTooClose) as raised:
            face.get(client.invoke("Why?"))
        assert "the quota has no room for the call before its deadline" in str(raised.value)
        assert isinstance(raised.value, TimeoutError)
        assert len(wire.received) == 1


def test_count_tokens_does_not_wait_for_the_quota(face: Any) -> None:
    with Wire(OK, answer({"inputTokens": 3})) as wire:
        client = face.open(wire.url, quota=Quota(rpm=1), timeout=HOURLESS)
        face.get(client.invoke("Why?"))
        assert face.get(client.count_tokens(input={"converse": {"messages": MESSAGES}}))["inputTokens"] == 3


def test_clients_with_the_same_quota_object_share_it(face: Any) -> None:
    quota = Quota(rpm=1)
    with Wire(OK) as wire:
        face.get(face.open(wire.url, quota=quota, timeout=HOURLESS).invoke("Why?"))
        with pytest.raises(DeadlineTooClose):
            face.get(face.open(wire.url, quota=quota, timeout=HOURLESS).invoke("Why?"))
        face.get(face.open(wire.url, quota=Quota(rpm=1), timeout=HOURLESS).invoke("Why?"))
        assert len(wire.received) == 2


def test_a_call_larger_than_the_quota_is_refused_and_not_sent(face: Any) -> None:
    with Wire(OK) as wire:
        client = face.open(wire.url, quota=Quota(tpm=1000))
        with pytest.raises(QuotaExhausted) as raised:
            face.get(client.invoke("Why?", max_tokens=2000))
        assert "the quota is 1,000 per minute" in str(raised.value)
        assert "Lower max_tokens" in raised.value.advice
        assert wire.received == []


def test_reserved_tokens_are_settled_with_the_reported_usage(face: Any) -> None:
    """Each call reserves more than half of a minute's tokens; only because nearly all comes back can many follow."""
    with Wire(OK) as wire:
        client = face.open(wire.url, quota=Quota(tpm=6000), timeout=HOURLESS)
        for _ in range(5):
            face.get(client.invoke("Why?", max_tokens=5000))
        assert len(wire.received) == 5


def test_a_pipeline_of_the_user_is_used(face: Any) -> None:
    class Count:
        seen = 0

        def around(self, step: Any, clock: Any) -> Any:
            def flow(call: Any) -> Any:
                self.seen += 1
                return (yield from step(call))

            return flow

    count = Count()
    with Wire(UNAVAILABLE, UNAVAILABLE, OK) as wire:
        pipeline = Pipeline(Retry(attempts=2, chance=lambda: 0.0), count)
        client = face.open(wire.url, pipeline=pipeline)
        assert client.pipeline is pipeline
        with pytest.raises(Exception, match="after 2 attempts"):
            face.get(client.invoke("Why?"))
        assert (count.seen, len(wire.received)) == (2, 2)


def test_an_empty_pipeline_sends_once(face: Any) -> None:
    with Wire(UNAVAILABLE) as wire:
        with pytest.raises(Exception, match="ServiceUnavailableException"):
            face.get(face.open(wire.url, pipeline=Pipeline()).invoke("Why?"))
        assert len(wire.received) == 1


@pytest.mark.parametrize("timeout", [0.05, Timeout(first_byte=0.05), Timeout(total=0.05)])
def test_a_missing_answer_is_a_timeout(face: Any, timeout: Any) -> None:
    with Wire(("stall", b"")) as wire:
        client = face.open(wire.url, pipeline=Pipeline(), timeout=timeout)
        with pytest.raises(TimedOut) as raised:
            face.get(client.invoke("Why?"))
        assert isinstance(raised.value, TimeoutError)
        assert "attempt" in str(raised.value)


def test_no_retry_starts_after_the_deadline(face: Any) -> None:
    act = UNAVAILABLE.replace(b"\r\n\r\n", b"\r\nRetry-After: 3600\r\n\r\n", 1)
    with Wire(act) as wire:
        with pytest.raises(Exception, match="gave up: the next attempt would start after the deadline"):
            face.get(face.open(wire.url, pipeline=at_once(), timeout=HOURLESS).invoke("Why?"))
        assert len(wire.received) == 1


def test_listeners_get_the_events_of_a_call(face: Any) -> None:
    heard: list[Any] = []
    with Wire(THROTTLED, INTERNAL, OK) as wire:
        client = face.open(wire.url)
        stop = client.listen(heard.append)
        reply = face.get(client.invoke("TOP SECRET"))
        stop()
        face.get(client.invoke("Why?"))
    throttled, first, second, ended = heard
    assert isinstance(throttled, ThrottleReceived)
    assert (throttled.route, throttled.limit, throttled.cause) == (reply.route, "requests", "requests")
    assert "fewer, larger calls" in throttled.advice
    assert isinstance(first, RetryScheduled)
    assert (first.fault.code, first.attempt, first.wait) == ("ThrottlingException", 1, 0.0)
    assert (second.fault.code, second.attempt) == ("InternalServerException", 2)
    assert isinstance(ended, CallEnded)
    assert ended == CallEnded("converse", reply.route, None, Usage(3, 5), 3, ended.seconds, stop="end_turn")
    assert ended.seconds >= 0
    assert "SECRET" not in repr(heard)


def test_listeners_get_events_of_circuits_queues_and_failures(face: Any) -> None:
    heard: list[Any] = []
    with Wire(INTERNAL) as wire:
        client = face.open(wire.url, pipeline=Pipeline(Breaker(failures=1, ratio=0.1), Quota(rpm=6000)))
        client.listen(heard.append)
        with pytest.raises(ServerFailed):
            face.get(client.invoke("Why?"))
    assert [type(event) for event in heard] == [CircuitChanged, CallEnded]
    assert heard[0].state == "open"
    assert heard[1].fault.code == "InternalServerException"
    with Wire(OK) as wire:
        client = face.open(wire.url, quota=Quota(rpm=120))
        client.listen(heard.append)
        while not any(isinstance(event, QuotaQueued) for event in heard):
            face.get(client.invoke("Why?"))


def test_a_listener_that_raises_breaks_no_call(face: Any, caplog: pytest.LogCaptureFixture) -> None:
    def fail(event: object) -> None:
        raise RuntimeError("listener's own")

    heard: list[object] = []
    with Wire(OK) as wire, caplog.at_level(logging.ERROR):
        client = face.open(wire.url)
        client.listen(fail)
        client.listen(heard.append)
        assert face.get(client.invoke("Why?")).text == "Because of Rayleigh."
    assert len(heard) == 1
    assert "failed on CallEnded" in caplog.text
