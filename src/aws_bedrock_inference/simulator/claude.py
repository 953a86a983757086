"""The bodies of Anthropic's Messages API in InvokeModel.

Source: https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from aws_bedrock_inference.simulator import converse
from aws_bedrock_inference.simulator.answers import END, FILTERED, GUARDRAIL, Prompt, Tool
from aws_bedrock_inference.simulator.error_texts import invalid
from aws_bedrock_inference.simulator.model_rules import claude_name, is_server_tool, listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_bedrock_inference.simulator.answers import Answer, Usage


def require(body: dict[str, Any], *keys: str) -> None:
    """Refuse a body without one of the keys. Raises ServiceError."""
    for key in keys:
        if key not in body:
            raise invalid("body", problem=f"#: required key [{key}] not found")


class Anthropic:
    """The Messages API, with `anthropic_version` in the body and no `model`."""

    _KEYS = frozenset(
        [
            "anthropic_version",
            "anthropic_beta",
            "max_tokens",
            "messages",
            "system",
            "temperature",
            "top_p",
            "top_k",
            "tools",
            "tool_choice",
            "stop_sequences",
            "thinking",
            "metadata",
            "output_config",
            "context_management",
            "service_tier",
            "mcp_servers",
        ]
    )
    _REASONS: ClassVar = {FILTERED: "refusal", GUARDRAIL: END}

    def __init__(self, base: str) -> None:
        self._base = base

    def read(self, body: dict[str, Any]) -> Prompt:
        """Read the Messages request."""
        require(body, "anthropic_version", "max_tokens", "messages")
        for key in body:
            if key not in self._KEYS:
                raise invalid("body", problem=f"#: extraneous key [{key}] is not permitted")
        prompt = Prompt(
            max_tokens=body["max_tokens"], stop_sequences=tuple(body.get("stop_sequences") or ()), tool=_forced(body)
        )
        for number, tool in enumerate(body.get("tools") or ()):
            if is_server_tool(tool.get("type", "custom")):
                raise invalid("server-tool", place=f"tools.{number}", kind=tool["type"])
            _read_part(prompt, tool)
        _read_parts(prompt, body.get("system") or ())
        for number, message in enumerate(body["messages"]):
            _read_parts(prompt, message["content"])
            if not message["content"]:
                raise invalid("native", problem=f"messages.{number}: text content blocks must be non-empty")
        return prompt

    def body(self, answer: Answer, usage: Usage, milliseconds: int) -> dict[str, Any]:  # noqa: ARG002 - Dialect's
        """Write one message."""
        return {
            **self._message(answer, usage._replace(output=answer.tokens)),
            "content": [{**self._block(answer), **self._content(answer)}],
            "stop_reason": self._REASONS.get(answer.stop, answer.stop),
            "stop_sequence": answer.stop_sequence,
        }

    def chunks(self, answer: Answer, usage: Usage, milliseconds: int) -> Iterator[dict[str, Any]]:
        """Write the Messages API's stream events."""
        start = {**self._message(answer, usage._replace(output=1)), "stop_reason": None, "stop_sequence": None}
        yield {"type": "message_start", "message": start}
        empty: dict[str, Any] = {"input": {}} if answer.tool else {"text": ""}
        yield {"type": "content_block_start", "index": 0, "content_block": {**self._block(answer), **empty}}
        for at in range(0, len(answer.text), converse.PIECE):
            piece = answer.text[at : at + converse.PIECE]
            tool_delta = {"type": "input_json_delta", "partial_json": piece}
            delta = tool_delta if answer.tool else {"type": "text_delta", "text": piece}
            yield {"type": "content_block_delta", "index": 0, "delta": delta}
        yield {"type": "content_block_stop", "index": 0}
        reason = self._REASONS.get(answer.stop, answer.stop)
        end = {"stop_reason": reason, "stop_sequence": answer.stop_sequence}
        yield {"type": "message_delta", "delta": end, "usage": {"output_tokens": usage.output}}
        yield {"type": "message_stop", "amazon-bedrock-invocationMetrics": metrics(usage, milliseconds)}

    def _message(self, answer: Answer, usage: Usage) -> dict[str, Any]:
        return {
            "id": f"msg_bdrk_{answer.identity}",
            "type": "message",
            "role": "assistant",
            "model": claude_name(self._base),
            "content": [],
            "usage": self._usage(usage),
        }

    def _usage(self, usage: Usage) -> dict[str, Any]:
        plain = {"input_tokens": usage.input, "output_tokens": usage.output}
        if not listed("cache_keys", self._base) and not usage.cache_read and not usage.cache_write:
            return plain
        written = {"ephemeral_5m_input_tokens": usage.cache_write, "ephemeral_1h_input_tokens": 0}
        return {
            **plain,
            "cache_creation_input_tokens": usage.cache_write,
            "cache_read_input_tokens": usage.cache_read,
            "cache_creation": written,
        }

    def _block(self, answer: Answer) -> dict[str, Any]:
        if answer.tool:
            return {"type": "tool_use", "id": f"toolu_bdrk_{answer.identity}", "name": answer.tool.name}
        return {"type": "text"}

    def _content(self, answer: Answer) -> dict[str, Any]:
        return {"input": json.loads(answer.text)} if answer.tool else {"text": answer.text}


def _read_parts(prompt: Prompt, parts: Any) -> None:
    if isinstance(parts, str):
        prompt.add(parts)
        return
    for part in parts:
        _read_part(prompt, part)


def _read_part(prompt: Prompt, part: dict[str, Any]) -> None:
    if part.get("type") == "text":
        prompt.add(part["text"])
    elif part.get("type") in {"image", "document"}:
        prompt.add_media()
    else:
        prompt.add(json.dumps(part, sort_keys=True))
    if "cache_control" in part:
        prompt.mark()


def _forced(body: dict[str, Any]) -> Tool | None:
    choice = body.get("tool_choice") or {}
    offered = {tool["name"]: tool.get("input_schema", {}) for tool in body.get("tools") or ()}
    name = choice.get("name") if choice.get("type") == "tool" else None
    if choice.get("type") == "any":
        name = next(iter(offered), None)
    return Tool(name, offered[name]) if name is not None and name in offered else None


def metrics(usage: Usage, milliseconds: int) -> dict[str, int]:
    """Return the counts that end a stream of native chunks."""
    return {
        "inputTokenCount": usage.input,
        "outputTokenCount": usage.output,
        "invocationLatency": milliseconds,
        "firstByteLatency": milliseconds,
    }
