"""Why a role was not assumed: one typed fault, which names the role and what to check, and holds no secret."""

from __future__ import annotations

import logging
import pickle
import traceback
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import CredentialRetrievalError
from support.client_faces import at_once
from support.raw_server import Peer, RawServer
from support.sts import ARN, signers

from aws_bedrock_inference import (
    AssumedRole,
    BedrockError,
    Denied,
    InvalidByService,
    Overloaded,
    Pipeline,
    Quota,
    ServerFailed,
    Throttled,
    TimedOut,
    Unreachable,
    classify,
    explain,
)
from aws_bedrock_inference.fault import Decision, Origin

if TYPE_CHECKING:
    from support.sts import Sts
    from support.wire import Wire

CALLER = "User: arn:aws:sts::123456789012:assumed-role/desk/4"
DENIED = f"{CALLER} is not authorized to perform: sts:AssumeRole on resource: {ARN}"
NOT_TAGGED = f"{CALLER} is not authorized to perform: sts:TagSession on resource: {ARN}"
NOT_TRUSTED = f"{DENIED} because no resource-based policy allows the sts:AssumeRole action"
BY_THE_ORGANIZATION = f"{DENIED} with an explicit deny in a service control policy"
EXPIRED = "The security token included in the request is expired"
UNKNOWN_KEY = "The security token included in the request is invalid."
OFF = "STS is not activated in this region"
TOO_MANY_TAGS = "Packed size of session tags consumes 118% of allotted space."
TOO_LONG = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."

ASSUME = "sts-assume-role-denied"
SESSION = "sts-session-invalid"

REFUSALS = [
    (403, "AccessDenied", DENIED, Denied, ASSUME, "that its trust policy allows sts:AssumeRole and sts:TagSession"),
    (403, "AccessDenied", DENIED, Denied, ASSUME, "no external id other than the one that you set"),
    (403, "AccessDenied", NOT_TAGGED, Denied, ASSUME, f"allow sts:AssumeRole and sts:TagSession on {ARN}"),
    (403, "AccessDenied", NOT_TRUSTED, Denied, "assume-role-trust", "In account 210987654321, check that the role"),
    (403, "AccessDenied", BY_THE_ORGANIZATION, Denied, "iam-denied-scp", "organization"),
    (403, "ExpiredToken", EXPIRED, Denied, "credentials-expired", "aws sso login"),
    (403, "InvalidClientTokenId", UNKNOWN_KEY, Denied, "invalid-access-key", "Check the access key, secret key"),
    (403, "RegionDisabledException", OFF, Denied, "region-disabled", "Enable the Region"),
    (
        400,
        "MalformedPolicyDocument",
        "Syntax errors in policy.",
        InvalidByService,
        "iam-policy-malformed",
        "Validate the policy with AWS",
    ),
    (400, "PackedPolicyTooLarge", TOO_MANY_TAGS, InvalidByService, SESSION, "shorter session"),
    (400, "ValidationError", TOO_LONG, InvalidByService, SESSION, "raise the role's maximum"),
    (400, "Throttling", "Rate exceeded", Throttled, "throttled-control-plane", "how many processes renew at once"),
    (503, "ServiceUnavailable", "", Overloaded, "service-capacity", "look at STS"),
    (500, "InternalFailure", "", ServerFailed, "internal-server-error", "look at STS"),
]


def role(base: Any, **options: Any) -> AssumedRole:
    return AssumedRole(ARN, external_id="desk-7-hidden", tags={"team": "unseen"}, session=base, **options)


@pytest.mark.parametrize(("status", "code", "message", "kind", "cause", "advice"), REFUSALS)
def test_a_refusal_of_sts_is_a_typed_fault(  # noqa: PLR0917 - the columns of a table
    face: Any,
    sts: Sts,
    model: Wire,
    base: Any,
    caplog: pytest.LogCaptureFixture,
    status: int,
    code: str,
    message: str,
    kind: type[BedrockError],
    cause: str,
    advice: str,
) -> None:
    caplog.set_level(logging.INFO)
    sts.refusals.append((status, code, message))
    client = face.open(model.url, session=role(base).session(), pipeline=Pipeline())
    with pytest.raises(kind) as raised:
        face.get(client.invoke("Why?"))
    fault = raised.value.fault
    assert (fault.code, fault.cause, fault.status) == (code, cause, status)
    assert (fault.origin, fault.reached, fault.unhealthy) == (Origin.IDENTITY, False, False)
    assert fault.message.startswith(f"could not assume {ARN}: ")
    assert advice in fault.advice
    assert explain(raised.value).cause == cause
    assert model.received == []
    said = "".join([*traceback.format_exception(raised.value), repr(vars(raised.value)), caplog.text])
    for secret in ("basesecret", "desk-7-hidden", "unseen"):
        assert secret not in said


def test_the_fault_is_the_same_for_boto3_and_travels(sts: Sts, base: Any) -> None:
    sts.refusals.append((403, "AccessDenied", DENIED))
    client = role(base).session().client("bedrock-runtime", endpoint_url="http://127.0.0.1:9")
    try:
        with pytest.raises(CredentialRetrievalError, match="could not assume") as raised:
            client.converse(modelId="m", messages=[])
    finally:
        client.close()
    fault = classify(raised.value)
    assert (fault.cause, fault.origin) == ("sts-assume-role-denied", Origin.IDENTITY)
    again = pickle.loads(pickle.dumps(raised.value))  # noqa: S301 - our own
    assert str(again) == str(raised.value)
    assert again.fault.cause == fault.cause


def test_no_external_id_is_said_to_be_none(sts: Sts, base: Any) -> None:
    sts.refusals.append((403, "AccessDenied", DENIED))
    with pytest.raises(CredentialRetrievalError) as raised:
        AssumedRole(ARN, session=base).session().get_credentials().get_frozen_credentials()
    assert "requires no external id, because you set none" in classify(raised.value).advice


def test_sts_that_throttles_once_costs_a_repeat_and_no_quota(face: Any, sts: Sts, model: Wire, base: Any) -> None:
    quota = Quota(rpm=600)
    sts.refusals.append((400, "Throttling", "Rate exceeded"))
    client = face.open(model.url, session=role(base).session(), pipeline=at_once(quota))
    assert face.get(client.invoke("Why?")).text == "Because of Rayleigh."
    assert signers(model) == ["ASIATEST2"]
    ledger = quota.ledger(client._route(client.model_id), client._clock())
    assert ledger.snapshot(client._clock()).estimates["requests"] == 600


def hang_up(peer: Peer) -> None:
    peer.request()


def babble(peer: Peer) -> None:
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nnot XML !")


def give_nothing(peer: Peer) -> None:
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 21\r\n\r\n<AssumeRoleResponse/>")


def stay_silent(peer: Peer) -> None:
    peer.request()
    peer.hold()


@pytest.mark.parametrize(
    ("serve", "kinds"),
    [
        (hang_up, (Unreachable, TimedOut)),
        (babble, ServerFailed),
        (give_nothing, BedrockError),
        (stay_silent, (TimedOut, Denied)),
    ],
)
def test_sts_that_does_not_answer_as_it_should(  # noqa: PLR0917 - fixtures
    face: Any, model: Wire, base: Any, monkeypatch: pytest.MonkeyPatch, serve: Any, kinds: Any
) -> None:
    with RawServer(serve) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        client = face.open(model.url, session=role(base).session(), pipeline=Pipeline())
        with pytest.raises(kinds) as raised:
            face.get(client.invoke("Why?", timeout=0.5 if serve is stay_silent else 30))
    assert (raised.value.fault.origin, raised.value.fault.reached) == (Origin.IDENTITY, False)
    assert model.received == []


def test_sts_that_nobody_can_reach(face: Any, model: Wire, base: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1")
    client = face.open(model.url, session=role(base).session(), pipeline=Pipeline())
    with pytest.raises(Unreachable, match="could not assume") as raised:
        face.get(client.invoke("Why?"))
    assert (raised.value.origin, raised.value.decision) == (Origin.IDENTITY, Decision.RETRY)


def test_no_credentials_to_assume_it_with(face: Any, sts: Sts, model: Wire) -> None:
    client = face.open(model.url, session=role(boto3.Session(region_name="us-east-1")).session(), pipeline=Pipeline())
    with pytest.raises(Denied, match=f"could not assume {ARN}: Unable to locate credentials"):
        face.get(client.invoke("Why?"))
    assert sts.asked == []


def test_the_role_of_a_chain_that_failed_is_named(sts: Sts, base: Any) -> None:
    hub = AssumedRole("arn:aws:iam::111122223333:role/hub", session=base).session()
    sts.refusals.append((403, "AccessDenied", DENIED.replace(ARN, "arn:aws:iam::111122223333:role/hub")))
    with pytest.raises(CredentialRetrievalError) as raised:
        AssumedRole(ARN, session=hub).session().get_credentials().get_frozen_credentials()
    assert str(raised.value).startswith(
        f"could not assume {ARN}: could not assume arn:aws:iam::111122223333:role/hub: STS"
    )
    assert "In account 111122223333" in classify(raised.value).advice
