"""Prepare texts for a fast search for thousands of phrases ("parts").

A "normal" text is lower case, has single spaces, and has `'` in place of typographic apostrophes. A "clue" of a text is
one of its words, or one of the pieces of four characters into which the text is cut. The clues of a text show quickly
which phrases the text cannot contain.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_DRAWN = re.compile("[\u2500-\u259f]+")  # line and block characters of terminal frames, which occur inside sentences
_PIECE = 4  # characters


def clues(text: str) -> set[str]:
    """Return the clues of a text: its words, and the text cut into pieces of four characters."""
    return {*text.split(" "), *map("".join, zip(*[iter(text)] * _PIECE, strict=False))}


class Parts:
    """Thousands of phrases ("parts"), and a fast search for all of them in one text.

    A phrase is compared with a text only if the "clues" of the text (see `clues`) show that the text can contain
    the phrase. The condition depends on the length of the phrase:

    * Three or more words: all words between the first and the last word must be clues of the text. The longest of them
      is looked up first. The first and the last word are not looked up, because in the text they can be parts of longer
      words.
    * One or two words: one of four pieces of the phrase must be a clue of the text. Each piece has four characters, and
      the pieces begin at the first, second, third and fourth character of the phrase. The text is cut after every
      fourth character. So if the text contains the phrase, at least one of these pieces is also a piece of the text.
    * One or two words with fewer than seven characters: no condition. The phrase is compared with every text.
    """

    def __init__(self, parts: Iterable[str]) -> None:
        self._parts = [(part, part.strip().split(" ")[1:-1]) for part in parts]
        self._by_clue: dict[str, list[int]] = {}
        for number, (part, inner) in enumerate(self._parts):
            for clue in (max(inner, key=len),) if inner else _pieces(part.strip()):
                self._by_clue.setdefault(clue, []).append(number)

    def within(self, text: str, there: set[str]) -> Iterator[int]:
        """Yield the number of each part (phrase) that a text contains, in ascending order. A part's number is its
        position in the constructor's argument `parts`. `there` is the result of `clues` for the text.
        """
        possible = {number for clue in there & self._by_clue.keys() for number in self._by_clue[clue]}
        possible.update(self._by_clue.get("", ()))
        for number in sorted(possible):
            part, inner = self._parts[number]
            if there.issuperset(inner) and part in text:
                yield number


def _pieces(part: str) -> Iterable[str]:
    if len(part) < 2 * _PIECE - 1:
        return ("",)  # searched in every text
    return {part[start : start + _PIECE] for start in range(_PIECE)}


def normal(text: str) -> str:
    """Return a text as a normal text: lower case, single spaces, and `'` in place of typographic apostrophes.

    The characters with which terminals draw frames and tables are removed, and so is Markdown's escape of backquotes.
    """
    text = text.lower().replace("\\`", "`")
    if not text.isascii():
        text = _DRAWN.sub(" ", text.replace("\u2019", "'"))
    return " ".join(text.split())
