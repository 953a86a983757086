"""Create the request that asks a model to continue an interrupted answer.

Some models accept a prefill: they continue the last message if it is a message of the assistant. Claude 4.6 and later,
and many other models, refuse a prefill (`knowledge/models.toml`). For these models, a user message asks the model to
continue. It also asks the model to repeat the last characters of the partial answer first (the *anchor*). The anchor
shows where the two parts must be joined.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.dialects.request import CONVERSE_MAXIMUM, CONVERSE_SETTINGS
from aws_bedrock_inference.rules.seam import MARK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from aws_bedrock_inference.dialects.stream import Transcript
    from aws_bedrock_inference.rules.seam import Seam as Cut

_GO_ON = f"""\
The connection broke while you were answering. Everything that arrived is in your last message; nothing after it did.
Go on from the exact place where it ends. Begin by repeating its last characters, which stand between the two lines of \
equals signs below, without any change, and write on from there as if nothing had happened. Write nothing before them: \
no greeting, no explanation, no sign that this is a continuation.
{MARK}
{{anchor}}
{MARK}"""

# Content after which another request can continue the answer.
_PLAIN = {"text", "reasoningContent"}

# The fields that make a model think before it answers. They are removed from the second request, because the model has
# already thought: tokens may not be left, and a prefill is refused (GH Aider-AI/aider#3820, read on 2026-11-29).
_THOUGHT = {"thinking", "reasoning_config", "reasoningConfig"}
_FIELDS = "additionalModelRequestFields"


def can_be_continued(params: Mapping[str, Any], message: Mapping[str, Any]) -> bool:
    """Return whether a model can continue `message`, its partial answer to `params`.

    A partial tool call, and an answer that must follow a schema, cannot be continued, only generated again. Answers to
    requests in a model's own format, and to prompts that AWS stores, cannot be continued either.
    """
    content = message["content"]
    choice = (params.get("toolConfig") or {}).get("toolChoice") or {}
    formatted = bool((params.get("outputConfig") or {}).get("textFormat"))
    written = any(str(block.get("text", "")).strip() for block in content)
    return (
        bool(params.get("messages"))
        and written
        and "text" in content[-1]
        and not formatted
        and not choice.keys() & {"any", "tool"}
        and all(block.keys() <= _PLAIN for block in content)
    )


def continued(params: Mapping[str, Any], received: str, anchor: str | None, tokens: int) -> dict[str, Any]:
    """Return the request that asks for the rest of an interrupted answer to `params`.

    `received` is the text of the answer that has arrived. It contains about `tokens` tokens. The maximum length of the
    rest is reduced by this number.

    With an `anchor`, the model is asked to repeat this text first. Without an `anchor`, `received` is sent as a
    prefill: it is the last message, and the model continues this message. A prefill must not end with white space, so
    white space at the end of `received` is removed.
    """
    messages = _with_answer(params["messages"], received if anchor else received.rstrip())
    if anchor:
        messages.append({"role": "user", "content": [{"text": _GO_ON.format(anchor=anchor)}]})
    asked = {**params, "messages": messages}
    fields = params.get(_FIELDS)
    if isinstance(fields, dict) and fields.keys() & _THOUGHT:
        asked[_FIELDS] = {name: value for name, value in fields.items() if name not in _THOUGHT}
    settings = params.get(CONVERSE_SETTINGS) or {}
    most = settings.get(CONVERSE_MAXIMUM)
    if isinstance(most, int):
        asked[CONVERSE_SETTINGS] = {**settings, CONVERSE_MAXIMUM: max(1, most - tokens) + tokens_again(anchor)}
    return asked


def tokens_again(anchor: str | None) -> int:
    """Return the maximum number of tokens that the model needs to repeat `anchor`, the last characters of the partial
    answer. A token is assumed to contain at least two bytes.
    """
    return len((anchor or "").encode(errors="replace")) // 2


def is_prefilled(params: Mapping[str, Any]) -> bool:
    """Return whether the request ends with a message of the assistant, so that the answer continues this message."""
    messages = params.get("messages") or [{}]
    return bool(messages[-1].get("role") == "assistant")


def _with_answer(messages: Sequence[Any], text: str) -> list[Any]:
    """Return the conversation with the partial answer as its last message. If the request ends with a prefill, the
    prefill and the answer become one message.
    """
    if messages[-1].get("role") != "assistant":
        return [*messages, {"role": "assistant", "content": [{"text": text}]}]
    *before, last = messages
    *blocks, end = last.get("content") or [{}]
    added = (
        [{**end, "text": end["text"] + text}] if "text" in end else [end, {"text": text}] if end else [{"text": text}]
    )
    return [*before, {**last, "content": [*blocks, *added]}]


class Rest:
    """Connects the two parts of an interrupted answer.

    The first part comes from the stream that was interrupted. The second part comes from a second stream: the answer to
    the request that `continued` builds. This class changes the events of the second stream, so that they continue the
    events of the first stream. It adds the changed events to the transcript of the first stream.
    """

    def __init__(self, transcript: Transcript, cut: Cut | None) -> None:
        self.transcript = transcript
        self.cut = cut
        self._blank = _blank_end(transcript.text) if cut is None else ""
        self._begun = False
        self._shift: int | None = None
        self._index = 0
        self._first = transcript.index if isinstance(transcript.index, int) else 0
        if not transcript.open:
            self._first += 1

    @property
    def verified(self) -> bool:
        """True if the second part of the answer is known to begin exactly at the end of the first part.

        * With an anchor: True if the model repeated the anchor, and its position is not ambiguous.
        * With a prefill: a prefill must not end with white space, so the white space at the end of the first part was
          not sent. The result is True if there was no such white space, or if the second part began with it.
        """
        return not self._blank if self.cut is None else bool(self.cut.verified)

    def take(self, item: Any) -> Iterator[dict[str, Any]]:
        """Process one event of the second stream. Yield the events to pass to the consumer instead of this event: none,
        one or two.
        """
        if not isinstance(item, dict) or "messageStart" in item:
            return
        index, delta = _place(item)
        text = isinstance(delta.get("text"), str)
        if self._shift is None and index is not None:
            if not text and "contentBlockStart" not in item:
                return  # the model reasoned again: the answer already has its reasoning
            self._index = index
            self._shift = self._first - index if text else self._first + self.transcript.open - index
        if text:
            piece = self._fitting(delta["text"])
            if piece:
                yield self._given(_with_text(item, piece))
            return
        if "contentBlockDelta" not in item:
            yield from self._held()
        yield self._given(item)

    def _held(self) -> Iterator[dict[str, Any]]:
        """Yield the text that was held back, if any, as an event.

        With an anchor, the second stream usually begins with text that repeats the end of the first part of the answer.
        The consumer already has this text. Therefore the beginning of the second stream is held back until it is known
        which text is repeated.
        """
        piece = self.cut.end() if self.cut is not None else ""
        if piece:
            yield self._given({"contentBlockDelta": {"delta": {"text": piece}, "contentBlockIndex": self._index}})

    def _fitting(self, piece: str) -> str:
        """Process `piece`, the next piece of text from the second stream. Return the text that the consumer gets now.

        Text that repeats the end of the first part of the answer is removed. The result is empty while text is held
        back (see `_held`).
        """
        if self.cut is not None:
            return self.cut.add(piece)
        # A prefill must not end with white space, so it was removed. If the model writes it again, drop it.
        while self._blank and piece and not self._begun:
            self._begun = piece[0] != self._blank[0]
            if not self._begun:
                piece, self._blank = piece[1:], self._blank[1:]
        return piece

    def _given(self, event: dict[str, Any]) -> dict[str, Any]:
        event = {name: self._placed(body) for name, body in event.items()}
        self.transcript.add(event)
        return event

    def _placed(self, body: Any) -> Any:
        if not isinstance(body, dict) or not isinstance(body.get("contentBlockIndex"), int):
            return body
        return {**body, "contentBlockIndex": body["contentBlockIndex"] + (self._shift or 0)}


def _blank_end(text: str) -> str:
    return text[len(text.rstrip()) :]


def _place(event: dict[str, Any]) -> tuple[int | None, dict[str, Any]]:
    """Return the index of the content block to which an event belongs, and the delta of the event. The index is None if
    the event belongs to no block, and the delta is empty if the event has none.
    """
    for name in ("contentBlockDelta", "contentBlockStart", "contentBlockStop"):
        body = event.get(name)
        if isinstance(body, dict):
            index, delta = body.get("contentBlockIndex"), body.get("delta")
            return (index if isinstance(index, int) else 0), (delta if isinstance(delta, dict) else {})
    return None, {}


def _with_text(event: dict[str, Any], text: str) -> dict[str, Any]:
    body = event["contentBlockDelta"]
    return {"contentBlockDelta": {**body, "delta": {**body["delta"], "text": text}}}
