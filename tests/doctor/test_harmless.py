"""Every probe only reads, declares the permission that it needs, and reveals no secret."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.client
import pytest

from aws_bedrock_inference.doctor.bundle import write_bundle
from aws_bedrock_inference.doctor.probes import PROBES

if TYPE_CHECKING:
    from doctor.conftest import Broken

# What only reads, by the first word of its name; IAM simulates policies, and EventBridge tests a pattern.
_READS = re.compile(r"(?:Get|List|Describe|Head|Simulate|Test|Lookup)[A-Z]\w+")
# The one call that costs something, which runs only where somebody asks for it.
_COSTS = "bedrock:InvokeModel"
# IAM's names of permissions that are not those of the operation: https://docs.aws.amazon.com/service-authorization/
_PERMISSIONS = {"s3:HeadBucket": "s3:ListBucket", "s3:HeadObject": "s3:GetObject"}
_IAM = {"monitoring": "cloudwatch", "cloudwatch": "cloudwatch", "service-quotas": "servicequotas"}

PAGE = Path(__file__).parents[2] / "docs" / "doctor.md"


@pytest.mark.parametrize("name", PROBES)
def test_each_permission_is_read_only(name: str) -> None:
    for call in PROBES[name].calls:
        assert _READS.fullmatch(call.partition(":")[2]) or (call == _COSTS and PROBES[name].asked), call


def test_a_diagnosis_makes_only_the_calls_that_its_probes_declare(
    broken: Broken, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: set[str] = set()
    original = botocore.client.BaseClient._make_api_call  # type: ignore[attr-defined]

    def noted(client: Any, operation: str, params: Any) -> Any:
        service = client.meta.service_model.service_name
        called = f"{_IAM.get(service, service)}:{operation}"
        made.add(_PERMISSIONS.get(called, called))
        return original(client, operation, params)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", noted)
    broken.diagnose()
    said = {call for each in PROBES.values() for call in each.calls}
    made.discard("bedrock-runtime:Converse")  # prepared to find the endpoint, and never sent
    assert made
    assert made <= said


def test_the_documentation_page_has_a_policy_with_each_permission() -> None:
    policies = re.findall(r"```json\n(\{.*?\n\})\n```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (policy,) = [json.loads(text) for text in policies if '"Statement"' in text]
    allowed = {action for statement in policy["Statement"] for action in statement["Action"]}
    assert allowed == {call for each in PROBES.values() for call in each.calls if call != _COSTS}


SECRETS = ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "AKIAIOSFODNN7EXAMPLE", "hunter2-of-the-proxy", "123456789012")


def test_no_secret_is_in_a_report_or_a_bundle(broken: Broken, tmp_path: Path) -> None:
    broken.environ.setenv("AWS_ACCESS_KEY_ID", SECRETS[1])
    broken.environ.setenv("AWS_SECRET_ACCESS_KEY", SECRETS[0])
    broken.environ.setenv("HTTPS_PROXY", f"http://user:{SECRETS[2]}@127.0.0.1:9")
    broken.environ.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "https://bedrock-runtime.us-east-1.amazonaws.com")
    report = broken.diagnose(f"AccessDenied for {SECRETS[1]} with {SECRETS[0]}: User: arn:aws:iam::{SECRETS[3]}:user/a")
    write_bundle(tmp_path / "bundle.json", report)
    written = (tmp_path / "bundle.json").read_text(encoding="utf-8")
    assert (tmp_path / "bundle.json").stat().st_mode & 0o777 == 0o600
    for secret in SECRETS:
        assert secret not in json.dumps(report.to_json())
        assert secret not in written
