"""Broken environments: the true cause is named first, and no healthy part is blamed."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from doctor.conftest import evaluated

if TYPE_CHECKING:
    from doctor.conftest import Broken

    from aws_bedrock_inference.doctor import Report


def blamed(report: Report) -> dict[str, str]:
    """Return the cause of each check that failed, by probe."""
    return {check.probe: check.finding.cause for check in report.checks if check.status.value == "failed"}


def test_a_healthy_environment_is_reported_as_healthy(broken: Broken) -> None:
    report = broken.diagnose()
    assert blamed(report) == {}
    assert report.cause == ""
    assert {check.probe for check in report.checks if check.status.value == "warning"} == {"endpoint"}


def no_region(broken: Broken) -> None:
    broken.environ.delenv("AWS_DEFAULT_REGION")


def region_of_other_sdks(broken: Broken) -> None:
    broken.environ.delenv("AWS_DEFAULT_REGION")
    broken.environ.setenv("AWS_REGION", "eu-west-1")


def no_credentials(broken: Broken) -> None:
    broken.environ.delenv("AWS_ACCESS_KEY_ID")


def wrong_key(broken: Broken) -> None:
    broken.aws.answers["GetCallerIdentity"] = (403, "InvalidClientTokenId", "The security token is invalid.")


def expired(broken: Broken) -> None:
    broken.aws.answers["GetCallerIdentity"] = (403, "ExpiredToken", "The security token in the request is expired")


def refused_port(broken: Broken) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    broken.environ.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", f"http://127.0.0.1:{port}")


def no_such_name(broken: Broken) -> None:
    broken.environ.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "https://bedrock-runtime.us-east-1.invalid")


def other_service(broken: Broken) -> None:
    broken.environ.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "https://bedrock.us-east-1.amazonaws.com")


def missing_action(broken: Broken) -> None:
    broken.aws.answers["SimulatePrincipalPolicy"] = evaluated("implicitDeny")


def explicit_deny(broken: Broken) -> None:
    broken.aws.answers["SimulatePrincipalPolicy"] = evaluated("explicitDeny")


def organization(broken: Broken) -> None:
    detail, said = "OrganizationsDecisionDetail", "<AllowedByOrganizations>false</AllowedByOrganizations>"
    broken.aws.answers["SimulatePrincipalPolicy"] = evaluated("implicitDeny", f"<{detail}>{said}</{detail}>")


def zero_quota(broken: Broken) -> None:
    for quota in broken.quotas.applied:
        if "Nova Lite" in quota["QuotaName"]:
            quota["Value"] = 0


@pytest.mark.parametrize(
    ("damage", "probe", "cause"),
    [
        (no_region, "region", "region-missing"),
        (region_of_other_sdks, "region", "region-missing"),
        (no_credentials, "credentials", "credentials-missing"),
        (wrong_key, "identity", "invalid-access-key"),
        (expired, "identity", "credentials-expired"),
        (refused_port, "connection", "connection-refused-or-reset"),
        (no_such_name, "name", "endpoint-unreachable-dns"),
        (other_service, "endpoint", "endpoint-url-wrong"),
        (missing_action, "permissions", "iam-denied-identity-policy"),
        (explicit_deny, "permissions", "iam-denied-explicit-deny"),
        (organization, "permissions", "iam-denied-scp"),
        (zero_quota, "quotas", "throttled-tokens-per-minute"),
    ],
)
def test_the_true_cause_is_named_and_no_healthy_part_is_blamed(
    broken: Broken, damage: Any, probe: str, cause: str
) -> None:
    damage(broken)
    boto3.DEFAULT_SESSION = None
    report = broken.diagnose()
    assert blamed(report) == {probe: cause}
    assert (report.cause, report.proved) == (cause, True)


def test_a_wrong_clock_is_named(broken: Broken) -> None:
    from aws_bedrock_inference.clock import wall  # noqa: PLC0415 - the real one, of which a test makes a wrong one

    report = broken.diagnose(wall=lambda: wall() - 600)
    assert blamed(report) == {"certificate-and-clock": "clock-skew"}
    (check,) = [check for check in report.checks if check.probe == "certificate-and-clock"]
    assert re.search(r"(599|600|601) s behind", check.finding.message)


def test_a_misspelt_model_id_is_named(broken: Broken) -> None:
    report = broken.diagnose(model_id="us.amazon.nova-light-v1:0")
    assert blamed(report) == {"model": "invalid-model-identifier"}
    assert "The most similar id is us.amazon.nova-lite-v1:0" in report.first.finding.message  # type: ignore[union-attr]


def test_an_endpoint_that_imitates_sts_is_a_warning_and_breaks_no_probe(broken: Broken) -> None:
    broken.environ.setenv("AWS_ENDPOINT_URL_STS", broken.sim.url)
    report = broken.diagnose()
    assert blamed(report) == {}
    (check,) = [check for check in report.checks if check.probe == "identity"]
    assert check.status.value == "warning"
    assert not [each for each in report.checks if "stopped with an unexpected error" in each.finding.message]
