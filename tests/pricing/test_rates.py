"""The arithmetic of costs, against figures that were computed by hand from AWS's own price pages."""

from __future__ import annotations

from typing import Any

import pytest

from aws_bedrock_inference import Rates, Usage, rates_of
from aws_bedrock_inference.pricing import dollars

PAGE = "https://aws.amazon.com/bedrock/pricing/, as of 2026-07-24"
LIST = "AWS Price List Bulk API, offer AmazonBedrock, published 2026-08-20"
LATER = "AWS Price List Bulk API, offer AmazonBedrock, published 2026-09-17"
MARKET = "https://aws.amazon.com/marketplace/pp/prodview-o6w4hyizv7g64, as of 2026-08-16"

# Usages that were recorded: quoted in public bug reports and in AWS's example of token burndown.
ANSWER = Usage(26, 1_203)
WRITTEN = Usage(3, 30, 0, 8_814)
READ = Usage(3, 30, 8_814, 0)
BURNDOWN = Usage(3_000, 1_000, 4_000, 1_000)


@pytest.mark.parametrize(
    ("model", "region", "usage", "by_hand", "source"),
    [
        # 26 x 3.00 + 1,203 x 15.00 = 78 + 18,045 = 18,123 millionths of a dollar
        ("global.anthropic.claude-sonnet-4-6", "eu-west-1", ANSWER, 0.018123, MARKET),
        # the same in a geography: 26 x 3.30 + 1,203 x 16.50 = 85.8 + 19,849.5
        ("us.anthropic.claude-sonnet-4-6", "us-east-1", ANSWER, 0.0199353, PAGE),
        # 3 x 3.00 + 30 x 15.00 + 8,814 x 3.75 = 9 + 450 + 33,052.5
        ("global.anthropic.claude-sonnet-4-6", "us-east-1", WRITTEN, 0.0335115, MARKET),
        # 3 x 3.00 + 30 x 15.00 + 8,814 x 0.30 = 9 + 450 + 2,644.2
        ("global.anthropic.claude-sonnet-4-6", "us-east-1", READ, 0.0031032, MARKET),
        # kept for an hour: 3 x 3.00 + 30 x 15.00 + 8,814 x 6.00 = 9 + 450 + 52,884
        ("global.anthropic.claude-sonnet-4-6", "us-east-1", Usage(3, 30, 0, 8_814, 0, 8_814), 0.053343, MARKET),
        # 814 of it for an hour: 9 + 450 + 8,000 x 3.75 + 814 x 6.00 = 9 + 450 + 30,000 + 4,884
        ("global.anthropic.claude-sonnet-4-6", "us-east-1", Usage(3, 30, 0, 8_814, 0, 814), 0.035343, MARKET),
        # 3,000 x 5.50 + 1,000 x 27.50 + 4,000 x 0.55 + 1,000 x 6.875 = 16,500 + 27,500 + 2,200 + 6,875
        ("eu.anthropic.claude-opus-4-6-v1", "eu-central-1", BURNDOWN, 0.053075, PAGE),
        # and global: 3,000 x 5 + 1,000 x 25 + 4,000 x 0.50 + 1,000 x 6.25 = 15,000 + 25,000 + 2,000 + 6,250
        ("global.anthropic.claude-opus-4-6-v1", "eu-central-1", BURNDOWN, 0.04825, PAGE),
        # 3,000 x 1 + 1,000 x 5 + 4,000 x 0.10 + 1,000 x 1.25
        ("global.anthropic.claude-haiku-4-5-20251001-v1:0", "ap-northeast-1", BURNDOWN, 0.00965, PAGE),
        # Nova differs by Region; its reads cost a quarter, its writes nothing:
        # 3,000 x 0.06 + 1,000 x 0.24 + 4,000 x 0.015 = 180 + 240 + 60
        ("us.amazon.nova-lite-v1:0", "us-east-1", BURNDOWN, 0.00048, LIST),
        # 3,000 x 0.072 + 1,000 x 0.288 + 4,000 x 0.018 = 216 + 288 + 72
        ("apac.amazon.nova-lite-v1:0", "ap-northeast-1", BURNDOWN, 0.000576, LATER),
        # 10,000 x 1.05 + 2,000 x 4.20 = 10,500 + 8,400
        ("eu.amazon.nova-pro-v1:0", "eu-central-1", Usage(10_000, 2_000), 0.0189, LIST),
        # 1,000 x 0.36 + 100 x 3.01 + 1,000 x 0.09
        ("global.amazon.nova-2-lite-v1:0", "ap-northeast-1", Usage(1_000, 100, 1_000), 0.000751, LATER),
        # 1,000 x 0.18 + 1,000 x 0.73
        ("openai.gpt-oss-120b-1:0", "sa-east-1", Usage(1_000, 1_000), 0.00091, LIST),
        # an embedding has no output: 5,000 x 0.02
        ("amazon.titan-embed-text-v2:0", "us-east-1", Usage(5_000), 0.0001, LIST),
    ],
)
def test_costs_are_those_computed_by_hand(model: str, region: str, usage: Usage, by_hand: float, source: str) -> None:
    rates = rates_of(model, region)
    assert rates is not None
    assert rates.cost(usage) == by_hand, source


@pytest.mark.parametrize(
    ("model", "tier", "by_hand"),
    [
        # a million in and out, of the page: Nova Pro 0.40 + 1.60, 1.40 + 5.60, 1.00 + 4.00; gpt-oss-120b 0.2625 + 1.05
        ("us.amazon.nova-pro-v1:0", "flex", 2.0),
        ("us.amazon.nova-pro-v1:0", "priority", 7.0),
        ("us.amazon.nova-pro-v1:0", "latency-optimized", 5.0),
        ("openai.gpt-oss-120b-1:0", "flex", 0.375),
        ("openai.gpt-oss-120b-1:0", "priority", 1.3125),
        ("openai.gpt-oss-120b-1:0", "batch", 0.375),
        # batch rows of the list: Claude Haiku 4.5 in a Region 0.55 + 2.75
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", "batch", 3.3),
    ],
)
def test_tiers_and_batch_jobs_have_prices_of_their_own(model: str, tier: str, by_hand: float) -> None:
    rates = rates_of(model, "us-east-1", tier=tier)
    assert rates is not None
    assert rates.cost(Usage(1_000_000, 1_000_000)) == pytest.approx(by_hand, rel=1e-12)
    assert rates.cost(Usage(1, 1, cache_read_tokens=1)) is None


def test_all_tokens_of_a_long_prompt_cost_more() -> None:
    rates = rates_of("global.anthropic.claude-haiku-5-5", "us-east-1")
    assert rates is not None
    # 0.10 and 0.50 up to 100,000 tokens of prompt, 0.50 and 2.50 above, cached parts included
    assert rates.cost(Usage(100_000, 1_000)) == 0.0105
    assert rates.cost(Usage(100_001, 1_000)) == 0.0525005
    assert rates.cost(Usage(50_001, 1_000, 50_000)) == 0.0300005  # 25,000.5 + 2,500 + 50,000 x 0.05


def test_two_requests_are_not_one_long_prompt() -> None:
    rates = rates_of("global.anthropic.claude-haiku-5-5", "us-east-1")
    assert rates is not None
    one = Usage(60_000, 100)
    assert rates.cost(one + one) == 2 * (rates.cost(one) or 0) == 0.0121
    assert (one + one).requests == 2


def test_counts_for_json_have_what_every_call_has_and_what_this_one_has() -> None:
    common = {"input_tokens": 1, "output_tokens": 2, "cache_read_tokens": 0, "cache_write_tokens": 0}
    assert Usage(1, 2).counts() == (Usage(1, 1) + Usage(0, 1)).counts() == common
    assert Usage(1, 2, 0, 9, 5, 4).counts() == common | {
        "cache_write_tokens": 9,
        "cache_write_excess": 5,
        "cache_write_1h_tokens": 4,
    }


@pytest.mark.parametrize("usage", [Usage(1), Usage(0, 1), Usage(0, 0, 1), Usage(0, 0, 0, 1), Usage(0, 0, 0, 1, 0, 1)])
def test_what_has_no_price_makes_the_cost_unknown_and_not_zero(usage: Usage) -> None:
    assert Rates(input=None).cost(usage) is None
    assert Rates(1, 1, 1, 1, 1).cost(usage) == 0.000001


def test_no_tokens_cost_nothing_whatever_is_known() -> None:
    assert Rates(input=None).cost(Usage()) == 0.0


@pytest.mark.parametrize(
    ("cost", "words"),
    [
        (None, "cost unknown"),
        (0.0, "$0.000000"),
        (0.0000151, "$0.000015"),
        (1.0, "$1.00"),
        (12_345.678, "$12,345.68"),
    ],
)
def test_costs_in_words(cost: Any, words: str) -> None:
    assert dollars(cost) == words
