"""The decoder is pure: the events do not depend on how the bytes are split."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from support.wire import event

from aws_bedrock_inference.fault import Fault
from aws_bedrock_inference.transports.eventstream import Decoder
from aws_bedrock_inference.transports.operations import operation

FRAMES = [
    event("messageStart", {"role": "assistant"}),
    event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "blüe sky"}}),
    event("messageStop", {"stopReason": "end_turn"}),
]
BODY = b"".join(FRAMES)
EVENTS = [
    {"messageStart": {"role": "assistant"}},
    {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "blüe sky"}}},
    {"messageStop": {"stopReason": "end_turn"}},
]


def decode(pieces: list[bytes]) -> tuple[list[object], Fault | None]:
    decoder = Decoder(operation("converse_stream"), {"ResponseMetadata": {}})
    events: list[object] = []
    for piece in pieces:
        decoder.feed(piece)
        while (item := decoder.next()) is not None:
            if isinstance(item, Fault):
                return events, item
            events.append(item)
    return events, decoder.end()


@given(st.lists(st.integers(0, len(BODY)), max_size=12))
def test_pieces_of_any_size_give_the_same_events(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(BODY)]
    pieces = [BODY[start:end] for start, end in pairwise(places)]
    assert decode(pieces) == (EVENTS, None)


@given(st.integers(0, len(BODY)))
def test_a_body_that_ends_anywhere_but_between_frames_is_broken(end: int) -> None:
    events, fault = decode([BODY[:end]])
    whole = [sum(map(len, FRAMES[:count])) for count in range(4)]
    assert events == EVENTS[: len(events)]
    assert (fault is None) == (end in whole)


@given(st.integers(0, len(BODY) - 1), st.integers(1, 255))
def test_a_changed_byte_never_becomes_an_event(place: int, change: int) -> None:
    damaged = BODY[:place] + bytes([BODY[place] ^ change]) + BODY[place + 1 :]
    events, fault = decode([damaged])
    assert events == EVENTS[: len(events)]
    assert fault is not None
    assert fault.code == "StreamBroken"


@given(st.binary(max_size=200))
def test_random_bytes_never_raise(noise: bytes) -> None:
    decode([noise])
