"""Names of quotas and IDs of models: which match, and which must not be confused."""

from __future__ import annotations

import re
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws_bedrock_inference.service_quotas.names import Model, facts, meaning, model_of_id, model_of_name

# Ids of the catalogue's models; those in one row are spellings of one model.
MODELS = """
ai21.jamba-1-5-large-v1:0
ai21.jamba-1-5-mini-v1:0
ai21.jamba-instruct-v1:0
amazon.nova-2-lite-v1:0
amazon.nova-lite-v1:0
amazon.nova-micro-v1:0
amazon.nova-premier-v1:0
amazon.nova-pro-v1:0
amazon.rerank-v1:0
amazon.titan-embed-image-v1
amazon.titan-embed-text-v1
amazon.titan-embed-text-v2:0
amazon.titan-image-generator-v1
amazon.titan-image-generator-v2:0
amazon.titan-text-express-v1
anthropic.claude-3-5-haiku-20241022-v1:0
anthropic.claude-3-5-sonnet-20240620-v1:0
anthropic.claude-3-5-sonnet-20241022-v2:0
anthropic.claude-3-7-sonnet-20250219-v1:0
anthropic.claude-3-haiku-20240307-v1:0
anthropic.claude-3-opus-20240229-v1:0
anthropic.claude-3-sonnet-20240229-v1:0
anthropic.claude-fable-5
anthropic.claude-fable-5-1
anthropic.claude-haiku-4-5-20251001-v1:0 anthropic.claude-haiku-4-5
anthropic.claude-haiku-5-5
anthropic.claude-instant-v1
anthropic.claude-opus-4-1-20250805-v1:0
anthropic.claude-opus-4-20250514-v1:0
anthropic.claude-opus-4-5-20251101-v1:0
anthropic.claude-opus-4-6-v1
anthropic.claude-opus-4-7
anthropic.claude-opus-4-8
anthropic.claude-opus-5
anthropic.claude-opus-5-5
anthropic.claude-sonnet-4-20250514-v1:0
anthropic.claude-sonnet-4-5-20250929-v1:0
anthropic.claude-sonnet-4-6
anthropic.claude-sonnet-5
anthropic.claude-v2
anthropic.claude-v2:1
cohere.command-light-text-v14
cohere.command-r-plus-v1:0
cohere.command-r-v1:0
cohere.embed-english-v3
cohere.embed-multilingual-v3
cohere.embed-v4:0
cohere.rerank-v3-5:0
deepseek.r1-v1:0
deepseek.v3-v1:0
deepseek.v3.1
deepseek.v3.2
google.gemma-3-12b-it
meta.llama2-13b-chat-v1
meta.llama3-1-70b-instruct-v1:0
meta.llama3-1-8b-instruct-v1:0
meta.llama3-2-1b-instruct-v1:0
meta.llama3-2-3b-instruct-v1:0
meta.llama3-3-70b-instruct-v1:0
meta.llama3-70b-instruct-v1:0
meta.llama3-8b-instruct-v1:0
meta.llama4-maverick-17b-instruct-v1:0
meta.llama4-scout-17b-instruct-v1:0
minimax.minimax-m2
minimax.minimax-m2.1
mistral.ministral-3-14b-instruct
mistral.ministral-3-3b-instruct
mistral.ministral-3-8b-instruct
mistral.mistral-7b-instruct-v0:2
mistral.mistral-large-2402-v1:0
mistral.mistral-large-2407-v1:0
mistral.mistral-large-3-675b-instruct
mistral.mixtral-8x7b-instruct-v0:1
mistral.pixtral-large-2502-v1:0
moonshot.kimi-k2-thinking moonshotai.kimi-k2-thinking
moonshotai.kimi-k2.5
nvidia.nemotron-nano-12b-v2
openai.gpt-5.6-luna
openai.gpt-5.6-sol
openai.gpt-6-astra
openai.gpt-6-sol
openai.gpt-6.1-sol
openai.gpt-oss-120b-1:0 openai.gpt-oss-120b
openai.gpt-oss-20b-1:0 openai.gpt-oss-20b
qwen.qwen3-235b-a22b-2507-v1:0
qwen.qwen3-32b-v1:0
qwen.qwen3-coder-30b-a3b-v1:0
qwen.qwen3-coder-480b-a35b-v1:0
qwen.qwen3-next-80b-a3b
stability.stable-diffusion-xl-v0
stability.stable-diffusion-xl-v1
stability.stable-image-core-v1:0
stability.stable-image-core-v1:1
twelvelabs.marengo-embed-2-7-v1:0
twelvelabs.marengo-embed-3-0-v1:0
writer.palmyra-x4-v1:0
writer.palmyra-x5-v1:0
xai.grok-4.6
zai.glm-4.7
zai.glm-4.7-flash
"""
GROUPS = [frozenset(row.split()) for row in MODELS.strip().splitlines()]
IDS = sorted(model_id for group in GROUPS for model_id in group)

# As Service Quotas spells them.
NAMES = {
    "Anthropic Claude Sonnet 4.5 V1": "anthropic.claude-sonnet-4-5-20250929-v1:0",
    "Claude Sonnet 4.5 V1": "anthropic.claude-sonnet-4-5-20250929-v1:0",
    "Anthropic Claude Sonnet 4.6": "anthropic.claude-sonnet-4-6",
    "Anthropic Claude Sonnet 4 V1": "anthropic.claude-sonnet-4-20250514-v1:0",
    "Anthropic Claude Haiku 4.5": "anthropic.claude-haiku-4-5-20251001-v1:0",
    "Anthropic Claude Opus 4.6 V1": "anthropic.claude-opus-4-6-v1",
    "Anthropic Claude Opus 5": "anthropic.claude-opus-5",
    "Anthropic Claude Opus 5.5": "anthropic.claude-opus-5-5",
    "Anthropic Claude 3.7 Sonnet V1": "anthropic.claude-3-7-sonnet-20250219-v1:0",
    "Anthropic Claude Sonnet 3.7 V1": "anthropic.claude-3-7-sonnet-20250219-v1:0",
    "Anthropic Claude 3.5 Sonnet": "anthropic.claude-3-5-sonnet-20240620-v1:0",
    "Anthropic Claude 3.5 Sonnet V2": "anthropic.claude-3-5-sonnet-20241022-v2:0",
    "Anthropic Claude 3 Haiku": "anthropic.claude-3-haiku-20240307-v1:0",
    "Anthropic Claude Instant": "anthropic.claude-instant-v1",
    "Anthropic Claude V2": "anthropic.claude-v2",
    "Anthropic Claude V2.1": "anthropic.claude-v2:1",
    "Amazon Nova Lite": "amazon.nova-lite-v1:0",
    "Amazon Nova Pro V1": "amazon.nova-pro-v1:0",
    "Amazon Nova 2 Lite": "amazon.nova-2-lite-v1:0",
    "Amazon Titan Text Embeddings": "amazon.titan-embed-text-v1",
    "Amazon Titan Text Embeddings V2": "amazon.titan-embed-text-v2:0",
    "Amazon Titan Text Express": "amazon.titan-text-express-v1",
    "Amazon Rerank 1.0": "amazon.rerank-v1:0",
    "AI21 Labs Jamba 1.5 Large": "ai21.jamba-1-5-large-v1:0",
    "Cohere Command R Plus": "cohere.command-r-plus-v1:0",
    "Cohere Command R": "cohere.command-r-v1:0",
    "Cohere Embed English": "cohere.embed-english-v3",
    "Cohere Embed V4": "cohere.embed-v4:0",
    "DeepSeek R1 V1": "deepseek.r1-v1:0",
    "DeepSeek V3 V1": "deepseek.v3-v1:0",
    "GPT-6 Astra": "openai.gpt-6-astra",
    "Meta Llama 2 Chat 13B": "meta.llama2-13b-chat-v1",
    "Meta Llama 3 8B Instruct": "meta.llama3-8b-instruct-v1:0",
    "Meta Llama 3.1 70B Instruct": "meta.llama3-1-70b-instruct-v1:0",
    "Meta Llama 4 Scout V1": "meta.llama4-scout-17b-instruct-v1:0",
    "Ministral 14B 3.0": "mistral.ministral-3-14b-instruct",
    "Mistral 7B Instruct": "mistral.mistral-7b-instruct-v0:2",
    "Mistral Large 3": "mistral.mistral-large-3-675b-instruct",
    "Mistral Pixtral Large 25.02 V1": "mistral.pixtral-large-2502-v1:0",
    "Moonshot AI Kimi K2.5": "moonshotai.kimi-k2.5",
    "OpenAI GPT OSS 120B": "openai.gpt-oss-120b-1:0",
    "Qwen3 235B a22b 2507 V1": "qwen.qwen3-235b-a22b-2507-v1:0",
    "Qwen3 32B V1": "qwen.qwen3-32b-v1:0",
    "TwelveLabs Marengo Embed V2.7": "twelvelabs.marengo-embed-2-7-v1:0",
    "Writer AI Palmyra X4 V1": "writer.palmyra-x4-v1:0",
}

UNITS = [("tokens", "minute", "tpm"), ("requests", "minute", "rpm")]


@pytest.mark.parametrize(("name", "model_id"), NAMES.items())
def test_a_quota_name_matches_its_model(name: str, model_id: str) -> None:
    assert model_of_name(name) == model_of_id(model_id)


@pytest.mark.parametrize(
    "name",
    [
        "Anthropic Claude Sonnet 4.5 V1 1M Context Length",
        "Mistral AI Mixtral 8X7BB Instruct",  # AWS's spelling; its words do not identify the model
        "Mistral Large",
        "Anthropic Claude Sonnet",
        "Anthropic",
        "A model of nobody",
        "",
    ],
)
def test_a_name_that_differs_from_every_model_matches_none(name: str) -> None:
    assert model_of_name(name) not in {model_of_id(model_id) for model_id in IDS}


def test_no_two_models_match_the_same_name() -> None:
    same = defaultdict(set)
    for model_id in IDS:
        same[model_of_id(model_id)].add(model_id)
    assert {frozenset(ids) for ids in same.values()} == set(GROUPS)


@st.composite
def spelt(draw: st.DrawFn, model: Model) -> str:
    """Yield the words of a model in any order and case, with and without the words that have no meaning."""
    provider = draw(st.sampled_from(facts()["providers"][model.provider]["words"]))
    words = [provider, *draw(st.permutations(sorted(model.words))), draw(st.sampled_from(["", "V1", "v1"]))]
    return " ".join(draw(st.sampled_from([word, word.upper(), word.title()])) for word in words)


@given(st.data())
def test_a_quota_name_matches_its_model_and_no_other(data: st.DataObject) -> None:
    model_id = data.draw(st.sampled_from(IDS))
    model = model_of_id(model_id)
    assert model is not None
    meant = model_of_name(data.draw(spelt(model)))
    assert meant == model
    group = next(group for group in GROUPS if model_id in group)
    assert {other for other in IDS if model_of_id(other) == meant} == group


@given(st.sampled_from(sorted(NAMES)), st.sampled_from(["1M Context Length", "Latency", "Mini", "V7", "9.9", "70T"]))
def test_a_name_with_an_additional_word_does_not_match_the_model(name: str, more: str) -> None:
    assert model_of_name(f"{name} {more}") != model_of_id(NAMES[name])


@given(st.text(max_size=60))
def test_no_text_breaks_the_matching(text: str) -> None:
    model_of_name(text)
    model_of_id(text)
    meaning(text, text)


@pytest.mark.parametrize(
    ("start", "pool"),
    [
        ("On-demand model inference", "on-demand"),
        ("On-demand InvokeModel", "on-demand"),
        ("Cross-region model inference", "geographic"),
        ("Cross-Region InvokeModel", "geographic"),
        ("Global cross-region model inference", "global"),
        ("Global cross-Region model inference", "global"),
        ("On-demand, latency-optimized model inference", "latency-optimized"),
        ("On-Demand latency-optimized model inference", "latency-optimized"),
    ],
)
@pytest.mark.parametrize(("unit", "period", "dimension"), UNITS)
def test_a_quota_has_one_pool_and_one_dimension(start: str, pool: str, unit: str, period: str, dimension: str) -> None:
    what = meaning("L-00000000", f"{start} {unit} per {period} for Amazon Nova Pro V1")
    assert what is not None
    assert (what.dimension, dict(what.pools or {}), what.certain) == (dimension, {pool: 1}, False)
    assert what.model == model_of_id("amazon.nova-pro-v1:0")


@pytest.mark.parametrize(
    "name",
    [
        "[bedrock-mantle endpoint] Input tokens per minute for GPT-5.6 Luna",
        "Model units per provisioned model for Amazon Nova Pro",
        "Records per batch inference job for Nova Pro V1",
        "(Guardrails) On-demand ApplyGuardrail requests per second",
        "InvokeModel requests per minute for Amazon Nova Pro",
        "On-demand model inference concurrent requests for Amazon Nova Pro",
        "Global cross-region model inference requests per fortnight for Amazon Nova Pro",
        "Not On-demand model inference tokens per minute for Amazon Nova Pro",
    ],
)
def test_unrelated_quotas_do_not_limit_inference(name: str) -> None:
    assert meaning("L-00000000", name) is None


def test_the_quota_for_all_models_matches_no_single_model() -> None:
    for what in (meaning("L-E3F10727", "renamed"), meaning("L-1", "Cross-Model max tokens per day")):
        assert what is not None
        assert (what.dimension, what.model) == ("tpd", None)


def test_known_quota_codes_are_well_formed_and_unique() -> None:
    codes = [
        (code, model)
        for model, pools in facts()["codes"].items()
        if isinstance(pools, dict)
        for dimensions in pools.values()
        for code in dimensions.values()
    ]
    assert len({code for code, _ in codes}) == len(codes) > 25
    for code, model in codes:
        assert re.fullmatch(r"L-[0-9A-F]{8}", code)
        what = meaning(code, "renamed")
        assert what is not None
        assert what.certain
        assert what.model == model_of_id(model)


def test_every_table_of_facts_has_a_source_and_a_date() -> None:
    data = facts()
    tables = [*data["patterns"], *(data[name] for name in ("cross_model", "words", "codes", "hold", "increase"))]
    assert all(table["source"] and table["seen"] for table in tables)
