"""Malformed answers to the records of a run: each becomes an answer line or a failure, and none ends the run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.client_faces import Asyncio
from support.wire import Wire, answer

from aws_bedrock_inference import BedrockError, Pipeline, Retry, Usage
from aws_bedrock_inference.batch.answers import Answer, asker, error_line
from aws_bedrock_inference.batch.records import Record
from aws_bedrock_inference.batch.spent import Spent, read_spent

if TYPE_CHECKING:
    from collections.abc import Iterator

DEEP = b"[" * 100_000 + b"]" * 100_000
CONVERSE = {"messages": [{"role": "user", "content": [{"text": "x"}]}]}
RECORDS = [
    Record("a", {"id": "a", "prompt": "x"}),
    Record("b", {"recordId": "b", "modelInput": CONVERSE}),
    Record("c", {"recordId": "c", "modelInput": {"prompt": "x", "max_gen_len": 5}}),
]


@pytest.fixture
def face(alone: None) -> Iterator[Asyncio]:
    made = Asyncio()
    yield made
    made.end()


@pytest.mark.parametrize("kind", ["application/json", "text/plain"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"5",
        b"{}",
        b"<html>",
        b"\xff",
        DEEP,
        b'{"usage": {"inputTokens": "5"}}',
        b'{"output": {"message": {"content": null}}}',
        b'{"output": {"message": {"content": [{"text": "\\ud83d"}]}}}',
        b'{"generation": ' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"}",
        b'{"usage": {"input_tokens": -1e300}}',
    ],
)
def test_any_answer_is_a_line_or_a_failure_of_its_record(face: Asyncio, body: bytes, kind: str) -> None:
    with Wire(answer(body, Content_Type=kind)) as wire:
        ask = asker(face.open(wire.url, pipeline=Pipeline(Retry(attempts=1))))
        for record in RECORDS:
            try:
                given = face.get(ask(record))
            except BedrockError as error:
                json.dumps(error_line(error.fault, error.attempts))
            else:
                assert isinstance(given, Answer)
                assert isinstance(given.stop_reason, str)
                line = json.dumps(given.line).encode()
                spent = list(read_spent([line], "answers"))
                assert all(not isinstance(one, Spent) or one.usage.input_tokens >= 0 for one in spent)


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        ({"input_tokens": 5, "output_tokens": 7}, Usage(5, 7)),
        ({"input_tokens": 0, "output_tokens": 0, "cache_read_tokens": 0, "cache_write_tokens": 0}, None),
        ({"input_tokens": -5, "output_tokens": 7}, None),
        ({"input_tokens": 5, "output_tokens": 1e300}, None),
        ("five", None),
    ],
)
def test_a_missing_or_impossible_usage_in_a_file_of_answers_is_ignored(usage: Any, read: Usage | None) -> None:
    (spent,) = read_spent([json.dumps({"id": "a", "text": "x", "usage": usage}).encode()], "answers")
    assert (spent.usage if isinstance(spent, Spent) else None) == read
