"""Requests that may be sent again if it is unknown whether the first one was executed."""

from __future__ import annotations

from typing import Any

import pytest
from support.doubles import session

from aws_bedrock_inference.resilience.idempotency import RULES, repeatable


def may(service: Any, operation: str, **params: Any) -> bool:
    return repeatable(session().client(service).meta.service_model.operation_model(operation))(params)


@pytest.mark.parametrize(
    ("service", "operation"),
    [
        ("s3", "GetObject"),
        ("s3", "HeadObject"),
        ("s3", "PutObject"),
        ("s3", "DeleteObjects"),
        ("s3", "CreateMultipartUpload"),
        ("dynamodb", "Query"),
        ("dynamodb", "BatchWriteItem"),
        ("dynamodb", "TransactWriteItems"),
        ("lambda", "UpdateFunctionCode"),
        ("sqs", "ReceiveMessage"),
        ("sqs", "DeleteMessageBatch"),
        ("events", "PutTargets"),
        ("logs", "FilterLogEvents"),
        ("ec2", "DescribeInstances"),
        ("bedrock-runtime", "Converse"),
    ],
)
def test_reads_and_replacements_may_be_retried(service: str, operation: str) -> None:
    assert may(service, operation)


@pytest.mark.parametrize(
    ("service", "operation"),
    [
        ("dynamodb", "ExecuteStatement"),
        ("lambda", "Invoke"),
        ("events", "PutEvents"),
        ("logs", "PutLogEvents"),
        ("cloudwatch", "PutMetricData"),
        ("kinesis", "PutRecords"),
        ("iam", "CreateAccessKey"),
        ("ses", "SendEmail"),
        ("databrew", "SendProjectSessionAction"),
    ],
)
def test_operations_that_would_take_effect_twice_may_not_be_retried(service: str, operation: str) -> None:
    assert not may(service, operation)


def test_parameters_that_make_an_operation_idempotent_are_considered() -> None:
    assert may("lambda", "Invoke", InvocationType="DryRun")
    assert may("sqs", "SendMessage", QueueUrl="https://queue/orders.fifo")
    assert not may("sqs", "SendMessage", QueueUrl="https://queue/orders")
    assert may("sns", "Publish", TopicArn="arn:aws:sns:us-east-1:1:orders.fifo")
    assert may("stepfunctions", "StartExecution", name="order-1")
    assert not may("stepfunctions", "StartExecution")
    assert may("dynamodb", "PutItem", Item={})
    assert not may("dynamodb", "PutItem", Item={}, ReturnValues="ALL_OLD")


@pytest.mark.parametrize(
    ("update", "condition", "safe"),
    [
        ("SET #a = :a, b.c = :b", "", True),
        ("ADD n :one", "", False),
        ("SET n = n + :one", "", False),
        ("SET a = b, b = a", "", False),
        ("SET l = list_append(l, :x)", "", False),
        ("REMOVE l[0]", "", False),
        ("SET n = n + :one, version = :new", "version = :old", True),
        ("ADD n :one SET version = :new", "version = :old", True),
        ("ADD n :one", "attribute_exists(id)", False),
        ("ADD n :one SET s = :s", "s = :s", False),
        ("ADD n :one", "attribute_not_exists(id)", True),
        ("SET n = n + :one, done = :yes", "attribute_not_exists(done)", True),
        ("ADD n :one REMOVE done", "attribute_not_exists(done)", False),
        ("SET n = n + :one, version = :new", "version = :old OR size(l) > :x", False),
        ("SET l = list_append(l, version)", "version = :old", False),
    ],
)
def test_an_update_may_be_retried_if_a_second_one_changes_nothing(update: str, condition: str, safe: bool) -> None:  # noqa: FBT001 - a column of the table
    params = {"Key": {"id": {"S": "1"}}, "UpdateExpression": update}
    if condition:
        params["ConditionExpression"] = condition
    assert may("dynamodb", "UpdateItem", **params) is safe


def test_updates_in_the_legacy_form_or_that_return_old_values_may_not_be_retried() -> None:
    assert not may("dynamodb", "UpdateItem", AttributeUpdates={"n": {"Action": "ADD"}})
    assert not may("dynamodb", "UpdateItem", UpdateExpression="SET a = :a", ReturnValues="UPDATED_OLD")


@pytest.mark.parametrize("rule", RULES, ids=[f"{rule.service} {rule.operations[:30]}" for rule in RULES])
def test_every_rule_names_existing_operations_and_its_reason(rule: Any) -> None:
    model = session().client(rule.service).meta.service_model
    assert set(rule.operations.split()) <= set(model.operation_names)
    assert rule.source
