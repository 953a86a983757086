"""Read the text in the content blocks of an answer, and build the blocks from the events of a ConverseStream.

Converse returns complete blocks. ConverseStream returns the same blocks in pieces (botocore 1.44.8's service model:
`ContentBlock`, `ContentBlockStart` and `ContentBlockDelta`). `Assembly` builds the blocks from the pieces. A program
can then use a collected stream like an answer of Converse: it can read the blocks, or send them back as the next turn.
"""

from __future__ import annotations

import json
from functools import reduce
from operator import itemgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# Deltas that continue a block of another name: a citation belongs to the text before it.
_CONTINUES = {"citation": "text"}
# The text fields of the flat dialects: Titan; Llama; Mistral and Cohere; Anthropic's old completions.
FLAT_TEXTS = ("outputText", "generation", "text", "completion")
# The answer fields of other dialects: OpenAI's models; Titan; Mistral; Cohere's older models.
_CHOICES = ("choices", "results", "outputs", "generations")
_REDACTED = "redactedContent"
_UNKNOWN = "SDK_UNKNOWN_MEMBER"  # botocore's name for a member that is not in its model


def text_of(content: Any) -> str:
    """Return the text of a message's content, including text with citations. Blocks without text are ignored."""
    if not isinstance(content, list):
        return ""
    texts = []
    for block in content:
        if isinstance(block, dict):
            text = block.get("text")
            if isinstance(text, str):
                texts.append(text)
            elif "citationsContent" in block:
                cited = block["citationsContent"]
                texts.append(text_of(cited.get("content")) if isinstance(cited, dict) else "")
    return "".join(texts)


def text_of_body(body: Any) -> str:
    """Return the text of an answer from a body of InvokeModel. Return an empty string if the body has no text.

    The formats of Converse, Nova, Claude and OpenAI and the flat dialects are supported. In a flat dialect, a field of
    the body contains the text.
    """
    if not isinstance(body, dict):
        return ""
    output = body.get("output")
    message = output.get("message") if isinstance(output, dict) else body
    if isinstance(message, dict) and isinstance(content := message.get("content"), list):
        return text_of(content)
    texts = (body.get(name) for name in (*FLAT_TEXTS, "content"))
    if (text := next((text for text in texts if isinstance(text, str)), None)) is not None:
        return text
    choices = (body.get(name) for name in _CHOICES)
    first = next((choice[0] for choice in choices if isinstance(choice, list) and choice), None)
    return text_of_body(first.get("message", first)) if isinstance(first, dict) else ""


class Assembly:
    """The blocks of an answer that is still arriving. Pieces are stored as they arrive, and `content` joins them.

    The field `contentBlockIndex` of an event states to which block a piece belongs, and determines the order of the
    blocks. In a defective stream, this index can be missing, or two blocks can have the same index. Then the blocks are
    in the order of their arrival.

    A piece with a new index begins a new block. Because the index can be wrong, each of these also begins a new block:

    * a start event
    * the first piece after the stop event of a block
    * a piece whose kind differs from the kind of its block, for example tool input after text
    """

    def __init__(self) -> None:
        self._blocks: list[_Block] = []
        self._open: dict[Any, _Block] = {}

    def start(self, index: Any, start: dict[str, Any]) -> None:
        """Begin the content block with this index."""
        block = self._begin(index)
        for kind, fields in start.items():
            block.kind = kind
            block.pieces.append((kind, fields))

    def add(self, index: Any, delta: dict[str, Any]) -> None:
        """Add the pieces of content in `delta` to the content block with this index."""
        for name, piece in delta.items():
            kind = _kind(name, piece)
            block = self._open.get(_key(index)) or self._begin(index)
            if block.kind not in (None, kind):
                block = self._begin(index)
            block.kind = kind
            block.pieces.append((name, piece))

    def stop(self, index: Any) -> None:
        """End the content block with this index."""
        self._open.pop(_key(index), None)

    def content(self) -> list[dict[str, Any]]:
        """Return the content blocks in Converse's form. Tool input that is not yet complete JSON is returned as
        text.
        """
        blocks = self._blocks
        indexes = [block.index for block in blocks if isinstance(block.index, int)]
        if len(set(indexes)) == len(blocks):
            blocks = sorted(blocks, key=lambda block: block.index)
        return [block.closed() for block in blocks if block.kind is not None]

    def _begin(self, index: Any) -> _Block:
        block = self._open[_key(index)] = _Block(index)
        self._blocks.append(block)
        return block


class _Block:
    """One content block: its kind, and its pieces. Each piece is stored with the name of its field, such as `text`."""

    __slots__ = ("index", "kind", "pieces")

    def __init__(self, index: Any) -> None:
        self.index = index
        self.kind: str | None = None
        self.pieces: list[tuple[str, Any]] = []

    def closed(self) -> dict[str, Any]:
        kind = str(self.kind)
        if kind == "text":
            return self._text()
        join = _JOINED.get(kind, _join)
        return {_NAMES.get(kind, kind): join([value for _, value in self.pieces])}

    def _text(self) -> dict[str, Any]:
        texts = [piece for name, piece in self.pieces if name == "text" and isinstance(piece, str)]
        citations = [piece for name, piece in self.pieces if name == "citation"]
        text = "".join(texts)
        if not citations:
            return {"text": text}
        return {"citationsContent": {"content": [{"text": text}] if texts else [], "citations": citations}}


def _kind(name: str, piece: Any) -> str:
    """Return the kind of content block to which a delta (a piece of a block) belongs. A block of reasoning is either
    readable or redacted, never both.
    """
    if name == "reasoningContent" and isinstance(piece, dict) and _REDACTED in piece:
        return _REDACTED
    return _CONTINUES.get(name, name)


def _key(index: Any) -> Any:
    """Return `index` as a key of the dictionary of open blocks. All pieces without a valid index have the same key,
    None.
    """
    return index if isinstance(index, (int, str)) else None


def _tool_use(values: list[Any]) -> dict[str, Any]:
    fields = [value for value in values if isinstance(value, dict)]
    inputs = [value["input"] for value in fields if "input" in value]
    rest: dict[str, Any] = {}
    for value in fields:
        rest |= value
    return {**rest, "input": _parsed(inputs)}


def _parsed(inputs: list[Any]) -> Any:
    """Return the input of a tool. The pieces of the input are joined and parsed as JSON.

    If the joined text is not complete JSON, return this text. If there are no pieces, return an empty dictionary. If a
    piece is not text, the pieces cannot be joined, so return only the last one.
    """
    if inputs and not all(isinstance(piece, str) for piece in inputs):
        return inputs[-1]
    text = "".join(inputs)
    try:
        parsed = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return text
    return {} if parsed is None else parsed


def _tool_result(values: list[Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    content: list[Any] = []
    for value in values:
        if isinstance(value, dict):
            fields |= value
        elif isinstance(value, list):
            content += [item for item in value if item is not None]
    return {**fields, "content": content}


def _reasoning(values: list[Any]) -> Any:
    whole = {name: [value[name] for value in values if isinstance(value, dict) and isinstance(value.get(name), str)]
             for name in ("text", "signature")}  # fmt: skip
    if not any(whole.values()):
        return _join(values)
    text = {name: "".join(pieces) for name, pieces in whole.items() if pieces}
    return {"reasoningText": {"text": "", **text}}


def _join(values: list[Any]) -> Any:
    return reduce(_merged, values)


def _merged(old: Any, new: Any) -> Any:
    """Return `old` combined with `new`. Texts, bytes and lists are joined; dictionaries are combined member by
    member; any other value is replaced by `new`.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{name: _merged(old[name], value) if name in old else value for name, value in new.items()}}
    if isinstance(old, (str, bytes, list)) and type(old) is type(new):
        return old + new  # type: ignore[operator]  # both are of one type
    return new


_NAMES = {_REDACTED: "reasoningContent"}
_JOINED: dict[str, Callable[[list[Any]], Any]] = {
    "reasoningContent": _reasoning,
    "toolResult": _tool_result,
    "toolUse": _tool_use,
    _UNKNOWN: itemgetter(0),
}
