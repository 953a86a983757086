"""Read the records of an input. Each piece of the input becomes a request, or a message about its problem.

A record has one of three forms, and a file can contain all of them:

    {"id": "p1", "prompt": "...", "system": "...", "max_tokens": 400}    or `messages`, and other arguments of `invoke`
    {"recordId": "r1", "modelInput": {...}}                                                  Bedrock's batch inference
    {"custom_id": "c1", "method": "POST", "url": "/v1/chat/completions", "body": {...}}             OpenAI's batches

A `modelInput` that has only fields of Converse is sent to Converse. Any other `modelInput` is in the model's own
format and is sent to InvokeModel. An OpenAI body is translated into the arguments of `invoke`.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from math import isinf
from typing import TYPE_CHECKING, Any, NoReturn

from aws_bedrock_inference.batch.keys import Keys
from aws_bedrock_inference.batch.members import (
    BEDROCK_MEMBERS,
    ERROR,
    OPENAI_MEMBERS,
    PROMPT_MEMBERS,
    check_names,
    hint_at,
    is_openai,
    templated,
)
from aws_bedrock_inference.batch.pieces import BYTE_ORDER_MARK, Piece, ProblemError, text_of
from aws_bedrock_inference.bounds import is_number
from aws_bedrock_inference.call import LONGEST_NAME, tenant_name
from aws_bedrock_inference.dialects.openai_requests import CHAT_COMPLETIONS, UntranslatableError, translated
from aws_bedrock_inference.dialects.request import is_converse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aws_bedrock_inference.batch.template import Template

_EXAMPLE = '{"id": ..., "prompt": ...}'
_ADVICE = f"Write one complete object on each line: {_EXAMPLE}"
_ADVICE_AT_FIRST = f"{_ADVICE}. If this is CSV, the first line must name the columns, including id and prompt"
_TOO_DEEP = "the JSON is nested too deeply, or a number is too long. Simplify the line"
_LONGEST_SHOWN = 60

# The fields of a record that are numbers: the limits of each, and the advice in the error message. `maxTokens` is a
# 32-bit Integer in the service model of botocore 1.44.5.
_LIMITS: dict[str, tuple[dict[str, Any], str]] = {
    "max_tokens": ({"least": 1, "most": 2**31 - 1, "whole": True}, "Use a whole number, 1 or more"),
    "temperature": ({"least": 0, "most": 1}, "Use a number from 0 to 1"),
    "timeout": ({"above": 0, "most": 86_400}, "Use a number of seconds, up to 86,400"),
}


@dataclass(frozen=True, slots=True)
class Record:
    """One request of the input. `key` is its id, and `source` contains its fields.

    If the input is a failures file, the field `error` of the earlier run was removed from `source`. `number` is the
    line of the record in `file`, or 0 if the complete file is the record.
    """

    key: str
    source: dict[str, Any]
    file: str = ""
    number: int = 0

    @property
    def is_prompt(self) -> bool:
        """True if the record is sent with `invoke`, because it is in the short form or in OpenAI's form."""
        return "modelInput" not in self.source

    @property
    def is_openai(self) -> bool:
        """True if the record is a line of an OpenAI batch."""
        return "custom_id" in self.source

    @property
    def is_converse(self) -> bool:
        """True if the record is a Bedrock batch record with a Converse body."""
        return is_converse(self.source.get("modelInput", {}))

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of `invoke`, for a record that is sent with `invoke`."""
        if self.is_openai:
            return translated(self.source["body"])
        return {name: value for name, value in self.source.items() if name != "id"}


@dataclass(frozen=True, slots=True)
class BadLine:
    """An invalid line of the input. `problem` states what is wrong with the line and how to correct it.

    `number` is the number of the line in `file`, or 0 if the complete file is the record.
    """

    file: str
    number: int
    problem: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.number}: {self.problem}" if self.number else f"{self.file}: {self.problem}"


def json_lines(lines: Iterable[bytes], name: str) -> Iterator[Piece]:
    """Yield the lines of JSON in the file `name`. Blank lines are skipped. Raises `ValueError` if the file has another
    format.
    """
    for number, line in enumerate(lines, 1):
        if number == 1:
            _check_start(line, name)
            line = line.removeprefix(BYTE_ORDER_MARK)  # noqa: PLW2901 - the byte order mark belongs to no line
        if line and not line.isspace():
            yield Piece(name, number, line)


def records_from(pieces: Iterable[Piece], template: Template | None = None) -> Iterator[Record | BadLine]:
    """Yield a record or a `BadLine` for each piece. The template builds the prompts of records without a prompt.

    Only one piece at a time is in memory. In addition, a digest of 8 bytes for each id is in memory, to find duplicate
    ids.
    """
    seen = Keys()
    for file, number, content in pieces:
        try:
            key, source = _record(content, number, template)
        except (ProblemError, UntranslatableError) as problem:
            yield BadLine(file, number, str(problem))
        except RecursionError:
            yield BadLine(file, number, _TOO_DEEP)
        else:
            if seen.add(key):
                yield Record(key, source, file, number)
            else:
                yield BadLine(
                    file, number, f'the id "{key:.80}" appears on an earlier line. Use a different id on each line'
                )


def parsed(text: str, advice: str) -> Any:
    """Return the value of a JSON text. Raises `ProblemError` for NaN, for half of a surrogate pair, and for numbers
    that are too large. If the text is not JSON, the message of the error ends with `advice`.
    """
    try:
        value = _DECODER.decode(text)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ProblemError(
            "the JSON contains only one of the two escapes (\\ud800 to \\udfff) that form a character. "
            "Write both escapes, or remove this one"
        ) from None
    except json.JSONDecodeError as error:
        raise ProblemError(
            f"not JSON: {error.msg.removesuffix(' at')} at character {error.pos + 1}. {advice}"
        ) from None
    except (RecursionError, ValueError):
        raise ProblemError(_TOO_DEEP) from None
    return value


def _check_start(line: bytes, name: str) -> None:
    start = line.removeprefix(BYTE_ORDER_MARK).strip()
    if start.startswith(b"["):
        raise ValueError(f"{name} is a JSON array, but each line must be one object. Convert it: jq -c '.[]' {name}")
    if start == b"{":
        raise ValueError(
            f"{name} has objects that span several lines, but each line must be one object. Convert it: jq -c . {name}"
        )


def _record(
    content: bytes | dict[str, Any] | ProblemError, number: int, template: Template | None
) -> tuple[str, dict[str, Any]]:
    """Return the id and the fields of a record."""
    if isinstance(content, ProblemError):
        raise content
    source = _object(content, number) if isinstance(content, bytes) else content
    if template is None or ERROR not in template.fields:
        source.pop(ERROR, None)
    source = templated(source, template)
    if "modelInput" in source:
        return _bedrock_key(source), source
    if is_openai(source):
        return _openai_key(source), source
    return _prompt_key(source), source


def _object(line: bytes, number: int) -> dict[str, Any]:
    source = parsed(text_of(line), _ADVICE_AT_FIRST if number == 1 else _ADVICE)
    if not isinstance(source, dict):
        raise ProblemError(f"the line is {_kind(source)}, not a JSON object. Write {_EXAMPLE}")
    return source


def _refuse_constant(name: str) -> NoReturn:
    raise ProblemError(f"{name} is not a number in JSON. Write a finite number, or omit the field")


def _finite(text: str) -> float:
    if isinf(number := float(text)):
        raise ProblemError(f"the number {text:.40} is too large. Write a number up to 1.7e308")
    return number


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        twice = next(name for name, number in Counter(name for name, _ in pairs).items() if number > 1)
        raise ProblemError(f'the field "{twice:.80}" appears twice in one object. Remove one of the two')
    return members


_DECODER = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_refuse_constant, parse_float=_finite)


def _prompt_key(source: dict[str, Any]) -> str:
    if ("prompt" in source) == ("messages" in source):
        if "prompt" in source:
            raise ProblemError('the record has both "prompt" and "messages". Remove one of them')
        raise ProblemError(
            f'"prompt" is missing{hint_at(source, "prompt")}. '
            "Each line needs an id and a prompt, or a recordId and a modelInput, or a --template that builds the prompt"
        )
    check_names(source, PROMPT_MEMBERS)
    for name in ("prompt", "system"):
        text = source.get(name, "-")  # optional, except for the prompt of a record without messages
        if not isinstance(text, str):
            raise ProblemError(f'"{name}" must be text, but is {_kind(text)}. Put it in quotes')
        if not text.strip():
            raise ProblemError(f'"{name}" is blank, and Bedrock refuses blank text. Write text, or remove the line')
    _check_settings(source)
    return _key(source, "id")


def _check_settings(arguments: dict[str, Any]) -> None:
    """Refuse a record with settings that `invoke` would refuse later. Raises `ProblemError`."""
    for name, (limits, advice) in _LIMITS.items():
        if name in arguments and not is_number(arguments[name], **limits):
            raise ProblemError(f'"{name}" is {_shown(arguments[name])}. {advice}')
    try:
        tenant_name(arguments.get("tenant", "-"))
    except ValueError:
        raise ProblemError(
            f'"tenant" is {_shown(arguments["tenant"])}. Use 1 to {LONGEST_NAME} printable characters'
        ) from None


def _bedrock_key(source: dict[str, Any]) -> str:
    check_names(source, BEDROCK_MEMBERS)
    body = source["modelInput"]
    if not isinstance(body, dict) or not body:
        given = "empty" if body == {} else _kind(body)
        raise ProblemError(f'"modelInput" must be an object with the request\'s body, but is {given}. Correct it')
    if "modelId" in body:
        raise ProblemError('"modelInput" has a modelId. The model is set on the command line; remove this field')
    return _key(source, "recordId")


def _openai_key(source: dict[str, Any]) -> str:
    check_names(source, OPENAI_MEMBERS)
    if source.get("method", "POST") != "POST" or source.get("url") != CHAT_COMPLETIONS:
        raise ProblemError(
            f'"method" and "url" are {_shown(source.get("method"))} and {_shown(source.get("url"))}. '
            f"Only POST {CHAT_COMPLETIONS} can be translated for Bedrock. Correct or remove the line"
        )
    body = source.get("body")
    if not isinstance(body, dict):
        raise ProblemError(f'"body" must be an object with the request\'s body, but is {_kind(body)}. Correct it')
    _check_settings(translated(body))
    return _key(source, "custom_id")


def _key(source: dict[str, Any], name: str) -> str:
    key = source.get(name)
    if isinstance(key, bool) or not isinstance(key, (str, int)) or key == "":
        given = "missing" if key is None else f"{_shown(key)}, {_kind(key)}"
        raise ProblemError(
            f'"{name}" is {given}. Each line needs a unique text or whole number: '
            "a second run finds the answer by this id"
        )
    return str(key)


def _shown(value: Any) -> str:
    try:
        text = json.dumps(value)
    except RecursionError:
        return "nested too deeply"
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
