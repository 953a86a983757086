"""Every error that the models of AWS name has facts, a decision and its reason."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.resources import files
from typing import Any

import botocore
import pytest

from aws_bedrock_inference.fault import Decision
from aws_bedrock_inference.knowledge import modelled as module
from aws_bedrock_inference.knowledge.build import FOREIGN, OPERATIONS, operations
from aws_bedrock_inference.knowledge.build import written as in_json
from aws_bedrock_inference.knowledge.catalogue import catalogue
from aws_bedrock_inference.knowledge.modelled import build, codes, modelled, service_names, written

SHIPPED = json.loads(files("aws_bedrock_inference.knowledge").joinpath("modelled.json").read_text(encoding="utf-8"))


def test_the_index_contains_every_modelled_error_of_one_botocore() -> None:
    assert SHIPPED["botocore"].count(".") == 2
    assert len(SHIPPED["services"]) > 400
    assert len(codes()) > 2_600


def test_the_operations_are_those_of_the_same_botocore() -> None:
    here, foreign = operations(catalogue().services)
    if SHIPPED["botocore"] == botocore.__version__:
        assert OPERATIONS.read_text(encoding="utf-8") == in_json(here), "run `make index`"
        assert FOREIGN.read_text(encoding="utf-8") == in_json({name: ops for name, ops in foreign.items() if ops})


def test_every_code_of_the_installed_models_is_known_and_the_index_of_the_same_botocore_is_exact() -> None:
    installed = build()
    assert [code for code in installed["codes"] if not modelled(code)] == []
    assert SHIPPED["botocore"] != installed["botocore"] or written(SHIPPED) == written(installed)


@pytest.mark.parametrize(
    ("service", "code", "decision"),
    [
        ("dynamodb", "ExportNotFoundException", Decision.FAIL),
        ("dynamodb", "ProvisionedThroughputExceededException", Decision.RETRY),
        ("dynamodb", "TransactionInProgressException", Decision.RETRY),
        ("lambda", "TooManyRequestsException", Decision.RETRY),
        ("lambda", "ResourceConflictException", Decision.RETRY_LIMITED),
        ("bedrock-runtime", "ModelNotReadyException", Decision.RETRY),
        ("bedrock-runtime", "ServiceQuotaExceededException", Decision.FAIL),
        ("bedrock-runtime", "ModelErrorException", Decision.RETRY_LIMITED),
        ("bedrock-runtime", "InternalServerException", Decision.RETRY),
        ("route53", "PriorRequestNotComplete", Decision.RETRY),
        ("cloudfront", "DistributionAlreadyExists", Decision.FAIL),
        ("ecr", "RepositoryAlreadyExistsException", Decision.FAIL),
        ("iam", "LimitExceeded", Decision.FAIL),
        ("iam", "LimitExceededException", Decision.RETRY_LIMITED),
        ("elasticache", "CacheClusterNotFound", Decision.FAIL),
        ("kinesis", "ProvisionedThroughputExceededException", Decision.RETRY),
        ("kms", "KMSInternalException", Decision.RETRY),
        ("ssm", "InternalServerError", Decision.RETRY),
        ("lambda", "AccessDeniedException", None),
    ],
)
def test_the_decision_follows_from_trait_status_and_name(service: str, code: str, decision: Decision | None) -> None:
    assert [facts.verdict.decision for facts in modelled(code, service)] == ([decision] if decision else [])


def test_no_code_is_without_a_reason_and_a_remedy() -> None:
    verdicts = [facts.verdict for code in codes() for facts in modelled(code)]
    assert all(verdict.reason and verdict.remedy for verdict in verdicts)
    assert all((verdict.wait is None) == (verdict.decision is Decision.FAIL) for verdict in verdicts)


def test_a_code_of_many_services_has_facts_for_each() -> None:
    found = modelled("ConflictException")
    assert len(found) > 100
    assert len({facts.service for facts in found}) == len(found)


@pytest.mark.parametrize(
    ("called", "name"),
    [("EventBridge", "events"), ("cloudwatch-logs", "logs"), ("Amazon DynamoDB", "dynamodb"), ("sfn", "stepfunctions")],
)
def test_a_service_is_found_by_every_name_that_aws_uses(called: str, name: str) -> None:
    assert service_names(called) == {name}


def test_an_exception_is_found_by_its_name_in_boto3_and_by_its_code_on_the_wire() -> None:
    for code in ("CacheClusterNotFoundFault", "CacheClusterNotFound"):
        assert [facts.service for facts in modelled(code)] == ["elasticache"]


def test_the_description_is_read_from_the_installed_model() -> None:
    (facts,) = modelled("ExportNotFoundException", "dynamodb")
    assert "export" in facts.description.lower()
    assert "<" not in facts.description


def test_an_error_missing_in_the_index_is_read_from_the_installed_botocore(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking: dict[str, Any] = {**SHIPPED, "botocore": "1.0.0", "codes": {}}
    monkeypatch.setattr(module, "_shipped", lambda: lacking)
    assert [facts.service for facts in modelled("ExportNotFoundException")] == ["dynamodb"]
    assert modelled("NoSuchErrorAnywhere") == []


def test_looking_up_a_code_reads_no_model() -> None:
    script = (
        "import gzip\n"
        "def refused(*_): raise SystemExit('a model was read')\n"
        "gzip.decompress = refused\n"
        "from aws_bedrock_inference.knowledge.modelled import modelled\n"
        "import sys\n"
        "assert modelled('ExportNotFoundException')[0].verdict.decision.value == 'FAIL'\n"
        "assert not {'boto3', 'botocore.session', 'jmespath', 'aiohttp'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
