"""Check a conversation by the rules of Converse that botocore's service model does not contain."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.simulator.error_texts import invalid, refused
from aws_bedrock_inference.simulator.model_rules import listed, media

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_bedrock_inference.simulator.request import Asked

_MEDIA = ("image", "video", "audio", "document")

# The accepted names of documents, as measured with the service: https://github.com/vercel/ai/issues/20365 and
# https://github.com/aws-samples/generative-ai-use-cases/issues/1671, read on 2026-11-30. Of white space, only single
# spaces are accepted.
_NAME = re.compile(r"[A-Za-z0-9_()\[\] -]*")


def check(asked: Asked) -> None:
    """Refuse a conversation that the real service or the real model would refuse. Raises ServiceError."""
    base, body = asked.base, asked.body
    if asked.operation == "CountTokens":
        body = body["input"].get("converse") or {}
    messages = body.get("messages") or ()
    if messages:
        _check_ends(base, messages)
    if body.get("system") and listed("no_system", base):
        raise invalid("no-system")
    _check_tools(asked, body.get("toolConfig") or {})
    for number, message in enumerate(messages):
        if not message["content"]:
            raise invalid("empty", message=number)
        _check_text(message["content"], number)
        for position, block in enumerate(message["content"]):
            if ("toolUse" in block or "toolResult" in block) and not body.get("toolConfig"):
                raise invalid("tool-config")
            _check_media(base, block, number, position)
            _check_document(block)
            _check_result(base, block, number, position)
    if not listed("loose_tool_results", base):
        for number in range(1, len(messages)):
            _check_results(messages[number - 1], messages[number], number)


def _check_ends(base: str, messages: Sequence[dict[str, Any]]) -> None:
    if messages[0]["role"] == "assistant" and not listed("assistant_first", base):
        raise invalid("start")
    if messages[-1]["role"] == "assistant" and listed("no_prefill", base):
        raise refused("prefill")


def _check_tools(asked: Asked, config: dict[str, Any]) -> None:
    if not config.get("tools"):
        return
    if listed("no_tools", asked.base):
        raise invalid("no-tools")
    for number, tool in enumerate(config["tools"]):
        schema = ((tool.get("toolSpec") or {}).get("inputSchema") or {}).get("json")
        if schema is not None and not (isinstance(schema, dict) and schema.get("type") == "object"):
            raise invalid("inputs", tool=number)
    if asked.streaming and listed("no_streamed_tools", asked.base):
        raise invalid("no-streamed-tools")
    for choice in config.get("toolChoice") or ():
        if choice in {"any", "tool"} and listed(f"no_choice_of_{choice}", asked.base):
            raise invalid("no-tool-choice", choice=choice)


def _check_results(before: dict[str, Any], message: dict[str, Any], number: int) -> None:
    """Refuse tool results that do not belong to the tool uses of the previous message."""
    uses = _ids(before, "toolUse") if before["role"] == "assistant" else []
    results = _ids(message, "toolResult")
    missing = [use for use in uses if use not in results]
    if missing:
        raise invalid("results-missing", message=number, ids=", ".join(missing))
    if len(results) > len(uses):
        raise invalid("results-extra", message=number)


def _ids(message: dict[str, Any], kind: str) -> list[str]:
    return [block[kind]["toolUseId"] for block in message["content"] if block.get(kind)]


def _check_text(content: Sequence[dict[str, Any]], number: int) -> None:
    """Refuse blank text.

    There are two exceptions:

    * A text that consists only of line breaks is accepted if another text of the message is not blank.
    * Any text is accepted in a message with reasoning, because the model wrote this message.
      Source: https://github.com/vercel/ai/pull/14139, 2026-04-05.

    A message with a document but without any text is refused.
    """
    if any("reasoningContent" in block for block in content):
        return
    texts = [block.get("text") for block in content]
    readable = any(text and text.strip() for text in texts)
    for position, text in enumerate(texts):
        if text is not None and not text.strip() and not (readable and text and not text.strip("\r\n")):
            raise invalid("blank", message=number, block=position)
    if not any(text is not None for text in texts) and any("document" in block for block in content):
        raise invalid("document-alone")


def _check_document(block: dict[str, Any]) -> None:
    """Refuse a document with a name that the service does not accept."""
    name = (block.get("document") or {}).get("name")
    if name is not None and (_NAME.fullmatch(name) is None or "  " in name):
        raise invalid("document-name")


def _check_result(base: str, block: dict[str, Any], number: int, position: int) -> None:
    """Refuse a tool result whose `json` is not an object but, for example, a list. For Claude, also refuse a tool
    result with an empty text.

    Documents in a tool result are checked in the same way as other documents.
    """
    for part, content in enumerate((block.get("toolResult") or {}).get("content") or ()):
        if not isinstance(content.get("json", {}), dict):
            raise invalid("result-json", message=number, block=position, part=part)
        if content.get("text") == "" and base.startswith("anthropic."):
            raise refused("empty-text")
        _check_document(content)


def _check_media(base: str, block: dict[str, Any], number: int, position: int) -> None:
    rules = media(base)
    for kind in _MEDIA:
        given = block.get(kind)
        if given is None:
            continue
        if kind != "document" and kind not in rules.takes:
            raise invalid("media", kind=kind)
        if "s3Location" in (given.get("source") or {}) and kind not in rules.s3:
            raise (refused("s3-document", message=number, block=position) if kind == "document" else invalid("s3"))
    for part in (block.get("toolResult") or {}).get("content") or ():
        for kind in part.keys() & set(_MEDIA):
            if kind != "document" and kind not in rules.takes:
                raise invalid("media", kind=kind)
            if "s3Location" in (part[kind].get("source") or {}) and kind not in rules.s3_in_tool_results:
                raise refused("s3-result", message=number, block=position) if rules.s3 else invalid("s3")
