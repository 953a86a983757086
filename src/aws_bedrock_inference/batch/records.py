"""A reader of input files: each line becomes a request, or a message that says what is wrong with it.

Two forms, also mixed in one file:

    {"id": "p1", "prompt": "...", "system": "...", "max_tokens": 400, "temperature": 0.2}    the last three are optional
    {"recordId": "r1", "modelInput": {...}}                                                  Bedrock's batch inference

A `modelInput` made only of Converse's members is sent to Converse; any other, in the model's own dialect, to
InvokeModel.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from aws_bedrock_inference.batch.keys import Keys
from aws_bedrock_inference.dialects.request import is_converse

if TYPE_CHECKING:
    from collections.abc import Iterator

# The runtime takes bodies of up to 25,000,000 bytes (botocore 1.44.5, service model); escapes make a line longer.
LONGEST_LINE = 40_000_000

_PROMPT_KEYS = ("id", "prompt", "system", "max_tokens", "temperature")
_BATCH_KEYS = ("recordId", "modelInput")


@dataclass(frozen=True, slots=True)
class Record:
    """One request. `source` is the parsed line, without the error that an earlier run may have added."""

    key: str
    source: dict[str, Any]

    @property
    def is_prompt(self) -> bool:
        """True if the record is in the short form."""
        return "prompt" in self.source

    @property
    def is_converse(self) -> bool:
        """True if the record is a batch record in Converse's form."""
        return is_converse(self.source.get("modelInput", {}))


@dataclass(frozen=True, slots=True)
class BadLine:
    """An invalid line: its place, what is wrong, and what to do."""

    file: str
    number: int
    problem: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.number}: {self.problem}"


def read_records(file: BinaryIO, name: str) -> Iterator[Record | BadLine]:
    """Yield a record or an error for each line of `file`; skip blank lines. Memory holds one line at a time, and 8
    bytes of each id to find duplicates.

    Raises `ValueError` if the file as a whole is not in JSON Lines format.
    """
    seen = Keys()
    for number, line in numbered_lines(file):
        if number == 1:
            _check_start(line, name)
            line = line.removeprefix(b"\xef\xbb\xbf")  # noqa: PLW2901 - the byte order mark belongs to no line
        if line.strip():
            try:
                record = _record(line)
            except _ProblemError as problem:
                yield BadLine(name, number, str(problem))
            else:
                again = f'the id "{record.key}" was used on an earlier line. Give each line its own'
                yield record if seen.add(record.key) else BadLine(name, number, again)


class _ProblemError(Exception):
    """A problem with a line."""


def numbered_lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield each line with its number; of a line that is too long, its beginning."""
    number = 0
    while line := file.readline(LONGEST_LINE):
        number += 1
        yield number, line
        while len(line) == LONGEST_LINE and not line.endswith(b"\n"):
            line = file.readline(LONGEST_LINE)


def _check_start(line: bytes, name: str) -> None:
    if line.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError(f"{name} is in UTF-16. Convert it: iconv -f UTF-16 -t UTF-8 {name}")
    if line.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"["):
        raise ValueError(f"{name} is a JSON array; one object on each line is required. Convert it: jq -c '.[]' {name}")


def _record(line: bytes) -> Record:
    if len(line) >= LONGEST_LINE:
        raise _ProblemError(f"longer than {LONGEST_LINE:,} bytes; Bedrock accepts 25,000,000. Shorten it")
    try:
        source = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise _ProblemError(f"byte {error.start + 1} is not UTF-8. Save the file as UTF-8") from None
    except json.JSONDecodeError as error:
        raise _ProblemError(
            f"not JSON: {error.msg} at character {error.pos + 1}. Write one complete object on each line"
        ) from None
    except (RecursionError, ValueError):
        raise _ProblemError("JSON nested too deeply, or with a number too long. Simplify it") from None
    if not isinstance(source, dict):
        raise _ProblemError(f'this is {_kind(source)}, not a JSON object. Write {{"id": ..., "prompt": ...}}')
    source.pop("error", None)
    if "modelInput" in source:
        return _batch_record(source)
    return _prompt_record(source)


def _prompt_record(source: dict[str, Any]) -> Record:
    if "prompt" not in source:
        raise _ProblemError(
            f'"prompt" is missing{_meant(source, "prompt")}. '
            "Give each line an id and a prompt, or a recordId and a modelInput"
        )
    _check_names(source, _PROMPT_KEYS)
    for name in ("prompt", "system"):
        text = source.get(name, "-")
        if not isinstance(text, str):
            raise _ProblemError(f'"{name}" must be text, but is {_kind(text)}')
        if not text.strip():
            raise _ProblemError(f'"{name}" is blank, and Bedrock refuses blank text. Fill it in or remove the line')
    tokens, temperature = source.get("max_tokens", 1), source.get("temperature", 0)
    if not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < 1:
        raise _ProblemError(f'"max_tokens" is {json.dumps(tokens)}. Give a whole number, 1 or more')
    if not isinstance(temperature, (int, float)) or isinstance(temperature, bool) or not 0 <= temperature <= 1:
        raise _ProblemError(f'"temperature" is {json.dumps(temperature)}. Give a number from 0 to 1')
    return Record(_key(source, "id"), source)


def _batch_record(source: dict[str, Any]) -> Record:
    _check_names(source, _BATCH_KEYS)
    body = source["modelInput"]
    if not isinstance(body, dict) or not body:
        given = "empty" if body == {} else _kind(body)
        raise _ProblemError(f'"modelInput" must be an object with the request\'s body, but is {given}')
    if "modelId" in body:
        raise _ProblemError('"modelInput" has a modelId. The model is given on the command line; remove it')
    return Record(_key(source, "recordId"), source)


def _key(source: dict[str, Any], name: str) -> str:
    key = source.get(name)
    if isinstance(key, bool) or not isinstance(key, (str, int)) or key == "":
        given = "missing" if key is None else f"{json.dumps(key)}, {_kind(key)}"
        raise _ProblemError(
            f'"{name}" is {given}. Give each line its own text or whole number; a second run finds the answer by it'
        )
    return str(key)


def _check_names(source: dict[str, Any], known: tuple[str, ...]) -> None:
    """Accept unknown members, but not a misspelt known one, which would be ignored silently."""
    for name in source.keys() - set(known):
        near = difflib.get_close_matches(name.lower(), known, 1, 0.8)
        if near and near[0] not in source:
            raise _ProblemError(f'"{name}" is not known. Did you mean "{near[0]}"?')


def _meant(source: dict[str, Any], wanted: str) -> str:
    near = difflib.get_close_matches(wanted, source, 1, 0.7)
    return f' (there is "{near[0]}")' if near else ""


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
