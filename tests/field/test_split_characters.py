"""A service or gateway that counts in UTF-16 cuts an emoji in half, between two deltas of a stream."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.answers import FRAMES
from support.wire import Wire, event, stream

from aws_bedrock_inference import Pipeline, Quota, Resume, Retry
from aws_bedrock_inference.dialects.halves import Halves

TEXT = "Hello there, my friends: a"


def delta(fields: dict[str, Any], index: int = 0) -> dict[str, Any]:
    return {"contentBlockIndex": index, "delta": fields}


def deltas(*pieces: dict[str, Any]) -> list[bytes]:
    return [FRAMES[0], *(event("contentBlockDelta", delta(piece)) for piece in pieces)]


def test_the_halves_of_a_character_arrive_together(client_face: Any) -> None:
    with Wire(stream(*deltas({"text": "a\ud83d"}, {"text": "\ude00b"}), *FRAMES[3:])) as wire:
        client = client_face.open(wire.url)
        assert client_face.whole(client.invoke_stream("Why?")) == ["a", "😀b"]
        assert client_face.get(client.invoke("Why?", stream=True)).text == "a😀b"


def test_the_input_of_a_tool_and_reasoning_are_joined_too(client_face: Any) -> None:
    tool = deltas({"toolUse": {"input": '{"a": "\ud83d'}}, {"toolUse": {"input": '\ude00"}'}})
    thought = deltas({"reasoningContent": {"text": "\ud83d"}}, {"reasoningContent": {"text": "\ude00"}})
    with Wire(stream(*tool, *FRAMES[3:]), stream(*thought, *FRAMES[3:])) as wire:
        client = client_face.open(wire.url)
        [block] = client_face.get(client.invoke("Why?", stream=True)).output["message"]["content"]
        assert block["toolUse"]["input"] == {"a": "😀"}
        [block] = client_face.get(client.invoke("Why?", stream=True)).output["message"]["content"]
        assert block["reasoningContent"]["reasoningText"]["text"] == "😀"


def test_a_broken_answer_is_continued_without_its_half_character(client_face: Any) -> None:
    cut = ("cut", stream(*deltas({"text": f"{TEXT}\ud83d"}), end=False))
    pipeline = Pipeline(Resume("continue", chance=lambda: 0.0), Retry(), Quota(rpm=600_000))
    with Wire(cut, stream(*deltas({"text": f"{TEXT[-9:]} b"}), *FRAMES[3:])) as wire:
        client = client_face.open(wire.url, pipeline=pipeline)
        assert "".join(client_face.whole(client.invoke_stream("Why?", max_tokens=50))).startswith(TEXT)
        assert b"\\ud83d" not in wire.received[1].body


@given(st.text(st.sampled_from("a😀é\U0010ffff")), st.lists(st.integers(0, 40), max_size=5))
def test_pieces_of_any_size_in_utf_16_give_the_same_text(text: str, places: list[int]) -> None:
    units = text.encode("utf-16-le")
    places = [0, *sorted(2 * place for place in places), len(units)]
    pieces = [units[start:end].decode("utf-16-le", "surrogatepass") for start, end in pairwise(places)]
    halves = Halves()
    received = [halves.whole({"contentBlockDelta": delta({"text": piece})}) for piece in pieces]
    texts = [one["contentBlockDelta"]["delta"]["text"] for one in received]
    assert "".join(texts) == text
    assert all(piece.encode() is not None for piece in texts)  # each piece can be printed
    assert not halves.held


def test_the_halves_of_two_blocks_do_not_mix() -> None:
    halves = Halves()
    halves.whole({"contentBlockDelta": delta({"text": "a\ud83d"})})
    other = {"contentBlockDelta": delta({"text": "b"}, 1)}
    assert halves.whole(other) == other


@pytest.mark.parametrize(("pieces", "received"), [
    (["a\ud83d", "b"], ["a", "b"]),
    (["a\ud83d", "", "\ude00b"], ["a", "", "😀b"]),
    (["a\ud83d", "\ud83d", "\ude00b"], ["a", "", "😀b"]),
])  # fmt: skip
def test_a_first_half_is_joined_only_with_a_second_half(pieces: list[str], received: list[str]) -> None:
    """Regression: a title that was cut in half made the next title unprintable."""
    halves = Halves()
    events = [halves.whole({"contentBlockDelta": delta({"citation": {"title": piece}})}) for piece in pieces]
    assert [event["contentBlockDelta"]["delta"]["citation"]["title"] for event in events] == received
