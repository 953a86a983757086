from __future__ import annotations

import re
import tomllib
from importlib.resources import files

import pytest

from aws_bedrock_inference.knowledge.models import model_facts, split_profile


@pytest.mark.parametrize(
    ("model", "rate"),
    [
        ("anthropic.claude-opus-4-8", 15),
        ("anthropic.claude-opus-4-8-20260801-v1:0", 15),
        ("anthropic.claude-opus-5-5", 10),
        ("anthropic.claude-opus-5-20260901-v1:0", 10),
        ("anthropic.claude-sonnet-5", 10),
        ("openai.gpt-5.6-sol", 10),
        ("openai.gpt-6-astra-v1:0", 10),
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", 5),
        ("anthropic.claude-sonnet-4-20250514-v1:0", 5),
        ("anthropic.claude-opus-4-7", 5),
        ("anthropic.claude-3-sonnet-20240229-v1:0", 5),
        ("anthropic.claude-3-7-sonnet-20250219-v1:0", 5),
        ("anthropic.claude-v2:1", 5),
        ("anthropic.claude-instant-v1", 5),
        ("anthropic.claude-fable-5-1", 10),
        ("anthropic.claude-haiku-4-5-20251001-v1:0", 5),
        ("anthropic.claude-opus-4-6-v1", 5),
        ("openai.gpt-5.6-luna", 10),
        ("amazon.nova-pro-v1:0", 1),
        ("meta.llama3-1-70b-instruct-v1:0", 1),
        ("openai.gpt-oss-120b-1:0", 1),
        ("openai.gpt-5.5", 1),
    ],
)
def test_the_burndown_is_that_of_the_table(model: str, rate: float) -> None:
    assert model_facts(model).burndown == rate


@pytest.mark.parametrize(
    "model", ["anthropic.claude-opus-5-7", "anthropic.claude-sonnet-6-20270101-v1:0", "anthropic.saga-1"]
)
def test_an_anthropic_model_newer_than_the_table_gets_the_highest_burndown(model: str) -> None:
    assert model_facts(model).burndown == 15


@pytest.mark.parametrize("model", ["openai.gpt-6.1-sol", "openai.gpt-6-luna", "openai.gpt-5.6-cyber-v1:0"])
def test_an_openai_model_newer_than_the_table_gets_the_burndown_of_its_family(model: str) -> None:
    assert model_facts(model).burndown == 10


@pytest.mark.parametrize(
    "model", ["anthropic.claude-opus-4-9", "anthropic.claude-fable-5", "anthropic.claude-haiku-5-5-20261001-v1:0"]
)
def test_an_unlisted_anthropic_model_gets_the_highest_burndown(model: str) -> None:
    assert model_facts(model).burndown == 15


def test_the_table_names_the_newest_model_of_its_date() -> None:
    data = tomllib.loads(files("aws_bedrock_inference.knowledge").joinpath("models.toml").read_text(encoding="utf-8"))
    assert [entry["newest"] for entry in data["burndown"] if "newest" in entry] == [
        "Claude Haiku 5.5",
        "GPT-6.2 Astra",
    ]


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        ("amazon.nova-pro-v1:0", 10_000),
        ("amazon.nova-2-lite-v1:0", 64_000),
        ("amazon.nova-3-pro-v1:0", 64_000),
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", 64_000),
        ("anthropic.claude-3-sonnet-20240229-v1:0", 4_096),
        ("anthropic.claude-3-5-sonnet-20241022-v2:0", 8_192),
        ("anthropic.claude-opus-4-20250514-v1:0", 32_000),
        ("anthropic.claude-opus-4-1-20250805-v1:0", 32_000),
        ("anthropic.claude-3-7-sonnet-20250219-v1:0", 64_000),
        ("anthropic.claude-sonnet-4-20250514-v1:0", 64_000),
        ("anthropic.claude-opus-4-5-20251101-v1:0", 64_000),
        ("anthropic.claude-haiku-4-5-20251001-v1:0", 64_000),
        ("anthropic.claude-sonnet-4-6", 128_000),
        ("anthropic.claude-opus-4-6-v1", 128_000),
        ("anthropic.claude-opus-4-8", 128_000),
        ("anthropic.claude-sonnet-5", 128_000),
        ("anthropic.claude-opus-5-5", 128_000),
        ("anthropic.claude-sonnet-5-5", 128_000),
        ("anthropic.claude-haiku-5-5", 128_000),
        ("anthropic.claude-fable-5-2", 128_000),
        ("anthropic.claude-mythos-5-2", 128_000),
        ("openai.gpt-6-astra", 128_000),
        ("openai.gpt-6.1-terra", 128_000),
        ("openai.gpt-6.2-astra", 128_000),
        ("openai.gpt-oss-120b-1:0", 16_384),
        ("moonshot.kimi-k2-thinking", 16_000),
        ("zai.glm-5.3", 131_072),
    ],
)
def test_an_unset_maximum_is_that_of_the_family(model: str, tokens: int) -> None:
    assert model_facts(model).max_output_tokens == tokens


@pytest.mark.parametrize(
    ("model", "guessed"),
    [
        ("anthropic.claude-opus-5-5", ()),
        ("openai.gpt-6-astra", ()),
        ("amazon.nova-pro-v1:0", ()),
        ("anthropic.claude-sonnet-5-5", ("burndown",)),
        ("anthropic.claude-haiku-5-5", ("burndown",)),
        ("anthropic.claude-fable-5-2", ("burndown",)),
        ("anthropic.claude-mythos-5-2", ("burndown",)),
        ("openai.gpt-6.1-luna", ("burndown",)),
        ("openai.gpt-6.2-astra", ("burndown",)),
        ("zai.glm-5.3", ("burndown",)),
        ("xai.grok-4.7", ("burndown", "max_output_tokens")),
        ("moonshotai.kimi-k3.1", ("burndown", "max_output_tokens")),
        ("meta.llama3-1-70b-instruct-v1:0", ("max_output_tokens",)),
    ],
)
def test_a_value_without_a_source_is_marked_as_a_guess(model: str, guessed: tuple[str, ...]) -> None:
    assert model_facts(model).guessed == guessed


@pytest.mark.parametrize(
    ("model", "rate", "tokens"),
    [
        ("anthropic.claude-sonnet-6", 15, 128_000),
        ("anthropic.claude-haiku-5-7-20270101-v1:0", 15, 128_000),
        ("anthropic.claude-opus-10", 15, 128_000),
        ("openai.gpt-7-sol", 10, 128_000),
        ("openai.gpt-6.3-terra", 10, 128_000),
        ("openai.gpt-10", 10, 128_000),
        ("xai.grok-5", 1, 131_072),
        ("moonshotai.kimi-k4", 1, 131_072),
        ("zai.glm-6", 1, 131_072),
    ],
)
def test_a_future_model_gets_the_guess_of_its_family(model: str, rate: float, tokens: int) -> None:
    facts = model_facts(model)
    assert (facts.burndown, facts.max_output_tokens) == (rate, tokens)
    assert facts.guessed == ("burndown", "max_output_tokens")


@pytest.mark.parametrize(
    ("model", "prefill"),
    [
        ("anthropic.claude-v2:1", True),
        ("anthropic.claude-3-7-sonnet-20250219-v1:0", True),
        ("anthropic.claude-sonnet-4-20250514-v1:0", True),
        ("anthropic.claude-haiku-4-5-20251001-v1:0", True),
        ("anthropic.claude-opus-4-6-v1", False),
        ("anthropic.claude-sonnet-4-6", False),
        ("anthropic.claude-opus-4-10", False),
        ("anthropic.claude-opus-5-5", False),
        ("anthropic.claude-sonnet-6", False),
        ("openai.gpt-6-astra", False),
    ],
)
def test_only_claude_models_up_to_4_5_support_prefill(model: str, prefill: bool) -> None:  # noqa: FBT001 - a row's value
    assert model_facts(model).prefill is prefill


def test_the_provider_is_the_first_label() -> None:
    assert model_facts("anthropic.claude-3-sonnet-20240229-v1:0").provider == "anthropic"


@pytest.mark.parametrize(
    ("model", "base", "pool"),
    [
        ("anthropic.claude-sonnet-5", "anthropic.claude-sonnet-5", "on-demand"),
        ("us.anthropic.claude-sonnet-5", "anthropic.claude-sonnet-5", "geographic"),
        ("us-gov.anthropic.claude-sonnet-5", "anthropic.claude-sonnet-5", "geographic"),
        ("global.anthropic.claude-sonnet-5", "anthropic.claude-sonnet-5", "global"),
        ("arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0", "amazon.nova-pro-v1:0", "on-demand"),
        (
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/eu.amazon.nova-pro-v1:0",
            "amazon.nova-pro-v1:0",
            "geographic",
        ),
        (
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/global.amazon.nova-pro-v1:0",
            "amazon.nova-pro-v1:0",
            "global",
        ),
    ],
)
def test_an_id_determines_the_model_and_the_quota_pool(model: str, base: str, pool: str) -> None:
    assert split_profile(model) == (base, pool)


@pytest.mark.parametrize(
    ("kind", "pool"),
    [
        ("application-inference-profile", "on-demand"),
        ("provisioned-model", "provisioned"),
        ("custom-model-deployment", "on-demand"),
        ("imported-model", "on-demand"),
    ],
)
def test_an_arn_without_a_model_name_is_its_own_base_model(kind: str, pool: str) -> None:
    arn = f"arn:aws:bedrock:us-east-1:123456789012:{kind}/abc123"
    assert split_profile(arn) == (arn, pool)


def test_every_table_has_a_source_and_a_date_and_patterns_that_compile() -> None:
    text = files("aws_bedrock_inference.knowledge").joinpath("models.toml").read_text(encoding="utf-8")
    data = tomllib.loads(text)
    single = [data[name] for name in ("profiles", "arns", "count_tokens", "cache_writes")]
    tables = [*single, *(entry for name in ("burndown", "max_output_tokens", "prefill") for entry in data[name])]
    assert all(table["source"] and ("seen" in table) != ("unread" in table) for table in tables)
    assert all("unread" not in table or table["why"] for table in tables)
    for table in tables:
        for pattern in table.get("patterns", ()):
            re.compile(pattern)
