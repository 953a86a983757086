"""The InvokeModel format of Claude: Anthropic's Messages API.

Source: https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from aws_bedrock_inference.simulator import converse
from aws_bedrock_inference.simulator.answers import END, FILTERED, GUARDRAIL, Prompt
from aws_bedrock_inference.simulator.claude_rules import check_messages, check_version
from aws_bedrock_inference.simulator.error_texts import invalid, refused
from aws_bedrock_inference.simulator.model_rules import claude_name, listed
from aws_bedrock_inference.simulator.tools import Offer
from aws_bedrock_inference.simulator.wishes import Cited, check_thinking, json_format, thinks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_bedrock_inference.simulator.answers import Answer, Usage


def require(body: dict[str, Any], *keys: str) -> None:
    """Refuse a body if one of the keys is missing. Raises ServiceError."""
    for key in keys:
        if key not in body:
            raise invalid("body", problem=f"#: required key [{key}] not found")


class Anthropic:
    """The format of the Messages API in Bedrock: the body contains `anthropic_version`, but not `model`."""

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
            "output_format",
            "context_management",
            "service_tier",
            "mcp_servers",
        ]
    )
    _REASONS: ClassVar = {FILTERED: "refusal", GUARDRAIL: END}

    def __init__(self, base: str) -> None:
        self._base = base

    def read(self, body: dict[str, Any]) -> Prompt:
        """Return the prompt from a body of the Messages API."""
        check_version(self._base, body)
        require(body, "anthropic_version", "max_tokens", "messages")
        for key in body:
            if key not in self._KEYS:
                raise invalid("body", problem=f"#: extraneous key [{key}] is not permitted")
        check_messages(self._base, body)
        prompt = Prompt(
            max_tokens=body["max_tokens"],
            stop_sequences=tuple(body.get("stop_sequences") or ()),
            offer=_offer(body),
            format=json_format(body),
            thinks=thinks(body),
        )
        check_thinking(body, prompt.offer.choice, prompt.max_tokens)
        for tool in body.get("tools") or ():
            _read_part(prompt, tool)
        _read_parts(prompt, body.get("system") or ())
        prompt.system = "\n".join(prompt.parts)
        for message in body["messages"]:
            _read_message(prompt, message)
        return prompt

    def body(self, answer: Answer, usage: Usage, milliseconds: int) -> dict[str, Any]:  # noqa: ARG002 - Dialect's
        """Return the body of an answer, which is one message."""
        return {
            **self._message(answer, usage._replace(output=answer.tokens)),
            "content": [*_thinking(answer), {**_block(answer), **_content(answer)}],
            "stop_reason": self._REASONS.get(answer.stop, answer.stop),
            "stop_sequence": answer.stop_sequence,
        }

    def chunks(self, answer: Answer, usage: Usage, milliseconds: int) -> Iterator[dict[str, Any]]:
        """Return the chunks of a streamed answer: the stream events of the Messages API."""
        start = {**self._message(answer, usage._replace(output=1)), "stop_reason": None, "stop_sequence": None}
        yield {"type": "message_start", "message": start}
        index = 0
        if answer.reasoning:
            yield from self._thought(answer)
            index += 1
        empty: dict[str, Any] = {"input": {}} if answer.tool else {"text": ""}
        yield {"type": "content_block_start", "index": index, "content_block": {**_block(answer), **empty}}
        for piece in converse.pieces(answer.text):
            tool_delta = {"type": "input_json_delta", "partial_json": piece}
            delta = tool_delta if answer.tool else {"type": "text_delta", "text": piece}
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        if answer.cited:
            citation = {"type": "citations_delta", "citation": _citation(answer.cited)}
            yield {"type": "content_block_delta", "index": index, "delta": citation}
        yield {"type": "content_block_stop", "index": index}
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

    def _thought(self, answer: Answer) -> Iterator[dict[str, Any]]:
        empty = {"type": "thinking", "thinking": "", "signature": ""}
        yield {"type": "content_block_start", "index": 0, "content_block": empty}
        for piece in converse.pieces(answer.reasoning):
            delta = {"type": "thinking_delta", "thinking": piece}
            yield {"type": "content_block_delta", "index": 0, "delta": delta}
        signed = {"type": "signature_delta", "signature": answer.signature}
        yield {"type": "content_block_delta", "index": 0, "delta": signed}
        yield {"type": "content_block_stop", "index": 0}


def _thinking(answer: Answer) -> list[dict[str, Any]]:
    if not answer.reasoning:
        return []
    return [{"type": "thinking", "thinking": answer.reasoning, "signature": answer.signature}]


def _block(answer: Answer) -> dict[str, Any]:
    if answer.tool:
        return {"type": "tool_use", "id": f"toolu_bdrk_{answer.identity}", "name": answer.tool.name}
    return {"type": "text", "citations": []} if answer.cited else {"type": "text"}


def _content(answer: Answer) -> dict[str, Any]:
    if answer.tool:
        return {"input": answer.input}
    return {"text": answer.text, **({"citations": [_citation(answer.cited)]} if answer.cited else {})}


def _citation(cited: Cited) -> dict[str, Any]:
    places: dict[str, dict[str, Any]] = {
        "text": {"type": "char_location", "start_char_index": 0, "end_char_index": len(cited.quote)},
        "page": {"type": "page_location", "start_page_number": 1, "end_page_number": 2},
        "chunk": {"type": "content_block_location", "start_block_index": 0, "end_block_index": 1},
    }
    title = cited.title or None
    return {**places[cited.kind], "cited_text": cited.quote, "document_index": cited.number, "document_title": title}


def _read_message(prompt: Prompt, message: dict[str, Any]) -> None:
    first, content = len(prompt.parts), message["content"]
    _read_parts(prompt, content)
    parts = [] if isinstance(content, str) else content
    for part in parts:
        if part.get("type") == "tool_use":
            prompt.offer.use(part["name"])
    if message.get("role") == "user" and not any(part.get("type") == "tool_result" for part in parts):
        prompt.offer.ask("\n".join(prompt.parts[first:]))


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
        if part["type"] == "document":
            _read_document(prompt, part)
    else:
        prompt.add(json.dumps(part, sort_keys=True))
    if "cache_control" in part:
        prompt.mark()


def _read_document(prompt: Prompt, part: dict[str, Any]) -> None:
    if (part.get("citations") or {}).get("enabled") and prompt.cited is None:
        source = part.get("source") or {}
        kind = {"text": "text", "content": "chunk"}.get(str(source.get("type")), "page")
        text = source.get("data") if kind == "text" else source.get("content") if kind == "chunk" else ""
        if isinstance(text, list):
            text = text[0].get("text") if text else ""
        quote = str(text or "simulated")[: converse.QUOTE]
        prompt.cited = Cited(prompt.documents, str(part.get("title") or ""), kind, quote)
    prompt.documents += 1


def _offer(body: dict[str, Any]) -> Offer:
    """Return the tools of the request, and its tool choice. Tools without a `name` are omitted."""
    offer = Offer({tool["name"]: tool.get("input_schema") for tool in body.get("tools") or () if "name" in tool})
    choice = body.get("tool_choice")
    if choice:
        if not body.get("tools"):
            raise refused("says", problem="tool_choice may only be specified while providing tools")
        if "type" not in choice:
            raise refused("says", problem="tool_choice.type: Field required")
        offer.require(choice["type"], choice.get("name"))
    return offer


def metrics(usage: Usage, milliseconds: int) -> dict[str, int]:
    """Return the token counts and latencies that Bedrock adds to the last chunk of a streamed InvokeModel answer."""
    return {
        "inputTokenCount": usage.input,
        "outputTokenCount": usage.output,
        "invocationLatency": milliseconds,
        "firstByteLatency": milliseconds,
    }
