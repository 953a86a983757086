"""The simulator filters, fails and truncates answers in its own words; each policy recognises them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.client_faces import at_once

from aws_bedrock_inference import AnswerIncomplete, Complete, ContentFilteredError, Degrade, Filtered, Pipeline, Retry
from aws_bedrock_inference.testing import Simulator, simulator

if TYPE_CHECKING:
    from collections.abc import Iterator

CLAUDE = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
NO = "I can't answer that."
BUSY = "Busy, try later."
MEMBERS = {"title": {"type": "string"}, "words": {"type": "array", "items": {"type": "string"}}}
SCHEMA = {"type": "object", "properties": MEMBERS, "required": [*MEMBERS], "additionalProperties": False}
STRUCTURE = {"jsonSchema": {"name": "summary", "schema": json.dumps(SCHEMA)}}
WANTED: dict[str, Any] = {"outputConfig": {"textFormat": {"type": "json_schema", "structure": STRUCTURE}}}
TOOL = {"name": "look", "inputSchema": {"json": {"type": "object", "properties": MEMBERS, "required": [*MEMBERS]}}}
REQUIRED: dict[str, Any] = {"tools": {"tools": [{"toolSpec": TOOL}], "toolChoice": {"any": {}}}}


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    with simulator() as made:
        yield made


@pytest.fixture
def sim(running: Simulator) -> Iterator[Simulator]:
    yield running
    running.scenario()


def opened(face: Any, sim: Simulator, on_filtered: str = NO) -> Any:
    pipeline = Pipeline(Degrade(BUSY), Filtered(on_filtered), Complete(), *at_once().policies)
    return face.open(sim.url, pipeline=pipeline)


@pytest.mark.parametrize(("kind", "source"), [("content-filtered", "provider"), ("guardrail", "guardrail")])
def test_simulated_filtered_content_is_recognised(face: Any, sim: Simulator, kind: str, source: str) -> None:
    sim.scenario(faults=[{"kind": kind}])
    client = opened(face, sim)
    for streamed in (False, True):
        reply = face.get(client.invoke("Why is the sky blue?", max_tokens=90, stream=streamed))
        assert (reply.text, reply.filtered.source, reply.made.replaced) == (NO, source, True)
        assert reply.usage.output_tokens > 0
    pieces = client.invoke_stream("Why is the sky blue?", max_tokens=90)
    assert list(face.items(pieces))[-1] == f"\n{NO}"
    assert (pieces.reply.text, pieces.reply.filtered.source) == (NO, source)
    strict = opened(face, sim, "raise")
    with pytest.raises(ContentFilteredError) as raised:
        list(face.items(strict.invoke_stream("Why is the sky blue?", max_tokens=90)))
    assert raised.value.received
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 90}
    asked = {**body, "messages": [{"role": "user", "content": "Why is the sky blue?"}]}
    with pytest.raises(ContentFilteredError):
        face.get(strict.invoke_model(modelId=CLAUDE, body=json.dumps(asked)))


def test_a_simulated_failure_is_replaced_by_the_substitute(face: Any, sim: Simulator) -> None:
    sim.scenario(faults=[{"kind": "error", "code": "InternalServerException"}])
    client = face.open(sim.url, pipeline=Pipeline(Degrade(BUSY), Filtered(NO), Retry(attempts=1)))
    assert face.get(client.invoke("Why?", max_tokens=9)).text == BUSY
    assert list(face.items(client.invoke_stream("Why?", max_tokens=9))) == [BUSY]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("due", [WANTED, REQUIRED], ids=["schema", "tool"])
def test_simulated_truncated_answers_are_recognised(
    face: Any, sim: Simulator, due: dict[str, Any], *, streamed: bool
) -> None:
    client = opened(face, sim)
    ask: dict[str, Any] = {"modelId": CLAUDE, "stream": streamed, **due}
    whole = face.get(client.invoke("Why?", max_tokens=400, **ask))
    needed = whole.usage.output_tokens
    again = face.get(client.invoke("Why?", max_tokens=needed - 2, **ask))
    assert (again.text, again.attempts, again.made.enlarged) == (whole.text, 2, 2 * (needed - 2))
    assert again.usage.input_tokens == 2 * whole.usage.input_tokens
    with pytest.raises(AnswerIncomplete) as raised:
        face.get(client.invoke("Why?", max_tokens=2, **ask))
    assert raised.value.attempts == 2
    if not streamed:
        del ask["stream"]
        with pytest.raises(AnswerIncomplete) as raised:
            list(face.items(client.invoke_stream("Why?", max_tokens=needed - 2, **ask)))
        assert raised.value.attempts == 1
