"""The price table: known prices by ID, unknown prices, and prices that the user sets."""

from __future__ import annotations

import json
import re
from datetime import date
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest

from aws_bedrock_inference import ModelArn, Rates, Route, Usage, rates_of
from aws_bedrock_inference.pricing import cost_of, rates_on, source

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HAIKU = "anthropic.claude-haiku-4-5-20251001-v1:0"
PROFILE = "arn:aws:bedrock:eu-west-1:111122223333:application-inference-profile/abc123"
TABLE = json.loads(files("aws_bedrock_inference.pricing").joinpath("prices.json").read_text(encoding="utf-8"))


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "prices.toml"
        path.write_text(text, encoding="utf-8")
        monkeypatch.setenv("BEDROCK_PRICES", str(path))
        return path

    return write


def priced(model: str, region: str = "us-east-1", **options: Any) -> tuple[Any, Any] | None:
    rates = rates_of(model, region, **options)
    return None if rates is None else (rates.input, rates.output)


@pytest.mark.parametrize(
    ("model", "region", "price"),
    [
        (f"us.{HAIKU}", "us-east-1", (1.1, 5.5)),
        (f"au.{HAIKU}", "ap-southeast-2", (1.1, 5.5)),
        (HAIKU, "eu-west-1", (1.1, 5.5)),
        (f"global.{HAIKU}", "eu-west-1", (1.0, 5.0)),
        (f"arn:aws:bedrock:us-east-1::foundation-model/{HAIKU}", "us-east-1", (1.1, 5.5)),
        (f"arn:aws:bedrock:us-east-1:111122223333:inference-profile/global.{HAIKU}", "us-east-1", (1.0, 5.0)),
        (ModelArn(PROFILE, f"global.{HAIKU}"), "eu-west-1", (1.0, 5.0)),
        ("anthropic.claude-opus-4-5-20251101-v1:0", "us-west-2", (5.5, 27.5)),
        ("anthropic.claude-opus-5", "us-west-2", (5.5, 27.5)),
        ("anthropic.claude-opus-5-5", "us-west-2", (4.4, 22.0)),
        ("meta.llama3-1-8b-instruct-v1:0:128k", "us-west-2", (0.22, 0.22)),
        ("nvidia.nemotron-nano-9b-v2", "us-west-2", (0.06, 0.23)),
        ("amazon.titan-embed-text-v1", "us-east-1", (0.1, 0)),
        ("amazon.titan-embed-text-v2:0", "us-east-1", (0.02, 0)),
    ],
)
def test_an_id_has_the_price_of_its_model_and_profile(model: str, region: str, price: Any) -> None:
    assert priced(model, region) == price


@pytest.mark.parametrize(
    ("model", "region"),
    [
        ("anthropic.claude-sonnet-9-v1:0", "us-east-1"),
        ("amazon.nova-lite-v2:0-custom", "us-east-1"),
        ("amazon.nova-lite-v1:0", "sa-east-1"),  # not sold there
        ("amazon.nova-lite-v1:0", ""),
        (f"us-gov.{HAIKU}", "us-gov-west-1"),  # GovCloud costs more
        ("openai.gpt-5.5", "eu-west-1"),
        ("global.amazon.nova-lite-v1:0", "us-east-1"),  # no such profile
        ("anthropic.claude-3-5-sonnet-20241022-v2:0", "us-east-1"),  # AWS's own sources disagree
        ("arn:aws:bedrock:us-east-1:111122223333:provisioned-model/abc123", "us-east-1"),
        ("arn:aws:bedrock:us-east-1:111122223333:imported-model/abc123", "us-east-1"),
        (PROFILE, "eu-west-1"),
    ],
)
def test_an_unlisted_id_has_an_unknown_price(model: str, region: str) -> None:
    assert rates_of(model, region) is None
    assert cost_of(Usage(1, 1), Route(model, region)) is None


@pytest.mark.parametrize(
    ("model", "tier"),
    [(f"us.{HAIKU}", "flex"), ("amazon.nova-lite-v1:0", "flex"), ("amazon.nova-pro-v1:0", "reserved")],
)
def test_a_tier_without_a_price_is_unknown(model: str, tier: str) -> None:
    assert rates_of(model, "us-east-1") is not None
    assert rates_of(model, "us-east-1", tier=tier) is None


def test_a_profile_is_priced_by_its_pool_whatever_its_name() -> None:
    rates = rates_on(Route(PROFILE, "eu-west-1", base=HAIKU, pool="global"))
    assert rates == rates_of(f"global.{HAIKU}", "eu-west-1")
    assert rates_on(Route(HAIKU, "eu-west-1", base=HAIKU, pool="provisioned")) is None


def test_the_table_has_its_source_and_date() -> None:
    assert re.fullmatch(r"genai-prices \d+\.\d+\.\d+, \d{4}-\d\d-\d\d", source())
    assert date.fromisoformat(TABLE["made"]) >= date(2026, 11, 29)


def test_every_price_is_a_number_and_no_region_is_priced_twice() -> None:
    names = set(Rates.__dataclass_fields__) - {"long", "long_from"}
    for model, found in TABLE["models"].items():
        assert found.keys() <= {"tiers", "standard", "global"}, model
        for scope in found.keys() - {"tiers"}:
            regions = [region for row in found[scope] for region in row.get("regions", ["all"])]
            assert len(regions) == len(set(regions)), model
            for row in found[scope]:
                assert row["input"] > 0
                prices = [row[name] for name in names & row.keys()] + list(row.get("long", {}).values())
                assert all(isinstance(price, int | float) and 0 <= price < 1_000 for price in prices), (model, row)


def test_a_global_profile_never_costs_more_than_the_region() -> None:
    for model, found in TABLE["models"].items():
        if "global" in found and "regions" not in found["global"][0]:
            assert found["global"][0]["input"] <= found["standard"][0]["input"], model


def test_prices_of_the_user_take_precedence(own: Any) -> None:
    own(f'["{HAIKU}"]\ninput = 0.5\noutput = 2\n["global.{HAIKU}"]\ninput = 0.25\n["{PROFILE}"]\ninput = 9\noutput = 9')
    assert priced(f"us.{HAIKU}") == priced(HAIKU, "us-gov-west-1") == (0.5, 2)
    assert priced(f"global.{HAIKU}") == (0.25, None)
    assert priced(PROFILE, "eu-west-1") == (9, 9)
    assert priced("amazon.nova-lite-v1:0") == (0.06, 0.24)
    rates = rates_of(HAIKU, "us-east-1")
    assert rates is not None
    assert rates.cost(Usage(1, 1, cache_read_tokens=1)) is None  # what it leaves out is unknown
    assert priced(HAIKU, tier="batch") == (0.25, 1.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = = b", "the file is not valid TOML"),
        ("input = 3", "'input'.*: write a table"),
        ("[nova]", "'nova'.*: write a table"),
        (
            "[nova]\nprice = 3",
            "'price' is not the name of a price; use input, output, cache_read, cache_write, cache_write_1h",
        ),
        ("[nova]\ninput = -1", "input = -1: set US dollars per million tokens, 0 or more"),
        ('[nova]\ninput = "3"', "input = <str>: set US dollars"),
        ("[nova]\ninput = nan", "input = nan: set US dollars"),
    ],
)
def test_each_mistake_in_a_price_file_has_a_message(own: Any, text: str, said: str) -> None:
    path = own(text)
    with pytest.raises(ValueError, match=said) as raised:
        rates_of(HAIKU, "us-east-1")
    assert str(raised.value).startswith(f"BEDROCK_PRICES={path}: ")


def test_a_missing_price_file_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEDROCK_PRICES", "/nowhere/prices.toml")
    with pytest.raises(ValueError, match="No such file or directory"):
        rates_of(HAIKU, "us-east-1")
