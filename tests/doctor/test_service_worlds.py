"""Errors of other services: the resource that the text names is checked, and the candidate causes are distinguished."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import boto3
import pytest

from aws_bedrock_inference.doctor.probe import chosen
from aws_bedrock_inference.doctor.probes import PROBES
from aws_bedrock_inference.knowledge.catalogue import catalogue

if TYPE_CHECKING:
    from collections.abc import Callable

    from doctor.conftest import Broken

    from aws_bedrock_inference.doctor import Report

HERE = "us-east-1:123456789012"
MOTO = ("S3", "DYNAMODB", "CLOUDWATCH_LOGS", "SQS", "SNS", "KINESIS", "EVENTBRIDGE", "KMS", "SFN")


class Elsewhere:
    """The healthy world with services of moto's; `aws` plays Lambda, IAM, STS and Step Functions' executions."""

    def __init__(self, broken: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
        self.broken, self.aws, self.environ = broken, broken.aws, monkeypatch

    def call(self, service: str, operation: str, **params: Any) -> Any:
        make: Any = boto3.client  # boto3's types know each service by its name alone
        with closing(make(service)) as client:
            return getattr(client, operation)(**params)

    def play(self, service: str, **answers: Any) -> None:
        """Let the fake server answer for a service that moto otherwise serves."""
        self.environ.setenv(f"AWS_ENDPOINT_URL_{service}", self.aws.url)
        boto3.DEFAULT_SESSION = None
        self.aws.answers.update(answers)

    def diagnose(self, text: str, **settings: Any) -> Report:
        return self.broken.diagnose(text, **settings)


@pytest.fixture
def elsewhere(broken: Broken, moto_url: str, monkeypatch: pytest.MonkeyPatch) -> Elsewhere:
    for service in MOTO:
        monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", moto_url)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    return Elsewhere(broken, monkeypatch)


def error(code: str, operation: str, message: str) -> str:
    return f"An error occurred ({code}) when calling the {operation} operation: {message}"


def role_trusting(principal: dict[str, str], **more: Any) -> str:
    trust = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", **more}
    document = quote(json.dumps({"Version": "2012-10-17", "Statement": [trust]}))
    return (
        "<Role><Path>/</Path><RoleName>worker</RoleName><RoleId>AROA</RoleId>"
        f"<Arn>arn:aws:iam::123456789012:role/worker</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate><AssumeRolePolicyDocument>{document}</AssumeRolePolicyDocument></Role>"
    )


def nothing(_: Elsewhere) -> None:
    """Leave the world as it is."""


def made(service: str, operation: str, **params: Any) -> Callable[[Elsewhere], None]:
    def make(elsewhere: Elsewhere) -> None:
        elsewhere.call(service, operation, **params)

    return make


def played(service: str, **answers: Any) -> Callable[[Elsewhere], None]:
    return lambda elsewhere: elsewhere.play(service, **answers)


def bucket_abroad(elsewhere: Elsewhere) -> None:
    abroad = {"LocationConstraint": "eu-west-1"}
    elsewhere.call("s3", "create_bucket", Bucket="lab-2031", CreateBucketConfiguration=abroad)


def archived(elsewhere: Elsewhere) -> None:
    elsewhere.call("s3", "create_bucket", Bucket="lab-2031")
    elsewhere.call("s3", "put_object", Bucket="lab-2031", Key="a.jsonl", Body=b"x", StorageClass="GLACIER")


def deleted(elsewhere: Elsewhere) -> None:
    elsewhere.call("s3", "create_bucket", Bucket="lab-2031")
    versions = {"Status": "Enabled"}
    elsewhere.call("s3", "put_bucket_versioning", Bucket="lab-2031", VersioningConfiguration=versions)
    elsewhere.call("s3", "put_object", Bucket="lab-2031", Key="a.jsonl", Body=b"x")
    elsewhere.call("s3", "delete_object", Bucket="lab-2031", Key="a.jsonl")


def blocked(elsewhere: Elsewhere) -> None:
    elsewhere.call("s3", "create_bucket", Bucket="lab-2031")
    block = {
        "BlockPublicPolicy": True,
        "BlockPublicAcls": False,
        "IgnorePublicAcls": False,
        "RestrictPublicBuckets": False,
    }
    elsewhere.call("s3", "put_public_access_block", Bucket="lab-2031", PublicAccessBlockConfiguration=block)


def a_table(elsewhere: Elsewhere) -> None:
    elsewhere.call(
        "dynamodb",
        "create_table",
        TableName="orders",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


def a_group(elsewhere: Elsewhere) -> None:
    elsewhere.call("logs", "create_log_group", logGroupName="/app/jobs-1/all")


def a_rule(elsewhere: Elsewhere) -> None:
    elsewhere.call("events", "put_rule", Name="nightly", ScheduleExpression="rate(5 minutes)")


def five_targets(elsewhere: Elsewhere) -> None:
    a_rule(elsewhere)
    targets = [{"Id": str(number), "Arn": f"arn:aws:sqs:{HERE}:jobs"} for number in range(5)]
    elsewhere.call("events", "put_targets", Rule="nightly", Targets=targets)


def disabled_key(elsewhere: Elsewhere) -> None:
    key = elsewhere.call("kms", "create_key")["KeyMetadata"]["KeyId"]
    elsewhere.call("kms", "disable_key", KeyId=key)
    elsewhere.key = key  # type: ignore[attr-defined]


def lambda_is(**configuration: Any) -> Callable[[Elsewhere], None]:
    return played("LAMBDA", configuration={"FunctionName": "resize", **configuration}, concurrency={})


FUNCTION = f"arn:aws:lambda:{HERE}:function:resize"
GET_OBJECT = "s3://lab-2031/a.jsonl"
MACHINE = f"arn:aws:states:{HERE}:stateMachine:nightly"
RUN = f"arn:aws:states:{HERE}:execution:nightly:run-1"
TASK_FAILED = f"States.TaskFailed in {RUN}"
NO_INDEX = error("ValidationException", "Query", "The table does not have the specified index: by-date (Table: orders)")
UPDATING = error(
    "ResourceConflictException",
    "UpdateFunctionCode",
    f"The operation cannot be performed at this time. An update is in progress for resource: {FUNCTION}",
)
FAILED_STATE = error(
    "ResourceConflictException",
    "Invoke",
    f"The operation cannot be performed. {FUNCTION}: The function is currently in the following state: Failed",
)
RESERVED = error(
    "TooManyRequestsException", "Invoke", f"Rate Exceeded. ReservedFunctionConcurrentInvocationLimitExceeded {FUNCTION}"
)
NOT_ASSUMABLE = error(
    "InvalidParameterValueException",
    "CreateFunction",
    "The role defined for the function cannot be assumed by Lambda. arn:aws:iam::123456789012:role/worker",
)
ASSUME = error(
    "AccessDenied",
    "AssumeRole",
    "User: arn:aws:sts::123456789012:assumed-role/app/session is not authorized to perform: sts:AssumeRole on "
    "resource: arn:aws:iam::123456789012:role/worker",
)
BAD_PATTERN = error(
    "InvalidEventPatternException", "PutRule", 'Event pattern is not valid. {"source": [{"prefx": "aws"}]}'
)
IN_FLIGHT = error(
    "OverLimit", "ReceiveMessage", "Too many messages in flight https://sqs.us-east-1.amazonaws.com/123456789012/jobs"
)


@pytest.mark.parametrize(
    ("world", "text", "probe", "cause"),
    [
        (
            nothing,
            error("NoSuchBucket", "GetObject", f"The specified bucket does not exist {GET_OBJECT}"),
            "bucket",
            "s3-bucket-missing",
        ),
        (
            bucket_abroad,
            error("PermanentRedirect", "GetObject", f"Use the specified endpoint for this bucket. {GET_OBJECT}"),
            "bucket",
            "s3-wrong-region-redirect",
        ),
        (
            made("s3", "create_bucket", Bucket="lab-2031"),
            error("NoSuchKey", "GetObject", f"The specified key does not exist. {GET_OBJECT}"),
            "object",
            "s3-key-missing",
        ),
        (
            deleted,
            error("NoSuchKey", "GetObject", f"The specified key does not exist. {GET_OBJECT}"),
            "object",
            "s3-key-missing",
        ),
        (
            archived,
            error(
                "InvalidObjectState",
                "GetObject",
                f"The operation is not valid for the object's storage class {GET_OBJECT}",
            ),
            "object",
            "s3-object-archived",
        ),
        (
            blocked,
            error(
                "AccessDenied",
                "PutBucketPolicy",
                "public policies are blocked by the BlockPublicPolicy block public access setting. s3://lab-2031",
            ),
            "public-block",
            "s3-access-denied-public-block",
        ),
        (
            nothing,
            error("ResourceNotFoundException", "GetItem", "Requested resource not found: Table: orders not found"),
            "table",
            "dynamodb-table-missing",
        ),
        (
            played("DYNAMODB", DescribeTable={"Table": {"TableStatus": "CREATING"}}),
            error("ResourceNotFoundException", "GetItem", "Requested resource not found: Table: orders not found"),
            "table",
            "dynamodb-table-missing",
        ),
        (a_table, NO_INDEX, "table", "dynamodb-index-missing"),
        (
            played("LAMBDA", configuration=(404, "ResourceNotFoundException", f"Function not found: {FUNCTION}")),
            error("ResourceNotFoundException", "Invoke", f"Function not found: {FUNCTION}"),
            "function",
            "lambda-function-missing",
        ),
        (
            lambda_is(State="Failed", StateReasonCode="InvalidSubnet"),
            FAILED_STATE,
            "function",
            "lambda-function-failed-state",
        ),
        (
            lambda_is(State="Active", LastUpdateStatus="InProgress"),
            UPDATING,
            "function",
            "lambda-resource-conflict-updating",
        ),
        (
            played("LAMBDA", concurrency={"ReservedConcurrentExecutions": 0}),
            RESERVED,
            "concurrency",
            "lambda-throttled-concurrency",
        ),
        (
            nothing,
            error("ResourceNotFoundException", "DescribeEventBus", "Event bus orders-bus does not exist."),
            "event-bus",
            "events-bus-missing",
        ),
        (
            nothing,
            error("ResourceNotFoundException", "DescribeRule", "Rule nightly does not exist on EventBus default."),
            "rule",
            "events-rule-missing",
        ),
        (
            played("EVENTBRIDGE", DescribeRule={"Name": "nightly", "ManagedBy": "autoscaling.amazonaws.com"}),
            error("ManagedRuleException", "DeleteRule", f"Managed by a service: arn:aws:events:{HERE}:rule/nightly"),
            "rule",
            "events-managed-rule",
        ),
        (
            five_targets,
            error(
                "LimitExceededException",
                "PutTargets",
                f"The requested resource exceeds the maximum number allowed. arn:aws:events:{HERE}:rule/nightly",
            ),
            "rule-targets",
            "events-target-limit",
        ),
        (
            played(
                "EVENTBRIDGE", TestEventPattern=(400, "InvalidEventPatternException", "Event pattern is not valid.")
            ),
            BAD_PATTERN,
            "pattern",
            "events-pattern-invalid",
        ),
        (
            nothing,
            error(
                "ResourceNotFoundException",
                "PutLogEvents",
                "The specified log group does not exist: log group /app/jobs-1",
            ),
            "log-group",
            "logs-group-missing",
        ),
        (
            a_group,
            error(
                "ResourceNotFoundException",
                "FilterLogEvents",
                "The specified log group does not exist: log group /app/jobs-1",
            ),
            "log-group",
            "logs-group-missing",
        ),
        (
            a_group,
            error(
                "ResourceNotFoundException",
                "PutLogEvents",
                "The specified log stream does not exist. log group: /app/jobs-1/all log stream: web-1",
            ),
            "log-stream",
            "logs-stream-missing",
        ),
        (
            played("IAM", GetUser=(404, "NoSuchEntity", "The user with name eve cannot be found.")),
            error("NoSuchEntity", "AttachUserPolicy", "The user with name eve cannot be found."),
            "user",
            "iam-entity-missing",
        ),
        (
            played("IAM", GetRole=(404, "NoSuchEntity", "The role with name worker cannot be found.")),
            error("NoSuchEntity", "AttachRolePolicy", "The role with name worker cannot be found."),
            "role",
            "iam-entity-missing",
        ),
        (
            played("IAM", GetRole=role_trusting({"Service": "ec2.amazonaws.com"})),
            NOT_ASSUMABLE,
            "role",
            "lambda-role-not-assumable",
        ),
        (
            played("IAM", GetRole=role_trusting({"AWS": "arn:aws:iam::123456789012:role/other"})),
            ASSUME,
            "role",
            "sts-assume-role-denied",
        ),
        (
            nothing,
            error(
                "AWS.SimpleQueueService.NonExistentQueue",
                "SendMessage",
                "The specified queue does not exist https://sqs.us-east-1.amazonaws.com/123456789012/jobs",
            ),
            "queue",
            "sqs-queue-missing",
        ),
        (
            played("SQS", GetQueueAttributes={"Attributes": {"ApproximateNumberOfMessagesNotVisible": "120017"}}),
            IN_FLIGHT,
            "queue",
            "sqs-in-flight-limit",
        ),
        (
            nothing,
            error("NotFound", "Publish", f"Topic does not exist arn:aws:sns:{HERE}:alarms"),
            "topic",
            "sns-topic-missing",
        ),
        (
            nothing,
            error("ResourceNotFoundException", "PutRecord", "Stream clicks under account 123456789012 not found."),
            "stream",
            "kinesis-stream-missing",
        ),
        (
            nothing,
            error("StateMachineDoesNotExist", "StartExecution", f"State Machine Does Not Exist: '{MACHINE}'"),
            "state-machine",
            "states-machine-missing",
        ),
        (
            played(
                "SFN",
                DescribeExecution={
                    "status": "FAILED",
                    "error": "Lambda.TooManyRequestsException",
                    "cause": "Rate Exceeded.",
                },
            ),
            TASK_FAILED,
            "execution",
            "states-task-failed",
        ),
    ],
)
def test_the_state_of_the_named_resource_proves_the_cause(
    elsewhere: Elsewhere, world: Any, text: str, probe: str, cause: str
) -> None:
    world(elsewhere)
    report = elsewhere.diagnose(text)
    assert {each.probe: each.finding.cause for each in report.checks if each.status.value == "failed"} == {probe: cause}
    assert (report.cause, report.proved) == (cause, True)
    assert [each.verdict.value for each in report.candidates if each.cause == cause] == ["proved"]
    assert "123456789012" not in json.dumps([each.finding.message for each in report.checks])
    assert len(report.checks) < len(PROBES) / 2


def test_a_disabled_key_is_proved(elsewhere: Elsewhere) -> None:
    disabled_key(elsewhere)
    arn = f"arn:aws:kms:{HERE}:key/{elsewhere.key}"  # type: ignore[attr-defined]
    report = elsewhere.diagnose(error("KMS.DisabledException", "Publish", f"{arn} is disabled"))
    assert (report.cause, report.proved) == ("kms-denied", True)


def objects(elsewhere: Elsewhere) -> None:
    elsewhere.call("s3", "create_bucket", Bucket="lab-2031")
    elsewhere.call("s3", "put_object", Bucket="lab-2031", Key="a.jsonl", Body=b"x")


@pytest.mark.parametrize(
    ("world", "text", "said"),
    [
        (
            a_table,
            error("ResourceNotFoundException", "GetItem", "Requested resource not found: Table: orders not found"),
            "not dynamodb-table-missing: The table orders exists",
        ),
        (
            a_table,
            error(
                "ProvisionedThroughputExceededException",
                "PutItem",
                "The level of throughput is exceeded for Table: orders",
            ),
            "not dynamodb-provisioned-throughput: The table orders exists and uses on-demand capacity",
        ),
        (
            objects,
            error("NoSuchKey", "GetObject", f"The specified key does not exist. {GET_OBJECT}"),
            "not s3-key-missing: The object lab-2031/a.jsonl exists",
        ),
        (lambda_is(State="Active"), FAILED_STATE, "not lambda-function-failed-state: The function resize exists"),
        (
            played("IAM", GetRole=role_trusting({"Service": "lambda.amazonaws.com"})),
            NOT_ASSUMABLE,
            "not lambda-role-not-assumable: The role worker allows lambda.amazonaws.com to assume it",
        ),
        (
            played("EVENTBRIDGE", TestEventPattern={"Result": True}),
            BAD_PATTERN,
            "not events-pattern-invalid: EventBridge accepts the event pattern",
        ),
    ],
)
def test_a_healthy_resource_excludes_the_cause(elsewhere: Elsewhere, world: Any, text: str, said: str) -> None:
    world(elsewhere)
    report = elsewhere.diagnose(text)
    assert not report.proved
    assert any(str(each).startswith(said) for each in report.candidates), list(map(str, report.candidates))


@pytest.mark.parametrize(
    ("principal", "more", "status", "said"),
    [
        ({"AWS": "arn:aws:iam::123456789012:role/team/app"}, {}, "ok", "allows the caller to assume it"),
        ({"AWS": "arn:aws:iam::123456789012:root"}, {}, "ok", "allows the caller to assume it"),
        ({"AWS": "123456789012"}, {"Condition": {"StringEquals": {"sts:ExternalId": "x"}}}, "warning", "not evaluated"),
        ({"AWS": "arn:aws:iam::123456789012:role/team/other-app"}, {}, "failed", "not allow the caller to assume it"),
    ],
)
def test_a_trust_policy_is_evaluated_for_the_caller(
    elsewhere: Elsewhere, principal: dict[str, str], more: dict[str, Any], status: str, said: str
) -> None:
    elsewhere.play("IAM", GetRole=role_trusting(principal, **more))
    (found,) = [each for each in elsewhere.diagnose(ASSUME).checks if each.probe == "role"]
    assert found.status.value == status
    assert said in found.finding.message


def test_a_trust_policy_for_web_identities_is_not_evaluated(elsewhere: Elsewhere) -> None:
    elsewhere.play("IAM", GetRole=role_trusting({"Federated": "token.actions.githubusercontent.com"}))
    text = ASSUME.replace("the AssumeRole", "the AssumeRoleWithWebIdentity").replace(
        "to perform: sts:AssumeRole", "to perform: sts:AssumeRoleWithWebIdentity"
    )
    (found,) = [each for each in elsewhere.diagnose(text).checks if each.probe == "role"]
    assert found.status.value == "warning"
    assert "not checked" in found.finding.message


def test_an_event_pattern_that_does_not_match_is_reported(elsewhere: Elsewhere) -> None:
    elsewhere.play("EVENTBRIDGE", TestEventPattern={"Result": False})
    event = {"source": "shop", "detail-type": "order", "detail": {"total": 3}}
    pattern = {"source": ["store"]}
    text = f"InvalidEventPatternException: Event pattern is not valid. {json.dumps(pattern)} for {json.dumps(event)}"
    (found,) = [each for each in elsewhere.diagnose(text).checks if each.probe == "pattern"]
    assert found.status.value == "warning"
    assert "does not match" in found.finding.message
    asked = dict(elsewhere.aws.asked)["TestEventPattern"]
    assert json.loads(asked["Event"])["source"] == "shop"
    assert json.loads(asked["EventPattern"]) == pattern


@pytest.mark.parametrize(
    ("text", "probe", "permission"),
    [
        (UPDATING, "function", "lambda:GetFunctionConfiguration"),
        (error("NoSuchEntity", "GetUser", "The user with name eve cannot be found."), "user", "iam:GetUser"),
    ],
)
def test_a_missing_permission_is_a_warning_that_names_it(
    elsewhere: Elsewhere, text: str, probe: str, permission: str
) -> None:
    report = elsewhere.diagnose(text)
    assert not report.proved
    (found,) = [each for each in report.checks if each.probe == probe]
    assert found.status.value == "warning"
    assert f"lacks {permission}" in found.finding.message


def test_a_resource_that_the_text_does_not_name_is_skipped_with_a_command(elsewhere: Elsewhere) -> None:
    report = elsewhere.diagnose(error("AWS.SimpleQueueService.NonExistentQueue", "SendMessage", "No such queue"))
    (found,) = [each for each in report.checks if each.probe == "queue"]
    assert found.status.value == "skipped"
    assert "run: aws sqs get-queue-url" in found.finding.message


@pytest.mark.parametrize(
    ("text", "command"),
    [
        (f"Task timed out after 3.00 seconds {FUNCTION}", "aws logs tail /aws/lambda/resize"),
        (
            error("BucketAlreadyExists", "CreateBucket", "The requested bucket name is not available. s3://lab-2031"),
            "--bucket lab-2031",
        ),
    ],
)
def test_a_cause_without_a_probe_is_reported_with_a_command(elsewhere: Elsewhere, text: str, command: str) -> None:
    report = elsewhere.diagnose(text)
    (found,) = [each for each in report.checks if each.probe == "no-probe"]
    assert found.status.value == "skipped"
    assert found.finding.message.startswith("No probe can prove or exclude ")
    assert command in found.finding.message
    assert (report.proved, report.candidates[0].verdict.value) == (False, "undecided")


def test_an_error_that_is_not_in_the_catalogue_has_no_cause(elsewhere: Elsewhere) -> None:
    report = elsewhere.diagnose("botocore.exceptions.ClientError: (ZebraLostException): the zebra is gone")
    (found,) = report.checks
    assert found.status.value == "skipped"
    assert "This error is not in the catalogue" in found.finding.message
    assert not report.proved


@pytest.mark.parametrize("cause", sorted({cause for each in PROBES.values() for cause in each.tells}))
def test_each_cause_needs_fewer_than_half_of_the_probes(cause: str) -> None:
    assert cause in catalogue().causes
    assert 0 < len(chosen(PROBES, [cause])) < len(PROBES) / 2
