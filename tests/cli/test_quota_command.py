"""`bedrock quota show` and `bedrock quota increase`, as a person uses them."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result
from support.service_quotas import ON_DEMAND, ServiceQuotas, quota

from aws_bedrock_inference.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOVA = "amazon.nova-pro-v1:0"
PROFILE = f"us.{NOVA}"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ServiceQuotas]:
    fake = ServiceQuotas()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("AWS_ENDPOINT_URL_SERVICE_QUOTAS", fake.url)
    yield fake
    fake.close()


def bedrock(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["quota", *arguments])


def test_all_models_are_shown_with_their_limits(service: ServiceQuotas) -> None:
    service.apply("L-C0326783", 3_000_000)
    result = bedrock("show")
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "Amazon Bedrock in us-east-1, read now",
        "All models together: 700,000,000 tokens per day, weighted by price",
        "",
        "model                                             pool        requests per minute  tokens per minute",
        "Amazon Nova Lite                                  geographic                2,000          8,000,000",
        "Amazon Nova Pro                                   on-demand                     -          1,000,000",
        "Amazon Nova Pro                                   geographic                  500          3,000,000  default 2,000,000",  # noqa: E501 - as printed
        "Anthropic Claude Sonnet 4.5 V1                    geographic                    -          5,000,000",
        "Anthropic Claude Sonnet 4.5 V1                    global                        -          5,000,000",
        "Anthropic Claude Sonnet 4.5 V1 1M Context Length  geographic                    -          1,000,000",
    ]


@pytest.mark.parametrize(
    ("model", "pools"),
    [
        (NOVA, ["on-demand", "geographic"]),
        (PROFILE, ["geographic"]),
        (f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/{PROFILE}", ["geographic"]),
    ],
)
def test_a_model_is_shown_in_the_pools_that_its_id_selects(
    service: ServiceQuotas, model: str, pools: list[str]
) -> None:
    shown = json.loads(bedrock("show", model, "--json").output)
    assert [(row["model"], row["pool"]) for row in shown["models"]] == [(NOVA, pool) for pool in pools]


def test_json_has_the_applied_and_default_limits_of_each_model(service: ServiceQuotas) -> None:
    service.apply("L-C0326783", 3_000_000)
    shown = json.loads(bedrock("show", PROFILE, "--json").output)
    assert shown["region"] == "us-east-1"
    assert (shown["stale"], shown["hold"]) == (False, "")
    (row,) = shown["models"]
    assert row["tpm"] == {
        "applied": 3_000_000,
        "default": 2_000_000,
        "code": "L-C0326783",
        "adjustable": True,
        "held": False,
    }
    assert row["rpm"]["code"] == "L-ED46B8C5"


def test_an_unknown_model_is_named_and_the_command_fails(service: ServiceQuotas) -> None:
    result = bedrock("show", PROFILE, "us.meta.llama9-1b-instruct-v1:0")
    assert result.exit_code == 1
    assert "2,000,000" in result.stdout
    assert "Service Quotas lists no quota for us.meta.llama9-1b-instruct-v1:0 in us-east-1" in result.stderr


def test_an_empty_list_of_models_is_reported(service: ServiceQuotas) -> None:
    service.applied = service.defaults = []
    result = bedrock("show")
    assert result.exit_code == 1
    assert "Service Quotas lists no model in us-east-1" in result.stderr


def test_a_quota_on_hold_is_shown_first(service: ServiceQuotas) -> None:
    service.apply("L-C0326783", 0)
    text = bedrock("show").stdout
    assert text.startswith("Set to 0 by AWS: Cross-region model inference tokens per minute for Amazon Nova Pro\n")
    assert "Waiting and retrying never help" in " ".join(text.split())
    assert "0  default 2,000,000\n" in text
    assert "Support case" in json.loads(bedrock("show", "--json").output)["hold"]
    assert "Held" not in bedrock("show", "amazon.nova-lite-v1:0").output


def test_quotas_are_read_once_a_day_and_again_on_request(service: ServiceQuotas) -> None:
    bedrock("show")
    asked = len(service.asked)
    bedrock("show")
    assert len(service.asked) == asked
    bedrock("show", "--refresh")
    assert len(service.asked) == 2 * asked


def test_a_stale_reading_is_shown_with_the_reason(service: ServiceQuotas) -> None:
    bedrock("show")
    service.refusals["ListServiceQuotas"] = ("AccessDeniedException", "not allowed")
    result = bedrock("show", "--refresh")
    assert result.exit_code == 0
    assert "The quotas could not be read again" in result.output
    assert "not allowed" in result.output


def test_a_missing_permission_is_named(service: ServiceQuotas) -> None:
    service.refusals["ListServiceQuotas"] = ("AccessDeniedException", "not allowed")
    result = bedrock("show")
    assert result.exit_code == 3
    assert "servicequotas:ListServiceQuotas" in result.stderr
    assert "Traceback" not in result.output


def test_a_missing_region_is_refused_with_how_to_set_one(
    service: ServiceQuotas, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    result = bedrock("show")
    assert result.exit_code == 3
    assert "--region" in result.stderr
    assert "in eu-west-1" in bedrock("show", "--region", "eu-west-1").output


def test_an_endpoint_can_be_set(service: ServiceQuotas) -> None:
    other = ServiceQuotas()
    bedrock("show", "--endpoint-url", other.url)
    other.close()
    assert other.asked
    assert not service.asked


def test_a_request_is_shown_and_not_filed(service: ServiceQuotas) -> None:
    result = bedrock("increase", PROFILE, "--to", "4000000")
    assert result.exit_code == 0
    assert "Cross-region model inference tokens per minute for Amazon Nova Pro: 2,000,000 to 4,000,000" in result.output
    assert (
        "  $ aws service-quotas request-service-quota-increase --service-code bedrock --quota-code L-C0326783 "
        "--desired-value 4000000 --region us-east-1\n"
    ) in result.output
    assert "Nothing was submitted. Add --yes to submit the request." in result.output
    assert "AWS refuses increases for Legacy models, and prefers accounts that use their current quota" in result.output
    assert (
        f"  $ aws bedrock get-foundation-model --model-identifier {NOVA} --region us-east-1 "
        "--query modelDetails.modelLifecycle.status\n"
        f"  $ bedrock quota show {PROFILE} --usage --region us-east-1\n"
    ) in result.output
    assert "RequestServiceQuotaIncrease" not in service.operations()


@pytest.mark.newer_botocore
def test_the_shown_command_is_accepted_by_the_aws_cli(service: ServiceQuotas) -> None:
    line = next(line for line in bedrock("increase", PROFILE, "--to", "4000000").output.splitlines() if "$" in line)
    command = [sys.executable, "-m", "awscli", *shlex.split(line)[2:]]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - ours
    operation, body = service.asked[-1]
    assert operation == "RequestServiceQuotaIncrease"
    assert body == {"ServiceCode": "bedrock", "QuotaCode": "L-C0326783", "DesiredValue": 4_000_000}


def test_the_option_yes_files_the_request_and_shows_its_result(service: ServiceQuotas) -> None:
    result = bedrock("increase", PROFILE, "--to", "4000000", "--yes")
    assert result.exit_code == 0
    assert service.asked[-1] == (
        "RequestServiceQuotaIncrease",
        {"ServiceCode": "bedrock", "QuotaCode": "L-C0326783", "DesiredValue": 4_000_000},
    )
    assert "Submitted: PENDING, request abc123, Support case 171." in result.output


def test_pool_and_dimension_choose_the_quota(service: ServiceQuotas) -> None:
    result = bedrock("increase", NOVA, "--pool", "geographic", "--dimension", "requests", "--to", "900")
    assert "--quota-code L-ED46B8C5 --desired-value 900" in result.output


@pytest.mark.parametrize("yes", [[], ["--yes"]])
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([NOVA, "--to", "9000000"], "not adjustable"),
        ([NOVA, "--to", "9000000"], "Request an increase of the model's cross-region tokens per minute"),
        ([PROFILE, "--to", "2000000"], "2,000,000 is not higher than 2,000,000, which is the current value"),
        (
            ["global.anthropic.claude-sonnet-4-5-20250929-v1:0", "--to", "9", "--dimension", "requests"],
            "has no known quota of",
        ),
        (["amazon.nova-lite-v1:0", "--to", "9"], "It has quotas in these pools (--pool): geographic"),
        (["amazon.nova-9-v1:0", "--to", "9"], "no quota of amazon.nova-9-v1:0"),
    ],
)
def test_a_request_that_aws_cannot_grant_is_refused_and_not_sent(
    service: ServiceQuotas, arguments: list[str], words: str, yes: list[str]
) -> None:
    result = bedrock("increase", *arguments, *yes)
    assert result.exit_code == 2
    assert words in result.stderr
    assert "RequestServiceQuotaIncrease" not in service.operations()


def test_a_request_below_the_default_is_refused_even_if_it_is_above_the_present_quota(service: ServiceQuotas) -> None:
    service.apply("L-C0326783", 1_000)
    result = bedrock("increase", PROFILE, "--to", "1500000")
    assert result.exit_code == 2
    assert "1,500,000 is not higher than 2,000,000, which is the default" in result.stderr


def test_an_increase_of_a_quota_on_hold_is_refused_and_points_to_support(service: ServiceQuotas) -> None:
    service.apply("L-C0326783", 0)
    result = bedrock("increase", PROFILE, "--to", "9000000", "--yes")
    assert result.exit_code == 2
    assert "Support case (Account and billing" in result.stderr
    assert "RequestServiceQuotaIncrease" not in service.operations()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("ResourceAlreadyExistsException", "A request for this quota is already open"),
        ("QuotaExceededException", "Too many quota requests are open"),
        ("AccessDeniedException", "servicequotas:RequestServiceQuotaIncrease"),
        ("IllegalArgumentException", "AWS did not accept the request: IllegalArgumentException: as AWS says"),
    ],
)
def test_a_refusal_by_aws_is_explained(service: ServiceQuotas, code: str, words: str) -> None:
    service.refusals["RequestServiceQuotaIncrease"] = (code, "as AWS says")
    result = bedrock("increase", PROFILE, "--to", "9000000", "--yes")
    assert result.exit_code == 2
    assert words in result.stderr
    assert "as AWS says" in result.stderr
    assert "Filed" not in result.output


def test_a_request_is_compared_with_the_present_quota(service: ServiceQuotas) -> None:
    bedrock("show")
    service.apply("L-C0326783", 5_000_000)
    assert "which is the current value" in bedrock("increase", PROFILE, "--to", "4000000").stderr


def test_daily_tokens_of_single_models_have_a_separate_column(service: ServiceQuotas) -> None:
    day = "Model invocation max tokens per day for Amazon Nova Micro"
    service.defaults = [
        quota("L-1", ON_DEMAND.format("tokens", "Amazon Nova Micro"), 10),
        quota("L-2", day, 14_400),
    ]
    service.applied = service.defaults
    lines = bedrock("show").output.splitlines()
    assert lines[-2].endswith("tokens per day")
    assert lines[-1].endswith("14,400")
