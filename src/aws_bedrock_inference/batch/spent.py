"""What the answers of a run cost, read from its answers file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_bedrock_inference.batch.records import BadLine
from aws_bedrock_inference.dialects.request import max_tokens
from aws_bedrock_inference.dialects.usage import usage_of_generation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aws_bedrock_inference.call import Usage


@dataclass(frozen=True, slots=True)
class Spent:
    """One answer. `max_tokens` is None where its record does not say it, as in the short form."""

    usage: Usage
    max_tokens: int | None


def read_spent(lines: Iterable[bytes], name: str) -> Iterator[Spent | BadLine]:
    """Yield what each line of the answers file `name` is; blank lines are passed over."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            spent = _spent(line)
            yield BadLine(name, number, spent) if isinstance(spent, str) else spent


def _spent(line: bytes) -> Spent | str:
    """Return the answer, or what is wrong with the line."""
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError):
        return "no JSON. Give the answers file of `bedrock run`"
    if not isinstance(answer, dict) or not ("text" in answer or "modelOutput" in answer):
        return "no answer. Give the answers file of `bedrock run`, not its input or its failures"
    body, request = answer.get("modelOutput", answer), answer.get("modelInput")
    usage = usage_of_generation(body) if isinstance(body, dict) else None
    if usage is None:
        return "the answer does not say how many tokens it had"
    return Spent(usage, max_tokens(request))
