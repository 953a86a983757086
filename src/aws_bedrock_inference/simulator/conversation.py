"""The rules of Converse for what a conversation may hold, beyond those of the service model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.simulator.error_texts import invalid
from aws_bedrock_inference.simulator.model_rules import (
    may_begin_with_assistant,
    may_end_with_assistant,
    media,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_MEDIA = ("image", "video", "audio", "document")


def check(base: str, body: dict[str, Any]) -> None:
    """Refuse what Converse or the model refuses in `messages`. Raises ServiceError."""
    messages = body.get("messages") or ()
    if messages:
        _check_ends(base, messages)
    for number, message in enumerate(messages):
        if not message["content"]:
            raise invalid("empty", message=number)
        _check_text(message["content"], number)
        for position, block in enumerate(message["content"]):
            if ("toolUse" in block or "toolResult" in block) and not body.get("toolConfig"):
                raise invalid("tool-config")
            _check_media(base, block, number, position)


def _check_ends(base: str, messages: Sequence[dict[str, Any]]) -> None:
    if messages[0]["role"] == "assistant" and not may_begin_with_assistant(base):
        raise invalid("start")
    if messages[-1]["role"] == "assistant" and not may_end_with_assistant(base):
        raise invalid("prefill")


def _check_text(content: Sequence[dict[str, Any]], number: int) -> None:
    """Refuse blank text. Line breaks alone are taken where there is something else to read."""
    texts = [block.get("text") for block in content]
    readable = any(text and text.strip() for text in texts)
    for position, text in enumerate(texts):
        if text is not None and not text.strip() and not (readable and text and not text.strip("\r\n")):
            raise invalid("blank", message=number, block=position)
    if not any(text is not None for text in texts) and any("document" in block for block in content):
        raise invalid("document-alone")


def _check_media(base: str, block: dict[str, Any], number: int, position: int) -> None:
    rules = media(base)
    for kind in _MEDIA:
        given = block.get(kind)
        if given is None:
            continue
        if kind != "document" and kind not in rules.takes:
            raise invalid("media", kind=kind)
        if "s3Location" in (given.get("source") or {}) and kind not in rules.s3:
            raise (invalid("s3-document", message=number, block=position) if kind == "document" else invalid("s3"))
    for part in (block.get("toolResult") or {}).get("content") or ():
        for kind in part.keys() & set(_MEDIA):
            if kind != "document" and kind not in rules.takes:
                raise invalid("media", kind=kind)
            if "s3Location" in (part[kind].get("source") or {}) and kind not in rules.s3_in_tool_results:
                raise invalid("s3-result", message=number, block=position) if rules.s3 else invalid("s3")
