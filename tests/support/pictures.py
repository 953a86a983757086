"""The first bytes of image files, written by hand from their formats."""

from __future__ import annotations

import struct

REST = bytes(64)


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + REST


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + REST


def jpeg(width: int, height: int, profile: int = 60_000, frame: int = 0xC0) -> bytes:
    metadata = struct.pack(">BBH", 0xFF, 0xE1, profile + 2) + bytes(profile)
    table = struct.pack(">BBH", 0xFF, 0xC4, 4) + bytes(2)
    return b"\xff\xd8" + metadata + table + b"\xff" + struct.pack(">BBHBHH", 0xFF, frame, 17, 8, height, width) + REST


def webp(kind: str, width: int, height: int) -> bytes:
    body = {
        "VP8 ": bytes(10) + struct.pack("<HH", width, height),
        "VP8L": bytes(4) + b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14),
        "VP8X": bytes(8) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little"),
    }[kind]
    return b"RIFF" + bytes(4) + b"WEBP" + kind.encode() + body + REST
