"""Credentials that another program replaces while the client runs: the client must not need a restart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.session import Session
from support.answers import REPLY, fault
from support.client_faces import Asyncio, Blocking
from support.sts import ARN, Sts
from support.wire import Wire, answer

from aws_bedrock_inference import AssumedRole, Denied
from aws_bedrock_inference.accounts import session_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

EXPIRED = fault(403, "ExpiredTokenException", "The security token included in the request is expired")


@pytest.fixture(params=[Blocking, Asyncio])
def face(request: pytest.FixtureRequest) -> Iterator[Any]:
    made = request.param()
    yield made
    made.end()


@pytest.fixture
def keys(alone: None, tmp_path: Path) -> Callable[[str], None]:
    """Write an access key into the credentials file of the machine."""
    file = tmp_path / "credentials"

    def write(key: str) -> None:
        file.write_text(
            f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {key}-s\naws_session_token = {key}-t\n"
        )

    write("ASIAOLD")
    return write


def fresh() -> Any:
    """A session that has read nothing yet."""
    return boto3.Session(region_name="us-east-1", botocore_session=Session())


def signers(wire: Wire) -> list[str]:
    return [
        received.headers["authorization"].removeprefix("Bearer ").rpartition("Credential=")[2].partition("/")[0]
        for received in wire.received
    ]


def test_a_call_uses_keys_that_were_replaced_in_their_file(face: Any, keys: Callable[[str], None]) -> None:
    with Wire(answer(REPLY), EXPIRED, answer(REPLY)) as wire:
        client = face.open(wire.url, session=fresh())
        face.get(client.invoke("Why?"))
        keys("ASIANEW")
        assert face.get(client.invoke("Why?")).attempts == 2
        face.get(client.invoke("Why?"))
        assert signers(wire) == ["ASIAOLD", "ASIAOLD", "ASIANEW", "ASIANEW"]
        assert wire.received[-1].headers["x-amz-security-token"] == "ASIANEW-t"


def test_a_stream_uses_them_too(face: Any, keys: Callable[[str], None]) -> None:
    with Wire(EXPIRED) as wire:
        client = face.open(wire.url, session=fresh())
        keys("ASIANEW")  # botocore has read the old key
        with pytest.raises(Denied, match="expired"):
            face.whole(client.invoke_stream("Why?"))
        assert signers(wire) == ["ASIAOLD", "ASIANEW"]


def test_the_same_keys_are_refused_at_once(face: Any, keys: Callable[[str], None]) -> None:
    with Wire(EXPIRED) as wire:
        client = face.open(wire.url, session=fresh())
        with pytest.raises(Denied, match="sign in again"):
            face.get(client.invoke("Why?"))
        assert signers(wire) == ["ASIAOLD"]


def test_keys_of_the_program_are_not_looked_for_elsewhere(face: Any, keys: Callable[[str], None]) -> None:
    with Wire(EXPIRED) as wire:
        given = boto3.Session("AKIAGIVEN", "secret", region_name="us-east-1", botocore_session=Session())
        client = face.open(wire.url, session=given)
        with pytest.raises(Denied):
            face.get(client.invoke("Why?"))
        assert signers(wire) == ["AKIAGIVEN"]


def test_a_file_that_cannot_be_read_leaves_the_refusal_of_the_service(
    face: Any, keys: Callable[[str], None], tmp_path: Path
) -> None:
    with Wire(EXPIRED) as wire:
        client = face.open(wire.url, session=fresh())
        (tmp_path / "credentials").write_text("no section\n")
        with pytest.raises(Denied, match="expired"):
            face.get(client.invoke("Why?"))
        assert signers(wire) == ["ASIAOLD"]


def test_a_bedrock_api_key_is_read_again(
    face: Any, keys: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "old")
    with Wire(fault(403, "AccessDeniedException", "Bearer Token has expired"), answer(REPLY)) as wire:
        client = face.open(wire.url, session=fresh())
        monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "new")
        assert face.get(client.invoke("Why?")).text
        assert signers(wire) == ["old", "new"]


def test_replaced_keys_assume_a_role(face: Any, keys: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    with Sts() as sts, Wire(answer(REPLY)) as wire:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        sts.refusals.append((403, "ExpiredToken", "The security token included in the request is expired"))
        base = fresh()
        base.get_credentials()
        client = face.open(wire.url, session=session_for(AssumedRole(ARN, session=base)))
        keys("ASIANEW")
        assert face.get(client.invoke("Why?")).text
        assert [form["signed by"] for form in sts.asked] == ["ASIAOLD", "ASIANEW"]
