"""Errors of services outside the catalogue: shared sentences, codes that a text only mentions, the tools that wrap
them, and errors that libraries raise before a call."""

from __future__ import annotations

import pytest

from aws_bedrock_inference import Decision
from aws_bedrock_inference.knowledge.explain import explain

# What a text says, the cause, and whether the same call may be repeated.
FAMILIES = [
    # a code that states only "not valid", and a sentence that states the problem
    ("InvalidParameterException: Creation of service was not idempotent.", "resource-already-exists", "FAIL"),
    (
        "creating EIP: InvalidParameterValue: The profile could not be found status code: 400, request id: 7",
        "resource-not-found",
        "FAIL",
    ),
    ("AccessDeniedException: Resource is not in the state functionActive", "resource-busy-conflict", "RETRY"),
    ("ResourceNotReady: Resource is not in the state tableExists", "waiter-gave-up", "RETRY_LIMITED"),
    (
        "Cannot update Crawler while running. Please stop. (Service: AWSGlue; Error Code: InvalidInputException;)",
        "resource-busy-conflict",
        "RETRY",
    ),
    (
        "An error occurred (IncorrectInstanceState) when calling the X operation: i-0b is not in the 'stopped' state.",
        "request-invalid",
        "FAIL",
    ),
    (
        "ERROR: docker pull public.ecr.aws/shop/api:3: Error response from daemon: toomanyrequests: Rate exceeded",
        "throttled-unspecified",
        "RETRY",
    ),
    # wrappers: the quoted error decides, and a missing reason decides nothing
    (
        "Resource handler returned message: Invalid State Machine Definition: none\nStack x failed to deploy",
        "states-input-invalid",
        "FAIL",
    ),
    (
        'Resource handler returned message: "it went wrong" (HandlerErrorCode: GeneralServiceException)',
        "stack-handler-failed",
        "RETRY_LIMITED",
    ),
    (
        "ResourceInitializationError: unable to pull secrets or registry auth: dial tcp 192.0.2.8:443: i/o timeout",
        "connect-timeout",
        "RETRY_LIMITED",
    ),
    # the source of credentials answered with a web page: repeating does not help, unlike with a broken answer of AWS's
    ("AWS credential provider failed: SyntaxError: Unrecognized token '<'", "credential-source-unreadable", "FAIL"),
    ("SyntaxError: Deserialization error: to see the raw response, inspect x", "malformed-response", "RETRY"),
    # the same, with words of a parser that an invalid request has, too
    (
        "Bedrock failed: JSON Parse error: Unrecognized token '<' Deserialization error: to see the raw response, see",
        "malformed-response",
        "RETRY",
    ),
    # the source of credentials did not answer this time
    (
        (
            "Error when retrieving credentials from container-role: Error retrieving metadata: Received error when "
            "attempting to retrieve container metadata: Connect timeout on endpoint URL: http://169.254.170.23/v1"
        ),
        "credential-source-unavailable",
        "RETRY",
    ),
    (
        "Error when retrieving credentials from iam-role: Credential refresh failed, response did not contain: token",
        "credential-source-unavailable",
        "RETRY",
    ),
    (
        "MetadataRetrievalError: Error retrieving metadata: Received non 200 response 404 from container metadata: x",
        "credentials-missing",
        "FAIL",
    ),
    # DNS: a resolver that fails for a moment, and a name that does not exist
    ("getaddrinfo EAI_AGAIN bedrock-runtime.us-east-1.amazonaws.com", "dns-temporary-failure", "RETRY"),
    ("lookup sts.us-east-1.amazonaws.com on 10.0.0.10:53: server misbehaving", "dns-temporary-failure", "RETRY"),
    ("lookup sts.us-east-9.amazonaws.com on 10.0.0.10:53: no such host", "endpoint-unreachable-dns", "FAIL"),
    # requests
    ("The request body is not valid JSON: surrogates not allowed: line 1", "malformed-request-body", "FAIL"),
    (
        "An `assistant` message in the final position would pre-fill the assistant response.",
        "malformed-messages-roles",
        "FAIL",
    ),
    # libraries
    (
        'PHP Fatal error: Uncaught Error: Class "Aws\\Sqs\\SqsClient" not found in /srv/a.php:2',
        "client-library-bug",
        "FAIL",
    ),
    ("LoadError: cannot load such file -- aws-sdk-sqs", "sdk-not-installed", "FAIL"),
    ("API Error: undefined is not an object (evaluating 'q.sso_region')", "client-library-bug", "FAIL"),
    (
        "AttributeError: 'AgentsforBedrockRuntime' object has no attribute 'invoke_agent_runtime'",
        "wrong-client-service",
        "FAIL",
    ),
    ("AWS HTTP error: cURL error 7: (see libcurl-errors.html)", "connection-refused-or-reset", "RETRY"),
    ("Seahorse::Client::NetworkingError: execution expired", "connect-timeout", "RETRY_LIMITED"),
    # codes whose form alone states the problem, and codes that state less than the sentence next to them
    (
        "<Errors><Error><Code>SubnetNotSpecified</Code><Message>no VPC of its own</Message></Error></Errors>",
        "request-invalid",
        "FAIL",
    ),
    (
        "An error occurred (Endpoint.AlreadyAssociated) when calling the AssociateAddress operation: eip-1 is taken",
        "resource-already-exists",
        "FAIL",
    ),
    ("api error ExportingInProgress: the image i-0 is being written", "resource-busy-conflict", "RETRY"),
    (
        "Get-SQSQueue : Rate exceeded + CategoryInfo : (Amazon.PowerShe...et:), InvalidOperationException",
        "throttled-control-plane",
        "RETRY",
    ),
    # a refusal to hand over an image is a refusal, whichever words carry it
    (
        "CannotPullContainerError: 44445555.dkr.ecr.eu-west-3.amazonaws.com/shop:2: pulling failed: 403 Forbidden",
        "access-denied-unspecified",
        "FAIL",
    ),
    ("Bedrock: the stream ended without a messageStop event", "stream-interrupted", "RETRY"),
    # the reason beside a general word says more than the word
    (
        "Waiter ChangeSetReady failed: Waiter encountered a terminal failure state. Reason: Transform AWS::Fn failed",
        "stack-template-invalid",
        "FAIL",
    ),
    (
        "(AccessDeniedException): EKS does not have permissions to assume the associated role., fault: client",
        "assume-role-trust",
        "FAIL",
    ),
    ("Fatal: cannot read config: Access Denied. s3:s3-eu-west-1.amazonaws.com/store", "s3-access-denied", "FAIL"),
    ('operation error SNS: Publish, Post "topic": unsupported protocol scheme ""', "endpoint-url-wrong", "FAIL"),
    ("oidc.eu-north-1.amazonaws.com POST /token 400 {'error':'invalid_grant'}", "sso-token-expired", "FAIL"),
    ("BedrockException - Unknown provider=jp, model=jp.anthropic.claude-x", "invalid-model-identifier", "FAIL"),
]


@pytest.mark.parametrize(("text", "cause", "decision"), FAMILIES)
def test_sentences_that_services_share_are_recognised_for_any_service(text: str, cause: str, decision: str) -> None:
    found = explain(text)
    assert (found.cause, found.decision.value) == (cause, decision)


@pytest.mark.parametrize(
    ("text", "decision"),
    [
        ("TypeError: x is not a function", "RETRY_LIMITED"),
        ("execution expired (Timeout::Error)", "RETRY_LIMITED"),
        ("SyntaxError: Unexpected token '<'", "RETRY_LIMITED"),
    ],
)
def test_general_words_count_only_next_to_the_name_of_an_aws_client(text: str, decision: str) -> None:
    found = explain(text)
    assert (found.cause, found.decision.value) == ("unknown", decision)


def test_a_code_that_a_text_only_mentions_is_looked_up_in_the_service_models() -> None:
    found = explain("aws: CreateTrail failed, S3BucketDoesNotExistException: no bucket")
    assert (found.cause, found.code, found.decision) == ("modelled", "S3BucketDoesNotExistException", Decision.FAIL)
    assert not found.conditional


def test_a_code_mentioned_in_a_text_of_unknown_origin_gives_a_conditional_result() -> None:
    found = explain("S3BucketDoesNotExistException: no bucket")
    assert (found.cause, found.conditional) == ("modelled", True)
    assert found.meaning.startswith("Nothing in this text identifies its source. If it is from AWS: ")


def test_class_names_of_the_sdks_are_not_codes_of_a_service() -> None:
    found = explain("RequestError: send request failed caused by: Post https://sqs.eu-west-1.amazonaws.com/: EOF")
    assert (found.cause, found.decision) == ("connection-refused-or-reset", Decision.RETRY)


def test_a_name_before_a_colon_counts_as_a_code_only_in_a_text_of_aws() -> None:
    text = "UnsupportedPurpleThing: the certificate has no name"
    assert explain(f"aws_acm_certificate.site: {text}").decision is Decision.FAIL
    assert explain(text).cause == "unknown"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("403 Client Error: Forbidden for url: https://bedrock-runtime.eu-west-1.amazonaws.com/model/m/converse", 403),
        ("Client error '400 Bad Request' for url 'https://bedrock-runtime.eu-west-1.amazonaws.com/model/m'", 400),
        ("424 Client Error: Failed Dependency for url: https://bedrock-agentcore.eu-west-1.amazonaws.com/", 424),
        (
            "AWS HTTP error: Client error: `POST https://sqs.eu-west-1.amazonaws.com/` resulted in a `403 Forbidden`",
            403,
        ),
    ],
)
def test_the_status_is_read_from_the_formats_of_http_libraries(text: str, status: int) -> None:
    found = explain(text)
    assert found.status == status
    assert found.decision is Decision.FAIL


@pytest.mark.parametrize(
    ("refusal", "cause"),
    [
        ("dial tcp 203.0.113.7:443: connectex: Une tentative de connexion a échoué", "connect-timeout"),
        ("dial tcp 203.0.113.7:443: connectex: um texto que ninguém conhece", "connect-timeout"),
        ("dial tcp 203.0.113.7:443: connectex: 由于目标计算机积极拒绝", "connection-refused-or-reset"),
        ("[WinError 10061] el equipo de destino denegó expresamente dicha conexión", "connection-refused-or-reset"),
        (
            "read tcp 10.0.0.2:1->203.0.113.7:443: wsarecv: 远程主机强迫关闭了一个现有的连接。",
            "connection-refused-or-reset",
        ),
    ],
)
def test_windows_network_errors_are_recognised_in_any_language(refusal: str, cause: str) -> None:
    assert explain(f'Post "https://bedrock-runtime.eu-west-1.amazonaws.com/model/m/converse": {refusal}').cause == cause


def test_windows_network_errors_of_another_host_are_not_attributed_to_aws() -> None:
    found = explain("System.Net.Sockets.SocketException (10061): 由于目标计算机积极拒绝 (localhost:5051)")
    assert found.cause == "unknown" or found.conditional


def test_box_drawing_characters_do_not_split_a_sentence() -> None:
    text = 'https://bedrock-runtime.eu-west-1.amazonaws.com 400 {"message":"The maximum tokens █ ▀▀▄ │\n│ you requested'
    assert explain(f'{text} exceeds the model limit of 9000"}}').cause == "max-tokens-too-large"


def test_backticks_escaped_for_markdown_are_read_as_backticks() -> None:
    text = "messages.5.content.1: Invalid {0}signature{0} in {0}thinking{0} block"
    assert explain(text.format("`")).cause == explain(text.format("\\`")).cause == "thinking-history-invalid"


def test_a_call_cancelled_while_credentials_are_fetched_says_nothing_about_them() -> None:
    asked = "operation error Bedrock Runtime: Converse, get identity: get credentials: "
    cancelled = explain(asked + "request canceled, context canceled")
    assert (cancelled.cause, cancelled.decision) == ("client-read-timeout", Decision.RETRY_LIMITED)
    without = "failed to refresh cached credentials, no EC2 IMDS role found, request canceled, context canceled"
    assert explain(asked + without).cause == "credentials-missing"
