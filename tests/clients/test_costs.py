"""The cost of a call through every client: in the reply, in the event of its end, and in the log."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from support.answers import FRAMES, MESSAGES, REPLY, UNAVAILABLE, chunk
from support.client_faces import MODEL, Blocking, at_once
from support.doubles import session
from support.wire import Wire, answer, event, stream

from aws_bedrock_inference import (
    AsyncBedrockClient,
    BudgetExhausted,
    Cache,
    Complete,
    Degrade,
    MaxCost,
    Pipeline,
    PriceUnknown,
    Quota,
    Reply,
    Usage,
    standard,
)
from aws_bedrock_inference.dialects.usage import counted
from aws_bedrock_inference.events import CallEnded
from aws_bedrock_inference.pricing import table
from aws_bedrock_inference.testing import simulator

if TYPE_CHECKING:
    from collections.abc import Iterator

# Nova Lite in us-east-1: 3 x 0.06 + 5 x 0.24 millionths of a dollar. Claude Sonnet 4.6, global: 3 and 15.
COST = 0.00000138
SONNET = "global.anthropic.claude-sonnet-4-6"
ASK: dict[str, Any] = {"messages": MESSAGES}


@pytest.fixture
def blocking() -> Iterator[Any]:
    made = Blocking()
    yield made
    made.end()


def ended(client: Any) -> list[CallEnded]:
    heard: list[Any] = []
    client.listen(lambda happened: heard.append(happened) if isinstance(happened, CallEnded) else None)
    return heard


@pytest.mark.parametrize("collected", [False, True])
def test_a_reply_and_its_end_event_have_the_same_cost(face: Any, *, collected: bool) -> None:
    with Wire(stream(*FRAMES) if collected else answer(REPLY)) as wire:
        client = face.open(wire.url)
        ends = ended(client)
        reply = face.get(client.invoke("Why?", stream=collected))
    assert reply.cost == COST
    assert [end.cost for end in ends] == [COST]


def test_a_stream_has_its_cost_at_its_end(face: Any) -> None:
    with Wire(stream(*FRAMES)) as wire:
        client = face.open(wire.url)
        ends = ended(client)
        pieces = client.invoke_stream("Why?")
        assert "".join(face.items(pieces)) == "Because of Rayleigh."
    assert pieces.reply.cost == COST
    assert [end.cost for end in ends] == [COST]


def test_an_answer_from_a_cache_costs_nothing(face: Any) -> None:
    with Wire(answer(REPLY)) as wire:
        client = face.open(wire.url, pipeline=Pipeline(Cache(), *at_once().policies))
        ends = ended(client)
        replies = [face.get(client.invoke("Why?", temperature=0)) for _ in range(2)]
    assert [reply.cost for reply in replies] == [COST, 0.0]
    assert [end.cost for end in ends] == [COST, 0.0]


def test_a_cost_is_unknown_without_a_usage_and_without_a_price(face: Any) -> None:
    silent = {name: value for name, value in REPLY.items() if name != "usage"}
    with Wire(answer(silent), answer(REPLY)) as wire:
        client = face.open(wire.url)
        ends = ended(client)
        assert face.get(client.invoke("Why?")).cost is None
        face.get(client.converse(modelId="amazon.nova-unheard-of-v1:0", **ASK))
    assert [end.cost for end in ends] == [None, None]


def test_an_unsent_call_costs_nothing_and_a_failed_call_has_an_unknown_cost(face: Any) -> None:
    with Wire(UNAVAILABLE) as wire:
        client = face.open(wire.url, pipeline=Pipeline(Degrade("Later.")))
        ends = ended(client)
        assert face.get(client.invoke("Why?")).cost is None
        client = face.open(wire.url, pipeline=Pipeline(MaxCost(1, spent=1)))
        ends += (refused := ended(client))
        with pytest.raises(BudgetExhausted):
            face.get(client.invoke("Why?"))
    assert [end.cost for end in ends] == [None]
    assert [end.cost for end in refused] == [0.0]


def written(details: Any) -> dict[str, Any]:
    usage = {"inputTokens": 10, "outputTokens": 20, "totalTokens": 3030, "cacheWriteInputTokens": 3_000}
    return {**REPLY, "usage": usage | ({"cacheDetails": details} if details else {})}


@pytest.mark.parametrize(
    ("details", "cost"),
    [
        (None, 0.01158),  # 10 x 3 + 20 x 15 + 3,000 x 3.75
        ([{"ttl": "5m", "inputTokens": 3_000}], 0.01158),
        ([{"ttl": "1h", "inputTokens": 3_000}], 0.01833),  # 3,000 x 6.00
        ([{"ttl": "1h", "inputTokens": 1_000}, {"ttl": "5m", "inputTokens": 2_000}], 0.01383),
        ([{"ttl": "1h", "inputTokens": 9_999}], 0.01833),
    ],
)
def test_cache_writes_for_an_hour_cost_more(blocking: Any, details: Any, cost: float) -> None:
    metadata = {"usage": written(details)["usage"], "metrics": {"latencyMs": 7}}
    with Wire(answer(written(details)), stream(*FRAMES[:-1], event("metadata", metadata))) as wire:
        client = blocking.open(wire.url)
        ends = ended(client)
        client.converse(modelId=SONNET, **ASK)
        list(client.converse_stream(modelId=SONNET, **ASK)["stream"])
    assert [end.cost for end in ends] == [cost, cost]


def test_a_usage_restored_from_its_counts_is_equal() -> None:
    usage = Usage(10, 20, 0, 3_000, 0, 1_000)
    assert counted(usage.counts()) == usage


def test_cache_writes_for_an_hour_cost_more_in_invoke_model_too(face: Any) -> None:
    usage = {
        "input_tokens": 10,
        "output_tokens": 20,
        "cache_creation_input_tokens": 3_000,
        "cache_creation": {"ephemeral_5m_input_tokens": 2_000, "ephemeral_1h_input_tokens": 1_000},
    }
    counts = {"inputTokenCount": 10, "outputTokenCount": 20, "cacheWriteInputTokenCount": 3_000}
    headers: dict[str, Any] = {
        "X_Amzn_Bedrock_Input_Token_Count": "10",
        "X_Amzn_Bedrock_Output_Token_Count": "20",
        "X_Amzn_Bedrock_Cache_Write_Input_Token_Count": "3000",
    }
    body = {"type": "message", "content": [{"type": "text", "text": "Yes."}], "stop_reason": "end_turn", "usage": usage}
    frames = [
        chunk({"type": "message_start", "message": {"usage": usage}}),
        chunk({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Yes."}}),
        chunk({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}),
        chunk({"type": "message_stop", "amazon-bedrock-invocationMetrics": counts}),
    ]
    asked = {
        "modelId": SONNET,
        "body": json.dumps({"messages": [{"role": "user", "content": "Yes?"}], "max_tokens": 9}),
    }
    with Wire(answer(body), answer(body, **headers), stream(*frames)) as wire:
        client = face.open(wire.url)
        ends = ended(client)
        for _ in range(2):
            face.get(client.invoke_model(**asked))
        list(face.items(face.get(client.invoke_model_with_response_stream(**asked))["body"]))
    assert [end.usage for end in ends] == [Usage(10, 20, 0, 3_000, 0, 1_000)] * 3
    assert [end.cost for end in ends] == [0.01383] * 3


@pytest.mark.parametrize(
    ("asked", "told", "cost"),
    [
        ({}, {}, 0.0000184),  # Nova Pro: 3 x 0.80 + 5 x 3.20
        ({"serviceTier": {"type": "flex"}}, {}, 0.0000092),
        ({"serviceTier": {"type": "priority"}}, {"serviceTier": {"type": "priority"}}, 0.0000322),
        ({"serviceTier": {"type": "priority"}}, {"serviceTier": {"type": "default"}}, 0.0000184),
        ({"serviceTier": {"type": "reserved"}}, {}, None),
        ({"performanceConfig": {"latency": "optimized"}}, {}, 0.000023),
        ({"performanceConfig": {"latency": "optimized"}}, {"performanceConfig": {"latency": "standard"}}, 0.0000184),
    ],
)
def test_the_tier_that_answered_sets_the_price(blocking: Any, asked: Any, told: Any, cost: Any) -> None:
    metadata = {"usage": REPLY["usage"], "metrics": {"latencyMs": 7}, **told}
    with Wire(answer({**REPLY, **told}), stream(*FRAMES[:-1], event("metadata", metadata))) as wire:
        client = blocking.open(wire.url)
        ends = ended(client)
        client.converse(modelId="amazon.nova-pro-v1:0", **ASK, **asked)
        list(client.converse_stream(modelId="amazon.nova-pro-v1:0", **ASK, **asked)["stream"])
    assert [end.cost for end in ends] == [cost, cost]


def test_a_resumed_answer_costs_what_both_parts_used(face: Any) -> None:
    with Wire(stream(*FRAMES[:2]), stream(*FRAMES)) as wire:
        client = face.open(wire.url)
        ends = ended(client)
        pieces = client.invoke_stream("Why is the sky blue?", on_interrupt="restart")
        face.whole(pieces)
    reply = pieces.reply
    [seam] = reply.seams
    rates = table.rates_on(reply.route)
    assert rates is not None
    assert reply.usage == seam.usage + Usage(3, 5)
    assert reply.cost == pytest.approx((rates.cost(seam.usage) or 0) + COST)
    assert reply.cost > COST
    assert [end.cost for end in ends] == [reply.cost]


def test_an_answer_that_was_requested_twice_costs_twice(face: Any) -> None:
    cut = {"toolUse": {"toolUseId": "t", "name": "look", "input": {}}}
    half = {**REPLY, "output": {"message": {"role": "assistant", "content": [cut]}}, "stopReason": "max_tokens"}
    with Wire(answer(half), answer({**half, "stopReason": "tool_use"})) as wire:
        client = face.open(wire.url, pipeline=Pipeline(Complete(), *at_once().policies))
        tools = [{"toolSpec": {"name": "look", "inputSchema": {"json": {"type": "object"}}}}]
        reply = face.get(client.invoke("Look.", max_tokens=9, tools=tools))
    assert (reply.usage.requests, reply.cost) == (2, 2 * COST)


def test_the_log_has_the_cost_of_calls_that_used_tokens(face: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "aws_bedrock_inference"), Wire(answer(REPLY), answer(REPLY)) as wire:
        client = face.open(wire.url)
        face.get(client.invoke("Why?"))
        face.get(client.converse(modelId="amazon.nova-unheard-of-v1:0", **ASK))
    lines = [record.getMessage() for record in caplog.records if "succeeded" in record.getMessage()]
    assert [line.rsplit(", ", 1)[1] for line in lines] == ["$0.000001", "cost unknown"]


def test_the_price_table_is_not_read_unless_a_cost_is_requested(face: Any) -> None:
    table._table.cache_clear()
    table._rates.cache_clear()
    with Wire(answer(REPLY)) as wire:
        client = face.open(wire.url)
        ends = ended(client)
        reply = face.get(client.invoke("Why?"))
    assert len(ends) == 1
    assert table._table.cache_info().currsize == 0
    assert reply.cost == COST
    assert table._table.cache_info().currsize == 1


def test_an_exhausted_cost_limit_raises_its_own_exception(face: Any) -> None:
    with Wire(answer(REPLY), answer(REPLY)) as wire:
        pipeline = standard(max_cost=COST)
        client = face.open(wire.url, pipeline=pipeline)
        face.get(client.invoke("Why?"))
        with pytest.raises(
            BudgetExhausted, match=r"the cost limit of \$0\.000001 is reached: calls have cost \$0\.000001"
        ):
            face.get(client.invoke("Why?"))
        with pytest.raises(PriceUnknown, match=r"the price of amazon\.nova-unheard-of-v1:0 in us-east-1 is unknown"):
            face.get(client.converse(modelId="amazon.nova-unheard-of-v1:0", **ASK))
        assert len(wire.received) == 1


def test_many_concurrent_calls_stay_below_the_cost_limit_and_use_it_up() -> None:
    budget = MaxCost(0.001)
    with simulator(answers={"tokens": 30}) as sim:

        async def crowd() -> tuple[list[CallEnded], list[Any]]:
            pipeline = Pipeline(budget, Quota(rpm=600_000))
            async with AsyncBedrockClient(MODEL, session=session(), endpoint_url=sim.url, pipeline=pipeline) as client:
                ends = ended(client)
                calls = (client.invoke(f"Question {n}?", max_tokens=400) for n in range(400))
                return ends, await asyncio.gather(*calls, return_exceptions=True)

        ends, results = asyncio.run(crowd())
    costs = [end.cost or 0 for end in ends if end.fault is None]
    assert {type(result) for result in results} == {Reply, BudgetExhausted}
    assert budget.spent == pytest.approx(sum(costs), rel=1e-12)
    assert 0.001 <= budget.spent <= 0.001 + 10 * max(costs)
