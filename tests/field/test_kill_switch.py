"""`AWS_BEDROCK_INFERENCE=off`: every call is one plain attempt."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from support.answers import REPLY, THROTTLED, UNAVAILABLE
from support.doubles import session
from support.wire import Wire, answer

from aws_bedrock_inference import (
    BedrockError,
    Breaker,
    Pipeline,
    Quota,
    ServerFailed,
    attempts,
    resilient,
    stream_with_retry,
    switch,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_BEDROCK_INFERENCE", "off")
    switch._warn.cache_clear()


@pytest.mark.usefixtures("off")
def test_a_client_makes_one_attempt_and_its_exceptions_stay_the_same(client_face: Any) -> None:
    with Wire(UNAVAILABLE) as wire:
        client = client_face.open(wire.url, quota=Quota(rpm=1))
        for _ in range(8):  # more than a minute's quota, and enough to open a circuit
            with pytest.raises(BedrockError) as raised:
                client_face.get(client.invoke("hi"))
            assert raised.value.code == "ServiceUnavailableException"
            assert raised.value.attempts == 1
    assert len(wire.received) == 8


@pytest.mark.usefixtures("off")
def test_a_custom_pipeline_is_turned_off_too(client_face: Any) -> None:
    with Wire(THROTTLED) as wire:
        client = client_face.open(wire.url, pipeline=Pipeline(Breaker(failures=1), Quota(tpm=1)))
        for _ in range(3):
            with pytest.raises(BedrockError, match="ThrottlingException"):
                client_face.get(client.invoke("hi"))
    assert len(wire.received) == 3


@pytest.mark.usefixtures("off")
def test_no_store_is_opened(client_face: Any, tmp_path: Path) -> None:
    with Wire(answer(REPLY)) as wire:
        client = client_face.open(wire.url, quota=Quota(rpm=1, store=f"sqlite:///{tmp_path}/shares.db"))
        for _ in range(3):
            client_face.get(client.invoke("hi"))
    assert list(tmp_path.iterdir()) == []


def block(calls: list[int]) -> None:
    for attempt in attempts():
        with attempt:
            calls.append(3)
            raise ConnectionResetError(104, "Connection reset by peer")


@pytest.mark.usefixtures("off")
def test_resilient_makes_one_attempt() -> None:
    calls: list[int] = []

    @resilient
    def ask() -> None:
        calls.append(1)
        raise ConnectionResetError(104, "Connection reset by peer")

    @resilient
    async def ask_later() -> None:
        calls.append(2)
        raise ConnectionResetError(104, "Connection reset by peer")

    for failing in (ask, lambda: asyncio.run(ask_later())):
        with pytest.raises(ConnectionResetError):
            failing()
    assert calls == [1, 2]
    with pytest.raises(ConnectionResetError):
        block(calls)
    assert calls == [1, 2, 3]


@pytest.mark.usefixtures("off")
def test_a_wrapped_boto3_client_makes_one_attempt() -> None:
    with Wire(answer({"__type": "InternalServerError"}, status="500 X")) as wire:
        client = resilient(session().client("dynamodb", endpoint_url=wire.url))
        with pytest.raises(ClientError):
            client.list_tables()
        client.close()
    assert len(wire.received) == 1


@pytest.mark.usefixtures("off")
def test_a_stream_is_started_once() -> None:
    class Client:
        begun = 0

        def invoke_stream(self, prompt: str) -> Iterator[str]:
            self.begun += 1
            yield prompt
            raise ConnectionError("connection reset")

    client = Client()
    with pytest.raises(ConnectionError):
        list(stream_with_retry("hi", client=client))
    assert client.begun == 1


@pytest.mark.usefixtures("off")
def test_the_log_mentions_the_switch_once(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        resilient(lambda: None)
    said = [record for record in caplog.records if "AWS_BEDROCK_INFERENCE=off" in record.getMessage()]
    assert [record.levelno for record in said] == [logging.WARNING]


@pytest.mark.parametrize("value", ["of", "0", "false", "disabled", "off,"])
def test_an_invalid_value_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_BEDROCK_INFERENCE", value)
    with pytest.raises(ValueError, match=r'AWS_BEDROCK_INFERENCE=.*set "off"'):
        resilient(lambda: None)


@pytest.mark.parametrize("value", ["", "on", " ON "])
def test_the_value_on_has_no_effect(value: str, monkeypatch: pytest.MonkeyPatch, client_face: Any) -> None:
    monkeypatch.setenv("AWS_BEDROCK_INFERENCE", value)
    with Wire(UNAVAILABLE, answer(REPLY)) as wire:
        assert client_face.get(client_face.open(wire.url).invoke("hi")).attempts == 2
    with Wire(UNAVAILABLE) as wire, pytest.raises((BedrockError, ServerFailed)):
        client_face.get(client_face.open(wire.url, pipeline=Pipeline()).invoke("hi"))


@pytest.mark.parametrize("value", [" OFF ", "Off"])
def test_capitals_and_spaces_do_not_matter(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_BEDROCK_INFERENCE", value)
    assert switch.policies_are_off()
