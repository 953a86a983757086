"""Check requests by the rules of Anthropic's Messages API. The error messages are those of Anthropic.

The rules and their sources are in `model_rules.toml`, section `messages`. The error messages and their sources are in
`error_texts.toml`, section `model`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.simulator.error_texts import refused
from aws_bedrock_inference.simulator.model_rules import MESSAGES, claude_name, listed, matches

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_VERSION = re.compile(MESSAGES["version"])
_TOOL_NAME = re.compile(MESSAGES["tool_name"])


def check_version(base: str, body: Mapping[str, Any]) -> None:
    """Refuse an invalid `anthropic_version`, and a body of the older Text Completions API. Raises ServiceError."""
    if "prompt" in body and "messages" not in body:
        raise refused("completions", model=claude_name(base))
    version = body.get("anthropic_version")
    if version and not _VERSION.fullmatch(str(version)):
        raise refused("version", version=version)


def check_messages(base: str, body: Mapping[str, Any]) -> None:
    """Refuse a conversation that violates the rules of the Messages API. Raises ServiceError."""
    messages = body["messages"]
    if not messages:
        raise refused("no-messages")
    if isinstance(body.get("system"), list):
        _check_blocks("system", body["system"], MESSAGES["system"])
    for number, message in enumerate(messages):
        _check_message(base, f"messages.{number}", message, last=number == len(messages) - 1)
    for number, message in enumerate(messages):
        _check_results(number, messages[number - 1] if number else {}, message)
    if uses := _ids(messages[-1], "tool_use", "id"):
        raise refused("results-missing", message=len(messages) - 1, ids=", ".join(uses))
    _check_end(base, messages[-1])
    _check_tools(body.get("tools") or ())
    marked = sum(1 for block in _all_blocks(body) if block.get("cache_control"))
    if marked > MESSAGES["cache_points"]:
        raise refused("cache-points", most=MESSAGES["cache_points"], found=marked)


def _check_message(base: str, place: str, message: dict[str, Any], *, last: bool) -> None:
    role = message.get("role")
    if role is None:
        raise refused("required", place=f"{place}.role")
    if role == "system" and not listed("system_messages", base):
        raise refused("system-role")
    if role not in {"user", "assistant", "system"}:
        raise refused("role", place=place)
    if "content" not in message:
        raise refused("required", place=f"{place}.content")
    content = message["content"]
    if not content and not (last and role == "assistant"):
        raise refused("no-content", place=place)
    if isinstance(content, list):
        _check_blocks(f"{place}.content", content, MESSAGES["blocks"])
    _check_texts(content)


def _check_texts(content: Any) -> None:
    """Refuse blank text in a message. A message with thinking may contain blank text, because the model wrote it."""
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if not content or any(part["type"].endswith("thinking") for part in parts):
        return
    texts = [part["text"] for part in parts if part["type"] == "text"]
    if "" in texts:
        raise refused("empty-text")
    if not all(text.strip() for text in texts):
        raise refused("blank-text")


def _check_blocks(place: str, blocks: Sequence[dict[str, Any]], known: Mapping[str, Sequence[str]]) -> None:
    for number, block in enumerate(blocks):
        here = f"{place}.{number}"
        if "type" not in block:
            raise refused("required", place=f"{here}.type")
        kind = str(block["type"])
        if kind not in known:
            raise refused("tag", place=here, tag=kind, tags=", ".join(f"'{tag}'" for tag in sorted(known)))
        for key in known[kind]:
            if key not in block:
                raise refused("required", place=f"{here}.{kind}.{key}")
        if kind == "tool_result" and isinstance(block.get("content"), list):
            _check_blocks(f"{here}.tool_result.content", block["content"], MESSAGES["results"])


def _check_results(number: int, before: dict[str, Any], message: dict[str, Any]) -> None:
    uses = _ids(before, "tool_use", "id")
    results = _ids(message, "tool_result", "tool_use_id")
    if missing := [use for use in uses if use not in results]:
        raise refused("results-missing", message=number - 1, ids=", ".join(missing))
    for block in message["content"]:
        if isinstance(block, dict) and block["type"] == "tool_result" and block["tool_use_id"] not in uses:
            position = message["content"].index(block)
            raise refused("results-extra", message=number, block=position, id=block["tool_use_id"])


def _ids(message: dict[str, Any], kind: str, key: str) -> list[str]:
    content = message.get("content")
    return [block[key] for block in content if block["type"] == kind] if isinstance(content, list) else []


def _check_end(base: str, message: dict[str, Any]) -> None:
    if message["role"] != "assistant":
        return
    if listed("no_prefill", base):
        raise refused("prefill")
    content = message["content"]
    text = content if isinstance(content, str) else content[-1].get("text", "") if content else ""
    if text != text.rstrip():
        raise refused("trailing-space")


def _check_tools(tools: Sequence[dict[str, Any]]) -> None:
    for number, tool in enumerate(tools):
        place = f"tools.{number}"
        kind = tool.get("type", "custom")
        if not matches(kind, MESSAGES["tools"]):
            raise refused("tag", place=place, tag=kind, tags=", ".join(f"'{tag}'" for tag in MESSAGES["tool_tags"]))
        if kind != "custom":
            continue
        for key in ("name", "input_schema"):
            if key not in tool:
                raise refused("required", place=f"{place}.custom.{key}")
        if not _TOOL_NAME.fullmatch(tool["name"]):
            raise refused("tool-name", place=place, pattern=MESSAGES["tool_name"])
        if "type" not in tool["input_schema"]:
            raise refused("required", place=f"{place}.custom.input_schema.type")
    names = [tool["name"] for tool in tools if "name" in tool]
    if len(set(names)) < len(names):
        raise refused("tool-names")


def _all_blocks(body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for blocks in (body.get("tools"), body.get("system"), *(message["content"] for message in body["messages"])):
        if isinstance(blocks, list):
            yield from blocks
