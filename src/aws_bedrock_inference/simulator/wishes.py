"""Read the optional features of a request: JSON output, thinking, and citations."""

from __future__ import annotations

from typing import Any, NamedTuple

from aws_bedrock_inference.simulator.error_texts import refused
from aws_bedrock_inference.simulator.tools import ANY, ONE

_LEAST_BUDGET = 1024  # tokens of thinking: https://docs.claude.com/en/docs/build-with-claude/extended-thinking


class Cited(NamedTuple):
    """The words of a document that an answer quotes. `number` is the index of the document in the request, from 0.
    `kind` is the kind of the document's source: `text`, `page` or `chunk`.
    """

    number: int
    title: str
    kind: str
    quote: str


def json_format(fields: dict[str, Any]) -> Any:
    """Return the JSON schema that the request sets for the answer, or None if it sets no schema. Raises ServiceError.

    The schema is in one of the `fields` that the model defines itself: `output_config.format` or the earlier
    `output_format` of Anthropic's models, or `response_format` of other models.
    """
    config = fields.get("output_config")
    config = config.get("format") if isinstance(config, dict) else None
    closed = config or fields.get("output_format")
    given = closed or fields.get("response_format")
    if not isinstance(given, dict):
        return None
    if given.get("type") == "json_object":
        return {"type": "object"}
    if given.get("type") != "json_schema":
        return None
    named = given.get("json_schema")
    schema = named.get("schema") if isinstance(named, dict) else given.get("schema")
    if closed:
        check_schema(schema)
    return schema if schema is not None else {"type": "object"}


def check_schema(schema: Any) -> None:
    """Refuse a schema with an object without `additionalProperties: false`, because structured output requires it.
    Raises ServiceError.
    """
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            if part.get("type") == "object" and part.get("additionalProperties") is not False:
                problem = "For 'object' type, 'additionalProperties' must be explicitly set to false"
                raise refused("says", problem=f"output_config.format.schema: {problem}")
            waiting += [inner for inner in part.values() if isinstance(inner, (dict, list))]
        elif isinstance(part, list):
            waiting += part


def thinks(fields: dict[str, Any]) -> bool:
    """Return whether one of the `fields` that the model defines itself, such as `thinking`, turns on its reasoning."""
    for key in ("thinking", "reasoning_config", "reasoningConfig"):
        given = fields.get(key)
        if isinstance(given, dict) and given.get("type") in {"enabled", "adaptive"}:
            return True
    return False


def has_effort(body: dict[str, Any]) -> bool:
    """Return whether a request sets the reasoning effort of a model such as Qwen. Such a request sets the field
    `reasoning_config` in `additionalModelRequestFields` to `low`, `medium` or `high`.
    """
    fields = body.get("additionalModelRequestFields")
    return isinstance(fields, dict) and fields.get("reasoning_config") in ("low", "medium", "high")


def check_thinking(fields: dict[str, Any], choice: str, max_tokens: int | None) -> None:
    """Refuse thinking if its token budget is too small or leaves no tokens for the answer. Also refuse thinking if the
    tool choice requires a tool. Raises ServiceError.
    """
    thinking = fields.get("thinking") or fields.get("reasoning_config")
    if not isinstance(thinking, dict) or thinking.get("type") not in {"enabled", "adaptive"}:
        return
    if choice in {ANY, ONE}:
        raise refused("says", problem="Thinking may not be enabled when tool_choice forces tool use.")
    budget = thinking.get("budget_tokens")
    if not isinstance(budget, int):
        return
    if budget < _LEAST_BUDGET:
        least = f"Input should be greater than or equal to {_LEAST_BUDGET}"
        raise refused("says", problem=f"thinking.enabled.budget_tokens: {least}")
    if max_tokens is not None and max_tokens <= budget:
        raise refused("says", problem="`max_tokens` must be greater than `thinking.budget_tokens`.")
