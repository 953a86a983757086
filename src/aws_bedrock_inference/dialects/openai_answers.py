"""Convert answers of Converse into the form of OpenAI's chat completions (OpenAI's API specification 2.3.0, read
2026-11).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.dialects.usage import COMPLETE, FILTERED, TRUNCATED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aws_bedrock_inference.call import Usage


def completion(content: Iterable[Mapping[str, Any]], text: str, stop_reason: str, usage: Usage) -> dict[str, Any]:
    """Convert an answer of Converse into a chat completion of OpenAI. `content` contains the content blocks of the
    answer, and `text` is their text. The result lacks the members `id`, `created` and `model`, which the caller adds.
    """
    read = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    choice = {"index": 0, "message": _message(content, text), "logprobs": None, "finish_reason": _finish(stop_reason)}
    return {
        "object": "chat.completion",
        "choices": [choice],
        "usage": {
            "prompt_tokens": read,
            "completion_tokens": usage.output_tokens,
            "total_tokens": read + usage.output_tokens,
            "prompt_tokens_details": {"cached_tokens": usage.cache_read_tokens},
        },
    }


def _message(content: Iterable[Mapping[str, Any]], text: str) -> dict[str, Any]:
    calls = [
        {
            "id": block["toolUse"]["toolUseId"],
            "type": "function",
            "function": {
                "name": block["toolUse"]["name"],
                "arguments": json.dumps(block["toolUse"].get("input", {}), ensure_ascii=False),
            },
        }
        for block in content
        if "toolUse" in block
    ]
    message = {"role": "assistant", "content": text or None, "refusal": None}
    return {**message, "tool_calls": calls} if calls else message


def _finish(stop_reason: str) -> str:
    """Return OpenAI's name for a stop reason of Converse. A stop reason for which OpenAI has no name is returned
    unchanged.
    """
    reason = stop_reason.lower()
    if reason == "tool_use":
        return "tool_calls"
    if reason in TRUNCATED:
        return "length"
    if reason in FILTERED:
        return "content_filter"
    return "stop" if reason in COMPLETE else reason
