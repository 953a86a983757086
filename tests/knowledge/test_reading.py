"""`classify` and `explain` read errors from every kind of object that contains them."""

from __future__ import annotations

import json
import socket
import ssl
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore import exceptions as botocore_exceptions
from botocore.exceptions import ClientError, EventStreamError
from hypothesis import given
from hypothesis import strategies as st

from aws_bedrock_inference import BedrockClient, BedrockError, Decision
from aws_bedrock_inference.knowledge.classify import classify
from aws_bedrock_inference.knowledge.explain import explain
from aws_bedrock_inference.knowledge.fields import details
from aws_bedrock_inference.knowledge.masking import masked

if TYPE_CHECKING:
    from aws_bedrock_inference.testing import Simulator

SESSION = boto3.Session("AKIDEXAMPLE", "made-up", region_name="us-east-1")
TOKENS = "Too many tokens, please wait before trying again."


def client_error(code: str, message: str = "", status: int = 400, operation: str = "Converse") -> Any:
    metadata: Any = {"HTTPStatusCode": status, "RequestId": "12345678-1234-1234-1234-123456789012"}
    return ClientError({"Error": {"Code": code, "Message": message}, "ResponseMetadata": metadata}, operation)


def test_all_facts_of_a_client_error_are_read() -> None:
    error = client_error("ThrottlingException", TOKENS, 429)
    fault = classify(error)
    assert (fault.code, fault.cause, fault.decision) == (
        "ThrottlingException",
        "throttled-tokens-per-minute",
        Decision.RETRY,
    )
    assert (fault.status, fault.request_id) == (429, "12345678-1234-1234-1234-123456789012")
    assert fault.error is error
    found = explain(error)
    assert (found.cause, found.confidence, found.operation) == ("throttled-tokens-per-minute", "high", "Converse")


def test_the_meaning_of_a_code_depends_on_its_service() -> None:
    causes = {
        operation: classify(client_error("ResourceNotFoundException", operation=operation)).cause
        for operation in ("GetItem", "InvokeModel", "PutLogEvents")
    }
    assert causes["GetItem"] == "dynamodb-table-missing"
    assert causes["PutLogEvents"] == "logs-group-missing"
    assert len(set(causes.values())) == 3
    named = classify(client_error("ResourceNotFoundException", operation="TagResource"), service="lambda")
    assert named.cause == "lambda-function-missing"


def test_an_exception_inside_a_stream_is_read() -> None:
    error = EventStreamError({"Error": {"Code": "throttlingException", "Message": TOKENS}}, "ConverseStream")
    assert classify(error).cause == "throttled-tokens-per-minute"
    assert explain(error).decision is Decision.RETRY


CLIENT_SIDE: dict[str, Any] = {
    "NoCredentialsError": ({}, "credentials-missing"),
    "NoRegionError": ({}, "region-missing"),
    "EndpointConnectionError": ({"endpoint_url": "https://x"}, "connection-refused-or-reset"),
    "ConnectTimeoutError": ({"endpoint_url": "https://x"}, "connect-timeout"),
    "ReadTimeoutError": ({"endpoint_url": "https://x"}, "client-read-timeout"),
    "SSLError": ({"endpoint_url": "https://x", "error": "bad"}, "tls-certificate-error"),
    "UnknownServiceError": ({"service_name": "bedrok", "known_service_names": ["s3"]}, "sdk-too-old"),
}


@pytest.mark.parametrize("name", CLIENT_SIDE)
def test_errors_raised_by_botocore_itself_are_read(name: str) -> None:
    options, cause = CLIENT_SIDE[name]
    assert classify(getattr(botocore_exceptions, name)(**options)).cause == cause


def test_network_errors_are_read() -> None:
    assert classify(ConnectionResetError(104, "Connection reset by peer")).cause == "connection-refused-or-reset"
    assert classify(socket.gaierror(-2, "Name or service not known")).cause == "endpoint-unreachable-dns"
    assert classify(socket.gaierror(-3, "Try again")).cause == "dns-temporary-failure"
    assert classify(ssl.SSLCertVerificationError(1, "certificate verify failed")).cause == "tls-certificate-error"


class RateLimitError(Exception):
    """Named as LiteLLM's and OpenAI's."""


class Wrapper(Exception):
    def __init__(self, original: BaseException) -> None:
        super().__init__("something failed")
        self.original_exception = original


def wrapped(inner: BaseException, how: str) -> BaseException:
    if how == "attribute":
        return Wrapper(inner)
    if how == "group":
        return BaseExceptionGroup("some", [ValueError("x"), inner])
    if how == "argument":
        return RuntimeError("failed", inner)
    outer = RuntimeError("because of it")
    setattr(outer, f"__{how}__", inner)
    return outer


@pytest.mark.parametrize("how", ["attribute", "group", "argument", "context", "cause"])
def test_a_wrapped_error_is_found(how: str) -> None:
    error = wrapped(client_error("AccessDeniedException", "You don't have access to the model", 403), how)
    assert classify(error).cause == explain(error).cause == "model-access-not-granted"


def test_the_fault_of_an_exception_of_this_package_is_used(bedrock_simulator: Simulator) -> None:
    bedrock_simulator.scenario(faults=[{"kind": "error", "code": "AccessDeniedException"}])
    client = BedrockClient("amazon.nova-lite-v1:0", session=SESSION, endpoint_url=bedrock_simulator.url)
    with client, pytest.raises(BedrockError) as raised:
        client.invoke("Why?")
    assert classify(raised.value) is raised.value.fault
    assert raised.value.code == "AccessDeniedException"


def test_an_error_dictionary_and_an_http_response_are_read() -> None:
    assert classify(client_error("SlowDown", "", 503, "PutObject").response, service="s3").cause == "s3-slow-down"
    body = json.dumps({"message": TOKENS}).encode()
    http = SimpleNamespace(status_code=429, headers={"x-amzn-ErrorType": "ThrottlingException:http://x/"}, content=body)
    assert classify(http).cause == explain(http).cause == "throttled-tokens-per-minute"
    bare = SimpleNamespace(status=503, headers={}, text="<html>busy</html>")
    assert classify(bare).decision is Decision.RETRY


def test_an_error_known_only_from_a_service_model_is_read() -> None:
    busy = classify(client_error("InvalidClusterStateFault", operation="DeleteCluster"), service="dax")
    missing = classify(client_error("FileSystemNotFound", status=404), service="efs")
    assert (busy.cause, missing.cause) == ("modelled", "modelled")
    assert missing.decision is Decision.FAIL
    assert missing.advice


@pytest.mark.parametrize(
    ("stop", "cause"), [("guardrail_intervened", "guardrail-blocked"), ("content_filtered", "content-filtered")]
)
def test_an_answer_that_is_a_refusal_is_explained_too(bedrock_simulator: Simulator, stop: str, cause: str) -> None:
    kind = "guardrail" if stop.startswith("guardrail") else "content-filtered"
    bedrock_simulator.scenario(faults=[{"kind": kind}])
    client = BedrockClient("amazon.nova-lite-v1:0", session=SESSION, endpoint_url=bedrock_simulator.url)
    with client:
        response = client.converse(messages=[{"role": "user", "content": [{"text": "Why?"}]}])
    assert response["stopReason"] == stop
    assert explain(response).cause == classify(response).cause == cause


def test_an_unrecognised_error_is_unknown_with_limited_retries() -> None:
    for strange in (client_error("BrandNewException", "never seen", 0), ValueError("nonsense"), 17, None, object()):
        assert classify(strange).decision is Decision.RETRY_LIMITED
    assert explain("all is well").cause == "unknown"


def test_a_circular_exception_chain_ends() -> None:
    error, other = ValueError("a"), ValueError("b")
    error.__cause__, other.__cause__ = other, error
    assert classify(error).decision is Decision.RETRY_LIMITED


def test_the_fields_of_an_access_denial_are_read() -> None:
    found = explain(
        "An error occurred (AccessDeniedException) when calling the InvokeModel operation: User: "
        "arn:aws:sts::123456789012:assumed-role/App/session is not authorized to perform: bedrock:InvokeModel on "
        "resource: arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-v2 because no identity-based policy "
        "allows the bedrock:InvokeModel action"
    )
    assert found.cause == "iam-denied-identity-policy"
    assert found.fields["action"] == "bedrock:InvokeModel"
    assert found.fields["principal"] == "arn:aws:sts::************:assumed-role/App/session"
    assert found.fields["resource"] == "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-v2"


def test_the_fields_of_a_cancelled_transaction_and_a_redirect_are_read() -> None:
    cancelled = explain(
        "An error occurred (TransactionCanceledException) when calling the TransactWriteItems operation: Transaction "
        "cancelled, please refer cancellation reasons for specific reasons [None, ConditionalCheckFailed]"
    )
    assert cancelled.fields["reasons"] == ["None", "ConditionalCheckFailed"]
    assert cancelled.cause == "dynamodb-condition-failed"
    secret = details("see specific reasons [None, key AKIAIOSFODNN7EXAMPLE, account 123456789012]")
    assert "AKIAIOSFODNN7EXAMPLE" not in str(secret["reasons"])
    assert "123456789012" not in str(secret["reasons"])
    redirect = explain(
        "An error occurred (AuthorizationHeaderMalformed) when calling the GetObject operation: The authorization "
        "header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-1'"
    )
    assert redirect.fields["bucket_region"] == "eu-west-1"


SECRETS = [
    "AKIAIOSFODNN7EXAMPLE",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "ABSKQmVkcm9ja0FQSUtleS1leGFtcGxlLWV4YW1wbGU",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc",
    "123456789012",
]


def test_secrets_and_accounts_are_masked() -> None:
    key, secret, bedrock, token, account = SECRETS
    text = (
        f"key {key} aws_secret_access_key={secret} AWS_BEARER_TOKEN_BEDROCK={bedrock} Authorization: Bearer {token} "
        f'"SessionToken": "{token}" arn:aws:iam::{account}:user/me'
    )
    shown = masked(text, accounts=True)
    assert not [found for found in SECRETS if found in shown]
    assert "arn:aws:iam::************:user/me" in shown


anything = st.one_of(
    st.text(max_size=300),
    st.lists(
        st.sampled_from(
            [
                "ThrottlingException",
                "An error occurred (",
                ") when calling the",
                " operation: ",
                "too many tokens",
                "User: arn:aws:iam::123456789012:user/x is not authorized to perform: ",
                "status code: 403",
                "\\n",
                "{",
                '"',
                "Runtime.",
                "Traceback (most recent call last):",
                "specific reasons [",
                "Error",
                "\u2019",
                "\x00",
            ]
        ),
        max_size=40,
    ).map("".join),
)


@given(anything)
def test_no_text_makes_explain_raise(text: str) -> None:
    for found in (explain(text), explain(text.encode())):
        assert found.decision in Decision
        assert found.remedies
    assert classify(text).decision in Decision
    assert classify(RuntimeError(text)).decision in Decision
    assert classify(client_error(text, text)).decision in Decision


@pytest.mark.parametrize(
    "part",
    [
        "a",
        " ",
        "\n",
        "a.",
        "arn:",
        "user: arn:",
        "[",
        "((",
        "status code ",
        "Error: ",
        "x" * 50 + " ",
        "0",
        "\\n",
        "'\"",
    ],
)
def test_no_text_takes_long_to_explain(part: str) -> None:
    """A pattern that backtracks would need hours for these."""
    assert explain(part * (200_000 // len(part))).remedies
