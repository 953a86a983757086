"""Read the width and height of a picture from the first bytes of a PNG, GIF, WebP or JPEG file, without decoding it.

The formats are described in RFC 2083, 4.1.1 (PNG), GIF89a, 18 (GIF), RFC 9649, 2.5 to 2.7 (WebP) and ITU-T T.81, B.2.2
(JPEG).
"""

from __future__ import annotations

from typing import NamedTuple

# The size in a JPEG file follows the metadata: profiles and thumbnails of up to 64 KiB each. The search for the size
# ends at this position.
HEAD = 256 * 1024

# Start-of-frame markers. In the same range, 0xC4, 0xC8 and 0xCC mark tables and an extension.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SCAN = 0xDA
_MARKER = 0xFF

# The length of the longest header, WebP's extended header. Every complete file is longer.
_SHORTEST = 30


class Size(NamedTuple):
    """The width and height of a picture, in pixels."""

    width: int
    height: int


def size_of(head: bytes) -> Size | None:
    """Return the width and height of the picture in the file that begins with the bytes `head`. The first `HEAD` bytes
    of a file are enough. Return None if the file is damaged, or is not a PNG, GIF, WebP or JPEG file.
    """
    if len(head) < _SHORTEST:
        return None
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        size = _size(head[16:20], head[20:24], "big")
    elif head.startswith((b"GIF87a", b"GIF89a")):
        size = _size(head[6:8], head[8:10], "little")
    elif head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        size = _webp(head)
    elif head.startswith(b"\xff\xd8"):
        size = _jpeg(head)
    else:
        return None
    return size if size.width and size.height else None


def _size(width: bytes, height: bytes, order: str) -> Size:
    return Size(int.from_bytes(width, order), int.from_bytes(height, order))  # type: ignore[arg-type]


def _webp(head: bytes) -> Size:
    kind = head[12:16]
    if kind == b"VP8 ":
        width, height = _size(head[26:28], head[28:30], "little")
        return Size(width & 0x3FFF, height & 0x3FFF)
    if kind == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return Size((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind == b"VP8X":
        width, height = _size(head[24:27], head[27:30], "little")
        return Size(width + 1, height + 1)
    return Size(0, 0)


def _jpeg(head: bytes) -> Size:
    at = 2
    while at + 9 <= len(head) and head[at] == _MARKER:
        marker = head[at + 1]
        if marker in _FRAMES:
            return _size(head[at + 7 : at + 9], head[at + 5 : at + 7], "big")
        if marker == _SCAN:
            break
        if marker == _MARKER:
            at += 1  # a fill byte
        else:
            at += 2 + int.from_bytes(head[at + 2 : at + 4], "big")
    return Size(0, 0)
