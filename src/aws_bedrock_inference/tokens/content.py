"""Measure the size of a request: the bytes of its text, and separately the tokens of its other parts.

Pictures, documents and tool definitions are not counted as text. The number of tokens per byte is learned only from
text, and these parts would distort it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from aws_bedrock_inference.dialects.request import KINDS
from aws_bedrock_inference.tokens.media import Part, json_length, part_tokens


class Weight(NamedTuple):
    """The size of a request: `text_bytes` is the number of bytes of its text in UTF-8. `other_tokens` is the number
    of tokens that all other parts can cost.
    """

    text_bytes: int
    other_tokens: int


def weigh(request: Any, base_model: str) -> Weight:
    """Return the size of `request` for the model `base_model`. `request` is the parameters of Converse, or the parsed
    body of InvokeModel.
    """
    apart: list[Part] = []
    text = _text(request, apart)
    return Weight(text, sum(part_tokens(part, base_model) for part in apart) if apart else 0)


def _text(value: Any, apart: list[Part]) -> int:
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode(errors="replace"))
    if isinstance(value, dict):
        total = 0
        for name, part in value.items():
            kind = KINDS.get(name)
            if kind is None:
                total += _text(part, apart)
            elif kind != "unseen":
                total += _special(kind, part, value, apart)
        return total
    if isinstance(value, (list, tuple)):
        total = 0
        for part in value:
            total += _text(part, apart)
        return total
    return len(value) if isinstance(value, (bytes, bytearray)) else 0


def _special(kind: str, part: Any, block: dict[str, Any], apart: list[Part]) -> int:
    """Measure `part`, which is the value of one member of the dictionary `block`. The name of this member determines
    `kind`.

    If `part` is text or JSON, return its number of bytes. If `part` is a picture or similar content, add it to the list
    `apart` and return 0.
    """
    if kind == "json":
        return json_length(part) if isinstance(part, (dict, list)) else _text(part, apart)
    if isinstance(part, list) and kind == "image":
        apart.extend(Part(kind, one, block) for one in part)
    elif kind == "source" and not isinstance(part, dict):
        return _text(part, apart)  # the source of a search result is text
    elif part is not None:
        apart.append(Part(kind, part, block))
    return 0
