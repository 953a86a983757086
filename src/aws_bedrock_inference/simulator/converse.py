"""The Converse dialect: one shape for every model. Amazon Nova speaks it in its own bodies, too.

Shapes: botocore 1.44.5, bedrock-runtime 2023-09-30, ConverseRequest, ConverseResponse and ConverseStreamOutput.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.simulator.answers import Prompt, Tool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_bedrock_inference.simulator.answers import Answer, Usage

PIECE = 20  # characters of one delta: five tokens, as coarse as the service streams


def read(body: dict[str, Any]) -> Prompt:
    """Return the prompt of a request."""
    settings = body.get("inferenceConfig") or {}
    prompt = Prompt(
        max_tokens=settings.get("maxTokens", settings.get("max_new_tokens")),
        stop_sequences=tuple(settings.get("stopSequences") or ()),
        tool=_forced(body.get("toolConfig") or {}),
    )
    for tool in (body.get("toolConfig") or {}).get("tools", ()):
        _read_block(prompt, tool)
    for block in body.get("system") or ():
        _read_block(prompt, block)
    for message in body.get("messages") or ():
        for block in message["content"]:
            _read_block(prompt, block)
    return prompt


def _read_block(prompt: Prompt, block: dict[str, Any]) -> None:
    text = block.get("text")
    if text is not None:
        prompt.add(text)
    elif "cachePoint" in block:
        prompt.mark()
    elif block.keys() & {"image", "document", "video", "audio"}:
        prompt.add_media()
    else:
        prompt.add(json.dumps(block, sort_keys=True))


def _forced(tools: dict[str, Any]) -> Tool | None:
    choice = tools.get("toolChoice") or {}
    offered = {tool["toolSpec"]["name"]: tool["toolSpec"] for tool in tools.get("tools", ()) if "toolSpec" in tool}
    name = choice["tool"].get("name") if "tool" in choice else next(iter(offered), None) if "any" in choice else None
    return (
        Tool(name, offered[name].get("inputSchema", {}).get("json", {}))
        if name is not None and name in offered
        else None
    )


def body(answer: Answer, usage: Usage, milliseconds: int) -> dict[str, Any]:
    """Return the body of a whole answer."""
    content: dict[str, Any] = {"text": answer.text}
    if answer.tool:
        content = {"toolUse": {**_tool_use(answer), "input": json.loads(answer.text)}}
    return {
        "output": {"message": {"role": "assistant", "content": [content]}},
        "stopReason": answer.stop,
        "usage": _usage(usage),
        "metrics": {"latencyMs": milliseconds},
    }


def events(answer: Answer, usage: Usage, milliseconds: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return the events of a streamed answer, each with the name of its type."""
    yield "messageStart", {"role": "assistant"}
    if answer.tool:
        yield "contentBlockStart", {"start": {"toolUse": _tool_use(answer)}, "contentBlockIndex": 0}
    for at in range(0, len(answer.text), PIECE):
        piece = answer.text[at : at + PIECE]
        delta = {"toolUse": {"input": piece}} if answer.tool else {"text": piece}
        yield "contentBlockDelta", {"delta": delta, "contentBlockIndex": 0}
    yield "contentBlockStop", {"contentBlockIndex": 0}
    yield "messageStop", {"stopReason": answer.stop}
    yield "metadata", {"usage": _usage(usage), "metrics": {"latencyMs": milliseconds}}


def _tool_use(answer: Answer) -> dict[str, Any]:
    assert answer.tool  # noqa: S101 - asked for by the callers
    return {"toolUseId": f"tooluse_{answer.identity}", "name": answer.tool.name}


def _usage(usage: Usage) -> dict[str, int]:
    return {"inputTokens": usage.input, "outputTokens": usage.output, "totalTokens": usage.total}
