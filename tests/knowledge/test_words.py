"""Many parts are looked for in a text by their clues, and exactly those are found that are in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws_bedrock_inference.knowledge.words import Parts, clues, normal

LETTERS = st.text("ab :.", max_size=24).map(normal)


@given(LETTERS, st.lists(st.text("ab :.", max_size=12), max_size=8))
def test_exactly_the_parts_that_are_in_a_text_are_found(text: str, other: list[str]) -> None:
    cuts = [text[start:end] for start in range(len(text)) for end in range(start + 1, min(start + 14, len(text) + 1))]
    parts = [normal(part) for part in (*cuts, *other)]
    assert list(Parts(parts).within(text, clues(text))) == [n for n, part in enumerate(parts) if part in text]


@pytest.mark.parametrize(
    "part",
    ["rate exceeded", "exceeded", "many tokens", "too many tokens, please", "too many tokens, please wait", "ra", "ok"],
)
def test_a_part_may_begin_and_end_inside_words(part: str) -> None:
    text = normal("x" * 9 + "Rate exceeded: too many tokens, please waiting; ok")
    assert list(Parts(["nothing of it", part]).within(text, clues(text))) == [1]
