"""Environments that users reported as broken, chosen without a look at the doctor: the doctor names each cause.

The source of each is noted in its code; the names and numbers are made up."""

from __future__ import annotations

import re
import socket
import ssl
import sys
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.loaders import Loader
from botocore.session import Session
from support.certificates import certificate
from support.raw_server import Peer, RawServer

from aws_bedrock_inference.doctor.probes import PROBES, environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from doctor.conftest import Broken

    from aws_bedrock_inference.doctor import Report

HOST = "bedrock-runtime.us-east-1.amazonaws.com"
PRIVATE = "vpce-0a1b2c3d-x7y8.bedrock-runtime.us-east-1.vpce.amazonaws.com"
AKID, SECRET = "AKIAOUTSIDEEXAMPLE", "outside-secret"


def blamed(report: Report) -> dict[str, str]:
    return {check.probe: check.finding.cause for check in report.checks if check.status.value == "failed"}


def said(report: Report) -> str:
    """Return the full text of the first check, with its remedies."""
    assert report.first is not None
    remedies = report.first.remedies
    return " ".join([report.first.finding.message, *(f"{remedy.do} {remedy.run}" for remedy in remedies)])


def fresh(broken: Broken) -> None:
    """Clear all caches, as if a new program started."""
    broken.environ.setattr(boto3, "DEFAULT_SESSION", None)


class World:
    """A broken environment: its name, how to create it, and the expected finding of the doctor."""

    def __init__(self, cause: str, probe: str, error: str, words: str, **settings: Any) -> None:
        self.cause, self.probe, self.error, self.words, self.settings = cause, probe, error, words, settings


# jorgebastida/awslogs#352, aws/aws-cli#4879
def no_such_profile(broken: Broken, tmp_path: Path, _: ExitStack) -> World:
    (tmp_path / "config").write_text("[profile prod]\nregion = us-east-1\n")
    broken.environ.setenv("AWS_PROFILE", "prodd")
    broken.environ.delenv("AWS_ACCESS_KEY_ID")
    broken.environ.delenv("AWS_SECRET_ACCESS_KEY")
    error = "botocore.exceptions.ProfileNotFound: The config profile (prodd) could not be found"
    return World("credentials-missing", "region", error, r"prodd.*most similar profile is prod\.")


def _process(broken: Broken, tmp_path: Path, command: str) -> None:
    (tmp_path / "config").write_text(f"[default]\ncredential_process = {command}\n")
    broken.environ.delenv("AWS_ACCESS_KEY_ID")
    broken.environ.delenv("AWS_SECRET_ACCESS_KEY")


# boto/botocore#2779, aws/aws-cli#6200
def process_that_fails(broken: Broken, tmp_path: Path, _: ExitStack) -> World:
    (tmp_path / "broker.py").write_text("import sys\nsys.exit('broker: you are not logged in')\n")
    _process(broken, tmp_path, f"{sys.executable} {tmp_path}/broker.py")
    error = "Error when retrieving credentials from custom-process: broker: you are not logged in"
    return World("credentials-missing", "credentials", error, "not logged in")


def process_without_json(broken: Broken, tmp_path: Path, _: ExitStack) -> World:
    (tmp_path / "broker.py").write_text("print('Open https://login.test in a browser')\n")
    _process(broken, tmp_path, f"{sys.executable} {tmp_path}/broker.py")
    error = "json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)"
    return World("credential-source-unreadable", "credentials", error, "credential_process")


def process_that_is_not_there(broken: Broken, tmp_path: Path, _: ExitStack) -> World:
    _process(broken, tmp_path, f"{tmp_path}/broker --json")
    error = f"FileNotFoundError: [Errno 2] No such file or directory: '{tmp_path}/broker'"
    return World("credential-source-unreadable", "credentials", error, "broker")


# mezmo/aura#470, vercel/ai#2053
def key_that_hides_a_profile(broken: Broken, tmp_path: Path, _: ExitStack) -> World:
    (tmp_path / "credentials").write_text(f"[default]\naws_access_key_id={AKID}\naws_secret_access_key={SECRET}\n")
    said = "The security token included in the request is invalid."
    broken.aws.answers["GetCallerIdentity"] = (403, "InvalidClientTokenId", said)
    error = f"An error occurred (UnrecognizedClientException) when calling the Converse operation: {said}"
    return World("invalid-access-key", "identity", error, r"AWS_ACCESS_KEY_ID.*default")


def _proxy(broken: Broken, opened: ExitStack, answer: str, more: Callable[[Peer], None] = lambda _: None) -> None:
    """Put a proxy in front of all https requests: it answers CONNECT with a status, and then sends `more`."""

    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(f"HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n".encode())
        more(peer)

    broken.environ.setenv("HTTPS_PROXY", opened.enter_context(RawServer(serve)).url)


def _tls(folder: Path) -> Callable[[Peer], None]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate(folder))

    def serve(peer: Peer) -> None:
        with pytest.raises(ssl.SSLError), context.wrap_socket(peer.socket.dup(), server_side=True):
            pass

    return serve


# aws/aws-cli#7552, aws/sagemaker-python-sdk#5108
def proxy_that_signs_anew(broken: Broken, tmp_path: Path, opened: ExitStack) -> World:
    broken.environ.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", f"https://{HOST}")
    _proxy(broken, opened, "200 Connection established", _tls(tmp_path))
    error = (
        f"SSL validation failed for https://{HOST}/model/m/converse [SSL: CERTIFICATE_VERIFY_FAILED] certificate "
        "verify failed: self-signed certificate in certificate chain (_ssl.c:1006)"
    )
    return World("tls-certificate-error", "certificate-and-clock", error, r"proxy.*AWS_CA_BUNDLE")


# earendil-works/pi#3487, aws-samples/amazon-bedrock-kendra-lex-chatbot#6
def endpoint_of_another_region(broken: Broken, _: Path, __: ExitStack) -> World:
    broken.environ.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", f"https://{HOST}")
    broken.environ.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    error = (
        "An error occurred (InvalidSignatureException) when calling the Converse operation: Credential should be "
        "scoped to a valid region."
    )
    return World("signature-region", "endpoint", error, "us-east-1.*eu-central-1", model_id="eu.amazon.nova-lite-v1:0")


# anomalyco/opencode#47073
def key_of_bedrock_that_ended(broken: Broken, tmp_path: Path, opened: ExitStack) -> World:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate(tmp_path))
    broken.environ.setenv("AWS_CA_BUNDLE", str(tmp_path / "cert.pem"))
    body = b'{"Message":"Authentication failed: Please make sure your API Key is valid."}'
    head = (
        "HTTP/1.1 403 Forbidden\r\nx-amzn-ErrorType: AccessDeniedException\r\nConnection: close\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )

    def serve(peer: Peer) -> None:
        with context.wrap_socket(peer.socket.dup(), server_side=True) as wire:
            wire.recv(65_536)
            wire.sendall(head.encode() + body)

    server = opened.enter_context(RawServer(serve))
    broken.environ.setenv("AWS_ENDPOINT_URL_BEDROCK", f"https://127.0.0.1:{server.port}")
    broken.environ.setenv("AWS_BEARER_TOKEN_BEDROCK", "ABSKb3V0c2lkZS1hdC0xMjM0NTY3ODkwMTI6c2VjcmV0")
    error = (
        "An error occurred (AccessDeniedException) when calling the Converse operation: Authentication failed: "
        "Please make sure your API Key is valid."
    )
    return World("bedrock-api-key-invalid", "identity", error, "AWS_BEARER_TOKEN_BEDROCK")


# dev.classmethod.jp/articles/lambda-http-proxy-and-vpc-endpoint
def private_host_through_the_proxy(broken: Broken, _: Path, opened: ExitStack) -> World:
    broken.environ.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", f"https://{PRIVATE}")
    _proxy(broken, opened, "403 Forbidden")
    error = "OSError: Tunnel connection failed: 403 Forbidden"
    return World("proxy-refused", "certificate-and-clock", error, rf"NO_PROXY.*{PRIVATE}|{PRIVATE}.*NO_PROXY")


class _Old(Loader):
    """A loader of botocore's models that does not know Converse yet."""

    def load_service_model(self, *args: Any, **options: Any) -> Any:
        found = super().load_service_model(*args, **options)
        for name in ("Converse", "ConverseStream"):
            found.get("operations", {}).pop(name, None)
        return found


# boto/boto3#4173, NousResearch/hermes-agent#46888
def botocore_without_converse(broken: Broken, _: Path, __: ExitStack) -> World:
    core = Session()
    core.register_component("data_loader", _Old(include_default_search_paths=True))
    broken.environ.setattr(boto3, "DEFAULT_SESSION", boto3.Session(botocore_session=core))
    broken.environ.setattr(environment, "version", lambda name: {"botocore": "1.34.46"}.get(name, "1.34.46"))
    error = "AttributeError: 'BedrockRuntime' object has no attribute 'converse'"
    return World("sdk-too-old", "sdk", error, "1.34.46")


# opensearch-project/agent-health#298, anthropics/claude-code#54857
def profile_of_another_geography(broken: Broken, _: Path, __: ExitStack) -> World:
    broken.environ.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    error = (
        "An error occurred (ValidationException) when calling the Converse operation: The provided model identifier "
        "is invalid."
    )
    sonnet = "anthropic.claude-sonnet-4-5-20250929-v1:0"
    return World("model-not-in-region", "model", error, f"most similar id is eu.{sonnet}", model_id=f"us.{sonnet}")


# langwatch/langwatch#4196
def policy_of_a_vpc_endpoint(broken: Broken, _: Path, __: ExitStack) -> World:
    port = broken.sim.url.rpartition(":")[2]
    real = socket.getaddrinfo

    def here(host: Any, *args: Any, **options: Any) -> Any:
        return real("127.0.0.1" if host == PRIVATE else host, *args, **options)

    broken.environ.setattr(socket, "getaddrinfo", here)
    broken.environ.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", f"http://{PRIVATE}:{port}")
    error = (
        "An error occurred (AccessDeniedException) when calling the Converse operation: User: arn:aws:sts::"
        "123456789012:assumed-role/app/session is not authorized to perform: bedrock:InvokeModel on resource: arn:aws:"
        "bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0 because no VPC endpoint policy allows the "
        "bedrock:InvokeModel action"
    )
    return World("vpc-endpoint-denied", "private-endpoint", error, "vpce-0a1b2c3d")


NEEDS_ITS_ERROR = {policy_of_a_vpc_endpoint}  # only a call, or its error, shows it

# The texts of Python itself, which any program may have from anywhere.
SAYS_TOO_LITTLE = {process_without_json, process_that_is_not_there}

WORLDS = [
    no_such_profile,
    process_that_fails,
    process_without_json,
    process_that_is_not_there,
    key_that_hides_a_profile,
    proxy_that_signs_anew,
    endpoint_of_another_region,
    key_of_bedrock_that_ended,
    private_host_through_the_proxy,
    botocore_without_converse,
    profile_of_another_geography,
    policy_of_a_vpc_endpoint,
]


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    """The resources that an environment opens, closed at the end of its test."""
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("make", [each for each in WORLDS if each not in NEEDS_ITS_ERROR])
def test_the_true_cause_is_named_and_no_healthy_part_is_blamed(
    broken: Broken, tmp_path: Path, opened: ExitStack, make: Any
) -> None:
    fresh(broken)
    world = make(broken, tmp_path, opened)
    report = broken.diagnose(**world.settings)
    assert blamed(report) == {world.probe: world.cause}
    assert (report.cause, report.proved) == (world.cause, True)
    assert re.search(world.words, said(report))
    assert "unexpected error" not in str(report.to_json())


@pytest.mark.parametrize("make", [each for each in WORLDS if each not in SAYS_TOO_LITTLE])
def test_the_error_of_an_environment_proves_its_cause(
    broken: Broken, tmp_path: Path, opened: ExitStack, make: Any
) -> None:
    fresh(broken)
    world = make(broken, tmp_path, opened)
    report = broken.diagnose(world.error, **world.settings)
    assert blamed(report) == {world.probe: world.cause}
    assert (report.cause, report.proved) == (world.cause, True)
    assert re.search(world.words, said(report))
    assert len(report.checks) < len(PROBES) / 2


@pytest.mark.parametrize(("written", "why"), [(None, "No such file"), ("no certificate", "NO_CERTIFICATE")])
def test_an_invalid_ca_bundle_is_named(broken: Broken, tmp_path: Path, written: str | None, why: str) -> None:
    fresh(broken)
    if written is not None:
        (tmp_path / "corp.pem").write_text(written)
    with RawServer(lambda peer: peer.hold()) as server:
        broken.environ.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", server.url.replace("http:", "https:"))
        broken.environ.setenv("AWS_CA_BUNDLE", str(tmp_path / "corp.pem"))
        report = broken.diagnose()
    assert blamed(report) == {"certificate-and-clock": "tls-certificate-error"}
    assert re.search(f"corp.pem cannot be read: .*{why}", said(report))
    assert "unexpected error" not in str(report.to_json())


def test_a_web_identity_with_a_missing_token_file_is_named(broken: Broken, tmp_path: Path) -> None:
    fresh(broken)
    broken.environ.delenv("AWS_ACCESS_KEY_ID")
    broken.environ.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/pod")
    broken.environ.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    report = broken.diagnose()
    assert blamed(report) == {"credentials": "credential-source-unreadable"}
    assert f"{tmp_path}/token" in said(report)


def test_an_api_key_is_not_blamed_for_a_failing_credential_process(
    broken: Broken, tmp_path: Path, opened: ExitStack
) -> None:
    fresh(broken)
    process_that_fails(broken, tmp_path, opened)
    broken.environ.setenv("AWS_BEARER_TOKEN_BEDROCK", "ABSKb3V0c2lkZS1hdC0xMjM0NTY3ODkwMTI6c2VjcmV0")
    assert blamed(broken.diagnose()) == {"credentials": "credentials-missing"}


@pytest.mark.parametrize(("address", "status"), [("10.9.8.7", "failed"), ("52.94.1.2", "warning")])
def test_an_aws_name_with_private_addresses_is_reported_as_a_private_endpoint(
    broken: Broken, address: str, status: str
) -> None:
    real = socket.getaddrinfo

    def inside(host: Any, *args: Any, **options: Any) -> Any:
        return real(address if host == HOST else host, *args, **options)

    fresh(broken)
    broken.environ.setattr(socket, "getaddrinfo", inside)
    broken.environ.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", f"https://{HOST}")
    (check,) = [each for each in broken.diagnose("vpc-endpoint-denied").checks if each.probe == "private-endpoint"]
    assert check.status.value == status


def test_a_resolver_that_never_answers_is_named_in_time(broken: Broken) -> None:
    ended, real = threading.Event(), socket.getaddrinfo

    def resolve(host: Any, *args: Any, **options: Any) -> Any:
        if host == HOST:
            ended.wait(60)
        return real(host, *args, **options)

    fresh(broken)
    broken.environ.setattr(socket, "getaddrinfo", resolve)
    broken.environ.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", f"https://{HOST}")
    report = broken.diagnose("endpoint-unreachable-dns", wait=0.05)
    ended.set()
    assert blamed(report) == {"name": "endpoint-unreachable-dns"}
