"""A text counts as AWS's only if it proves so; another program's error is its own, and an unknown origin gives a
conditional result."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from aws_bedrock_inference import Decision
from aws_bedrock_inference.knowledge import build
from aws_bedrock_inference.knowledge.catalogue import catalogue
from aws_bedrock_inference.knowledge.classify import classify
from aws_bedrock_inference.knowledge.explain import explain
from aws_bedrock_inference.knowledge.lookup import meanings, near, other_program

OTHERS = [
    ('psycopg2.OperationalError: connection to server at "pg.lan", port 5432 failed: Connection refused', "PostgreSQL"),
    ("psycopg2.OperationalError: could not connect to orders.x1.eu-west-1.rds.amazonaws.com: timed out", "PostgreSQL"),
    ("redis.exceptions.ConnectionError: Error 111 connecting to cache:6379. Connection refused.", "a database"),
    ("ssh: connect to host 192.0.2.9 port 22: Connection timed out", "SSH or Git"),
    ("Error response from daemon: pull access denied for team/tool", "Docker"),
    ("Error from server (Forbidden): access denied for nodes", "Kubernetes"),
    ("CrashLoopBackOff: connection refused, image 123456789012.dkr.ecr.eu-west-1.amazonaws.com/api:1", "Kubernetes"),
    ("azure.core.exceptions.ResourceNotFoundError: (ResourceNotFound) no such vault", "Azure"),
    ("google.api_core.exceptions.ResourceExhausted: 429 Too many requests", "Google Cloud"),
    ("litellm.RateLimitError: VertexAIException - rate limit exceeded", "Google Cloud"),
    ("POST https://api.openai.com/v1/responses: 429 Too Many Requests", "OpenAI"),
    ("anthropic.InternalServerError: overloaded_error at https://api.anthropic.com/v1/messages", "Anthropic's own API"),
    ("MistralAPIStatusException: Status: 429", "Mistral"),
    ("stripe.error.RateLimitError: Too many requests", "Stripe"),
    ("github api: 403 API rate limit exceeded for 192.0.2.1", "GitHub"),
    ("npm error network aborted: read ECONNRESET", "a package registry"),
    (
        "operation error S3: PutObject, https response error StatusCode: 403, api error AccessDenied: http://minio:9000",
        "MinIO",
    ),
    (
        "An error occurred (NotImplemented) when calling the PutBucketAcl operation: https://f1.r2.cloudflarestorage.com",
        "Cloudflare R2",
    ),
    (
        "An error occurred (InternalFailure) when calling the ListRules operation: http://localhost:4566/",
        "LocalStack or another emulator",
    ),
    ("s3://nightly at s3.eu-central-1.wasabisys.com: 503 SlowDown, reduce your request rate", "another object store"),
    ("E | etcdserver: publish error: etcdserver: request timed out", "Kubernetes"),
    ("chromadb.errors.InvalidDimensionException: 3 does not match 8", "a database"),
    ("554 5.7.1 <ann@post.lan>: Relay access denied", "a mail server"),
    ("remote: HTTP Basic: Access denied", "SSH or Git"),
    ("azure-openai error: the system is busy, 429", "Azure"),
    ("429 Rate limit reached for `tiny` in organization `org_7`", "another model provider"),
    ("twilio.base.exceptions.TwilioRestException: HTTP 429", "another service with its own client"),
    ('400 {"error":{"type":"invalid_request_error","message":"no"},"request_id":"req_01Q"}', "Anthropic's own API"),
    ('400 {"error":{"type":"invalid_request_error","message":"no"},"request_id":"req_vrtx_01Q"}', "Google Cloud"),
]

OURS = [
    ("litellm.BadRequestError: BedrockException - fallback to VertexAIException: Too many tokens", "throttled-tokens-"),
    (
        "openai.APIConnectionError: Connection refused at https://bedrock-mantle.us-east-1.api.aws/v1",
        "connection-refused",
    ),
    (
        "sqlalchemy.exc: An error occurred (ExpiredToken) when calling the GetCallerIdentity operation: no",
        "credentials-",
    ),
    (
        "kubectl: Unable to connect to the server: NoCredentialProviders: no valid providers in chain",
        "credentials-missing",
    ),
    ("The specified bucket does not exist", "s3-bucket-missing"),
    ("Error response from daemon: toomanyrequests: Rate exceeded", "throttled-unspecified"),
    ("Query condition missed key schema element: tenant", "dynamodb-key-schema-mismatch"),
    ("API Error (429 Too many tokens, please wait before trying again.)", "throttled-tokens-per-minute"),
]

NOBODYS = [
    ("Internal server error", "internal-server-error"),
    ("requests.exceptions.SSLError: certificate verify failed", "tls-certificate-error"),
    ("openai.APIConnectionError: Connection error.", "connection-refused-or-reset"),
    ("messages.4: `tool_use` ids were found without `tool_result` blocks", "tool-result-mismatch"),
    ("HTTP 429 Too Many Requests", "throttled-requests-per-minute"),
    ("java.lang.OutOfMemoryError: Java heap space", "lambda-out-of-memory"),
    ("OSError: [Errno 28] No space left on device: '/tmp/part-7'", "lambda-tmp-full"),
    (
        "AuthorizationException(403, 'cluster_block_exception', 'index [orders-7] blocked by: [FORBIDDEN/8/index]')",
        "knowledge-base-vector-store-denied",
    ),
]


@pytest.mark.parametrize(("text", "program"), OTHERS)
def test_an_error_of_another_program_is_attributed_to_that_program(text: str, program: str) -> None:
    found = explain(text)
    assert (found.cause, found.confidence, found.other) == ("unknown", "none", program)
    assert program in found.meaning
    assert classify(text).decision is found.decision is Decision.RETRY_LIMITED
    assert meanings(text) == []
    assert near(text) == []
    assert other_program(text) == program


@pytest.mark.parametrize(("text", "cause"), OURS)
def test_text_written_by_aws_outweighs_other_named_programs(text: str, cause: str) -> None:
    found = explain(text)
    assert found.cause.startswith(cause)
    assert not found.conditional
    assert found.other == ""


@pytest.mark.parametrize(("text", "cause"), NOBODYS)
def test_a_text_that_any_program_may_write_gets_a_conditional_result(text: str, cause: str) -> None:
    found = explain(text)
    assert (found.cause, found.confidence, found.conditional) == (cause, "low", True)
    assert "If it is from AWS: " in found.meaning
    assert found.meaning.endswith(catalogue().causes[cause].meaning)
    assert classify(text).cause == cause


def test_a_stated_service_makes_the_result_unconditional() -> None:
    for text, _ in NOBODYS:
        assert not explain(text, service="bedrock-runtime").conditional
    assert explain("psycopg2: connection refused", service="sts").cause == "connection-refused-or-reset"


def test_exceptions_and_answers_of_aws_need_no_further_proof() -> None:
    refused: Any = {"Error": {"Code": "InternalServerError", "Message": "psycopg2: pool timeout"}}
    for error in (
        ClientError(refused, "Converse"),
        refused,
        EndpointConnectionError(endpoint_url="http://127.0.0.1:9"),
        ConnectionRefusedError("Connection refused"),
    ):
        assert not explain(error).conditional
        assert explain(error).cause == classify(error).cause != "unknown"


def test_marks_of_programs_must_be_in_lower_case(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    owners = tmp_path / "owners.toml"
    owners.write_text('[aws]\nproofs = ["botocore"]\nhints = []\n[stand_ins]\n[programs]\n"X" = ["Upper"]\n[clients]\n')
    monkeypatch.setattr(build, "OWNERS", owners)
    with pytest.raises(build.CatalogueError, match="lower case"):
        build.build()


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("InvalidCarrierGatewayID.NotFound", "resource-not-found"),
        ("InvalidFleetId.Malformed", "request-invalid"),
        ("FleetLimitExceeded", "service-quota-exceeded"),
        ("InsufficientFleetCapacity", "service-capacity"),
        ("FleetThrottledException", "throttled-unspecified"),
        ("FleetAlreadyExistsFault", "resource-already-exists"),
        ("PurpleFleet", "unknown"),
    ],
)
def test_an_undescribed_code_has_the_meaning_of_its_form(code: str, cause: str) -> None:
    text = f"An error occurred ({code}) when calling the DoIt operation: no"
    error: Any = ClientError({"Error": {"Code": code, "Message": "no"}}, "DoIt")
    for each in (text, error):
        assert (explain(each).cause, classify(each).cause) == (cause, cause)
    assert explain(text).confidence in {"low", "none"}


def test_codes_in_the_formats_of_other_sdks_are_recognised() -> None:
    for text in (
        "operation error EC2: RunFleet, https response error StatusCode: 400, api error InvalidFleet.NotFound: no",
        "no (Service: AmazonEC2; Status Code: 400; Error Code: InvalidFleet.NotFound; Request ID: 1)",
        "[error] RunFleet API responded with error='InvalidFleet.NotFound', message='no'",
        '{"__type":"com.amazonaws.ec2#InvalidFleet.NotFound","message":"no"}',
    ):
        assert explain(text).cause == "resource-not-found"


CERTAIN = [
    ("BadCScoreException: Your account is not authorized to access this model", "account-operation-not-allowed"),
    (
        "An error occurred (Runtime.NoSuchHandler) when calling the Invoke operation: function not found",
        "lambda-handler",
    ),
    (
        "failed to retrieve credentials\ncaused by: InvalidIdentityToken: Incorrect token audience",
        "identity-token-refused",
    ),
    (
        "WebIdentityErr: failed to retrieve credentials caused by: connection reset by peer",
        "connection-refused-or-reset",
    ),
    (
        "Connection aborted. Lambda only allows deployment packages that are 50.0 MB or less.",
        "lambda-package-too-large",
    ),
    ("An error occurred (InvalidParameterValue) when calling the PutMetricData operation: no", "cloudwatch-parameter"),
    (
        "An error occurred (ModelErrorException) when calling the InvokeModel operation: content filtering",
        "content-filter",
    ),
    (
        "{'error': 'States.TaskFailed', 'cause': 'Rate exceeded (Service: Lambda, Status Code: 429)'}",
        "throttled-control",
    ),
]


@pytest.mark.parametrize(("text", "cause"), CERTAIN)
def test_a_certain_match_outweighs_general_phrases(text: str, cause: str) -> None:
    assert explain(text).cause.startswith(cause)


def test_a_cause_is_found_by_its_name() -> None:
    for slug, cause in catalogue().causes.items():
        (found,) = meanings(slug)
        assert (found.cause, found.title, found.decided_by) == (slug, cause.title, slug)
