"""`bedrock models` as a person uses it, against the simulator."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from aws_bedrock_inference.cli import main
from aws_bedrock_inference.foundation import remembered
from aws_bedrock_inference.testing import Simulator, simulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOVA = "amazon.nova-lite-v1:0"
HAIKU = "anthropic.claude-haiku-4-5-20251001-v1:0"
TABLES: dict[str, Any] = {
    "foundation": [
        {"id": NOVA, "input": ["TEXT", "IMAGE"]},
        {"id": HAIKU, "on_demand": False},
        {"id": "amazon.old-v1:0", "end_of_life": "2099-01-31", "on_demand": False},
    ],
    "profiles": [
        {"id": f"us.{HAIKU}", "model": HAIKU, "regions": ["us-east-1", "us-west-2"]},
        {"id": f"global.{HAIKU}", "model": HAIKU, "everywhere": True},
    ],
}
DENIED = {"kind": "error", "code": "AccessDeniedException"}


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    with simulator(TABLES) as endpoint:
        yield endpoint


@pytest.fixture(autouse=True)
def account(running: Simulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Simulator:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK", running.url)
    monkeypatch.setattr(remembered, "_synced", {})
    running.scenario(TABLES)
    return running


def bedrock(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["models", *arguments])


def test_models_are_listed_with_the_ways_to_call_them() -> None:
    result = bedrock("list")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "Amazon Bedrock in us-east-1, read now",
        "",
        "model                                     input        output  called by               lifecycle",
        "amazon.nova-lite-v1:0                     text, image  text    its id                  active",
        "anthropic.claude-haiku-4-5-20251001-v1:0  text         text    us., global.            active",
        "amazon.old-v1:0                           text         text    Provisioned Throughput  legacy until 2099-01-31",  # noqa: E501 - as printed
    ]


@pytest.mark.parametrize(
    ("options", "models"),
    [
        (["--provider", "Anthropic"], [HAIKU]),
        (["--provider", "amazon", "--lifecycle", "active"], [NOVA]),
        (["--modality", "image"], [NOVA]),
        (["--lifecycle", "LEGACY"], ["amazon.old-v1:0"]),
    ],
)
def test_the_list_is_filtered_and_json_has_everything(options: list[str], models: list[str]) -> None:
    shown = json.loads(bedrock("list", "--json", *options).stdout)
    assert [each["id"] for each in shown["models"]] == models
    assert (shown["region"], shown["missing"]) == ("us-east-1", [])
    assert [each["pool"] for each in shown["profiles"]] == ["geographic", "global"]


def test_a_filter_without_a_match_fails() -> None:
    result = bedrock("list", "--provider", "nobody")
    assert (result.exit_code, result.stderr) == (1, "No model in us-east-1 matches the options.\n")


def test_each_region_has_its_own_lists() -> None:
    shown = json.loads(bedrock("list", "--json", "--region", "eu-west-1").stdout)
    assert [each["id"] for each in shown["profiles"]] == [f"global.{HAIKU}"]


def test_one_model_is_shown_with_all_known_facts() -> None:
    result = bedrock("show", f"us.{HAIKU}")
    assert result.exit_code == 0
    lines = [line.split("  ", 1) for line in result.stdout.splitlines()]
    facts = {name.strip(): value.strip() for name, value in lines}
    assert facts["kind"] == "system inference profile, geographic"
    assert facts["calls processed in"] == "us-east-1, us-west-2"
    assert (facts["lifecycle"], facts["agreement"]) == ("active", "available")
    assert facts["per million tokens"] == (
        "$1.1 in, $5.5 out, $0.11 cache read, $1.375 cache write, $2.2 cache write for an hour"
    )
    shown = json.loads(bedrock("show", "amazon.old-v1:0", "--json").stdout)
    assert (shown["listed"]["end_of_life"], shown["check"]["lifecycle"]) == ("2099-01-31", "LEGACY")
    assert shown["price"] is None
    assert "per million tokens  unknown (genai-prices " in bedrock("show", "amazon.old-v1:0").stdout
    missing = bedrock("show", "amazon.nova-light-v1:0")
    assert missing.exit_code == 3
    assert f"The most similar id is {NOVA}." in missing.stderr


def test_sync_reads_the_lists_now_and_stores_them_for_offline_use(
    account: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = bedrock("sync")
    assert (result.exit_code, result.stdout) == (0, "us-east-1: 3 models, 2 inference profiles, read now.\n")
    monkeypatch.setattr(remembered, "_synced", {})
    account.scenario(TABLES, faults=[DENIED | {"operation": "List*"}])
    assert bedrock("list").exit_code == 0
    again = bedrock("sync")
    assert again.exit_code == 3
    assert "Allow bedrock:ListFoundationModels to see more" in again.stderr


def test_one_readable_list_is_used_and_no_readable_list_names_the_permission(account: Simulator) -> None:
    account.scenario(TABLES, faults=[DENIED | {"operation": "ListInferenceProfiles"}])
    half = bedrock("list")
    assert half.exit_code == 0
    assert "Allow bedrock:ListInferenceProfiles to see more" in half.stderr
    account.scenario(TABLES, faults=[DENIED | {"operation": "List*"}])
    nothing = bedrock("list", "--region", "eu-west-1")
    assert (nothing.exit_code, nothing.stdout) == (3, "")
    assert nothing.stderr.startswith("Error: the models of eu-west-1 are unknown. Allow bedrock:ListFoundationModels")


def test_check_reports_the_problem_and_which_model_to_call_instead() -> None:
    good = bedrock("check", NOVA)
    assert (good.exit_code, good.stdout) == (0, f"{NOVA}: no known problem\n")
    bad = bedrock("check", HAIKU, "--within", "us-*")
    assert bad.exit_code == 3
    assert bad.stdout.splitlines()[1:] == [
        f"  problem: {HAIKU} can be called only through an inference profile: us.{HAIKU}, global.{HAIKU}.",
        f"  call: us.{HAIKU}",
    ]
    assert bedrock("check", NOVA, "amazon.nothing").exit_code == 1


def test_check_suggests_only_models_of_the_allowed_regions() -> None:
    result = bedrock("check", f"us.{HAIKU}", "--within", "us-east-*", "--json")
    assert result.exit_code == 3
    (found,) = json.loads(result.stdout)["checks"]
    assert (found["call"], found["ok"]) == (None, False)
    assert f"us.{HAIKU} can be answered in us-east-1, us-west-2" in found["problems"][-1]
    assert bedrock("check", NOVA, "--within", " ").exit_code == 2
