"""Broken resources: a batch job's role, bucket and key, the dead-letter table, the shared store, AWS Health."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import boto3
import pytest
from doctor.conftest import ARN, ROLE, evaluated
from support.store_server import Server, private_server

from aws_bedrock_inference.deadletters.dynamodb import DynamoLetters
from aws_bedrock_inference.doctor.documents import Says, bucket_denies, key_policy
from aws_bedrock_inference.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from doctor.conftest import Broken

    from aws_bedrock_inference.doctor import Report
    from aws_bedrock_inference.doctor.findings import Check

__all__ = ["private_server"]

BATCH = "arn:aws:iam::123456789012:role/jobs/nightly"
OUTPUT = "s3://nightly-answers/out/"
TRUST = {"Effect": "Allow", "Principal": {"Service": "bedrock.amazonaws.com"}, "Action": "sts:AssumeRole"}
FAILED_JOB = (
    "An error occurred (ValidationException) when calling the CreateModelInvocationJob operation: Could not assume "
    f"provided IAM role {BATCH}. Output {OUTPUT}"
)


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def roles(trust: dict[str, Any] = TRUST) -> Callable[[dict[str, Any]], Any]:
    """Answer GetRole: the caller's role, and the batch role with this statement of trust."""

    def answer(params: dict[str, Any]) -> Any:
        if params["RoleName"] != "nightly":
            return ROLE
        document = f"<AssumeRolePolicyDocument>{quote(policy(trust))}</AssumeRolePolicyDocument>"
        return (
            f"<Role><Path>/jobs/</Path><RoleName>nightly</RoleName><RoleId>AROB</RoleId><Arn>{BATCH}</Arn>"
            f"<CreateDate>2026-01-01T00:00:00Z</CreateDate>{document}</Role>"
        )

    return answer


def refusing(action: str) -> Callable[[dict[str, Any]], Any]:
    """Answer SimulatePrincipalPolicy: everything is allowed but one action."""

    def answer(params: dict[str, Any]) -> Any:
        return evaluated("implicitDeny" if action in params.values() else "allowed")(params)

    return answer


class Places:
    """The healthy environment with healthy resources, and the ways to break them."""

    def __init__(self, broken: Broken) -> None:
        self.broken, self.aws = broken, broken.aws
        self.settings: dict[str, Any] = {"role_arn": BATCH, "output_s3_uri": OUTPUT}
        with self.client("s3") as s3:
            s3.create_bucket(Bucket="nightly-answers")

    def client(self, service: str) -> Any:
        make: Any = boto3.client  # boto3's types know each service by its name alone
        return closing(make(service))

    def diagnose(self, error: str | None = None, **settings: Any) -> Report:
        return self.broken.diagnose(error, **{**self.settings, **settings})

    def key(self, **options: Any) -> str:
        """Create a key that encrypts the bucket."""
        with self.client("kms") as kms, self.client("s3") as s3:
            arn: str = kms.create_key(**options)["KeyMetadata"]["Arn"]
            default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": arn}
            rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": default}]}
            s3.put_bucket_encryption(Bucket="nightly-answers", ServerSideEncryptionConfiguration=rules)
        return arn


@pytest.fixture
def places(broken: Broken, moto_url: str, monkeypatch: pytest.MonkeyPatch) -> Places:
    for service in ("S3", "DYNAMODB", "KMS"):
        monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", moto_url)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    broken.aws.answers["GetRole"] = roles()
    return Places(broken)


def blamed(report: Report) -> dict[str, str]:
    return {check.probe: check.finding.cause for check in report.checks if check.status.value == "failed"}


def check(report: Report, probe: str) -> Check:
    return next(each for each in report.checks if each.probe == probe)


def test_healthy_resources_are_reported_as_healthy(places: Places) -> None:
    letters = DynamoLetters("letters")
    letters.create()
    letters.close()
    report = places.diagnose(table="letters")
    assert blamed(report) == {}
    tried = ("batch-role", "batch-bucket", "batch-bucket-policy", "batch-access", "batch-key", "dead-letters", "health")
    assert {name: check(report, name).status.value for name in tried} == dict.fromkeys(tried, "ok")


def test_resources_that_were_not_named_are_skipped(broken: Broken) -> None:
    report = broken.diagnose()
    for name in ("batch-role", "batch-bucket", "batch-access", "batch-key", "dead-letters", "store"):
        assert check(report, name).status.value == "skipped"


def no_trust(places: Places) -> None:
    lambdas = TRUST | {"Principal": {"Service": "lambda.amazonaws.com"}}
    places.aws.answers["GetRole"] = roles(lambdas)


def trust_of_another_account(places: Places) -> None:
    places.aws.answers["GetRole"] = roles(
        TRUST | {"Condition": {"StringEquals": {"aws:SourceAccount": "999999999999"}}}
    )


def no_role(places: Places) -> None:
    made = roles()
    missing = (404, "NoSuchEntity", "The role with name nightly cannot be found.")
    places.aws.answers["GetRole"] = lambda params: missing if params["RoleName"] == "nightly" else made(params)


def role_of_another_account(places: Places) -> None:
    places.settings["role_arn"] = "arn:aws:iam::999999999999:role/nightly"


def no_arn(places: Places) -> None:
    places.settings["role_arn"] = "nightly"


def bucket_elsewhere(places: Places) -> None:
    with places.client("s3") as s3:
        s3.create_bucket(Bucket="far-answers", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    places.settings["output_s3_uri"] = "s3://far-answers/out/"


def no_bucket(places: Places) -> None:
    places.settings["output_s3_uri"] = "s3://lost-answers/out/"


def no_output_url(places: Places) -> None:
    places.settings["output_s3_uri"] = "nightly-answers/out"


def role_may_not_write(places: Places) -> None:
    places.aws.answers["SimulatePrincipalPolicy"] = refusing("s3:PutObject")


def bucket_denies_it(places: Places) -> None:
    bucket = "arn:aws:s3:::nightly-answers/*"
    denying = {"Effect": "Deny", "Principal": "*", "Action": "s3:Put*", "Resource": bucket}
    with places.client("s3") as s3:
        s3.put_bucket_policy(Bucket="nightly-answers", Policy=policy(denying))


def key_disabled(places: Places) -> None:
    with places.client("kms") as kms:
        kms.disable_key(KeyId=places.key().rpartition("/")[2])


def key_gone(places: Places) -> None:
    arn = places.key()
    with places.client("s3") as s3:
        default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": arn[:-4] + "0000"}
        rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": default}]}
        s3.put_bucket_encryption(Bucket="nightly-answers", ServerSideEncryptionConfiguration=rules)


def key_of_somebody_else(places: Places) -> None:
    other = {"AWS": "arn:aws:iam::123456789012:role/other"}
    places.key(Policy=policy({"Effect": "Allow", "Principal": other, "Action": "kms:*", "Resource": "*"}))


def key_not_allowed_by_iam(places: Places) -> None:
    places.key()
    places.aws.answers["SimulatePrincipalPolicy"] = refusing("kms:GenerateDataKey")


def no_table(places: Places) -> None:
    places.settings["table"] = "lost-letters"


def table_of_others(places: Places) -> None:
    with places.client("dynamodb") as dynamodb:
        dynamodb.create_table(
            TableName="orders",
            KeySchema=[{"AttributeName": "order", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "order", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    places.settings["table"] = "orders"


@pytest.mark.parametrize(
    ("damage", "probe", "cause"),
    [
        (no_trust, "batch-role", "assume-role-trust"),
        (trust_of_another_account, "batch-role", "assume-role-trust"),
        (no_role, "batch-role", "iam-entity-missing"),
        (role_of_another_account, "batch-role", "iam-passrole-denied"),
        (no_arn, "batch-role", "iam-entity-missing"),
        (bucket_elsewhere, "batch-bucket", "s3-wrong-region-redirect"),
        (no_bucket, "batch-bucket", "s3-bucket-missing"),
        (no_output_url, "batch-bucket", "s3-bucket-missing"),
        (role_may_not_write, "batch-access", "batch-role-s3-denied"),
        (bucket_denies_it, "batch-bucket-policy", "batch-role-s3-denied"),
        (key_disabled, "batch-key", "kms-denied"),
        (key_gone, "batch-key", "kms-denied"),
        (key_of_somebody_else, "batch-key", "kms-denied"),
        (key_not_allowed_by_iam, "batch-key", "kms-denied"),
        (no_table, "dead-letters", "dynamodb-table-missing"),
        (table_of_others, "dead-letters", "dynamodb-key-schema-mismatch"),
    ],
)
def test_only_the_broken_resource_is_named(places: Places, damage: Any, probe: str, cause: str) -> None:
    damage(places)
    report = places.diagnose()
    assert blamed(report) == {probe: cause}
    assert (report.cause, report.proved) == (cause, True)
    shown = json.dumps(report.to_json())
    assert "123456789012" not in shown
    assert "999999999999" not in shown


@pytest.mark.parametrize(
    ("damage", "probe"),
    [
        (no_trust, "batch-role"),
        (bucket_elsewhere, "batch-bucket"),
        (role_may_not_write, "batch-access"),
        (key_disabled, "batch-key"),
    ],
)
def test_an_error_of_a_job_is_proved_by_the_resource_that_it_names(places: Places, damage: Any, probe: str) -> None:
    damage(places)
    places.settings.pop("role_arn")
    report = places.diagnose(FAILED_JOB)
    assert (report.cause, report.proved) == ("batch-role-s3-denied", True)
    assert list(blamed(report)) == [probe]
    assert {each.area for each in report.checks} <= {"environment", "identity", "places"}


def test_a_missing_permission_is_a_warning_that_names_it(places: Places) -> None:
    del places.aws.answers["GetRole"]
    del places.aws.answers["SimulatePrincipalPolicy"]
    places.key()
    report = places.diagnose()
    assert blamed(report) == {}
    for probe, permission in (
        ("batch-role", "iam:GetRole"),
        ("batch-access", "iam:SimulatePrincipalPolicy"),
        ("batch-key", "iam:SimulatePrincipalPolicy"),
    ):
        assert check(report, probe).status.value == "warning"
        assert f"lacks {permission}" in check(report, probe).finding.message


def test_a_table_without_the_index_is_a_warning(places: Places) -> None:
    with places.client("dynamodb") as dynamodb:
        dynamodb.create_table(
            TableName="BedrockFailedRequests",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    found = check(places.diagnose(table="dynamodb://BedrockFailedRequests?region=us-east-1"), "dead-letters")
    assert found.status.value == "warning"
    assert "by-state" in found.finding.message


DENY_PLAIN = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"}


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        (DENY_PLAIN, Says.DENIED),
        (DENY_PLAIN | {"Principal": {"AWS": [BATCH]}, "Action": ["s3:getobject", "S3:putobject"]}, Says.DENIED),
        (DENY_PLAIN | {"Principal": {"AWS": ARN}}, Says.SILENT),
        (DENY_PLAIN | {"Action": "s3:Delete*"}, Says.SILENT),
        (DENY_PLAIN | {"Resource": "arn:aws:s3:::nightly-answers/other/*"}, Says.SILENT),
        (DENY_PLAIN | {"Condition": {"Bool": {"aws:SecureTransport": "false"}}}, Says.SILENT),
        (DENY_PLAIN | {"Condition": {"StringNotEquals": {"aws:SourceVpce": "vpce-1"}}}, Says.UNKNOWN),
        ({"Effect": "Deny", "NotPrincipal": {"AWS": BATCH}, "Action": "*", "Resource": "*"}, Says.UNKNOWN),
        ({"Effect": "Deny", "Principal": "*", "NotAction": "s3:GetObject", "Resource": "*"}, Says.DENIED),
        (DENY_PLAIN | {"Effect": "Allow"}, Says.SILENT),
    ],
)
def test_a_denial_by_a_bucket_policy_is_named(statement: dict[str, Any], says: Says) -> None:
    place = "arn:aws:s3:::nightly-answers/out/x"
    assert bucket_denies({"Statement": statement}, BATCH, "s3:PutObject", place) is says


ROOT = {"AWS": "arn:aws:iam::123456789012:root"}


@pytest.mark.parametrize(
    ("statements", "says"),
    [
        ([{"Effect": "Allow", "Principal": ROOT, "Action": "kms:*", "Resource": "*"}], Says.LEFT_TO_IAM),
        ([{"Effect": "Allow", "Principal": {"AWS": BATCH}, "Action": ["kms:Decrypt", "kms:Generate*"]}], Says.ALLOWED),
        ([{"Effect": "Allow", "Principal": {"AWS": BATCH}, "Action": "kms:Decrypt"}], Says.SILENT),
        ([{"Effect": "Allow", "Principal": {"AWS": ARN}, "Action": "kms:*"}], Says.SILENT),
        (
            [
                {"Effect": "Allow", "Principal": ROOT, "Action": "kms:*"},
                {"Effect": "Deny", "Principal": {"AWS": BATCH}, "Action": "kms:Decrypt"},
            ],
            Says.DENIED,
        ),
        (
            [
                {
                    "Effect": "Allow",
                    "Principal": "*",
                    "Action": "kms:*",
                    "Condition": {"StringEquals": {"kms:ViaService": "s3"}},
                }
            ],
            Says.UNKNOWN,
        ),
        ([], Says.SILENT),
    ],
)
def test_a_denial_by_a_key_policy_is_named(statements: list[dict[str, Any]], says: Says) -> None:
    assert key_policy({"Statement": statements}, BATCH, ("kms:GenerateDataKey", "kms:Decrypt")) is says


def test_health_without_a_support_plan_is_skipped(broken: Broken) -> None:
    broken.aws.answers["DescribeEvents"] = (400, "SubscriptionRequiredException", "no plan")
    found = check(broken.diagnose(), "health")
    assert found.status.value == "skipped"
    assert "Business" in found.finding.message


def issue(service: str) -> dict[str, Any]:
    code = f"AWS_{service}_OPERATIONAL_ISSUE"
    return {
        "events": [{"service": service, "eventTypeCode": code, "eventTypeCategory": "issue", "region": "us-east-1"}]
    }


def test_an_open_health_event_explains_an_error_of_its_service(broken: Broken) -> None:
    text = (
        "An error occurred (InternalServerException) when calling the Converse operation: The system encountered an "
        "unexpected error during processing. Try your request again."
    )
    broken.aws.answers["DescribeEvents"] = issue("EC2")
    assert not broken.diagnose(text).proved
    broken.aws.answers["DescribeEvents"] = issue("BEDROCK")
    report = broken.diagnose(text)
    assert blamed(report) == {"health": "internal-server-error"}
    assert check(broken.diagnose(), "health").status.value == "warning"


def test_an_unreachable_redis_is_named(broken: Broken, private_server: Server) -> None:
    report = broken.diagnose(store=private_server.url)
    assert check(report, "store").status.value == "ok"
    private_server.kill()
    try:
        report = broken.diagnose(store=private_server.url)
    finally:
        private_server.start()
    assert blamed(report) == {"store": "shared-store-unusable"}
    assert report.cause == "shared-store-unusable"
    text = check(report, "store").finding.message
    assert "Check that the server runs there" in text
    assert broken.diagnose(text, store=private_server.url).candidates[0].verdict.value == "excluded"


def test_a_redis_replica_is_named(broken: Broken, private_server: Server) -> None:
    import redis  # noqa: PLC0415 - of this test alone

    client: Any = redis.Redis.from_url(private_server.url)
    client.execute_command("REPLICAOF", "127.0.0.1", "1")
    client.close()
    report = broken.diagnose(store=private_server.url)
    assert blamed(report) == {"store": "shared-store-unusable"}
    assert "replica" in check(report, "store").finding.message


def test_a_store_is_only_read(broken: Broken, tmp_path: Path, private_server: Server) -> None:
    import redis  # noqa: PLC0415 - of this test alone

    path = tmp_path / "shares.db"
    made = SqliteStore(path)
    made.look().run()
    made.close()
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir() if each.is_file()}
    report = broken.diagnose(store=f"sqlite://{path}")
    assert check(report, "store").status.value == "ok"
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir() if each.is_file()} == before
    assert check(broken.diagnose(store=f"sqlite://{tmp_path}/new.db"), "store").status.value == "ok"
    assert not (tmp_path / "new.db").exists()
    broken.diagnose(store=private_server.url)
    client = redis.Redis.from_url(private_server.url)
    assert client.dbsize() == 0
    client.close()


def other_program(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE songs (name TEXT)")
    database.close()


def too_new(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute("PRAGMA application_id = 1650750065")
    database.execute("PRAGMA user_version = 99")
    database.close()


def no_database(path: Path) -> None:
    path.write_text("not a database, whatever its name says" * 40)


@pytest.mark.parametrize(
    ("made", "said"),
    [(other_program, "another program"), (too_new, "newer version"), (no_database, "damaged")],
)
def test_a_file_that_is_not_a_store_is_named(broken: Broken, tmp_path: Path, made: Any, said: str) -> None:
    made(tmp_path / "shares.db")
    report = broken.diagnose(store=f"sqlite://{tmp_path}/shares.db")
    assert blamed(report) == {"store": "shared-store-unusable"}
    assert said in check(report, "store").finding.message


@pytest.mark.parametrize("url", ["sqlite:///no/such/directory/shares.db", "memcached://cache", "sqlite://"])
def test_an_invalid_store_url_is_named(broken: Broken, url: str) -> None:
    assert blamed(broken.diagnose(store=url)) == {"store": "shared-store-unusable"}
