"""The format of Converse, which is the same for every model. Amazon Nova also uses this format in its own bodies.

Shapes: botocore 1.44.5, bedrock-runtime 2023-09-30, ConverseRequest, ConverseResponse and ConverseStreamOutput.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.simulator import strict
from aws_bedrock_inference.simulator.answers import Prompt
from aws_bedrock_inference.simulator.going_on import Broken
from aws_bedrock_inference.simulator.tools import NONE, Offer
from aws_bedrock_inference.simulator.wishes import Cited, check_schema, check_thinking, json_format, thinks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_bedrock_inference.simulator.answers import Answer, Usage
    from aws_bedrock_inference.simulator.tools import Tool

PIECE = 20  # characters of one delta: five tokens, as in the service's streams
QUOTE = 80  # characters that a citation quotes


def read(body: dict[str, Any]) -> Prompt:
    """Return the prompt of a Converse request. Raises ServiceError."""
    settings = body.get("inferenceConfig") or {}
    fields = body.get("additionalModelRequestFields") or {}
    prompt = Prompt(
        max_tokens=settings.get("maxTokens", settings.get("max_new_tokens")),
        stop_sequences=tuple(settings.get("stopSequences") or ()),
        offer=_offer(body.get("toolConfig") or {}, fields),
        format=_format(body.get("outputConfig") or {}, fields),
        thinks=thinks(fields),
    )
    check_thinking(fields, prompt.offer.choice, prompt.max_tokens)
    for tool in (body.get("toolConfig") or {}).get("tools", ()):
        _read_block(prompt, tool)
    for block in body.get("system") or ():
        _read_block(prompt, block)
    prompt.system = "\n".join(prompt.parts)
    for message in body.get("messages") or ():
        _read_message(prompt, message)
    return prompt


def _read_message(prompt: Prompt, message: dict[str, Any]) -> None:
    first, content = len(prompt.parts), message["content"]
    said = "".join(block.get("text") or "" for block in content)
    if message["role"] == "assistant":
        prompt.broken = Broken(first, said, None)
    elif prompt.broken is not None:
        prompt.broken = prompt.broken._replace(said=said) if prompt.broken.said is None else None
    for block in content:
        _read_block(prompt, block)
        if "toolUse" in block:
            prompt.offer.use(block["toolUse"]["name"])
    if message["role"] == "user" and not any("toolResult" in block for block in content):
        prompt.offer.ask("\n".join(prompt.parts[first:]))


def _read_block(prompt: Prompt, block: dict[str, Any]) -> None:
    text = block.get("text")
    if text is not None:
        prompt.add(text)
    elif "cachePoint" in block:
        prompt.mark()
    elif block.keys() & {"image", "document", "video", "audio"}:
        prompt.add_media()
        if "document" in block:
            _read_document(prompt, block["document"])
    else:
        prompt.add(json.dumps(block, sort_keys=True))


def _read_document(prompt: Prompt, document: dict[str, Any]) -> None:
    if (document.get("citations") or {}).get("enabled") and prompt.cited is None:
        source = document.get("source") or {}
        kind = "chunk" if "content" in source else "page" if document.get("format") == "pdf" else "text"
        parts = [str(part.get("text", "")) for part in source.get("content") or ()]
        quote = str(source.get("text") or "".join(parts[:1]))[:QUOTE]
        prompt.cited = Cited(prompt.documents, str(document.get("name", "")), kind, quote or "simulated")
    prompt.documents += 1


def _offer(config: dict[str, Any], fields: dict[str, Any]) -> Offer:
    """Return the tools and the tool choice of a request.

    `config` is the request's `toolConfig`, and `fields` are its `additionalModelRequestFields`. The `toolChoice` of
    `config` cannot forbid tools. Clients therefore forbid tools with Anthropic's setting `tool_choice` in `fields`.
    """
    specs = [tool["toolSpec"] for tool in config.get("tools", ()) if "toolSpec" in tool]
    offer = Offer({spec["name"]: (spec.get("inputSchema") or {}).get("json") for spec in specs})
    for choice, details in (config.get("toolChoice") or {}).items():
        if details is not None:
            offer.require(choice, details.get("name"))
    own = fields.get("tool_choice")
    if isinstance(own, dict) and own.get("type") == NONE:
        offer.require(NONE)
    return offer


def _format(config: dict[str, Any], fields: dict[str, Any]) -> Any:
    """Return the JSON schema that the answer must follow. `config` is the request's `outputConfig`. If it contains no
    schema, the schema is read from `fields`, the request's `additionalModelRequestFields`.
    """
    given = config.get("textFormat")
    if not given:
        return json_format(fields)
    schema = strict.loads(given["structure"]["jsonSchema"]["schema"].encode())
    check_schema(schema)
    return schema


def body(answer: Answer, usage: Usage, milliseconds: int) -> dict[str, Any]:
    """Return the body of a complete answer."""
    content: list[dict[str, Any]] = []
    if answer.reasoning:
        signed = {"signature": answer.signature} if answer.signature else {}
        content.append({"reasoningContent": {"reasoningText": {"text": answer.reasoning, **signed}}})
    if answer.tool:
        content.append({"toolUse": {**_tool_use(answer, answer.tool), "input": answer.input}})
    elif answer.cited:
        cited = {"content": [{"text": answer.text}], "citations": [_citation(answer.cited)]}
        content.append({"citationsContent": cited})
    else:
        content.append({"text": answer.text})
    return {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": answer.stop,
        "usage": _usage(usage),
        "metrics": {"latencyMs": milliseconds},
    }


def events(answer: Answer, usage: Usage, milliseconds: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return the events of a streamed answer, each with the name of its type."""
    yield "messageStart", {"role": "assistant"}
    index = 0
    if answer.reasoning:
        for piece in pieces(answer.reasoning):
            yield "contentBlockDelta", {"delta": {"reasoningContent": {"text": piece}}, "contentBlockIndex": index}
        if answer.signature:
            signed = {"reasoningContent": {"signature": answer.signature}}
            yield "contentBlockDelta", {"delta": signed, "contentBlockIndex": index}
        yield "contentBlockStop", {"contentBlockIndex": index}
        index += 1
    if answer.tool:
        yield "contentBlockStart", {"start": {"toolUse": _tool_use(answer, answer.tool)}, "contentBlockIndex": index}
    for piece in pieces(answer.text):
        delta = {"toolUse": {"input": piece}} if answer.tool else {"text": piece}
        yield "contentBlockDelta", {"delta": delta, "contentBlockIndex": index}
    if answer.cited:
        yield "contentBlockDelta", {"delta": {"citation": _citation(answer.cited)}, "contentBlockIndex": index}
    yield "contentBlockStop", {"contentBlockIndex": index}
    yield "messageStop", {"stopReason": answer.stop}
    yield "metadata", {"usage": _usage(usage), "metrics": {"latencyMs": milliseconds}}


def pieces(text: str) -> list[str]:
    """Return the pieces of a text, one for each delta of a stream."""
    return [text[at : at + PIECE] for at in range(0, len(text), PIECE)]


def _tool_use(answer: Answer, tool: Tool) -> dict[str, Any]:
    return {"toolUseId": f"tooluse_{answer.identity}", "name": tool.name}


def _citation(cited: Cited) -> dict[str, Any]:
    places = {
        "text": ("documentChar", 0, len(cited.quote)),
        "page": ("documentPage", 1, 2),
        "chunk": ("documentChunk", 0, 1),
    }
    name, start, end = places[cited.kind]
    location = {name: {"documentIndex": cited.number, "start": start, "end": end}}
    return {"title": cited.title, "sourceContent": [{"text": cited.quote}], "location": location}


def _usage(usage: Usage) -> dict[str, int]:
    return {"inputTokens": usage.input, "outputTokens": usage.output, "totalTokens": usage.total}
