"""Problems of a job are reported before the job is created; unknown facts do not prevent it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from support.doubles import session
from support.job_service import Raw

from aws_bedrock_inference.jobs.checks import JobChecks, too_few
from aws_bedrock_inference.jobs.model_checks import body_problem, model_problem
from aws_bedrock_inference.jobs.trust import distrust
from aws_bedrock_inference.s3 import S3Location

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCOUNT = "123456789012"  # moto's own
ROLE = f"arn:aws:iam::{ACCOUNT}:role/service-role/batch"
MODEL = "amazon.nova-lite-v1:0"
OUTPUT = S3Location("answers", "out/")
JOBS = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:model-invocation-job/*"


def policy(**changes: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": {"Service": "bedrock.amazonaws.com"}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement | changes]}


class Account:
    """An account of moto's with a role and a bucket, whose calls can be refused."""

    def __init__(self, url: str) -> None:
        self.session = session()
        self.url = url
        self.refused: set[str] = set()
        self.asked: list[str] = []

    def client(self, service: str) -> Any:
        return self.session.client(service, endpoint_url=self.url)

    def role(self, trust: dict[str, Any]) -> None:
        with_role = self.client("iam")
        with_role.create_role(RoleName="batch", Path="/service-role/", AssumeRolePolicyDocument=json.dumps(trust))
        with_role.close()

    def bucket(self, name: str, region: str = "us-east-1") -> None:
        s3 = self.session.client("s3", endpoint_url=self.url, region_name=region)
        where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=name, **where)
        s3.close()


@pytest.fixture
def account(moto_url: str, alone: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    made = Account(moto_url)
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_url)
    events = made.session._session.get_component("event_emitter")

    def before(model: Any, **_: Any) -> Any:
        made.asked.append(model.name)
        if model.name in made.refused:
            error = {"Code": "AccessDenied", "Message": f"User is not authorized to perform: {model.name}"}
            return type("Http", (), {"status_code": 403, "headers": {}})(), {"Error": error, "ResponseMetadata": {}}
        return None

    events.register("before-call", before)
    made.role(policy())
    made.bucket(OUTPUT.bucket)
    yield made
    events.unregister("before-call", before)


def checked(account: Account, **changes: Any) -> str:
    """Return the reported problem."""
    given = {"role_arn": ROLE, "model_id": MODEL, "output": OUTPUT, **changes}
    try:
        JobChecks(account.session, "us-east-1").check(**given)
    except ValueError as error:
        return str(error)
    return ""


def test_a_valid_job_has_no_problem_and_the_check_leaves_nothing_in_s3(account: Account) -> None:
    assert checked(account) == ""
    s3 = account.client("s3")
    assert "Contents" not in s3.list_objects_v2(Bucket=OUTPUT.bucket)
    assert not s3.list_multipart_uploads(Bucket=OUTPUT.bucket).get("Uploads")
    s3.close()


@pytest.mark.parametrize(
    "role", ["batch", "arn:aws:iam::12:role/x", "arn:aws:sts::123456789012:assumed-role/x/y", "", None, 7]
)
def test_a_role_that_is_not_an_arn_is_reported(account: Account, role: Any) -> None:
    said = checked(account, role_arn=role)
    assert said.endswith("pass the ARN of a role that Bedrock can assume, arn:aws:iam::123456789012:role/NAME")
    assert "GetRole" not in account.asked[1:]


def test_a_role_of_another_account_is_reported(account: Account) -> None:
    said = checked(account, role_arn="arn:aws:iam::999988887777:role/batch")
    assert said.startswith(
        "arn:aws:iam::999988887777:role/batch is a role of account 999988887777, but the credentials"
    )
    assert said.endswith(f"Use a role of {ACCOUNT}, or credentials of 999988887777")


def test_a_missing_role_is_reported(account: Account) -> None:
    said = checked(account, role_arn=f"arn:aws:iam::{ACCOUNT}:role/none")
    assert said.startswith(f"the role arn:aws:iam::{ACCOUNT}:role/none does not exist. Create it, or pass another role")


def test_a_role_that_bedrock_may_not_assume_is_reported(account: Account) -> None:
    iam = account.client("iam")
    other = policy(Principal={"Service": "lambda.amazonaws.com"})
    iam.update_assume_role_policy(RoleName="batch", PolicyDocument=json.dumps(other))
    iam.close()
    said = checked(account)
    assert said.startswith(f"{ROLE} cannot be used: its trust policy does not allow the service bedrock")
    assert "batch-iam-sr.html" in said


@pytest.mark.parametrize(
    "trust",
    [
        policy(),
        policy(Principal="*"),
        policy(Principal={"Service": ["lambda.amazonaws.com", "bedrock.amazonaws.com"]}),
        policy(Action=["sts:TagSession", "sts:assumerole"]),
        {"Statement": policy()["Statement"][0]},
        policy(Principal={"AWS": "*"}),
        policy(Action="sts:Assume*"),
        {"Statement": [{"Effect": "Allow", "NotPrincipal": {"AWS": "x"}, "NotAction": "sts:TagSession"}]},
        policy(Condition={"StringLike": {"aws:SourceAccount": "${aws:PrincipalAccount}"}}),
        policy(Condition={"StringEquals": {"aws:SourceAccount": ACCOUNT}, "ArnEquals": {"aws:SourceArn": JOBS}}),
        policy(Condition={"ArnLike": {"aws:SourceArn": [JOBS.replace("us-east-1", "*")]}}),
        policy(Condition={"ArnLike": {"aws:SourceArn": JOBS.replace("*", "abcdefgh1234")}}),
        policy(Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}}),
        policy(Condition={"NumericLessThan": {"aws:SourceAccount": "1"}}),
        {
            "Statement": [
                policy(Condition={"StringEquals": {"aws:SourceAccount": "1"}})["Statement"][0],
                *policy()["Statement"],
            ]
        },
    ],
)
def test_every_form_of_a_sufficient_trust_policy_is_accepted(trust: dict[str, Any]) -> None:
    assert distrust(trust, ACCOUNT, "us-east-1", "aws") == ""


@pytest.mark.parametrize(
    ("trust", "why"),
    [
        (policy(Effect="Deny"), "does not allow"),
        (policy(Action="sts:TagSession"), "does not allow"),
        (policy(Principal={"AWS": "arn:aws:iam::123456789012:root"}), "does not allow"),
        ({}, "does not allow"),
        (None, "does not allow"),
        (
            policy(Condition={"StringEquals": {"AWS:SourceAccount": "111122223333"}}),
            "is 111122223333, but this job has the value",
        ),
        (
            policy(Condition={"ArnLike": {"aws:SourceArn": JOBS.replace("east", "west")}}),
            f"this job has the value {JOBS}",
        ),
        (
            policy(Condition={"ArnLike": {"aws:SourceArn": JOBS.replace("model-invocation", "evaluation")}}),
            "but this job has the value",
        ),
    ],
)
def test_an_insufficient_trust_policy_is_explained(trust: Any, why: str) -> None:
    assert why in distrust(trust, ACCOUNT, "us-east-1", "aws")


def test_a_bucket_in_another_region_is_reported(account: Account) -> None:
    account.bucket("far", "eu-west-1")
    said = checked(account, output=S3Location("far", "out/"))
    assert said == (
        "s3://far/out/: the bucket for the output is in eu-west-1, but the job is in us-east-1. Both must be in "
        "the same Region. Pass a bucket in us-east-1, or region_name='eu-west-1'"
    )


def test_a_missing_bucket_is_reported(account: Account) -> None:
    said = checked(account, given_input=S3Location("gone", "in.jsonl"))
    assert said == "s3://gone/in.jsonl: the bucket gone for the input does not exist. Create it, or use another"


def test_a_caller_without_write_permission_is_reported(account: Account) -> None:
    account.refused = {"CreateMultipartUpload"}
    said = checked(account)
    assert said.startswith(
        "s3://answers/out/: the caller has no permission to write here (AccessDenied: User is not authorized"
    )
    assert len(said) > 150, "what to do is missing"
    given = S3Location(OUTPUT.bucket, "in.jsonl")
    assert checked(account, given_input=given) == "", "who does not write needs no permission"


def test_all_problems_are_reported_together(account: Account) -> None:
    said = checked(account, role_arn="batch", model_id="moonshotai.kimi-k3-v1:0", output=S3Location("gone", ""))
    assert [line[:20] for line in said.split("\n")] == [
        "role_arn=<str>: pass",
        "moonshotai.kimi-k3-v",
        "s3://gone/: the buck",
    ]


@pytest.mark.parametrize("refused", ["GetCallerIdentity", "GetRole", "HeadBucket", "AbortMultipartUpload"])
def test_a_check_without_permission_reports_no_problem(account: Account, refused: str) -> None:
    account.refused = {refused}
    assert checked(account) == ""
    assert refused in account.asked


def test_an_unexpected_answer_to_a_check_reports_no_problem(account: Account) -> None:
    answer = AWSResponse("http://sts/", 404, HTTPHeaders(), Raw(b'{"message": "no XML"}'))
    events = account.session._session.get_component("event_emitter")  # of a session that tests share

    def other(**_: Any) -> Any:
        return answer

    events.register("before-send.sts", other)
    try:
        JobChecks(account.session, "us-east-1").check(role_arn=ROLE, model_id=MODEL, output=OUTPUT)
    finally:
        events.unregister("before-send.sts", other)


@pytest.mark.parametrize("key", ["with space/", "a+b/", "\u00fc/", "a//b/", "/a/", "a?b/"])
def test_a_location_that_bedrock_refuses_is_reported_before_the_upload(account: Account, key: str) -> None:
    with pytest.raises(ValueError, match=r"Bedrock accepts only letters"):
        JobChecks(account.session, "us-east-1").check(
            role_arn=ROLE, model_id=MODEL, output=S3Location("answers", key), given_input=OUTPUT
        )


def test_a_silent_endpoint_reports_no_problem(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("botocore.httpsession.URLLib3Session.send", _unreachable)
    assert checked(account) == ""


def _unreachable(*_: Any) -> Any:
    raise ConnectionRefusedError


class Listing:
    """A model source that says whether the Region has the requested model."""

    def __init__(self, *, known: bool | None) -> None:
        self.known = known
        self.problems = ("us-east-1 has no model or inference profile amazon.nova-lit-v1:0. The most similar id is x.",)

    def check(self, _: str) -> Any:
        return self


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ("moonshotai.kimi-k3", "does not support batch jobs"),
        ("us.amazon.nova-sonic-v1:0", "is a speech model"),
        (f"arn:aws:bedrock:us-east-1:{ACCOUNT}:provisioned-model/abc", "is provisioned throughput"),
    ],
)
def test_a_model_without_batch_support_is_reported(model: str, why: str) -> None:
    assert model_problem(model).startswith(f"{model} {why}")


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (False, "us-east-1 has no model or inference profile amazon.nova-lit-v1:0. The most similar id is x"),
        (None, ""),
        (True, ""),
    ],
)
def test_a_model_that_is_missing_in_the_region_is_reported(*, known: bool | None, said: str) -> None:
    assert model_problem("amazon.nova-lit-v1:0", Listing(known=known)) == said  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "model", [MODEL, f"us.{MODEL}", "somebody.new-v9:0", f"arn:aws:bedrock:us-east-1:{ACCOUNT}:custom-model/x.y/abc"]
)
def test_an_unknown_model_is_accepted(model: str) -> None:
    assert model_problem(model) == ""


CHAT = {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}
CLAUDE = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 10, "messages": CHAT["messages"]}


@pytest.mark.parametrize(
    ("body", "model", "invocation"),
    [
        (CHAT, MODEL, "Converse"),
        (CHAT, MODEL, "InvokeModel"),
        (CLAUDE, "us.anthropic.claude-sonnet-4-20250514-v1:0", "InvokeModel"),
        ({"prompt": "Human:", "max_tokens_to_sample": 5}, "anthropic.claude-v2:1", "InvokeModel"),
        ({"inputText": "x"}, "amazon.titan-embed-text-v2:0", "InvokeModel"),
        ({"anything": 1}, "somebody.new-v9:0", "InvokeModel"),
    ],
)
def test_possibly_valid_bodies_are_accepted(body: Any, model: str, invocation: str) -> None:
    assert body_problem(body, model, invocation) == ""


@pytest.mark.parametrize(
    ("body", "model", "invocation", "said"),
    [
        (
            CHAT,
            "anthropic.claude-sonnet-4-20250514-v1:0",
            "InvokeModel",
            'anthropic.claude-sonnet-4-20250514-v1:0 does not accept a Converse body: write "anthropic_version"',
        ),
        (
            {"inputText": "x"},
            "amazon.nova-lite-v1:0",
            "InvokeModel",
            'amazon.nova-lite-v1:0 does not accept this body: write "messages"',
        ),
        (CLAUDE, MODEL, "Converse", "the body is not a Converse body"),
        (
            CHAT | {"toolConfig": {"tools": []}},
            MODEL,
            "Converse",
            "toolConfig: a batch job with Converse bodies does not support tools",
        ),
    ],
)
def test_certainly_invalid_bodies_are_reported(body: Any, model: str, invocation: str, said: str) -> None:
    assert body_problem(body, model, invocation).startswith(said)


def test_too_few_records_are_reported() -> None:
    assert too_few(1, 100, MODEL) == (
        "1 record: a batch job of amazon.nova-lite-v1:0 needs at least 100. Add records, or run them on demand with "
        "on_too_few='local'"
    )
