"""The token usage of the answers of a run, read from its answers file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.batch.records import BadLine
from aws_bedrock_inference.call import Usage
from aws_bedrock_inference.tokens.estimate import estimate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

# The names of usage members, in the order of `Usage`: in the short form, of Anthropic, of Converse, and of Nova where
# they differ.
_SPELLINGS = (
    ("input_tokens", "inputTokens"),
    ("output_tokens", "outputTokens"),
    ("cache_read_tokens", "cache_read_input_tokens", "cacheReadInputTokens", "cacheReadInputTokenCount"),
    ("cache_write_tokens", "cache_creation_input_tokens", "cacheWriteInputTokens", "cacheWriteInputTokenCount"),
)


@dataclass(frozen=True, slots=True)
class Spent:
    """The usage of one answer. `max_tokens` is None if the record does not contain it, as in the short form."""

    usage: Usage
    max_tokens: int | None


def read_spent(lines: Iterable[bytes], name: str, base_model: str) -> Iterator[Spent | BadLine]:
    """Yield the usage or an error for each line of the answers file `name`; skip blank lines."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            spent = _spent(line, base_model)
            yield BadLine(name, number, spent) if isinstance(spent, str) else spent


def _spent(line: bytes, base_model: str) -> Spent | str:
    """Return the answer, or what is wrong with the line."""
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError):
        return "not JSON. Give the answers file of `bedrock run`"
    if not isinstance(answer, dict) or not ("text" in answer or "modelOutput" in answer):
        return "not an answer. Give the answers file of `bedrock run`, not its input or its failures"
    body, request = answer.get("modelOutput", answer), answer.get("modelInput")
    usage = _usage(body) if isinstance(body, dict) else None
    if usage is None:
        return "the answer has no token usage"
    asked = estimate("converse", request, base_model) if isinstance(request, dict) else None
    return Spent(usage, None if asked is None or asked.unbounded else asked.output_tokens)


def _usage(body: Mapping[str, Any]) -> Usage | None:
    said = body.get("usage")
    if isinstance(said, dict) and any(isinstance(said.get(name), int) for name in _SPELLINGS[1]):
        return Usage(
            *(next((said[name] for name in names if isinstance(said.get(name), int)), 0) for names in _SPELLINGS)
        )
    results = body.get("results")
    if isinstance(body.get("inputTextTokenCount"), int) and isinstance(results, list):  # Titan
        counts = (result.get("tokenCount", 0) for result in results if isinstance(result, dict))
        return Usage(body["inputTextTokenCount"], sum(counts))
    return None
