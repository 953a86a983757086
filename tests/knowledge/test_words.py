"""Many phrases are searched for by their clues; exactly those in the text are found, in their order."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws_bedrock_inference.knowledge.words import Parts, clues, normal

LETTERS = st.text("ab :.", max_size=24).map(normal)


@given(LETTERS, st.lists(st.text("ab :.", max_size=12), max_size=8))
def test_exactly_the_phrases_in_a_text_are_found(text: str, other: list[str]) -> None:
    cuts = [text[start:end] for start in range(len(text)) for end in range(start + 1, min(start + 14, len(text) + 1))]
    parts = [normal(part) for part in (*cuts, *other)]
    assert list(Parts(parts).within(text, clues(text))) == [n for n, part in enumerate(parts) if part in text]


@pytest.mark.parametrize(
    "part",
    ["rate exceeded", "exceeded", "many tokens", "too many tokens, please", "too many tokens, please wait", "ra", "ok"],
)
def test_a_phrase_may_start_and_end_inside_words(part: str) -> None:
    text = normal("x" * 9 + "Rate exceeded: too many tokens, please waiting; ok")
    assert list(Parts(["nothing of it", part]).within(text, clues(text))) == [1]


TIED = (
    "from aws_bedrock_inference import explain\n"
    "text = 'Cache point cannot be inserted after an image. Please remove the invalid cache point.'\n"
    "print(explain(f'ValidationException: {text}').decided_by, end='')"
)


@pytest.mark.parametrize("seed", ["1", "2", "3"])
def test_ties_between_phrases_are_decided_by_catalogue_order_and_not_by_hash_order(seed: str) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    command = [sys.executable, "-c", TIED]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)  # noqa: S603 - our own
    assert told.stdout == "Cache point cannot be inserted"
