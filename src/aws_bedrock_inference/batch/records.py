"""A reader of input files: each line becomes a request, or a message that says what is wrong with it.

Two forms, also mixed in one file:

    {"id": "p1", "prompt": "...", "system": "...", "max_tokens": 400}    or `messages`, and other arguments of `invoke`
    {"recordId": "r1", "modelInput": {...}}                                                  Bedrock's batch inference

A `modelInput` made only of Converse's members is sent to Converse; any other, in the model's own dialect, to
InvokeModel.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from math import isinf
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

from aws_bedrock_inference.batch.keys import Keys
from aws_bedrock_inference.call import LONGEST_NAME, tenant_name
from aws_bedrock_inference.dialects.request import CONVERSE_MEMBERS, is_converse

if TYPE_CHECKING:
    from collections.abc import Iterator

# The runtime takes bodies of up to 25,000,000 bytes (botocore 1.44.5, service model); escapes make a line longer.
LONGEST_LINE = 40_000_000

_BATCH_KEYS = ("recordId", "modelInput")
_PROMPT_KEYS = (
    *("id", "prompt", "messages", "system", "max_tokens", "temperature", "stop_sequences", "tools", "tier", "priority"),
    "tenant",
    *sorted(CONVERSE_MEMBERS - {"messages", "system"}),
)

_MOST_NAMED = 10
_SHORTEST_BEGINNING = 3
_LONGEST_SHOWN = 60

# What the command line says for all records.
_OPTIONS = {"model": "--model", "modelId": "--model", "model_id": "--model", "stream": "--stream"}

# botocore 1.44.5, service model: `maxTokens` is an Integer, of 32 bits.
_MOST_TOKENS = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Record:
    """One request. `source` is the parsed line, without the error that an earlier run may have added."""

    key: str
    source: dict[str, Any]

    @property
    def is_prompt(self) -> bool:
        """True if the record is in the short form."""
        return "modelInput" not in self.source

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
                again = f'the id "{record.key:.80}" was used on an earlier line. Give each line its own'
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
        source = json.loads(line.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_finite)
        if b"\\u" in line:
            json.dumps(source, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        raise _ProblemError(f"byte {error.start + 1} is not UTF-8. Save the file as UTF-8") from None
    except UnicodeEncodeError:
        raise _ProblemError(
            "half of a character, an escape from \\ud800 to \\udfff without its other half. Write whole characters"
        ) from None
    except json.JSONDecodeError as error:
        raise _ProblemError(
            f"not JSON: {error.msg.removesuffix(' at')} at character {error.pos + 1}. "
            "Write one complete object on each line"
        ) from None
    except (RecursionError, ValueError):
        raise _ProblemError("JSON nested too deeply, or with a number too long. Simplify it") from None
    if not isinstance(source, dict):
        raise _ProblemError(f'this is {_kind(source)}, not a JSON object. Write {{"id": ..., "prompt": ...}}')
    source.pop("error", None)
    if "modelInput" in source:
        return _batch_record(source)
    return _prompt_record(source)


def _refuse_constant(name: str) -> NoReturn:
    raise _ProblemError(f"{name} is not JSON. Give a number, or leave it out")


def _finite(text: str) -> float:
    if isinf(number := float(text)):
        raise _ProblemError(f"the number {text:.40} is too large")
    return number


def _prompt_record(source: dict[str, Any]) -> Record:
    if ("prompt" in source) == ("messages" in source):
        if "prompt" in source:
            raise _ProblemError('"prompt" and "messages" exclude each other. Give one of them')
        raise _ProblemError(
            f'"prompt" is missing{_meant(source, "prompt")}. '
            "Give each line an id and a prompt, or a recordId and a modelInput"
        )
    _check_names(source, _PROMPT_KEYS)
    for name in ("prompt", "system"):
        text = source.get(name, "-")  # optional, but for the prompt of a record without messages
        if not isinstance(text, str):
            raise _ProblemError(f'"{name}" must be text, but is {_kind(text)}')
        if not text.strip():
            raise _ProblemError(f'"{name}" is blank, and Bedrock refuses blank text. Fill it in or remove the line')
    try:
        tenant_name(source.get("tenant", "-"))
    except ValueError:
        raise _ProblemError(
            f'"tenant" is {_shown(source["tenant"])}. Give a name of 1 to {LONGEST_NAME} printable characters'
        ) from None
    tokens, temperature = source.get("max_tokens", 1), source.get("temperature", 0)
    if not isinstance(tokens, int) or isinstance(tokens, bool) or not 1 <= tokens <= _MOST_TOKENS:
        raise _ProblemError(f'"max_tokens" is {_shown(tokens)}. Give a whole number, 1 or more')
    if not isinstance(temperature, (int, float)) or isinstance(temperature, bool) or not 0 <= temperature <= 1:
        raise _ProblemError(f'"temperature" is {_shown(temperature)}. Give a number from 0 to 1')
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
        given = "missing" if key is None else f"{_shown(key)}, {_kind(key)}"
        raise _ProblemError(
            f'"{name}" is {given}. Give each line its own text or whole number; a second run finds the answer by it'
        )
    return str(key)


def _check_names(source: dict[str, Any], known: tuple[str, ...]) -> None:
    """Refuse unknown members, which would be ignored silently."""
    for name in source:
        if name in known:
            continue
        if name in _OPTIONS:
            raise _ProblemError(f'"{name}" is given on the command line, for all records: {_OPTIONS[name]}. Remove it')
        begun = [other for other in known if other.startswith(name.lower()) and len(name) >= _SHORTEST_BEGINNING]
        close = difflib.get_close_matches(name.lower(), known, 3, 0.5)
        near = [other for other in (*begun, *close) if other not in source]
        hint = f'Did you mean "{near[0]}"?' if near else f"Remove it. Known are {', '.join(known[:_MOST_NAMED])}"
        raise _ProblemError(f'"{name:.80}" is not known and would have no effect. {hint}')


def _meant(source: dict[str, Any], wanted: str) -> str:
    near = difflib.get_close_matches(wanted, source, 1, 0.7)
    return f' (there is "{near[0]}")' if near else ""


def _shown(value: Any) -> str:
    try:
        text = json.dumps(value)
    except RecursionError:
        return "nested too deeply"
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
