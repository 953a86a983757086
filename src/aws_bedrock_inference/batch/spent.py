"""Read the token usage of the answers of a run from its output file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_bedrock_inference.batch.answer_lines import body_of_answer, key_of_answer
from aws_bedrock_inference.batch.records import BadLine
from aws_bedrock_inference.dialects.request import max_tokens
from aws_bedrock_inference.dialects.usage import usage_of_generation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aws_bedrock_inference.call import Usage


@dataclass(frozen=True, slots=True)
class Spent:
    """The token usage of one answer.

    `max_tokens` is None if the output line does not contain it. Lines for records in the short form (`{"id",
    "prompt"}`) do not contain it.
    """

    usage: Usage
    max_tokens: int | None


def read_spent(lines: Iterable[bytes], name: str) -> Iterator[Spent | BadLine]:
    """Yield the token usage, or an error, for each line of the output file `name`. Blank lines are skipped."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            spent = _spent(line)
            yield BadLine(name, number, spent) if isinstance(spent, str) else spent


def _spent(line: bytes) -> Spent | str:
    """Return the token usage of an answer, or the problem of the line."""
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError):
        return "not JSON. Pass the output file of `bedrock run`"
    if key_of_answer(answer) is None:
        return "not an answer. Pass the output file of `bedrock run`, not its input or its failures"
    body, request = body_of_answer(answer), answer.get("modelInput")
    usage = usage_of_generation(body) if isinstance(body, dict) else None
    if usage is None:
        return "the answer has no token usage"
    return Spent(usage, max_tokens(request))
