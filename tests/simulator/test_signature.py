"""Signatures are checked as AWS checks them; botocore signs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from support.simulated_account import HAIKU, Account, Got

from aws_bedrock_inference.simulator.request import Request

BODY = b'{"messages": [{"role": "user", "content": [{"text": "hello"}]}]}'


def ask(account: Account, *, skew: float = 0, tamper: bytes = b"", model: str = HAIKU, **who: str) -> Got:
    """Sign as boto3 does at the service's time plus `skew`."""
    url = f"http://127.0.0.1:9/model/{model.replace(':', '%3A').replace('/', '%2F')}/converse"
    signed = AWSRequest("POST", url, {"Content-Type": "application/json"}, BODY)
    credentials = Credentials(who.get("key", "AKIDSIMULATOR"), who.get("secret", "right"), who.get("token"))
    signer = SigV4Auth(credentials, "bedrock", "us-east-1")
    now = datetime.fromtimestamp(account.service._wall() + skew, UTC)
    signed.context["timestamp"] = now.strftime("%Y%m%dT%H%M%SZ")
    signed.headers["X-Amz-Date"] = signed.context["timestamp"]
    if credentials.token:
        signed.headers["X-Amz-Security-Token"] = credentials.token
    canonical = signer.canonical_request(signed)
    signature = signer.signature(signer.string_to_sign(signed, canonical), signed)
    names = signer.signed_headers(signer.headers_to_sign(signed))
    scope = f"{credentials.access_key}/{signer.credential_scope(signed)}"
    signed.headers["Authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={names}, Signature={signature}"
    )
    headers = {"host": "127.0.0.1:9", **{name.lower(): value for name, value in signed.headers.items()}}
    return account.perform(Request("POST", unquote(urlsplit(url).path), "", headers, BODY + tamper))


@pytest.fixture
def account() -> Account:
    return Account(credentials={"secret_key": "right", "expired_tokens": ["old"]})


@pytest.mark.parametrize(
    "model", [HAIKU, f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/{HAIKU}", "amazon.nova-lite-v1:0"]
)
def test_a_request_signed_by_botocore_is_accepted(account: Any, model: Any) -> None:
    assert ask(account, model=model).status == 200
    assert ask(account, model=model, token="a-token").status == 200


def test_a_wrong_secret_or_a_changed_body_does_not_match(account: Any) -> None:
    for got in (ask(account, secret="wrong"), ask(account, tamper=b" ")):
        assert got.error[:2] == (403, "InvalidSignatureException")
        assert got.error[2].startswith("The request signature we calculated does not match the signature you provided.")


def test_an_unknown_access_key_is_refused(account: Any) -> None:
    assert ask(account, key="AKIDOTHER").error[:2] == (403, "UnrecognizedClientException")


def test_a_skewed_clock_is_distinguished_from_a_wrong_secret(account: Any) -> None:
    late = ask(account, skew=-301).error
    assert late[:2] == (403, "InvalidSignatureException")
    assert late[2].startswith("Signature expired: ")
    assert ask(account, skew=301).error[2].startswith("Signature not yet current: ")
    assert ask(account, skew=-299).status == 200


def test_an_expired_token_is_refused(account: Any) -> None:
    assert ask(account, token="old").error == (
        403,
        "ExpiredTokenException",
        "The security token included in the request is expired",
    )


def test_a_missing_and_an_incomplete_signature_are_refused(account: Any) -> None:
    assert account.converse().error[:2] == (403, "MissingAuthenticationTokenException")
    half = account.post(f"/model/{HAIKU}/converse", BODY, authorization="AWS4-HMAC-SHA256 Credential=x")
    assert half.error[:2] == (400, "IncompleteSignatureException")


def test_bearer_tokens_are_checked() -> None:
    account = Account(credentials={"bearer_token": "good", "expired_tokens": ["old"]})

    def with_token(token: Any) -> Any:
        return account.post(f"/model/{HAIKU}/converse", BODY, authorization=f"Bearer {token}")

    assert with_token("good").status == 200
    assert with_token("old").error == (403, "AccessDeniedException", "Bearer Token has expired")
    assert with_token("bad").error[:2] == (403, "AccessDeniedException")
    only_signed = Account(credentials={"secret_key": "right"})
    assert only_signed.post(f"/model/{HAIKU}/converse", BODY, authorization="Bearer x").status == 403


def test_without_a_configured_secret_every_signature_is_accepted() -> None:
    assert Account().converse().status == 200
