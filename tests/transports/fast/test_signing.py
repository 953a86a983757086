"""The signature is botocore's, byte for byte."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import pytest
from botocore import UNSIGNED
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.exceptions import NoAuthTokenError, NoCredentialsError, UnsupportedSignatureVersionError
from botocore.tokens import FrozenAuthToken
from hypothesis import given
from hypothesis import strategies as st

from aws_bedrock_inference.transports.fast.signing import Bearer, SigV4, Unsigned, signer
from aws_bedrock_inference.transports.operations import Request, operation

NOW = 1_790_000_000.75
HOST = "bedrock-runtime.us-east-1.amazonaws.com"

printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30)
model_ids = st.text(st.characters(min_codepoint=0x20, exclude_categories=["Cs"]), min_size=1, max_size=40)
queries = st.lists(st.sampled_from(["a=1", "a=2", "a-b=1", "b=", "a%20b=c%2Fd"]), max_size=4).map("&".join)
names = st.sampled_from(["Content-Type", "Accept", "X-Amzn-Bedrock-Trace", "X-Amzn-Bedrock-Request-Metadata"])
credentials = st.builds(ReadOnlyCredentials, st.just("AKIDEXAMPLE"), printable, st.none() | st.just("session-token"))


def botocores(identity: Any, request: Request, host: str) -> dict[str, str]:
    theirs = AWSRequest(request.method, f"https://{host}{request.target}", dict(request.headers), request.body)
    when = datetime.fromtimestamp(int(NOW), UTC)
    with patch("botocore.auth.get_current_datetime", lambda: when):
        SigV4Auth(identity, "bedrock", "us-east-1").add_auth(theirs)
    return {name: theirs.headers[name] for name in theirs.headers if name not in request.headers}


@given(model_ids, queries, st.dictionaries(names, printable), st.binary(max_size=100), credentials)
def test_the_signature_equals_botocore_s(
    model_id: str, query: str, headers: dict[str, str], body: bytes, identity: ReadOnlyCredentials
) -> None:
    path = operation("invoke_model").request({"modelId": model_id, "body": b""}).target
    request = Request("POST", f"{path}?{query}" if query else path, headers, body)
    ours = SigV4(None, "bedrock", "us-east-1").sign(identity, request, HOST, NOW)
    assert ours == botocores(identity, request, HOST)


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "[::1]:8080", "xn--bcher-kva.example"])
def test_the_signature_equals_botocore_s_for_other_hosts_too(host: str) -> None:
    request = Request("POST", "/gateway/model/m/converse", {"Content-Type": "application/json"}, b"{}")
    identity = ReadOnlyCredentials("AK", "SK", None)
    assert SigV4(None, "bedrock", "us-east-1").sign(identity, request, host, NOW) == botocores(identity, request, host)


def test_the_cached_signing_key_is_renewed_with_the_day_and_the_secret() -> None:
    request = Request("POST", "/model/m/converse", {}, b"")
    kept = SigV4(None, "bedrock", "us-east-1")
    days = (NOW, NOW, NOW + 86_400, NOW)
    for secret in ("one", "two", "one"):
        identity = ReadOnlyCredentials("AK", secret, None)
        for now in days:
            fresh = SigV4(None, "bedrock", "us-east-1").sign(identity, request, HOST, now)
            assert kept.sign(identity, request, HOST, now) == fresh


class Session:
    """The part of botocore's session that a signer uses."""

    def __init__(self, credentials: Any = None, token: Any = None) -> None:
        self.get_credentials = lambda: credentials
        self.get_auth_token = lambda signing_name: token


def test_a_bearer_token_is_sent_as_the_authorization() -> None:
    made = signer(Session(token=FrozenAuthToken("key")), "bearer", "bedrock", "us-east-1")
    assert isinstance(made, Bearer)
    assert not made.due()
    request = Request("POST", "/", {}, b"")
    assert made.sign(made.identity(), request, HOST, NOW) == {"Authorization": "Bearer key"}


def test_a_self_renewing_token_is_read_for_each_request() -> None:
    class Renewing:
        tokens = iter("ab")

        def get_frozen_token(self) -> FrozenAuthToken:
            return FrozenAuthToken(next(self.tokens))

    made = Bearer(Renewing())
    assert made.due()
    assert [made.identity(), made.identity()] == ["a", "b"]


def test_an_unsigned_request_has_no_authorization() -> None:
    made = signer(Session(), UNSIGNED, "bedrock", "us-east-1")
    assert isinstance(made, Unsigned)
    assert not made.due()
    assert made.sign(made.identity(), Request("POST", "/", {}, b""), HOST, NOW) == {}  # type: ignore[func-returns-value]


def test_missing_credentials_raise_botocore_s_exception() -> None:
    with pytest.raises(NoCredentialsError):
        signer(Session(), "v4", "bedrock", "us-east-1").identity()
    with pytest.raises(NoAuthTokenError):
        signer(Session(), "bearer", "bedrock", "us-east-1").identity()
    with pytest.raises(UnsupportedSignatureVersionError):
        signer(Session(), "s3", "bedrock", "us-east-1")


def test_static_credentials_are_never_due_for_renewal() -> None:
    assert not SigV4(Credentials("AK", "SK"), "bedrock", "us-east-1").due()
