"""A healthy environment for the doctor, until a test breaks a part of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore import loaders
from support.fake_aws import FakeAws
from support.service_quotas import ServiceQuotas

from aws_bedrock_inference.doctor import diagnose
from aws_bedrock_inference.testing import simulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aws_bedrock_inference.doctor import Report
    from aws_bedrock_inference.testing import Simulator

_LOADER = loaders.create_loader()

MODEL = "us.amazon.nova-lite-v1:0"

ARN = "arn:aws:sts::123456789012:assumed-role/app/session"
CALLER = f"<Arn>{ARN}</Arn><UserId>AROA:session</UserId><Account>123456789012</Account>"
ROLE = (
    "<Role><Path>/team/</Path><RoleName>app</RoleName><RoleId>AROA</RoleId>"
    "<Arn>arn:aws:iam::123456789012:role/team/app</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate></Role>"
)


def evaluated(decision: str = "allowed", more: str = "") -> Callable[[dict[str, Any]], str]:
    """Return an answer of SimulatePrincipalPolicy with this decision for each requested action and resource."""

    def answer(params: dict[str, Any]) -> str:
        actions = [value for name, value in params.items() if name.startswith("ActionNames.member.")]
        resources = [value for name, value in params.items() if name.startswith("ResourceArns.member.")]
        members = "".join(
            f"<member><EvalActionName>{action}</EvalActionName><EvalResourceName>{resource}</EvalResourceName>"
            f"<EvalDecision>{decision}</EvalDecision>{more}</member>"
            for action in actions
            for resource in resources
        )
        return f"<EvaluationResults>{members}</EvaluationResults>"

    return answer


class Broken:
    """The world: `aws` is STS, IAM and others, `sim` Bedrock, `quotas` Service Quotas; CloudWatch is moto's.

    Its limits are far above what the probes take: what an answer says counts, not when it comes.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, sim: Any, aws: FakeAws, quotas: ServiceQuotas) -> None:
        self.environ, self.sim, self.aws, self.quotas = monkeypatch, sim, aws, quotas

    def diagnose(self, error: Any = None, **settings: Any) -> Report:
        """Return the report of the doctor in this environment."""
        given: dict[str, Any] = {"model_id": MODEL, "limit": 30.0, "wait": 15.0, "timeout": 90.0} | settings
        return diagnose(error, **given)


@pytest.fixture
def models_read_once(alone: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all botocore sessions share their loaded service models, which take longer to load than most probes run."""
    monkeypatch.setattr(loaders, "create_loader", lambda *_: _LOADER)


@pytest.fixture(scope="session")
def one_simulator() -> Iterator[Simulator]:
    """The simulator of all these environments, shared because its start takes half a second; tests use `broken`."""
    with simulator() as sim:
        yield sim


@pytest.fixture
def broken(
    models_read_once: None,
    one_simulator: Simulator,
    moto_url: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
) -> Iterator[Broken]:
    """A world that is healthy, until a test breaks a part of it."""
    sim = one_simulator
    sim.scenario()
    quotas = ServiceQuotas()
    with FakeAws(
        GetCallerIdentity=CALLER,
        GetRole=ROLE,
        SimulatePrincipalPolicy=evaluated(),
        DescribeEvents={"events": []},
    ) as aws:
        for name, value in {
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": sim.url,
            "AWS_ENDPOINT_URL_BEDROCK": sim.url,
            "AWS_ENDPOINT_URL_SERVICE_QUOTAS": quotas.url,
            "AWS_ENDPOINT_URL_CLOUDWATCH": moto_url,
            "XDG_CACHE_HOME": str(tmp_path),
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
        yield Broken(monkeypatch, sim, aws, quotas)
    quotas.close()
