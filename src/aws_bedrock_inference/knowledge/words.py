"""Texts and their words, for the quick search of a text for thousands of parts."""

from __future__ import annotations

import re

_WORD = re.compile(r"\w+")
_ENDS = re.compile(r"^\w+|\w+$")
_DRAWN = re.compile("[\u2500-\u259f]+")  # the lines and blocks of a terminal's frames, in the middle of sentences

Trigrams = set[tuple[str, str, str]]


def words(text: str) -> list[str]:
    """Return the words of a text."""
    return _WORD.findall(text)


def longest_word(part: str) -> str:
    """Return the longest word that stands whole in a part of a signature: those at its ends may go on in a text."""
    return max(_WORD.findall(_ENDS.sub(" ", part)), key=len, default="")


def trigrams(text: str) -> Trigrams:
    """Return all threes of neighbouring characters: what has none of them in common with a text is not in it."""
    return set(zip(text, text[1:], text[2:], strict=False))


def ends(part: str) -> Trigrams:
    """Return the first and the last three characters of a part, as trigrams."""
    return trigrams(part[:3]) | trigrams(part[-3:])


def normal(text: str) -> str:
    """Return a text as signatures are written: lower case, straight quotes, single spaces, without drawn lines and
    Markdown's escapes.
    """
    text = text.lower().replace("\\`", "`")
    if not text.isascii():
        text = _DRAWN.sub(" ", text.replace("\u2019", "'"))
    return " ".join(text.split())
