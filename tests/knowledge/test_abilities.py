"""Abilities that models certainly lack, by ability and model; unknown models are not refused."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws_bedrock_inference.knowledge.abilities import Need, Needs, bound, form_of_body, unable

MICRO, LITE, NOVA_2 = "amazon.nova-micro-v1:0", "amazon.nova-lite-v1:0", "amazon.nova-2-lite-v1:0"
SONNET_4, SONNET_45 = "anthropic.claude-sonnet-4-20250514-v1:0", "anthropic.claude-sonnet-4-5-20250929-v1:0"
HAIKU_45, OPUS_45 = "anthropic.claude-haiku-4-5-20251001-v1:0", "anthropic.claude-opus-4-5-20251101-v1:0"
SONNET_46, OPUS_47, OPUS_48 = "anthropic.claude-sonnet-4-6", "anthropic.claude-opus-4-7", "anthropic.claude-opus-4-8"
OPUS_5, OPUS_55, SONNET_55 = "anthropic.claude-opus-5", "anthropic.claude-opus-5-5", "anthropic.claude-sonnet-5-5"
HAIKU_55, FABLE_51 = "anthropic.claude-haiku-5-5", "anthropic.claude-fable-5-1"
LLAMA, LLAMA_4 = "meta.llama3-3-70b-instruct-v1:0", "meta.llama4-maverick-17b-instruct-v1:0"
MISTRAL, PIXTRAL = "mistral.mistral-large-2402-v1:0", "mistral.pixtral-large-2502-v1:0"
R1, OSS, ASTRA = "deepseek.r1-v1:0", "openai.gpt-oss-120b-1:0", "openai.gpt-6-astra"
TITAN, EMBED = "amazon.titan-text-express-v1", "amazon.titan-embed-text-v2:0"
UNKNOWN = ["somebody.new-model-v9:0", "arn:aws:bedrock:us-east-1:123456789012:imported-model/a1", ""]

REFUSED = [
    (Need.IMAGE, MICRO, "does not support images"),
    (Need.IMAGE, LLAMA, "does not support images"),
    (Need.IMAGE, OSS, "does not support images"),
    (Need.IMAGE_IN_RESULT, ASTRA, "does not support images in tool results"),
    (Need.DOCUMENT, MICRO, "does not support documents"),
    (Need.DOCUMENT, ASTRA, "does not support documents"),
    (Need.VIDEO, LLAMA_4, "does not support videos"),
    (Need.AUDIO, LITE, "does not support audio"),
    (Need.S3, SONNET_4, "does not support files in S3"),
    (Need.SYSTEM, TITAN, "does not support a system prompt"),
    (Need.CONVERSE, EMBED, "does not support Converse"),
    (Need.TOOLS, R1, "does not support tools"),
    (Need.TOOLS, TITAN, "does not support tools"),
    (Need.STREAMED_TOOLS, LLAMA_4, "does not support tools in a stream"),
    (Need.STREAMED_TOOLS, MISTRAL, "does not support tools in a stream"),
    (Need.CHOICE_ANY, LLAMA, "does not support a tool choice that requires a tool"),
    (Need.CHOICE_TOOL, OPUS_55, "does not support a tool choice that requires a tool"),
    (Need.CHOICE_ANY, SONNET_55, "does not support a tool choice that requires a tool"),
    (Need.CHOICE_ANY, FABLE_51, "does not support a tool choice that requires a tool"),
    (Need.CHOICE_TOOL, MISTRAL, "does not support a tool choice that requires one named tool"),
    (Need.SCHEMA, OPUS_48, "does not support a JSON schema for its answer"),
    (Need.SCHEMA, HAIKU_55, "does not support a JSON schema for its answer"),
    (Need.SCHEMA, LITE, "does not support a JSON schema for its answer"),
    (Need.STRICT_TOOLS, OPUS_55, "does not support a JSON schema for its answer"),
    (Need.EFFORT, HAIKU_45, "does not support effort levels"),
    (Need.EFFORT, SONNET_45, "does not support effort levels"),
    (Need.EFFORT_ABOVE_HIGH, OPUS_45, "does not support an effort above high"),
    (Need.ADAPTIVE_THINKING, SONNET_45, "does not support adaptive thinking"),
    (Need.THINKING_BUDGET, OPUS_47, "does not support a thinking budget"),
    (Need.THINKING_BUDGET, HAIKU_55, "does not support a thinking budget"),
    (Need.NO_THINKING, OPUS_55, "cannot switch thinking off"),
    (Need.PREFILL, SONNET_46, "does not continue a last message from the assistant"),
    (Need.SAMPLING, OPUS_5, "does not support temperature or top_p"),
    (Need.TWO_SAMPLINGS, HAIKU_45, "does not support temperature and top_p together"),
    (Need.CACHE, LLAMA, "does not support cache points in a request"),
    (Need.CACHE, R1, "does not support cache points in a request"),
    (Need.FIELDS, LITE, "does not support request fields of other models"),
    (Need.OTHER_REASONING, SONNET_45, "does not support the fields reasoningConfig and reasoning"),
    (Need.UNSIGNED_REASONING, OPUS_5, "does not accept reasoning without a signature"),
]


@pytest.mark.parametrize(("need", "model", "says"), REFUSED)
def test_a_missing_ability_of_a_model_is_described_in_a_sentence(need: Need, model: str, says: str) -> None:
    assert unable(model, Needs(uses=frozenset({need}))) == f"{model} {says}"


ELIGIBLE = [
    (Need.IMAGE, [LITE, NOVA_2, SONNET_45, LLAMA_4, PIXTRAL, ASTRA]),
    (Need.IMAGE_IN_RESULT, [LITE, SONNET_46, LLAMA_4]),
    (Need.DOCUMENT, [LITE, SONNET_45, R1]),
    (Need.VIDEO, [LITE]),
    (Need.SYSTEM, [MICRO, SONNET_45, LLAMA]),
    (Need.CONVERSE, [MICRO, SONNET_45, TITAN]),
    (Need.TOOLS, [MICRO, SONNET_45, LLAMA, MISTRAL, OSS]),
    (Need.STREAMED_TOOLS, [MICRO, SONNET_45, "ai21.jamba-1-5-large-v1:0"]),
    (Need.CHOICE_ANY, [LITE, SONNET_45, OPUS_5, MISTRAL, "anthropic.claude-fable-5"]),
    (Need.SCHEMA, [SONNET_45, HAIKU_45, SONNET_46, OSS]),
    (Need.EFFORT, [OPUS_45, SONNET_46, OPUS_5, HAIKU_55]),
    (Need.EFFORT_ABOVE_HIGH, [OPUS_5, HAIKU_55]),
    (Need.ADAPTIVE_THINKING, [SONNET_46, OPUS_47, HAIKU_55]),
    (Need.THINKING_BUDGET, [SONNET_4, SONNET_45, SONNET_46]),
    (Need.NO_THINKING, [SONNET_45, HAIKU_55, OPUS_5]),
    (Need.PREFILL, [SONNET_45, LITE, "anthropic.claude-3-haiku-20240307-v1:0"]),
    (Need.SAMPLING, [SONNET_45, SONNET_46, LITE, LLAMA]),
    (Need.TWO_SAMPLINGS, [SONNET_4, LITE]),
    (Need.CACHE, [LITE, SONNET_45, OPUS_5]),
    (Need.FIELDS, [SONNET_45, LLAMA]),
    (Need.OTHER_REASONING, [NOVA_2, ASTRA]),
    (Need.UNSIGNED_REASONING, [NOVA_2, ASTRA]),
    (Need.STREAM, [MICRO, SONNET_45]),
]


@pytest.mark.parametrize(("need", "models"), ELIGIBLE)
def test_an_ability_that_a_model_has_is_not_refused(need: Need, models: list[str]) -> None:
    assert [unable(model, Needs(uses=frozenset({need}))) for model in models] == [None] * len(models)


@pytest.mark.parametrize("model", UNKNOWN)
def test_an_unknown_ability_is_not_refused(model: str) -> None:
    assert unable(model, Needs(frozenset(Need), 10**9, None, "claude", "flex")) is None


def test_a_model_with_only_a_known_body_format_is_not_refused_for_other_abilities() -> None:
    assert unable("zai.glm-5.3", Needs(frozenset(Need), 10**9, None, "openai", "flex")) is None


@pytest.mark.parametrize(
    ("model", "tokens", "expected"),
    [
        (MICRO, 120_000, None),
        (MICRO, 192_000, None),  # an estimate that is a third too high, as of a text of long words
        (MICRO, 200_000, f"{MICRO} reads up to 128,000 tokens, but the request has about 200,000"),
        (SONNET_45, 500_000, f"{SONNET_45} reads up to 200,000 tokens, but the request has about 500,000"),
        (SONNET_46, 500_000, None),
        (OPUS_55, 1_600_000, f"{OPUS_55} reads up to 1,000,000 tokens, but the request has about 1,600,000"),
    ],
)
def test_a_prompt_that_certainly_exceeds_the_context_window_is_refused(
    model: str, tokens: int, expected: str | None
) -> None:
    assert unable(model, Needs(input_tokens=tokens)) == expected


@pytest.mark.parametrize(
    ("model", "tokens", "expected"),
    [
        (LITE, 10_000, None),
        (LITE, 10_001, f"{LITE} writes up to 10,000 tokens, but max_tokens is 10,001"),
        (SONNET_45, 64_001, f"{SONNET_45} writes up to 64,000 tokens, but max_tokens is 64,001"),
        (OPUS_55, 128_000, None),
        (R1, 32_000, None),  # whose maximum is a guess
        (MICRO, None, None),
    ],
)
def test_a_max_tokens_above_the_limit_of_the_model_is_refused(
    model: str, tokens: int | None, expected: str | None
) -> None:
    assert unable(model, Needs(max_tokens=tokens)) == expected


@pytest.mark.parametrize(
    ("form", "model", "expected"),
    [
        ("claude", SONNET_45, None),
        ("claude", OPUS_55, None),
        ("claude", LITE, f"{LITE} accepts bodies in Nova's format, but the request has Anthropic's format"),
        ("openai", HAIKU_45, f"{HAIKU_45} accepts bodies in Anthropic's format, but the request has OpenAI's format"),
        ("openai", "qwen.qwen3-32b-v1:0", None),
        ("llama", LLAMA_4, None),
        ("", SONNET_45, None),
        ("claude", MISTRAL, None),  # whose form is not in the table
    ],
)
def test_a_native_body_is_allowed_only_for_models_of_its_dialect(form: str, model: str, expected: str | None) -> None:
    assert unable(model, Needs(form=form)) == expected


def test_the_dialect_of_a_body_is_recognised_from_the_body_before_the_model() -> None:
    assert form_of_body({"anthropic_version": "bedrock-2023-05-31"}, LITE) == "claude"
    assert form_of_body({"messages": []}, LITE) == "nova"


def test_a_stored_prompt_or_regional_resource_is_bound_to_its_region() -> None:
    def why(need: Need) -> tuple[str | None, str | None]:
        asked = Needs(uses=frozenset({need}))
        return bound(asked, elsewhere=False), bound(asked, elsewhere=True)

    stored = "the request continues a stored response, which exists only where it was created"
    assert why(Need.STORED_RESPONSE) == (stored, stored)
    assert why(Need.GUARDRAIL) == (
        None,
        "the request names a guardrail, which exists only in its own Region and account",
    )
    assert why(Need.PROJECT) == (None, "the request names a project, which exists only in its own Region and account")
    assert None not in why(Need.PROMPT)
    assert why(Need.STORE) == why(Need.TOOLS) == (None, None)


IDS = st.from_regex(r"[a-z0-9]{1,12}\.[a-z0-9.-]{1,40}(:\d)?", fullmatch=True) | st.sampled_from(
    [MICRO, SONNET_45, OPUS_55, LLAMA, R1, TITAN, EMBED, *UNKNOWN]
)


@given(IDS | st.text(max_size=60))
def test_a_plain_request_is_eligible_for_every_model(model: str) -> None:
    assert unable(model, Needs(input_tokens=7, max_tokens=400)) is None
    assert bound(Needs(), elsewhere=True) is None


def test_every_entry_has_a_source_and_a_date_and_patterns_that_compile_and_needs_that_are_known() -> None:
    text = files("aws_bedrock_inference.knowledge").joinpath("abilities.toml").read_text(encoding="utf-8")
    data = tomllib.loads(text)
    assert data.keys() == {"lacks", "context", "form"}
    for entry in (entry for entries in data.values() for entry in entries):
        assert entry["source"]
        assert entry["seen"]
        for pattern in entry["patterns"]:
            re.compile(pattern)
    assert all(Need(need) for entry in data["lacks"] for need in entry["needs"])
