"""The facts of a list of quotas about one model, and the lists that are ambiguous."""

from __future__ import annotations

from support.service_quotas import GEOGRAPHIC, ON_DEMAND

from aws_bedrock_inference.service_quotas.table import Found, QuotaTable

SONNET = "anthropic.claude-sonnet-4-5-20250929-v1:0"


def test_a_known_code_wins_over_its_name() -> None:
    renamed = Found("L-F4DDD3EB", "Geographic tokens each minute for Claude Sonnet", 10)
    other = Found("L-00000000", GEOGRAPHIC.format("tokens", "Anthropic Claude Sonnet 4.5"), 20)
    limits = QuotaTable((other, renamed)).limits(SONNET, "geographic")
    assert limits is not None
    assert limits.tpm == 10


def test_two_quotas_with_one_name_are_ambiguous() -> None:
    same = [Found(f"L-0000000{n}", ON_DEMAND.format("tokens", "Mistral 7B Instruct"), n) for n in (1, 2)]
    assert QuotaTable((same[0],)).limits("mistral.mistral-7b-instruct-v0:2", "on-demand") is not None
    assert QuotaTable(tuple(same)).limits("mistral.mistral-7b-instruct-v0:2", "on-demand") is None


def test_daily_tokens_of_a_model_are_used_only_without_a_quota_for_all_models() -> None:
    minute = [
        Found("L-1", ON_DEMAND.format("tokens", "Amazon Nova Micro"), 10),
        Found("L-2", GEOGRAPHIC.format("tokens", "Amazon Nova Micro"), 20),
    ]
    day = Found(
        "L-3", "Model invocation max tokens per day for Amazon Nova Micro (doubled for cross-region calls)", 100
    )
    everything = Found("L-E3F10727", "Cross-Model Max Tokens Per Day", 7_000)

    def tpd(pool: str, *found: Found) -> float | None:
        limits = QuotaTable((*minute, *found)).limits("amazon.nova-micro-v1:0", pool)
        assert limits is not None
        return limits.tpd

    assert [tpd(pool, day) for pool in ("on-demand", "geographic")] == [100, 200]
    assert [tpd(pool, day, everything) for pool in ("on-demand", "geographic")] == [7_000, 7_000]
    assert tpd("on-demand") is None


def test_daily_tokens_alone_do_not_identify_a_pool() -> None:
    table = QuotaTable((Found("L-3", "Model invocation max tokens per day for Amazon Nova Micro", 100),))
    assert table.limits("amazon.nova-micro-v1:0", "on-demand") is None
