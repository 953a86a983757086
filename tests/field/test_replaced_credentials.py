"""Credentials that another program replaces while the client runs: the client must not need a restart."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.credentials import Credentials
from botocore.session import Session
from support.answers import REPLY, fault
from support.client_faces import Blocking
from support.sts import ARN, Sts
from support.wire import Wire, answer

from aws_bedrock_inference import AssumedRole, Denied
from aws_bedrock_inference.accounts import session_for
from aws_bedrock_inference.accounts.replaced import replaced
from aws_bedrock_inference.transports.fast.signing import SigV4

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EXPIRED = fault(403, "ExpiredTokenException", "The security token included in the request is expired")


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


def test_a_call_uses_keys_that_were_replaced_in_their_file(client_face: Any, keys: Callable[[str], None]) -> None:
    with Wire(answer(REPLY), EXPIRED, answer(REPLY)) as wire:
        client = client_face.open(wire.url, session=fresh())
        client_face.get(client.invoke("Why?"))
        keys("ASIANEW")
        assert client_face.get(client.invoke("Why?")).attempts == 2
        client_face.get(client.invoke("Why?"))
        assert signers(wire) == ["ASIAOLD", "ASIAOLD", "ASIANEW", "ASIANEW"]
        assert wire.received[-1].headers["x-amz-security-token"] == "ASIANEW-t"


def test_a_stream_uses_them_too(client_face: Any, keys: Callable[[str], None]) -> None:
    with Wire(EXPIRED) as wire:
        client = client_face.open(wire.url, session=fresh())
        keys("ASIANEW")  # botocore has read the old key
        with pytest.raises(Denied, match="expired"):
            client_face.whole(client.invoke_stream("Why?"))
        assert signers(wire) == ["ASIAOLD", "ASIANEW"]


def test_the_same_keys_are_refused_at_once(client_face: Any, keys: Callable[[str], None]) -> None:
    with Wire(EXPIRED) as wire:
        client = client_face.open(wire.url, session=fresh())
        with pytest.raises(Denied, match="Sign in again"):
            client_face.get(client.invoke("Why?"))
        assert signers(wire) == ["ASIAOLD"]


def test_keys_of_the_program_are_not_looked_for_elsewhere(client_face: Any, keys: Callable[[str], None]) -> None:
    with Wire(EXPIRED) as wire:
        given = boto3.Session("AKIAGIVEN", "secret", region_name="us-east-1", botocore_session=Session())
        client = client_face.open(wire.url, session=given)
        with pytest.raises(Denied):
            client_face.get(client.invoke("Why?"))
        assert signers(wire) == ["AKIAGIVEN"]


def test_a_file_that_cannot_be_read_leaves_the_refusal_of_the_service(
    client_face: Any, keys: Callable[[str], None], tmp_path: Path
) -> None:
    with Wire(EXPIRED) as wire:
        client = client_face.open(wire.url, session=fresh())
        (tmp_path / "credentials").write_text("no section\n")
        with pytest.raises(Denied, match="expired"):
            client_face.get(client.invoke("Why?"))
        assert signers(wire) == ["ASIAOLD"]


def test_a_bedrock_api_key_is_read_again(
    client_face: Any, keys: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "old")
    with Wire(fault(403, "AccessDeniedException", "Bearer Token has expired"), answer(REPLY)) as wire:
        client = client_face.open(wire.url, session=fresh())
        monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "new")
        assert client_face.get(client.invoke("Why?")).text
        assert signers(wire) == ["old", "new"]


def test_replaced_keys_assume_a_role(
    client_face: Any, keys: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Sts() as sts, Wire(answer(REPLY)) as wire:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        sts.refusals.append((403, "ExpiredToken", "The security token included in the request is expired"))
        base = fresh()
        base.get_credentials()
        client = client_face.open(wire.url, session=session_for(AssumedRole(ARN, session=base)))
        keys("ASIANEW")
        assert client_face.get(client.invoke("Why?")).text
        assert [form["signed by"] for form in sts.asked] == ["ASIAOLD", "ASIANEW"]


def test_the_identity_of_the_machine_does_not_take_the_place_of_keys_in_a_file(
    client_face: Any, keys: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regression: a file that was briefly missing moved the client to the account of the container, for good."""
    given = {"AccessKeyId": "ASIABOX", "SecretAccessKey": "s", "Token": "t", "Expiration": "2099-01-01T00:00:00Z"}
    with Wire(answer(given)) as container, Wire(EXPIRED) as wire:
        client = client_face.open(wire.url, session=fresh())
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{container.url}/keys")
        (tmp_path / "credentials").unlink()
        with pytest.raises(Denied, match="expired"):
            client_face.get(client.invoke("Why?"))
        keys("ASIANEW")
        with pytest.raises(Denied, match="expired"):
            client_face.get(client.invoke("Why?"))
        assert signers(wire) == ["ASIAOLD", "ASIAOLD", "ASIANEW"]


def test_an_api_key_that_is_missing_for_a_while_is_read_later(
    client_face: Any, keys: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regression: the client then had no API key, and never looked for one again."""
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "old")
    expired = fault(403, "AccessDeniedException", "Bearer Token has expired")
    with Wire(expired, expired, answer(REPLY)) as wire:
        client = client_face.open(wire.url, session=fresh())
        monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK")
        with pytest.raises(Denied, match="expired"):
            client_face.get(client.invoke("Why?"))
        monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "new")
        assert client_face.get(client.invoke("Why?")).text
        assert signers(wire) == ["old", "old", "new"]


def test_keys_that_another_call_has_read_are_not_read_again() -> None:
    credentials = Credentials("ASIAOLD", "secret", "token", "shared-credentials-file")
    session = Session()
    reads: list[Any] = []
    session.register_component("credential_provider", reads)  # it has no method to read
    signer = SigV4(credentials, "bedrock", "us-east-1", session)
    old = signer.identity()
    credentials.access_key = "ASIANEW"
    assert signer.replaced(old)


def test_all_attributes_of_the_keys_are_replaced(keys: Callable[[str], None], tmp_path: Path) -> None:
    """Regression: the id of the old account stayed, which is a part of some services' endpoints."""
    session = Session()
    signer = SigV4(session.get_credentials(), "bedrock", "us-east-1", session)
    old = signer.identity()
    with (tmp_path / "credentials").open("a") as file:
        file.write("aws_account_id = 210987654321\n")
    keys_of = (tmp_path / "credentials").read_text()
    (tmp_path / "credentials").write_text(keys_of.replace("ASIAOLD", "ASIANEW"))
    assert signer.replaced(old)
    assert signer.identity().account_id == "210987654321"


def test_a_role_notices_keys_that_another_call_replaced_in_the_meantime(
    keys: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regression: of two roles that were refused together, only the first one was assumed again."""
    with Sts() as sts, Wire(answer(REPLY)) as wire, ThreadPoolExecutor(1) as pool:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        sts.refusals.append((403, "ExpiredToken", "The security token included in the request is expired"))
        sts.open.clear()
        base = fresh()
        client = Blocking().open(wire.url, session=session_for(AssumedRole(ARN, session=base)))
        call = pool.submit(client.invoke, "Why?")
        assert sts.arrived.acquire(timeout=30)
        keys("ASIANEW")
        replaced(base._session, base.get_credentials(), base.get_credentials().get_frozen_credentials())  # another call
        sts.open.set()
        assert call.result().text
        assert [form["signed by"] for form in sts.asked] == ["ASIAOLD", "ASIANEW"]


def test_a_refused_chain_of_roles_sends_one_request_for_each_attempt(
    keys: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regression: the second role asked the first one again only to compare its credentials."""
    refused = (403, "ExpiredToken", "The security token included in the request is expired")
    with Sts() as sts, Wire(answer(REPLY)) as wire:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        sts.refusals += [refused] * 4
        first = session_for(AssumedRole(ARN, session=fresh()))
        second = session_for(AssumedRole(ARN.replace("inference", "second"), session=first))
        with pytest.raises(Denied, match="expired"):
            Blocking().open(wire.url, session=second).invoke("Why?")
        assert len(sts.asked) == 1
