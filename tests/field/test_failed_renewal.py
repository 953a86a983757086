"""Credentials that are still valid are used although their renewal fails, and their source is not asked every time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import CredentialRetrievalError
from support.raw_server import reply, text_of
from support.transport_faces import Asyncio, Blocking
from support.wire import Wire, answer

from aws_bedrock_inference.accounts.spans import LAST, PAUSE
from aws_bedrock_inference.background import background
from aws_bedrock_inference.call import Call, Route
from aws_bedrock_inference.transports.endpoint import Endpoint
from aws_bedrock_inference.transports.fast.signing import SigV4

if TYPE_CHECKING:
    from collections.abc import Iterator

CALL = Call("converse", {"modelId": "m", "messages": [{"role": "user", "content": [{"text": "x"}]}]}, Route("m"))
MINUTE = 60.0


@pytest.fixture(params=[Blocking, Asyncio])
def face(request: pytest.FixtureRequest) -> Iterator[Any]:
    made = request.param()
    yield made
    made.end()


class Source:
    """Credentials that expire after `seconds`, in a world whose time stands still. `lasting` is the remaining time of
    renewed credentials in seconds; None if the source fails."""

    def __init__(self, seconds: float, *, lasting: float | None) -> None:
        self.now = datetime(2026, 12, 1, tzinfo=UTC)
        self.lasting = lasting
        self.asked = 0
        self.credentials = RefreshableCredentials(
            "KEY0", "s", "t", self.now + timedelta(seconds=seconds), self.renew, "container-role", lambda: self.now
        )
        self.signer = SigV4(self.credentials, "bedrock", "us-east-1", clock=self.clock)

    def clock(self) -> float:
        return self.now.timestamp()

    def renew(self) -> dict[str, str]:
        self.asked += 1
        if self.lasting is None:
            raise CredentialRetrievalError(provider="container-role", error_msg="Read timeout")
        until = (self.now + timedelta(seconds=self.lasting)).isoformat()
        return {"access_key": f"KEY{self.asked}", "secret_key": "s", "token": "t", "expiry_time": until}

    def later(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def send(face: Any, transport: Any, source: Source) -> Any:
    outcome = face.send(transport, CALL)
    running = background._running.get(("identity", id(source.credentials)))
    if running is not None:
        running.exception(10)
    return outcome


def keys(wire: Wire) -> list[str]:
    return [each.headers["authorization"].partition("Credential=")[2].partition("/")[0] for each in wire.received]


def test_a_failed_renewal_breaks_no_call_before_the_last_minute(face: Any) -> None:
    source = Source(8 * MINUTE, lasting=None)
    with Wire(answer(reply("y"))) as wire:
        transport = face.open(Endpoint(wire.url, "us-east-1", "", source.signer))
        for _ in range(3):
            assert text_of(send(face, transport, source)) == "y"
        assert source.asked == 1
        source.later(PAUSE)
        assert text_of(send(face, transport, source)) == "y"
        assert source.asked == 2
        source.later(8 * MINUTE - PAUSE - LAST + 1)
        fault = send(face, transport, source).fault
        assert (fault.code, fault.reached) == ("CredentialRetrievalError", False)
        assert keys(wire) == ["KEY0"] * 4


def test_the_source_is_used_again_once_it_recovers(face: Any) -> None:
    source = Source(8 * MINUTE, lasting=None)
    with Wire(answer(reply("y"))) as wire:
        transport = face.open(Endpoint(wire.url, "us-east-1", "", source.signer))
        send(face, transport, source)
        source.lasting = 60 * MINUTE
        source.later(PAUSE)
        for _ in range(3):
            send(face, transport, source)
        assert keys(wire) in (["KEY0", "KEY0", "KEY2", "KEY2"], ["KEY0", "KEY2", "KEY2", "KEY2"])


def test_credentials_of_short_sessions_are_not_renewed_at_every_call(face: Any) -> None:
    source = Source(5 * MINUTE, lasting=5 * MINUTE)
    with Wire(answer(reply("y"))) as wire:
        transport = face.open(Endpoint(wire.url, "us-east-1", "", source.signer))
        for _ in range(20):
            assert text_of(send(face, transport, source)) == "y"
            source.later(3)
        assert source.asked == 2


def test_expired_credentials_are_renewed_during_the_pause(face: Any) -> None:
    source = Source(0, lasting=30)
    with Wire(answer(reply("y"))) as wire:
        transport = face.open(Endpoint(wire.url, "us-east-1", "", source.signer))
        for _ in range(3):
            send(face, transport, source)
        assert keys(wire) == ["KEY1", "KEY2", "KEY3"]
