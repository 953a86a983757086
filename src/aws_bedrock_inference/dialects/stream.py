"""Follow a stream: whether its content has begun and is complete, its token usage, and the answer that its events form.

The service's events can be defective: a member can be missing, or have another type than in the service model. All
readable parts are used, and no function raises an exception.
"""

from __future__ import annotations

import json
from typing import Any

from aws_bedrock_inference.call import Estimate, Usage
from aws_bedrock_inference.dialects.content import FLAT_TEXTS, Assembly, text_of
from aws_bedrock_inference.dialects.failed import Failure, failure_of
from aws_bedrock_inference.dialects.usage import (
    blocked,
    has_metrics,
    intervened,
    parts,
    stop_reason,
    usage_in_chunk,
    usage_of,
    with_hour_of,
    without_double_writes,
)

# For streams that end before they report their usage. Text has about four bytes of UTF-8 per token. Four Chinese
# characters have twelve bytes, so they count as three tokens.
BYTES_PER_TOKEN = 4

_REASONING = "reasoningContent"

_CONVERSE = frozenset(
    {"messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"}
)
_ANTHROPIC = frozenset(
    {"message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta"}
    | {"message_stop", "ping", "error"}
)


class Transcript:
    """Follows the events of a ConverseStream. `NativeTranscript` follows the chunks of InvokeModelWithResponseStream.

    * `begun`: True after the first event with content. After this event, a repeated call would send the consumer the
      same content again.
    * `whole`: True after the event that completes the answer.
    * `quiet`: True if a long silence is normal now, because the model thinks, writes the input of a tool, or waits for
      a tool that AWS runs. It is False after a piece of text, and after the end of the answer.
    * `intervened`: True if a guardrail changed or blocked the answer of InvokeModelWithResponseStream. For a
      ConverseStream, it is always False: `stop_reason` shows the intervention instead.
    * `failure`: an error that the model itself reported. Nothing that follows it is read.
    * `index`: the index of the content block of the last event. `open` is True until this block ends.
    """

    may_end = False
    intervened = False
    failure: Failure | None = None

    def __init__(self) -> None:
        self.begun = False
        self.whole = False
        self.quiet = True
        self.index: Any = 0
        self.open = False
        self.stop_reason: str | None = None
        self.usage: Usage | None = None
        self._written = 0
        self._reasoned = False
        self._role = "assistant"
        self._assembly = Assembly()
        self._metadata: dict[str, Any] = {}
        self._stop: dict[str, Any] = {}

    def add(self, event: dict[str, Any]) -> None:
        """Process one event in boto3's form."""
        for name, body in event.items():
            if not isinstance(body, dict):
                continue
            if name == "contentBlockDelta":
                self._delta(body.get("contentBlockIndex"), body.get("delta"))
            elif name == "contentBlockStart":
                self._start(body.get("contentBlockIndex"), body.get("start"))
            elif name == "contentBlockStop":
                self.index, self.open = body.get("contentBlockIndex"), False
                self._assembly.stop(body.get("contentBlockIndex"))
            elif name == "messageStart":
                role = body.get("role")
                self._role = role if role and isinstance(role, str) else self._role
            elif name == "messageStop":
                self.whole = True
                self.quiet = False
                self.stop_reason = stop_reason(body)
                self._stop |= body
            elif name == "metadata":
                self._metadata |= body
                self.usage = usage_of(self._metadata)

    @property
    def text(self) -> str:
        """The text that has arrived so far."""
        return text_of(self._assembly.content())

    @property
    def tokens(self) -> int:
        """The approximate number of tokens in the part of the stream that has arrived so far."""
        return self._written // BYTES_PER_TOKEN

    def spent(self, estimate: Estimate) -> Usage:
        """Return the token usage that the stream reported. If the stream reported no usage, return an estimate: the
        input tokens of `estimate`, and the output tokens estimated from the content that arrived.

        AWS sometimes counts the cache writes of a stream with reasoning twice. If the stream contains reasoning, the
        reported number of cache writes is therefore corrected.
        """
        if self.usage is not None:
            return without_double_writes(self.usage, estimate.input_tokens) if self._reasoned else self.usage
        return Usage(estimate.input_tokens, self.tokens)

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata event of the stream, which contains for example the token usage and the service tier."""
        return self._metadata

    def message(self) -> dict[str, Any]:
        """Return the message so far in Converse's form. If the input of a tool is not yet complete JSON, it is
        returned as text.
        """
        return {"role": self._role, "content": self._assembly.content()}

    def response(self, head: dict[str, Any]) -> dict[str, Any]:
        """Return the answer of the stream in the form of a response of Converse. `head` contains the fields that do not
        come from the events of the stream, such as `ResponseMetadata`.
        """
        return {**head, "output": {"message": self.message()}, **self._stop, **self._metadata}

    def _start(self, index: Any, start: Any) -> None:
        self.begun = self.open = True
        self.index = index
        self.quiet = True
        self._assembly.start(index, start if isinstance(start, dict) else {})

    def _delta(self, index: Any, delta: Any) -> None:
        self.begun = self.open = True
        self.index = index
        if not isinstance(delta, dict):
            return
        self._assembly.add(index, delta)
        self.quiet = "text" not in delta and "citation" not in delta
        self._reasoned = self._reasoned or _REASONING in delta
        for piece in delta.values():
            self._written += _length(piece)
            if isinstance(piece, dict):
                self._written += sum(map(_length, piece.values()))


class NativeTranscript(Transcript):
    """Follows a stream of InvokeModelWithResponseStream, in which each chunk is JSON in the model's own format.

    The supported formats are Anthropic's messages, Nova (Converse's event names) and the flat dialects of Titan, Llama,
    Mistral, Cohere, AI21 and OpenAI. In a flat dialect, a field of the chunk contains the text.

    In every format, the last chunk contains the member `amazon-bedrock-invocationMetrics`. The exception is an answer
    of Titan that a guardrail blocked: its stream has only one chunk, which has neither this member nor a stop reason.

    `may_end` is True in two cases in which the end of the HTTP body is not an error, although no chunk has completed
    the answer:

    * The last chunk reported that a guardrail blocked the answer.
    * No chunk had a known format, so it is unknown how this model ends a stream.
    """

    def __init__(self) -> None:
        super().__init__()
        self._known = False
        self._blocked = False
        self._text: list[str] = []
        self._begin: dict[str, Any] = {}

    def add(self, event: dict[str, Any]) -> None:
        """Process one chunk in boto3's form."""
        chunk = _chunk(event)
        if chunk is None:
            self.begun = True
            return
        if not self.whole and self.failure is None:
            self.failure = failure_of(chunk)
        if self.failure is not None:
            return
        alone = False
        kind = chunk.get("type")
        if isinstance(kind, str) and kind in _ANTHROPIC:
            self._anthropic(kind, chunk)
        elif chunk.keys() & _CONVERSE:
            self._known = True
            super().add({name: body for name, body in chunk.items() if name in _CONVERSE})
        else:
            alone = not self.begun
            self._flat(chunk)
        self._blocked = blocked(chunk, alone=alone)
        self.intervened = self.intervened or intervened(chunk)
        if has_metrics(chunk):
            usage = usage_in_chunk(chunk)
            self.usage = with_hour_of(usage, self._begin) if usage is not None else None
            self.whole = True
        if self._blocked and not self.stop_reason:
            self.stop_reason = "guardrail_intervened"

    @property
    def text(self) -> str:
        """The text that has arrived so far."""
        return super().text or "".join(self._text)

    @property
    def unknown(self) -> bool:
        """True if no chunk of the stream has the format of a known model family."""
        return not self._known

    @property
    def may_end(self) -> bool:  # type: ignore[override]  # a fact of the class there, of the last chunk here
        """True if the HTTP body is allowed to end now, although no chunk has completed the answer. This is the case if
        a guardrail blocked the answer, or if no chunk had a known format.
        """
        return self.begun and (self._blocked or not self._known)

    def message(self) -> dict[str, Any]:
        """Return the text so far as a message in Converse's form."""
        return {"role": "assistant", "content": [{"text": self.text}]}

    def _anthropic(self, kind: str, chunk: dict[str, Any]) -> None:
        self._known = True
        delta = chunk.get("delta")
        delta = delta if isinstance(delta, dict) else {}
        if kind == "content_block_delta":
            self.begun = True
            self.quiet = "text" not in delta
            self._write(delta.get("text"))
            self._written += _length(delta.get("partial_json")) + _length(delta.get("thinking"))
        elif kind == "content_block_start":
            self.quiet = True
        elif kind == "message_start" and isinstance(chunk.get("message"), dict):
            self._begin = chunk["message"]
        elif kind == "message_delta":
            self.stop_reason = stop_reason(delta) or self.stop_reason
        elif kind == "message_stop":
            self.whole = True

    def _flat(self, chunk: dict[str, Any]) -> None:
        self.begun = True
        for part in parts(chunk):
            for place in (part, part.get("delta"), part.get("message")):
                for text in _flat_texts(place):
                    self._known, self.quiet = True, False
                    self.whole = self.whole and not text  # of several answers, one has ended
                    self._write(text)
        if reason := stop_reason(chunk):
            self._known = self.whole = True
            self.stop_reason = reason

    def _write(self, text: Any) -> None:
        if isinstance(text, str):
            self._text.append(text)
            self._written += _length(text)


def transcript_of(operation: str) -> Transcript:
    """Return a new transcript, which follows a stream of `operation` (the name of boto3's method)."""
    return Transcript() if operation == "converse_stream" else NativeTranscript()


def text_in(event: dict[str, Any]) -> str:
    """Return the text that an event of a ConverseStream adds to the answer."""
    body = event.get("contentBlockDelta")
    delta = body.get("delta") if isinstance(body, dict) else None
    text = delta.get("text") if isinstance(delta, dict) else None
    return text if isinstance(text, str) else ""


def _chunk(event: dict[str, Any]) -> dict[str, Any] | None:
    """Return the JSON object in a chunk. If the chunk contains no JSON object, return None."""
    part = event.get("chunk")
    try:
        chunk = json.loads(part.get("bytes", b"")) if isinstance(part, dict) else None
    except (ValueError, TypeError, RecursionError):
        return None
    return chunk if isinstance(chunk, dict) else None


def _flat_texts(place: Any) -> list[str]:
    """Return the texts in `place`, which is a chunk or a dictionary inside a chunk. The name of the field with the text
    depends on the model family, for example `outputText` for Titan, or `content` in formats for chats.
    """
    if not isinstance(place, dict):
        return []
    return [place[name] for name in (*FLAT_TEXTS, "content") if isinstance(place.get(name), str)]


def _length(value: Any) -> int:
    if not isinstance(value, str):
        return 0
    return len(value) if value.isascii() else len(value.encode(errors="replace"))
