"""Estimate the input tokens of a request's pictures, documents, videos, audio files and tools, by the rules in
`media.toml`. A "part" is a piece of a request that is not text.
"""

from __future__ import annotations

import base64
import json
import re
import tomllib
from functools import cache, lru_cache
from importlib.resources import files
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from aws_bedrock_inference.tokens.image_size import HEAD, size_of

if TYPE_CHECKING:
    from collections.abc import Mapping

# The rule of thumb for text, also used for the JSON of schemas and tool results.
BYTES_PER_TOKEN = 4


# The maximum tokens of one part if its rule has no limit, because the size in a picture's header can be wrong.
_MOST = 1_000_000


class Part(NamedTuple):
    """A piece of a request that is not text: its `kind`, its `content` as the caller wrote it, and the `block` that
    contains it.
    """

    kind: str
    content: Any
    block: Mapping[str, Any]


class _Data(NamedTuple):
    """The content of a picture, document, video or audio file: either bytes or text. `encoded` is True if the text is
    base64.
    """

    content: bytes | str
    encoded: bool

    @property
    def size(self) -> int:
        return len(self.content) * 3 // 4 if self.encoded else len(self.content)

    def head(self) -> bytes:
        """Return the first bytes of the content. The width and height of a picture can be found in them."""
        if isinstance(self.content, bytes):
            return self.content[:HEAD]
        short = _decoded(self.content[:64])
        return _decoded(self.content[: HEAD // 3 * 4]) if short.startswith(b"\xff\xd8") else short


def part_tokens(part: Part, base_model: str) -> int:
    """Return the number of input tokens that `part`, such as a picture or a document, can cost on the model
    `base_model`.
    """
    if part.kind == "tools":
        return json_length(part.content) // BYTES_PER_TOKEN + int(_rule("tools", base_model)["added"])
    content, block = part.content, part.block
    if part.kind != "source" and isinstance(content, dict) and "source" in content:
        content, block = content["source"], content
    data = _data(content)
    if "image" in (part.kind, block.get("type")):
        return _image(data, base_model)
    return _document(data, _format(part, block))


def json_length(value: Any) -> int:
    """Return the length of `value` as JSON, in bytes. For an object inside `value` that JSON cannot represent, the
    text that `str()` returns is counted.
    """
    return len(json.dumps(value, default=str, skipkeys=True, ensure_ascii=False).encode(errors="replace"))


def _image(data: _Data | None, base_model: str) -> int:
    rule = _rule("images", base_model)
    size = size_of(data.head()) if data is not None and "pixels_per_token" in rule else None
    if size is None:
        return int(rule["unknown"])
    longer = max(size)
    scale = min(1.0, rule.get("longest", inf) / longer) * max(1.0, rule.get("shortest", 0) / longer)
    return _within(rule, size.width * size.height * scale**2 / rule["pixels_per_token"])


def _document(data: _Data | None, format_: str) -> int:
    table = _rules()["documents"]
    rule = next((entry for entry in table if format_ in entry["formats"]), table[-1])
    return int(rule["unknown"]) if data is None else _within(rule, data.size / rule["bytes_per_token"])


def _format(part: Part, block: Mapping[str, Any]) -> str:
    if part.kind in ("video", "audio"):
        return part.kind
    if part.kind == "source":  # Anthropic's own format of a body
        return "seen_pages" if part.content.get("media_type") == "application/pdf" else "other"
    if block.get("format") == "pdf" and _enabled(block.get("citations")):
        return "seen_pages"
    return str(block.get("format"))


def _enabled(citations: Any) -> bool:
    return isinstance(citations, dict) and bool(citations.get("enabled"))


def _within(rule: dict[str, Any], tokens: float) -> int:
    return int(min(max(tokens, rule.get("least", 1)), rule.get("most", _MOST)))


def _data(source: Any) -> _Data | None:
    if isinstance(source, dict):
        if source.get("type") == "text":
            return _Data(str(source.get("data", "")), encoded=False)
        for name in ("text", "content"):
            if name in source:
                return _Data(json.dumps(source[name], default=str, skipkeys=True), encoded=False)
        source = next((source[name] for name in ("bytes", "data", "url") if name in source), None)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _Data(bytes(source), encoded=False)
    if not isinstance(source, str) or source.startswith(("http:", "https:", "s3:")):
        return None
    return _Data(source.partition(",")[2] if source.startswith("data:") else source, encoded=True)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except ValueError:
        return b""


@lru_cache(maxsize=1024)  # used for each part; bounded, because users may choose the ids
def _rule(table: str, base_model: str) -> dict[str, Any]:
    return next(
        entry for entry in _rules()[table] if any(re.fullmatch(pattern, base_model) for pattern in entry["patterns"])
    )


@cache
def _rules() -> dict[str, list[dict[str, Any]]]:
    return tomllib.loads(files(__package__).joinpath("media.toml").read_text(encoding="utf-8"))
