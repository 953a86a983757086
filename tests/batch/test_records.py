from __future__ import annotations

import io
import json
import tracemalloc
from typing import Any

import pytest

from aws_bedrock_inference.batch import pieces
from aws_bedrock_inference.batch.inputs import read_records
from aws_bedrock_inference.batch.records import BadLine, Record

GOOD = b'{"id": "p1", "prompt": "Hello"}'


def read(text: bytes) -> list[Record | BadLine]:
    return list(read_records(io.BytesIO(text), "prompts.jsonl"))


def only(text: bytes) -> Any:
    (found,) = read(text)
    return found


def test_records_of_both_forms_may_be_mixed() -> None:
    found = read(GOOD + b'\n{"recordId": "r1", "modelInput": {"inputText": "Hi"}}\n')
    assert [(item.key, item.is_prompt) for item in found if isinstance(item, Record)] == [("p1", True), ("r1", False)]


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbf" + GOOD + b"\n",
        GOOD + b"\r\n",
        GOOD,
        b"\n\n  \n" + GOOD + b"\n\r\n",
    ],
    ids=["byte order mark", "CRLF", "no newline at the end", "blank lines"],
)
def test_byte_order_marks_blank_lines_and_line_endings_do_no_harm(text: bytes) -> None:
    assert only(text).source["prompt"] == "Hello"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b'{"id": "p1", "prompt": "Hel', "not JSON"),
        (b'{"id": "p1", "prompt": "caf\xe9"}', "byte 28 is not UTF-8"),
        (b'"Hello"', "the line is text, not a JSON object"),
        (b'{"id": "p1"}', '"prompt" is missing'),
        (b'{"id": "p1", "promt": "Hello"}', '"prompt" is missing (there is "promt")'),
        (b'{"id": "p1", "prompt": 7}', '"prompt" must be text, but is a number'),
        (b'{"id": "p1", "prompt": "  "}', '"prompt" is blank'),
        (b'{"id": "p1", "prompt": "Hello", "system": ["x"]}', '"system" must be text, but is a list'),
        (b'{"prompt": "Hello"}', '"id" is missing'),
        (b'{"id": null, "prompt": "Hello"}', '"id" is missing'),
        (b'{"id": true, "prompt": "Hello"}', '"id" is true'),
        (b'{"id": "p1", "prompt": "Hello", "max_tokens": "400"}', '"max_tokens" is "400"'),
        (b'{"id": "p1", "prompt": "Hello", "max_tokens": 0}', '"max_tokens" is 0'),
        (b'{"id": "p1", "prompt": "Hello", "temperature": 2}', '"temperature" is 2'),
        (b'{"id": "p1", "prompt": "Hello", "max_token": 400}', 'Did you mean "max_tokens"?'),
        (b'{"id": "p1", "prompt": "Hello", "maxTokens": 400}', 'Did you mean "max_tokens"?'),
        (b'{"recordId": "r1", "modelInput": "Hello"}', '"modelInput" must be an object'),
        (b'{"recordId": "r1", "modelInput": {}}', "but is empty"),
        (b'{"recordId": "r1", "modelInput": {"modelId": "x"}}', "has a modelId"),
        (b'{"modelInput": {"inputText": "x"}}', '"recordId" is missing'),
        (b'{"id": 1, "prompt": "a", "prompt": "b"}', '"prompt" appears twice in one object'),
        (b'{"id": 1, "messages": [{"role": "user", "role": "user"}]}', '"role" appears twice'),
        (b'{"id": 1, "prompt": "a", "body": "b"}', '"body" is unknown'),
        (b'{"url": "/v1/chat/completions", "body": {"messages": []}}', "no user message"),
        (b'{"id": "p1", "prompt": "Hello", "timeout": 0}', '"timeout" is 0'),
        (b'{"id": "p1", "prompt": "Hello", "stream": true}', "for all records (--stream)"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"id": 1, "prompt": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        (b'{"id": 1' + b"0" * 5000 + b', "prompt": "x"}', "number is too long"),
    ],
)
def test_an_invalid_line_is_reported_with_its_number_and_the_problem(line: bytes, says: str) -> None:
    bad = only(b"\n" + line + b"\n")
    assert isinstance(bad, BadLine)
    assert str(bad).startswith("prompts.jsonl, line 2: ")
    assert says in bad.problem


def test_lines_after_an_invalid_one_are_read() -> None:
    found = read(b"nonsense\n" + GOOD + b"\n")
    assert [type(item) for item in found] == [BadLine, Record]


def test_a_duplicate_id_is_refused_even_if_one_is_a_number() -> None:
    found = read(b'{"id": 7, "prompt": "a"}\n{"id": "7", "prompt": "b"}\n{"id": 8, "prompt": "c"}\n')
    assert [type(item) for item in found] == [Record, BadLine, Record]
    assert 'the id "7" appears on an earlier line' in str(found[1])


def test_a_json_array_is_refused_with_the_command_that_converts_it() -> None:
    with pytest.raises(ValueError, match="jq -c"):
        read(b"[\n" + GOOD + b"\n]")


def test_objects_over_several_lines_are_refused_with_the_command_that_converts_them() -> None:
    with pytest.raises(ValueError, match=r"jq -c \."):
        read(b'{\n  "id": 1,\n  "prompt": "Hi"\n}\n')


def test_a_utf_16_file_of_a_windows_shell_is_read() -> None:
    assert only(GOOD.decode().encode("utf-16")).source["prompt"] == "Hello"


def test_a_line_above_the_length_limit_is_one_invalid_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "LONGEST_LINE", 1000)
    found = read(b'{"id": "p0", "prompt": "' + b"x" * 5500 + b'"}\n' + GOOD + b"\n")
    assert isinstance(found[0], BadLine)
    assert "longer than 1,000 bytes" in found[0].problem
    assert isinstance(found[1], Record)


def test_a_line_of_a_failures_file_is_a_record() -> None:
    record = only(b'{"id": "p1", "prompt": "Hello", "error": {"code": "ThrottlingException"}}\n')
    assert record.source == {"id": "p1", "prompt": "Hello"}


@pytest.mark.parametrize(
    ("body", "converse"),
    [
        ({"messages": [{"role": "user", "content": [{"text": "Hi"}]}], "inferenceConfig": {"maxTokens": 9}}, True),
        ({"messages": [{"role": "user", "content": "Hi"}]}, False),
        ({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": []}, False),
        (
            {"messages": [{"role": "user", "content": [{"text": "Hi"}]}], "inferenceConfig": {"max_new_tokens": 9}},
            False,
        ),
        ({"inputText": "Hi", "textGenerationConfig": {}}, False),
        ({"messages": "Hi"}, False),
        ({"messages": ["Hi"], "inferenceConfig": 3}, False),
    ],
    ids=["converse", "anthropic without version", "anthropic", "nova", "titan", "nonsense", "more nonsense"],
)
def test_only_a_converse_body_goes_to_converse(body: dict[str, Any], *, converse: bool) -> None:
    assert only(json.dumps({"recordId": "r1", "modelInput": body}).encode()).is_converse is converse


def test_a_large_file_is_read_in_constant_memory() -> None:
    class Endless(io.RawIOBase):
        """Generates 64 MB of lines while they are read."""

        def __init__(self) -> None:
            self.line = 0

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            if self.line == 32_000:
                return 0
            self.line += 1
            line = b'{"id": "p%06d", "prompt": "%s"}\n' % (self.line, b"x" * 2000)
            buffer[: len(line)] = line
            return len(line)

    tracemalloc.start()
    count = sum(isinstance(item, Record) for item in read_records(io.BufferedReader(Endless()), "large.jsonl"))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 32_000
    assert most < 3_000_000
