"""`diagnose(error)` for errors of other services: the resource that the error names is checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
import pytest

if TYPE_CHECKING:
    from doctor.conftest import Broken

    from aws_bedrock_inference.doctor import Report

NO_BUCKET = (
    "botocore.exceptions.ClientError: An error occurred (404) when calling the HeadBucket operation: Not Found "
    "s3://lab-notes-2031/in.jsonl"
)
NO_TABLE = (
    "An error occurred (ResourceNotFoundException) when calling the GetItem operation: Requested resource not found: "
    "Table: BedrockFailedRequests not found"
)


def failures(report: Report) -> dict[str, str]:
    return {check.probe: check.finding.cause for check in report.checks if check.status.value == "failed"}


@pytest.fixture
def elsewhere(broken: Broken, moto_url: str, monkeypatch: pytest.MonkeyPatch) -> Broken:
    """The healthy world, whose S3, DynamoDB, Lambda and logs are moto's."""
    for service in ("S3", "DYNAMODB", "LAMBDA", "CLOUDWATCH_LOGS"):
        monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", moto_url)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    return broken


def test_a_table_that_is_missing_is_proved(elsewhere: Broken) -> None:
    report = elsewhere.diagnose(NO_TABLE)
    assert (report.cause, report.proved) == ("dynamodb-table-missing", True)
    assert failures(report) == {"table": "dynamodb-table-missing"}
    assert any("BedrockFailedRequests" in remedy.run for remedy in report.first.remedies)  # type: ignore[union-attr]


def test_an_existing_table_is_not_blamed(elsewhere: Broken) -> None:
    client = boto3.Session().client("dynamodb")
    client.create_table(
        TableName="BedrockFailedRequests",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    client.close()
    report = elsewhere.diagnose(NO_TABLE)
    assert (report.cause, report.proved) == ("dynamodb-table-missing", False)
    assert failures(report) == {}


def test_a_bucket_that_is_missing_is_proved(elsewhere: Broken) -> None:
    report = elsewhere.diagnose(NO_BUCKET)
    assert failures(report) == {"bucket": "s3-bucket-missing"}
    assert report.proved
