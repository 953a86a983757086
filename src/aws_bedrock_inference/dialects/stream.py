"""The state of a stream: whether it has begun and is complete, its usage, and the answer that its events make."""

from __future__ import annotations

import json
from typing import Any

from aws_bedrock_inference.call import Estimate, Usage
from aws_bedrock_inference.dialects.usage import parts, stop_reason, usage_in_chunk, usage_of

# A rough count for streams that break off before they report their usage; English text has about four characters a
# token.
CHARACTERS_PER_TOKEN = 4


class Transcript:
    """Follows a ConverseStream; `NativeTranscript` follows the chunks of InvokeModelWithResponseStream.

    `begun` turns true with the first event that carries content: from then on a repeat would be noticed. `whole`
    turns true with the event that closes the answer.
    """

    def __init__(self) -> None:
        self.begun = False
        self.whole = False
        self.stop_reason: str | None = None
        self.usage: Usage | None = None
        self._written = 0
        self._role = "assistant"
        self._blocks: dict[int, dict[str, Any]] = {}
        self._metadata: dict[str, Any] = {}
        self._stop: dict[str, Any] = {}

    def add(self, event: dict[str, Any]) -> None:
        """Take in one event as boto3 gives it."""
        for name, body in event.items():
            if name == "contentBlockDelta":
                self._delta(body["contentBlockIndex"], body["delta"])
            elif name == "contentBlockStart":
                self.begun = True
                self._blocks[body["contentBlockIndex"]] = {key: dict(value) for key, value in body["start"].items()}
            elif name == "messageStart":
                self._role = body["role"]
            elif name == "messageStop":
                self.whole = True
                self.stop_reason = stop_reason(body)
                self._stop = body
            elif name == "metadata":
                self._metadata = body
                self.usage = usage_of(body)

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(block.get("text", "") for _, block in sorted(self._blocks.items()))

    def spent(self, estimate: Estimate) -> Usage:
        """Return the reported usage, or what the stream must have cost by what it has shown."""
        if self.usage is not None:
            return self.usage
        return Usage(estimate.input_tokens, self._written // CHARACTERS_PER_TOKEN)

    def message(self) -> dict[str, Any]:
        """Return the message so far in Converse's form; a tool's input that is not yet whole JSON stays text."""
        return {"role": self._role, "content": [_closed(block) for _, block in sorted(self._blocks.items())]}

    def response(self, head: dict[str, Any]) -> dict[str, Any]:
        """Return what Converse would have answered; `head` holds the response's own fields."""
        return {**head, "output": {"message": self.message()}, **self._stop, **self._metadata}

    def _delta(self, index: int, delta: dict[str, Any]) -> None:
        self.begun = True
        block = self._blocks.setdefault(index, {})
        for kind, value in delta.items():
            if kind == "text":
                block["text"] = block.get("text", "") + value
                self._written += len(value)
            elif kind == "toolUse":
                tool = block.setdefault("toolUse", {})
                tool["input"] = tool.get("input", "") + value.get("input", "")
                self._written += len(value.get("input", ""))
            elif kind == "reasoningContent":
                _join_reasoning(block.setdefault("reasoningContent", {}), value)
                self._written += len(value.get("text", ""))
            else:
                block.setdefault(kind, []).append(value)


class NativeTranscript(Transcript):
    """Follows InvokeModelWithResponseStream: each chunk is JSON in the model's own dialect.

    Knows Anthropic's messages, Nova (Converse's event names) and the flat dialects of Titan, Llama, Mistral and
    Cohere. Every dialect ends with `amazon-bedrock-invocationMetrics` in its last chunk. Of a stream that showed no
    known sign, nothing is claimed: it counts as whole when its body ends.
    """

    def __init__(self) -> None:
        super().__init__()
        self._known = False
        self._text: list[str] = []

    def add(self, event: dict[str, Any]) -> None:
        """Take in one chunk as boto3 gives it."""
        body = event.get("chunk", {}).get("bytes", b"")
        try:
            chunk = json.loads(body)
        except ValueError:
            chunk = None
        if not isinstance(chunk, dict):
            self.begun = True
            return
        if usage := usage_in_chunk(chunk):
            self.usage = usage
            self.whole = True
        if "type" in chunk:
            self._anthropic(chunk)
        elif chunk.keys() & {
            "messageStart",
            "contentBlockStart",
            "contentBlockDelta",
            "contentBlockStop",
            "messageStop",
            "metadata",
        }:
            self._known = True
            super().add({name: body for name, body in chunk.items() if not name.startswith("amazon-bedrock-")})
        else:
            self._flat(chunk)

    @property
    def text(self) -> str:
        """The text so far."""
        return super().text or "".join(self._text)

    @property
    def unknown(self) -> bool:
        """True if the stream used no known dialect."""
        return not self._known

    def message(self) -> dict[str, Any]:
        """Return the text so far in Converse's form."""
        return {"role": "assistant", "content": [{"text": self.text}]}

    def _anthropic(self, chunk: dict[str, Any]) -> None:
        self._known = True
        kind = chunk["type"]
        if kind == "content_block_delta":
            self.begun = True
            delta = chunk.get("delta", {})
            self._write(delta.get("text", ""))
            self._written += len(delta.get("partial_json", "")) + len(delta.get("thinking", ""))
        elif kind == "message_delta":
            self.stop_reason = stop_reason(chunk.get("delta", {})) or None
        elif kind == "message_stop":
            self.whole = True

    def _flat(self, chunk: dict[str, Any]) -> None:
        self.begun = True
        for part in parts(chunk):
            for key in ("outputText", "generation", "text"):
                if isinstance(part.get(key), str):
                    self._known = True
                    self._write(part[key])
        if reason := stop_reason(chunk):
            self._known = self.whole = True
            self.stop_reason = reason

    def _write(self, text: str) -> None:
        self._text.append(text)
        self._written += len(text)


def _join_reasoning(block: dict[str, Any], delta: dict[str, Any]) -> None:
    for key, value in delta.items():
        if key in ("text", "signature"):
            block.setdefault("reasoningText", {}).setdefault(key, "")
            block["reasoningText"][key] += value
        else:
            block[key] = block[key] + value if key in block else value


def _closed(block: dict[str, Any]) -> dict[str, Any]:
    tool = block.get("toolUse")
    if tool is None or not isinstance(tool.get("input", ""), str):
        return block
    try:
        return {**block, "toolUse": {**tool, "input": json.loads(tool.get("input") or "{}")}}
    except ValueError:
        return block
