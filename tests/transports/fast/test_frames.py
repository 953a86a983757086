"""Frames are read as botocore reads them, for any bytes and however they are split."""

from __future__ import annotations

import struct
from binascii import crc32
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer, ParserError
from hypothesis import given
from hypothesis import strategies as st
from support.wire import event, exception, frame

from aws_bedrock_inference.transports.fast.frames import Frames

NAMES = st.sampled_from(["contentBlockDelta", "messageStop", "a", "n" * 30])
FRAMES = st.lists(st.one_of(st.builds(event, NAMES, st.text()), st.builds(exception, NAMES, st.text())), max_size=5)


def ours(pieces: list[bytes]) -> tuple[list[tuple[Any, bytes]], str, int]:
    frames, found = Frames(), []
    for piece in pieces:
        frames.feed(piece)
        try:
            while (message := frames.next()) is not None:
                found.append((dict(message.headers), message.payload))
        except ParserError as error:
            return found, type(error).__name__, 0
    return found, "", frames.open


def botocores(pieces: list[bytes]) -> tuple[list[tuple[Any, bytes]], str, int]:
    buffer: Any = EventStreamBuffer()
    found, left = [], 0
    for piece in pieces:
        left += len(piece)
        buffer.add_data(piece)
        try:
            for message in buffer:
                left -= message.prelude.total_length
                found.append((message.headers, message.payload))
        except ParserError as error:
            return found, type(error).__name__, 0
    return found, "", left


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [*pieces, data]


@given(FRAMES, st.lists(st.integers(0, 90), max_size=12))
def test_complete_frames_are_read_from_any_pieces(frames: list[bytes], sizes: list[int]) -> None:
    pieces = cut(b"".join(frames), sizes)
    assert ours(pieces) == botocores(pieces)


@given(FRAMES.filter(bool), st.data())
def test_a_damaged_byte_is_detected(frames: list[bytes], data: st.DataObject) -> None:
    whole = bytearray(b"".join(frames))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    pieces = cut(bytes(whole), data.draw(st.lists(st.integers(0, 90), max_size=6)))
    assert ours(pieces) == botocores(pieces)


@given(FRAMES.filter(bool), st.data())
def test_a_truncated_frame_is_incomplete(frames: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(frames)
    part = whole[: data.draw(st.integers(0, len(whole)))]
    assert ours([part]) == botocores([part])


@pytest.mark.parametrize("length", [0, 3, 15])
def test_an_impossible_length_causes_no_endless_loop(length: int) -> None:
    prelude = struct.pack("!II", length, 0)
    damaged = prelude + struct.pack("!I", crc32(prelude)) + b"rest of it"
    assert ours([damaged])[1] == "InvalidPayloadLength"


def test_the_headers_of_one_kind_are_parsed_once() -> None:
    frames = Frames()
    frames.feed(frame({"a": 1}, event_type="x") + frame({"b": 2}, event_type="x"))
    first, second = frames.next(), frames.next()
    assert first is not None
    assert second is not None
    assert first.headers is second.headers
    assert first.payload != second.payload


HEADERS = [
    *(b"\0", b"\1", b"\2\x85", b"\3\0\5", b"\4\0\0\0\1", b"\5" + bytes(8), b"\6\0\2ab", b"\7\0\2ab"),
    *(b"\x08" + bytes(8), b"\x09" + bytes(16), b"\x09" + bytes(3), b"\x0a", b"\7\0\x09ab", b"\7\0\0"),
]


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("twice", [False, True])
def test_headers_of_every_type_and_malformed_ones_are_read_as_by_botocore(header: bytes, *, twice: bool) -> None:
    packed = (b"\5:name" + header) * (1 + twice) + (b"\4:abc\7\0\1x" if not twice else b"")
    prelude = struct.pack("!II", len(packed) + 2 + 16, len(packed))
    message = prelude + struct.pack("!I", crc32(prelude)) + packed + b"{}"
    message += struct.pack("!I", crc32(message))
    assert outcome(ours, message) == outcome(botocores, message)


def outcome(reader: Any, message: bytes) -> Any:
    try:
        return reader([message])
    except (KeyError, ValueError, struct.error) as error:
        return type(error)


def test_a_long_frame_in_small_pieces_is_not_copied_for_each() -> None:
    whole = frame(bytes(2_000_000), event_type="x")
    pieces = [whole[at : at + 40] for at in range(0, len(whole), 40)]
    [(_, payload)], error, left = ours([*pieces, b""])
    assert (len(payload), error, left) == (2_000_000, "", 0)
