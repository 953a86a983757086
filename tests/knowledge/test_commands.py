"""The commands of remedies exist in the AWS CLI, print no secrets, and get their placeholders filled from the text."""

from __future__ import annotations

import re
import shlex
import subprocess
from functools import cache
from typing import Any

import botocore.session
import pytest
from botocore import xform_name

from aws_bedrock_inference.knowledge.catalogue import ANY, catalogue
from aws_bedrock_inference.knowledge.commands import PLACEHOLDERS, Asked, filled
from aws_bedrock_inference.knowledge.entries import Remedy, Step
from aws_bedrock_inference.knowledge.explain import explain

REMEDIES = [remedy for cause in catalogue().causes.values() for remedy, *_ in cause.advice]
COMMANDS = sorted(
    {remedy.run for remedy in REMEDIES if remedy.run}
    | {run for remedy in REMEDIES for run in re.findall(r"`(aws [^`]+)`", remedy.do)}
)

# Options that the AWS CLI has for every command, and its own options that replace parameters of the service model.
EVERYWHERE = {
    "region",
    "query",
    "output",
    "profile",
    "debug",
    "generate-cli-skeleton",
    "max-items",
    "cli-binary-format",
}
OWN_OPTIONS = {
    "lambda": {"zip-file"},
    "cloudwatch put-metric-data": {"metric-name", "value", "unit"},
    "ec2": {"filters"},
}
# Commands that the AWS CLI has beside the models, with their options.
OWN_COMMANDS = {
    "configure": {"list", "get", "set", "sso"},
    "s3": {"ls", "rm", "cp", "presign"},
    "sso": {"login", "logout"},
    "logs": {"tail"},
}


@cache
def operations(service: str) -> dict[str, Any]:
    model = botocore.session.get_session().get_service_model(service)
    return {xform_name(name, "-"): model.operation_model(name) for name in model.operation_names}


@cache
def waiters(service: str) -> dict[str, str]:
    model = botocore.session.get_session().get_waiter_model(service)
    return {xform_name(name, "-"): xform_name(model.get_waiter(name).operation, "-") for name in model.waiter_names}


def calls(command: str) -> list[list[str]]:
    """Return the words of each call of the AWS CLI in a line."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars="();|&<>")
    lexer.whitespace_split = True
    found: list[list[str]] = []
    open_call = False
    for word in lexer:
        if word == "aws":
            found.append([])
            open_call = True
        elif word and not set(word) - set("();|&<>$"):
            open_call = False
        elif open_call:
            found[-1].append(word)
    return found


def wrong(words: list[str]) -> str:
    """Return the error that the AWS CLI would report for a call, or nothing."""
    service, name, *rest = [*words, ""]
    if name in {"help", ""} or name in OWN_COMMANDS.get(service, ()):
        return ""
    botocore_name = {"s3api": "s3"}.get(service, service)
    if name == "wait":
        if rest[0] not in waiters(botocore_name):
            return f"no waiter {rest[0]}"
        name = waiters(botocore_name)[rest[0]]
    if name not in operations(botocore_name):
        return f"no operation {name}"
    shape = operations(botocore_name)[name].input_shape
    members = {xform_name(member, "-") for member in (shape.members if shape else ())}
    known = members | EVERYWHERE | OWN_OPTIONS.get(service, set()) | OWN_OPTIONS.get(f"{service} {name}", set())
    options = [word[2:].split("=")[0] for word in rest if word.startswith("--")]
    refused = [option for option in options if option.removeprefix("no-") not in known and option not in known]
    needed = {xform_name(member, "-") for member in (shape.required_members if shape else ())}
    lacking = needed - set(options) if "generate-cli-skeleton" not in options else set()
    return f"no options {refused}" * bool(refused) + f" lacks {sorted(lacking)}" * bool(lacking)


@pytest.mark.parametrize("command", [run for run in COMMANDS if calls(run)])
def test_the_aws_cli_has_the_command_and_its_options(command: str) -> None:
    assert [(words, wrong(words)) for words in calls(command) if wrong(words)] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_shell_can_parse_the_command(command: str) -> None:
    assert subprocess.run(["bash", "-n", "-c", command], check=False, capture_output=True).returncode == 0  # noqa: S603, S607


# What prints a secret: the environment's values, a signed URL, keys and tokens, a proxy's password, a function's
# variables, a debug log with its headers.
PRINTING = [
    r"\b(?:env|printenv|set|export -p)\b\s*(?:$|;|&&)",
    r"\benv \| (?!cut -d= -f1\b)(?!grep -i AWS_ENDPOINT_URL$)(?!grep -i _proxy= \| sed 's#//\[\^@/\]\*@#//\*\*\*@#'$)",
    r"\bprintenv\b",
    r"Code\.Location --output text(?! \| xargs curl -so)",
    r"aws lambda get-function(?:-configuration)? (?!.*--query)",
    r"aws lambda .*--query (?!'keys\()\S*(?:Environment|Variables)\b",
    r"aws sts (?:assume-role|get-session-token|get-federation-token)(?!.*--query)",
    r"aws (?:secretsmanager get-secret-value|ecr get-login-password|eks get-token|sso get-role-credentials)",
    r"aws iam create-(?:access-key|service-specific-credential|login-profile)",
    r"aws configure (?:export-credentials|get aws_(?:secret|session))",
    r"--with-decryption|--debug",
    r"\b(?:cat|less|head|tail|more) ~/\.aws",
    r"\bgrep (?!-oh ).*~/\.aws",
    r"AWS_(?:SECRET_ACCESS_KEY|SESSION_TOKEN|BEARER_TOKEN_BEDROCK)",
    r"\bcurl\b.*-v.*[Aa]uthorization",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_prints_a_secret(command: str) -> None:
    assert [pattern for pattern in PRINTING if re.search(pattern, command)] == []


@pytest.mark.parametrize(
    "command",
    ["env", "env | grep ^AWS_", "printenv AWS_PROFILE", "env | grep -i proxy", "aws s3api list-buckets --debug"],
)
def test_the_rule_on_secrets_refuses(command: str) -> None:
    assert any(re.search(pattern, command) for pattern in PRINTING)


@pytest.mark.parametrize("command", [run for run in COMMANDS if PLACEHOLDERS & set(re.findall(r"[A-Z_]+", run))])
def test_no_placeholder_is_inside_quotes(command: str) -> None:
    quoted = " ".join(re.findall(r"'[^']*'|\"(?:\\.|[^\"])*\"", command))
    assert PLACEHOLDERS & set(re.findall(r"(?<![A-Za-z_])[A-Z_]+(?![A-Za-z_=])", quoted)) == set()


def test_each_kind_of_resource_has_one_placeholder_name() -> None:
    """A placeholder is filled by its name: a function is FUNCTION everywhere. The role of the caller is another one."""
    option = re.compile(r"--(function|role|user|stack|table|bucket|knowledge-base|agent)(?:-name|-id)? ([^\s;]+)")
    names: dict[str, set[str]] = {}
    for run in COMMANDS:
        for kind, word in option.findall(run):
            names.setdefault(kind, set()).update(
                PLACEHOLDERS & set(re.findall(r"[A-Z_]+", word)) - {"CALLER"} or {word} - {"CALLER"}
            )
    assert {kind: words for kind, words in names.items() if len(words) != 1} == {}


def fill(run: str, text: str, service: str = "", operation: str = "") -> str:
    (remedy,) = filled([Step(_remedy(run))], Asked(text, service, operation))
    return remedy.run


def _remedy(run: str) -> Remedy:
    return REMEDIES[0]._replace(do="Do.", run=run)


@pytest.mark.parametrize(
    ("run", "text", "expected"),
    [
        ("f FUNCTION", "Function not found: arn:aws:lambda:eu-west-1:111122223333:function:orders:live", "f orders"),
        ("f /aws/lambda/FUNCTION", "log group /aws/lambda/pay-worker is missing", "f /aws/lambda/pay-worker"),
        ("f BUCKET", "<Code>NoSuchBucket</Code><BucketName>warehouse</BucketName>", "f warehouse"),
        ("f BUCKET", "the bucket does not exist", "f BUCKET"),
        ("f BUCKET", 'Unable to find bucket "warehouse"', "f warehouse"),
        ("f s3://BUCKET/KEY", "download failed: s3://data-lake/in/a.csv to a.csv", "f s3://data-lake/in/a.csv"),
        ("f TABLE", "Requested resource not found: Table: Orders not found", "f Orders"),
        ("f GROUP", "arn:aws:logs:us-east-1:111122223333:log-group:/ecs/app:*", "f /ecs/app"),
        ("f ROLE", "The role with name deployer cannot be found.", "f deployer"),
        ("f ROLE", "User: arn:aws:sts::111122223333:assumed-role/worker/i-0a is not authorized", "f worker"),
        (
            "f PRINCIPAL",
            "User: arn:aws:sts::111122223333:assumed-role/worker/i-0a is not authorized",
            "f arn:aws:iam::ACCOUNT:role/worker",
        ),
        ("f ACTION", "is not authorized to perform: sqs:SendMessage on resource: x", "f sqs:SendMessage"),
        (
            "f RESOURCE",
            "to perform: sqs:SendMessage on resource: arn:aws:sqs:us-east-1:111122223333:jobs because",
            "f arn:aws:sqs:us-east-1:ACCOUNT:jobs",
        ),
        ("f MODEL", "model us.amazon.nova-lite-v1:0 failed", "f us.amazon.nova-lite-v1:0"),
        ("f BASE_MODEL", "model us.amazon.nova-lite-v1:0 failed", "f amazon.nova-lite-v1:0"),
        ("f MODEL", "software.amazon.awssdk.services.bedrockruntime.model.ValidationException", "f MODEL"),
        ("f KNOWLEDGE_BASE", "Knowledge base with id KB12345678 does not exist", "f KB12345678"),
        (
            "f QUEUE_URL --region REGION",
            "Access to the resource https://sqs.eu-west-1.amazonaws.com/111122223333/jobs-in is denied.",
            "f https://sqs.eu-west-1.amazonaws.com/ACCOUNT/jobs-in --region eu-west-1",
        ),
        (
            "f TOPIC",
            "perform: SNS:Publish on resource: arn:aws:sns:eu-west-1:111122223333:alarms because",
            "f arn:aws:sns:eu-west-1:ACCOUNT:alarms",
        ),
        ("f ROLE", "User: arn:aws:sts::********:assumed-role/worker/me is not authorized", "f worker"),
        ("f FUNCTION", "no arn:aws:lambda:eu-west-1:XXXXXXXXXXXX:function:orders", "f orders"),
        (
            "f PRINCIPAL RESOURCE",
            "User: arn:aws:sts::xxxx:assumed-role/worker/me may not, on resource: arn:aws:sqs:eu-west-1:****:jobs",
            "f arn:aws:iam::ACCOUNT:role/worker arn:aws:sqs:eu-west-1:ACCOUNT:jobs",
        ),
        ("f HOST", "getaddrinfo ENOTFOUND sqs.eu-west-9.amazonaws.com", "f sqs.eu-west-9.amazonaws.com"),
        ("f HOST", "the role must trust lambda.amazonaws.com", "f HOST"),
        ("f CLIENT", "secret hash for client 7kq2m4n6p8r1s3t5v7w9x0y2za", "f 7kq2m4n6p8r1s3t5v7w9x0y2za"),
        ("f POOL", "User pool eu-west-1_Ab3dE5gH7 does not exist.", "f eu-west-1_Ab3dE5gH7"),
        (
            "f ENCODED",
            "not authorized. Encoded authorization failure message: aB3-dE_fGh1jKlMn0pQrStUv",
            "f aB3-dE_fGh1jKlMn0pQrStUv",
        ),
        ("f REGION", "https://bedrock-runtime.ap-south-1.amazonaws.com/model/x", "f ap-south-1"),
        ("f RULE BUS", "Rule nightly does not exist on EventBus orders.", "f nightly orders"),
        ("f HOST", 'reach "https://sqs.eu-west-1.amazonaws.com/"', "f sqs.eu-west-1.amazonaws.com"),
        ("f PACKAGE", "Error: Cannot find module '@aws-sdk/client-s3'", "f @aws-sdk/client-s3"),
        ("f STACK", "Stack with id web-prod does not exist", "f web-prod"),
    ],
)  # fmt: skip
def test_a_placeholder_is_filled_from_the_text(run: str, text: str, expected: str) -> None:
    assert fill(run, text) == expected


def test_operation_and_service_are_filled_from_the_facts_of_the_error() -> None:
    assert fill("f OPERATION SERVICE_CODE", "", "cloudwatch", "PutMetricData") == "f PutMetricData monitoring"
    assert fill("f OPERATION SERVICE_CODE", "") == "f OPERATION SERVICE_CODE"


@pytest.mark.parametrize(
    "text",
    [
        "download failed: s3://data-lake/$(rm -rf x) to a",
        "download failed: s3://data-lake/a;reboot",
        "download failed: s3://data-lake/`id`&x",
        "download failed: s3://data-lake/a|b",
    ],
)
def test_a_value_from_a_text_is_one_word_of_the_shell(text: str) -> None:
    run = fill("printf %s s3://BUCKET/KEY", text)
    said = subprocess.run(["bash", "-c", run], check=True, capture_output=True, text=True).stdout  # noqa: S603, S607
    assert text.split()[2].startswith(said)


def test_neither_a_secret_nor_an_account_gets_into_a_command() -> None:
    text = (
        "AccessDenied: User: arn:aws:iam::111122223333:user/AKIAIOSFODNN7EXAMPLE is not authorized to perform: "
        "iam:GetRole on resource: arn:aws:iam::111122223333:role/app"
    )
    shown = " ".join(remedy.run for remedy in explain(text, service="iam").remedies)
    assert "AKIAIOSFODNN7EXAMPLE" not in shown
    assert "111122223333" not in shown
    assert "app" in shown


def test_names_from_boto3_s_error_response_are_filled_in() -> None:
    response = {
        "Error": {"Code": "NoSuchBucket", "Message": "The specified bucket does not exist", "BucketName": "lake"}
    }
    assert explain(response).remedies[0].run == "aws s3api head-bucket --bucket lake"


SHARED = ["AccessDenied", "UnauthorizedOperation", "ResourceNotFoundException", "Throttling", "ThrottlingException"]


@pytest.mark.parametrize("code", SHARED)
@pytest.mark.parametrize("service", ["lambda", "iam", "ec2", "logs", "events", "sqs", "glue", "dynamodb", "s3", ""])
def test_advice_for_a_resource_that_is_not_a_model_does_not_mention_a_model(code: str, service: str) -> None:
    found = explain(code, service=service or None)
    text = " ".join([*(part for remedy in found.remedies for part in remedy), found.prevent]).lower()
    assert not re.search(r"\bmodels?\b|bedrock|max_tokens|quota\(rpm", text), text


# Causes of errors that every service's place may hold and that are about Bedrock all the same.
ABOUT_BEDROCK = {
    *("agent-role-denied", "malformed-model-arn-or-path", "quota-concurrent-jobs", "unknown-operation-unexplained"),
    *("wrong-client-service", "endpoint-url-wrong", "client-library-bug", "sdk-not-installed", "first-content-late"),
}


def test_no_cause_of_all_services_has_advice_only_for_models() -> None:
    common = {each.cause.slug for entry in catalogue().entries if entry.service == ANY for each in entry.meanings()}
    wrong = [
        (slug, remedy.do)
        for slug in sorted(common - ABOUT_BEDROCK)
        if catalogue().causes[slug].group != "refused"  # by this package, before it is sent
        for remedy in catalogue().causes[slug].remedies("lambda")
        if re.search(
            r"inference profile|inference-profile|max_tokens|quota\(rpm|bedrock-runtime", " ".join(remedy).lower()
        )
    ]
    assert [each for each in wrong if each[0] != "service-not-in-region"] == []


@pytest.mark.parametrize("service", ["bedrock-agent", "bedrock-agent-runtime"])
def test_advice_for_a_knowledge_base_mentions_it_first(service: str) -> None:
    for code in ("AccessDeniedException", "ResourceNotFoundException"):
        assert "knowledge base" in explain(code, service=service).remedies[0].do


def test_every_service_that_advice_names_exists() -> None:
    session = botocore.session.get_session()
    known = {*session.get_available_services(), *catalogue().services, "other"} - {ANY}
    named = {
        service for cause in catalogue().causes.values() for _, services, *_ in cause.advice for service in services
    }
    assert named - known == set()


@pytest.mark.parametrize("name", ["--debug", "-x", "a\u202eb", "a\x1b[2Jb", "a\x00b"])
def test_a_value_from_a_text_cannot_be_an_option_or_control_characters(name: str) -> None:
    texts = (
        f"arn:aws:lambda:us-east-1:111122223333:function:{name}",
        f"Rule {name} does not exist",
        f"<Key>{name}</Key>",
        f"arn:aws:iam::111122223333:role/{name} arn:aws:iam::111122223333:user/{name}",
        f"on resource: arn:aws:s3:::{name}",
        f"stack {name} does not exist, log group {name}9/, stream {name} under account",
    )
    for place in PLACEHOLDERS:
        _, *words = shlex.split(fill(f"aws {place}", "\n".join(texts)))
        assert len(words) == 1, place
        assert not words[0].startswith("-"), place
        assert words[0].isprintable(), place


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("An error occurred (InvalidSignatureException) when calling the Converse operation: no", True),
        ("InvalidSignatureException: the signature does not match", True),
        ("software.amazon.awssdk.services.sqs.model.SqsException: the signature does not match", False),
        ("Aws::S3::Errors::SignatureDoesNotMatch: no\n  /gems/aws-sdk-core/lib/a.rb:15:in `call'", False),
        ("operation error S3: PutObject, https response error, api error SignatureDoesNotMatch: no", False),
        ("    at /app/node_modules/@aws-sdk/client-sqs/dist-cjs/index.js:10:2", False),
    ],
)
def test_a_python_command_is_shown_only_if_python_may_have_failed(text: str, *, shown: bool) -> None:
    assert bool(fill("pip install --upgrade boto3 botocore", text)) is shown


def test_a_phrase_that_only_resembles_on_resource_names_no_resource() -> None:
    assert "resource" not in explain("AccessDeniedException: execution resource retrieval failed").fields
    quoted = explain('is not authorized to perform: s3:GetObject on resource: "arn:aws:s3:::data/a.csv"')
    assert quoted.fields["resource"] == "arn:aws:s3:::data/a.csv"


def test_a_region_that_the_text_does_not_name_comes_from_the_profile() -> None:
    assert fill("aws sqs list-queues --region REGION", "no queue") == "aws sqs list-queues"
    assert fill("aws sqs list-queues --region REGION", "in eu-west-1") == "aws sqs list-queues --region eu-west-1"


@pytest.mark.parametrize("command", [run for run in COMMANDS if "--query" in run])
def test_the_value_of_a_query_is_quoted(command: str) -> None:
    """Brackets, stars and pipes are the shell's own signs without quotes; zsh refuses them."""
    assert re.findall(r"--query (?!['\"])", command) == []


@pytest.mark.parametrize(
    ("text", "shown", "hidden"),
    [
        (
            "PermanentRedirect: Please send all future requests to this endpoint.",
            "head-bucket",
            "create-bucket",
        ),
        (
            "AccessDenied: arn:aws:iam::123456789012:user/ann is not authorized to perform: bedrock:CreateAgent",
            "list-attached-user-policies --user-name ann",
            "get-inference-profile",
        ),
        (
            "aws_route53_record.www: Throttling: Rate exceeded status code: 400",
            "lookup-events --region us-east-1",
            "REGION",
        ),
        (
            (
                "WebIdentityErr: failed to retrieve credentials caused by: RequestError: send request failed: "
                'Post "https://sts.amazonaws.com/": dial tcp 10.1.2.3:443: i/o timeout'
            ),
            "describe-vpc-endpoints",
            "lambda",
        ),
        (
            "AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity, by a pod of kube-system",
            "kubectl get sa",
            "id-token",
        ),
    ],
)
def test_a_step_that_does_not_apply_to_the_text_is_omitted(text: str, shown: str, hidden: str) -> None:
    steps = [f"{remedy.do} {remedy.run}" for remedy in explain(text).remedies]
    assert [step for step in steps if shown in step]
    assert not [step for step in steps if hidden in step]


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (
            (
                "An error occurred (ValidationException) when calling the CreateAgentRuntime operation: Access denied "
                "while validating ECR URI '111122223333.dkr.ecr.eu-west-1.amazonaws.com/desk:2'."
            ),
            "agentcore-image-denied",
        ),
        ("Tool call refused: a budget policy could not be evaluated", "agentcore-policy-not-evaluated"),
        ("python: can't open file '/var/task/go.py': [Errno 13] Permission denied", "agentcore-entry-not-readable"),
        (
            "An error occurred (InvalidRequestException) when calling the StartDeviceAuthorization operation:",
            "sso-start-refused",
        ),
        ("InvalidSignatureException: Credential should be scoped to a valid region.", "signature-region"),
        (
            (
                'bedrock-mantle {"error":{"code":"access_denied","message":"Plover is not enabled for this account",'
                '"type":"permission_denied_error"}}'
            ),
            "feature-not-enabled",
        ),
        (
            "Dedicated host h-0f1e2d3c4b5a69788 has insufficient capacity to launch the instances in this request.",
            "dedicated-host-full",
        ),
        (
            (
                "AmazonSQSException: Value 51ab for parameter ReceiveRequestAttemptId is invalid. Reason: The "
                "receiveRequestAttemptId is not valid anymore since the receive call is not retryable."
            ),
            "sqs-receive-attempt-stale",
        ),
    ],
)
def test_a_text_that_states_its_reason_has_the_matching_cause(text: str, cause: str) -> None:
    assert explain(text).cause == cause


def test_the_user_name_in_an_arn_is_masked() -> None:
    text = (
        "AccessDenied: User: arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_ops_0a1b2c/ann.lee@example.org is "
        "not authorized to perform: kms:Decrypt"
    )
    assert "ann.lee" not in str(explain(text))


def test_the_name_of_a_secret_is_not_read_as_an_operation() -> None:
    text = "AccessDeniedException: cannot fetch arn:aws:secretsmanager:eu-west-1:*:secret:OrdersPassword-* now"
    assert explain(text).operation == ""


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("AccessDenied: not authorized to perform: iam:CreateRole", True),
        (
            "An error occurred (UnauthorizedOperation) when calling the RunInstances operation: arn:aws:iam::1:user/x",
            False,
        ),
    ],
)
def test_only_events_of_global_services_are_looked_up_in_one_fixed_region(text: str, *, region: bool) -> None:
    steps = " ".join(remedy.run for remedy in filled([Step(Remedy("", "aws cloudtrail lookup-events"))], asked(text)))
    assert ("--region us-east-1" in steps) is region


def asked(text: str) -> Asked:
    seen = explain(text)
    return Asked(text, seen.service, seen.operation)


# What deletes, logs out or overwrites: the sentence above such a command says so.
DESTROYS = re.compile(
    r"\b(?:delete|remove|detach|deregister|terminate|purge)-|\blogout\b|\brm\b|force-unlock|--force|--delete\b"
)
SAYS_SO = re.compile(r"delet|remov|detach|\blogs? out\b|for good|batches", re.IGNORECASE)


@pytest.mark.parametrize("remedy", [remedy for remedy in REMEDIES if DESTROYS.search(remedy.run)], ids=str)
def test_a_destructive_command_has_a_warning(remedy: Remedy) -> None:
    assert SAYS_SO.search(remedy.do), remedy


def test_no_command_deletes_the_logins_of_other_tools() -> None:
    assert [run for run in COMMANDS if "sso/cache" in run and re.search(r"\brm\b", run)] == []


@pytest.mark.parametrize(
    ("option", "least"),
    [("--timeout", 900), ("--memory-size", 10240), ("--desired-value", 0), ("--max-session-duration", 43200)],
)
def test_no_command_sets_a_number_that_may_be_lower_than_the_present_one(option: str, least: int) -> None:
    numbers = [int(number) for run in COMMANDS for number in re.findall(rf"{option} (\d+)\b", run)]
    assert [number for number in numbers if number < least] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Task timed out after 120.00 seconds", "f 240"),
        ("Task timed out after 3.00 seconds, then Task timed out after 20.05 seconds", "f 40"),
        ("Task timed out after 600.01 seconds", "f 900"),
        ("Task timed out after 900.00 seconds", "f SECONDS"),
        ("the function timed out", "f SECONDS"),
    ],
)
def test_a_timeout_is_raised_above_the_one_that_the_text_shows(text: str, expected: str) -> None:
    assert fill("f SECONDS", text) == expected


def test_memory_is_raised_above_the_one_that_the_text_shows() -> None:
    text = "REPORT RequestId: 1 Billed Duration: 900 ms Memory Size: 2048 MB Max Memory Used: 2048 MB"
    assert fill("f MEGABYTES", text) == "f 4096"


CALLERS = [
    (
        "User: arn:aws:sts::111122223333:assumed-role/builder/ann is not authorized to perform: iam:CreateRole "
        "on resource: "
        "arn:aws:iam::111122223333:role/made-later"
    ),
    (
        "User: arn:aws:sts::xxxxxx:assumed-role/builder/ann@example.org is not authorized to perform: iam:PassRole on "
        "resource: arn:aws:iam::xxxxxx:role/made-later with an explicit deny"
    ),
    "User: ...:assumed-role/builder is not authorized to perform: iam:PassRole on resource: .../role/made-later",
    "User: arn:aws:iam::111122223333:role/path/builder is not authorized to perform: iam:GetRole on resource: role x",
    "on resource: arn:aws:iam::111122223333:role/made-later for arn:aws:sts::111122223333:assumed-role/builder/ann",
]


@pytest.mark.parametrize("text", CALLERS)
def test_a_policy_simulation_is_for_the_caller(text: str) -> None:
    run = fill("f PRINCIPAL", text)
    assert run in {"f arn:aws:iam::ACCOUNT:role/builder", "f arn:aws:iam::ACCOUNT:role/path/builder"}
    assert fill("f CALLER", text) == "f builder"


def test_a_role_that_is_the_resource_of_a_call_is_not_the_caller() -> None:
    assert fill("f PRINCIPAL", "may not be called on resource: arn:aws:iam::111122223333:role/x") == "f PRINCIPAL"


def test_the_role_of_identity_center_is_looked_up_because_the_text_lacks_its_path() -> None:
    text = "User: arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Admin_0a1b2c3d4e5f6071/ann is not authorized"
    assert fill("f PRINCIPAL", text) == (
        "f $(aws iam get-role --role-name AWSReservedSSO_Admin_0a1b2c3d4e5f6071 --query Role.Arn --output text)"
    )


@pytest.mark.parametrize("text", CALLERS)
@pytest.mark.parametrize(
    "cause", ["iam-denied-explicit-deny", "iam-denied-identity-policy", "access-denied-unspecified"]
)
def test_no_policy_simulation_uses_an_sts_session_arn(text: str, cause: str) -> None:
    steps = catalogue().causes[cause].steps("iam")
    runs = [remedy.run for remedy in filled(steps, Asked(text, "iam")) if "simulate-principal-policy" in remedy.run]
    assert runs
    assert not [run for run in runs if ":sts:" in run or "made-later --action" in run]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        (
            (
                "ValidationException: Invalid UpdateExpression: An expression attribute name used in the "
                "document path is not "
                "defined; attribute name: #colour"
            ),
            "Add #colour to ExpressionAttributeNames: the UpdateExpression uses #colour",
        ),
        (
            (
                "ValidationException: Invalid FilterExpression: Attribute name is a reserved keyword; "
                "reserved keyword: level"
            ),
            'Write #n instead of level in the expression, and add {"#n": "level"}',
        ),
        (
            (
                "The knowledge base storage configuration provided is invalid... embedding column must be "
                "indexed. The SQL "
                "command to index the column is: CREATE INDEX ON notes USING hnsw (embedding vector_cosine_ops);"
            ),
            "Run CREATE INDEX ON notes USING hnsw (embedding vector_cosine_ops) in the Aurora database",
        ),
        (
            (
                "Malformed input request: #/toolConfig/tools/3/toolSpec/inputSchema/json: extraneous key "
                "[$defs] is not "
                "permitted, please reformat your input and try again."
            ),
            "Remove the key $defs from the JSON schema of the tool with index 3",
        ),
        (
            (
                "The maximum tokens you requested exceeds the model limit of 5120. Try again with a maximum "
                "tokens value that "
                "is lower than 5120."
            ),
            "Set max_tokens below 5120",
        ),
        ("Unable to import module 'app': No module named 'lxml'", "Add the module lxml to the package"),
    ],
)
def test_the_remedy_that_a_message_states_comes_first_with_its_names(text: str, first: str) -> None:
    assert explain(text).remedies[0].do.startswith(first)


def test_names_from_a_message_are_masked_and_contain_no_control_characters() -> None:
    step = Step(Remedy("Take {key} out."), when=r"extraneous key \[(?P<key>[^\]]{1,60})\]")
    (told,) = filled([step], Asked("the extraneous key [AKIAIOSFODNN7EXAMPLE] is here"))
    assert "AKIAIOSFODNN7EXAMPLE" not in told.do
    (told,) = filled([step], Asked("the extraneous key [a\u202eb] is here"))
    assert told.do == "Take … out."


def test_a_code_without_a_text_gets_the_general_step_first() -> None:
    steps = [
        Step(Remedy("Of one message."), when="parrot"),
        Step(Remedy("General.")),
        Step(Remedy("Of one situation."), when="cage"),
    ]
    assert [each.do for each in filled(steps, Asked("SomeCode"))] == ["General.", "Of one situation."]
    assert [each.do for each in filled(steps, Asked("a parrot"))] == ["Of one message.", "General."]
    for slug, cause in catalogue().causes.items():
        assert explain(slug).remedies[0].do in {step.remedy.do for step in cause.advice if not step.when}, slug


def test_a_step_that_names_a_resource_replaces_the_general_first_step() -> None:
    steps = [
        Step(Remedy("Take {key} out."), when=r"key \[(?P<key>\w+)\]"),
        Step(Remedy("General.")),
        Step(Remedy("Then.")),
    ]
    assert [each.do for each in filled(steps, Asked("the key [size] is wrong"))] == ["Take size out.", "Then."]
    assert [each.do for each in filled(steps, Asked("a key is wrong"))] == ["General.", "Then."]
    assert [each.do for each in filled(steps, Asked("SomeCode"))] == ["General.", "Then."]


def test_the_advice_of_the_general_case_needs_no_text() -> None:
    for slug, cause in catalogue().causes.items():
        for remedy in cause.remedies(""):
            assert not re.search(r"\{[a-z_]+\}", remedy.do), slug


@pytest.mark.parametrize("slug", catalogue().causes)
def test_a_sentence_about_a_command_is_followed_by_the_command(slug: str) -> None:
    """If a text removes a command from the steps, no sentence about that command remains."""
    told = filled(catalogue().causes[slug].advice, Asked("an error of which nothing else is known"))
    assert [remedy.do for remedy in told if re.search(r"\b[Tt]he commands?\b", remedy.do) and not remedy.run] == []
