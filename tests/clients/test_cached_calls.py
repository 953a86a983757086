"""The cache through the clients, against the simulator: complete answers, streams, bodies and embeddings."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from support.answers import FRAMES, INTERNAL, REPLY
from support.client_faces import MODEL, at_once
from support.doubles import session
from support.wire import Wire, answer, stream

from aws_bedrock_inference import AsyncBedrockClient, BedrockClient, Cache, Pipeline, Quota, Usage, standard
from aws_bedrock_inference.events import AnswerCached, CallEnded
from aws_bedrock_inference.testing import simulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COLD = {"inferenceConfig": {"temperature": 0, "maxTokens": 300}}
ASK = {"messages": [{"role": "user", "content": [{"text": "Why?"}]}], **COLD}
BODY = json.dumps({"schemaVersion": "messages-v1", **ASK, "inferenceConfig": {"temperature": 0, "maxTokens": 3000}})
EMBED = "amazon.titan-embed-text-v2:0"


def cached(cache: Cache | None = None) -> Pipeline:
    return Pipeline(cache or Cache(), *at_once().policies)


@pytest.fixture(scope="module")
def sim() -> Iterator[Any]:
    with simulator(answers={"tokens": 20}) as running:
        yield running


def test_a_cached_reply_has_its_age_and_costs_nothing(face: Any) -> None:
    with Wire(answer(REPLY)) as wire:
        client = face.open(wire.url, pipeline=cached())
        ends: list[Any] = []
        client.listen(ends.append)
        first = face.get(client.invoke("Why?", temperature=0))
        second = face.get(client.invoke("Why?", temperature=0))
        assert len(wire.received) == 1
    assert (first.cached, first.usage, first.attempts) == (None, Usage(3, 5), 1)
    assert second.cached is not None
    assert 0 <= second.cached < 60
    assert (second.text, second.usage, second.attempts) == (first.text, Usage(), 0)
    assert second["usage"] == first["usage"]
    assert second["ResponseMetadata"]["HTTPHeaders"]["age"] == "0"
    assert [(type(end), getattr(end, "usage", None)) for end in ends] == [
        (CallEnded, Usage(3, 5)),
        (AnswerCached, None),
        (CallEnded, Usage()),
    ]


def test_methods_named_after_boto3s_are_answered_from_the_cache_too(face: Any) -> None:
    with Wire(answer(REPLY), stream(*FRAMES)) as wire:
        client = face.open(wire.url, pipeline=cached())
        one, two = (face.get(client.converse(**ASK)) for _ in range(2))
        assert two["output"] == one["output"]
        for _ in range(2):
            response = face.get(client.converse_stream(**ASK))
            assert response["ResponseMetadata"]["HTTPStatusCode"] == 200
            events = list(face.items(response["stream"]))
            assert events[1]["contentBlockDelta"]["delta"]["text"] == "Because "
            assert len(events) == len(FRAMES)
        text = client.invoke_stream("Why?", temperature=0, max_tokens=300)
        assert "".join(face.items(text)) == "Because of Rayleigh."
        assert text.reply.cached is not None
        assert text.reply.usage == Usage()
        assert len(wire.received) == 2


@pytest.mark.parametrize(("model", "body"), [(MODEL, BODY), (EMBED, json.dumps({"inputText": "blue"}))])
def test_bodies_and_embeddings_are_cached(model: str, body: str, face: Any, sim: Any) -> None:
    client = face.open(sim.url, pipeline=cached())
    responses = [face.get(client.invoke_model(modelId=model, body=body)) for _ in range(3)]
    bodies = [response["body"].read() for response in responses]
    assert bodies[0] == bodies[1] == bodies[2] != b""
    ages = [response["ResponseMetadata"]["HTTPHeaders"].get("age") for response in responses]
    assert ages == [None, "0", "0"]


def test_cached_answers_do_not_affect_the_quota_or_the_estimates() -> None:
    quota = Quota(tpm=10**6)
    with Wire(answer({**REPLY, "usage": {"inputTokens": 5000, "outputTokens": 5, "totalTokens": 5005}})) as wire:
        client = BedrockClient(MODEL, session=session(), endpoint_url=wire.url, pipeline=standard(quota, cache=Cache()))
        client.invoke("Why? " * 2000, temperature=0, max_tokens=9)
        learnt = client._gauge.tokens("amazon.nova-lite-v1:0", 1000)
        used = quota._ledgers[next(iter(quota._ledgers))].ledger.snapshot(client._clock()).used
        for _ in range(20):
            assert client.invoke("Why? " * 2000, temperature=0, max_tokens=9).cached is not None
        assert client._gauge.tokens("amazon.nova-lite-v1:0", 1000) == learnt
        after = quota._ledgers[next(iter(quota._ledgers))].ledger.snapshot(client._clock()).used
        assert after["tokens"] <= used["tokens"]
        client.close()


def test_a_thousand_equal_tasks_make_one_request() -> None:
    async def main(url: str) -> list[Any]:
        async with AsyncBedrockClient(MODEL, session=session(), endpoint_url=url, pipeline=cached()) as client:
            return await asyncio.gather(*(client.invoke("Why?", temperature=0) for _ in range(1000)))

    with Wire(answer(REPLY)) as wire:
        replies = asyncio.run(main(wire.url))
        assert len(wire.received) == 1
    assert {reply.text for reply in replies} == {"Because of Rayleigh."}


def test_only_the_first_of_equal_calls_retries_while_the_others_wait(face: Any) -> None:
    with Wire(INTERNAL, INTERNAL, answer(REPLY)) as wire:
        client = face.open(wire.url, pipeline=cached())
        assert face.get(client.invoke("Why?", temperature=0)).attempts == 3
        assert face.get(client.invoke("Why?", temperature=0)).attempts == 0
        assert len(wire.received) == 3


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_two_clients_share_cached_answers_unless_their_routes_differ(kind: str, tmp_path: Path) -> None:
    import boto3  # noqa: PLC0415 - this test alone

    url = None if kind == "memory" else f"sqlite://{tmp_path}/answers.db"
    cache = Cache(url)
    others = [
        boto3.Session("AKIDEXAMPLE", "secret", region_name="us-east-1"),
        boto3.Session("AKIDEXAMPLE", "secret", region_name="us-west-2"),
        boto3.Session("AKIDANOTHER", "secret", region_name="us-east-1"),
        boto3.Session("AKIDEXAMPLE", "secret", region_name="us-east-1"),
    ]
    with Wire(*[answer(REPLY)] * 3) as wire, Wire(answer(REPLY)) as elsewhere:
        urls = [wire.url, wire.url, wire.url, elsewhere.url]
        for _ in range(2):
            for other, place in zip(others, urls, strict=True):
                with BedrockClient(MODEL, session=other, endpoint_url=place, pipeline=cached(cache)) as client:
                    client.invoke("Why?", temperature=0)
        assert (len(wire.received), len(elsewhere.received)) == (3, 1)
    cache.close()


def test_the_repr_of_a_route_shows_neither_endpoint_nor_principal() -> None:
    with BedrockClient(MODEL, session=session(), endpoint_url="http://127.0.0.1:1") as client:
        route = client._route(MODEL)
    assert len(route.endpoint) == len(route.principal) == 16
    assert route.endpoint not in repr(route)
    assert route == replace(route, endpoint="", principal="")
