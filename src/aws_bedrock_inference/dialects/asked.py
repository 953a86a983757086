"""Check whether an answer has the form that its Converse request asks for: a tool call, or JSON with a schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from aws_bedrock_inference.dialects.content import text_of
from aws_bedrock_inference.dialects.json_schema import violation
from aws_bedrock_inference.dialects.request import CONVERSE_MAXIMUM, CONVERSE_SETTINGS
from aws_bedrock_inference.dialects.usage import COMPLETE, MALFORMED, TRUNCATED, stop_reason

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOOLS, _OUTPUT = "toolConfig", "outputConfig"

# The tool choices that require a tool call, and the stop reasons of an answer that was not truncated.
_REQUIRED = {"any", "tool"}
_ENDED = {"end_turn", "stop_sequence"}

# The causes of defects in the error catalogue.
_TRUNCATED, _MALFORMED, _UNFIT = "answer-truncated", "model-invalid-tool-output", "answer-breaks-schema"


class Problem(NamedTuple):
    """A defect of an answer: it lacks the tool call or the JSON that its request asks for. `cause` is the defect's name
    in the error catalogue. `at_limit` is True if the answer was truncated because it reached the request's `maxTokens`.
    """

    message: str
    cause: str
    at_limit: bool = False


def asks_for_form(params: Mapping[str, Any]) -> bool:
    """Return whether the request asks for more than text: it offers tools, or sets a schema for the output."""
    return bool(params.get(_TOOLS) or params.get(_OUTPUT))


def problem_of(params: Mapping[str, Any], response: Mapping[str, Any]) -> Problem | None:
    """Return the defect of `response`, the answer of Converse to the request `params`. Return None if the answer has
    the form that the request asks for. The message of the defect does not quote the answer.
    """
    reason = stop_reason(response).lower()
    content = _content(response)
    schema = _schema(params)
    if reason in TRUNCATED:
        if content and "toolUse" in content[-1]:
            lacks = "inside a tool call"
        elif _needs_tool(params) and not any("toolUse" in block for block in content):
            lacks = "before the tool call that the request requires"
        elif schema is not None and violation(schema, text_of(content)) is not None:
            lacks = "before the JSON that the schema requires was complete"
        else:
            return None
        by = _limit(params) if reason != "model_context_window_exceeded" else "the model's context window"
        return Problem(
            f"{by} truncated the answer {lacks}", _TRUNCATED, at_limit=reason != "model_context_window_exceeded"
        )
    if reason in MALFORMED:
        return Problem(f"the model wrote output that the service could not read (stop reason {reason})", _MALFORMED)
    if reason in COMPLETE and any(map(_unreadable, content)):
        return Problem("the model wrote a tool call whose input is not JSON", _MALFORMED)
    if schema is not None and reason in _ENDED and (problem := violation(schema, text_of(content))) is not None:
        return Problem(f"the answer does not follow the JSON schema of the request: {problem}", _UNFIT)
    return None


def with_limit(params: Mapping[str, Any], limit: int) -> dict[str, Any]:
    """Return Converse's parameters with `limit` as the maximum length of the answer in tokens."""
    return {**params, CONVERSE_SETTINGS: {**(params.get(CONVERSE_SETTINGS) or {}), CONVERSE_MAXIMUM: limit}}


def _limit(params: Mapping[str, Any]) -> str:
    limit = (params.get(CONVERSE_SETTINGS) or {}).get(CONVERSE_MAXIMUM)
    return f"max_tokens={limit}" if limit is not None else "the model's default max_tokens"


def _content(response: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = ((response.get("output") or {}).get("message") or {}).get("content")
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def _unreadable(block: Mapping[str, Any]) -> bool:
    """Return whether `block` is a tool call from a stream, and its pieces of JSON do not form a value."""
    use = block.get("toolUse")
    return isinstance(use, dict) and isinstance(use.get("input"), str)


def _needs_tool(params: Mapping[str, Any]) -> bool:
    choice = (params.get(_TOOLS) or {}).get("toolChoice") or {}
    return bool(choice.keys() & _REQUIRED)


def _schema(params: Mapping[str, Any]) -> str | None:
    """Return the JSON schema that the text of the answer must follow. Return None if the request has no schema."""
    wanted = (params.get(_OUTPUT) or {}).get("textFormat") or {}
    if wanted.get("type") != "json_schema":
        return None
    schema: str | None = ((wanted.get("structure") or {}).get("jsonSchema") or {}).get("schema")
    return schema
