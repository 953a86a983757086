"""Texts and their words, for the quick search of a text for thousands of parts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_DRAWN = re.compile("[\u2500-\u259f]+")  # the lines and blocks of a terminal's frames, in the middle of sentences
_PIECE = 4  # characters


def clues(text: str) -> set[str]:
    """Return the words of a text, and the pieces of four characters that it is cut into."""
    return {*text.split(" "), *map("".join, zip(*[iter(text)] * _PIECE, strict=False))}


class Parts:
    """Thousands of parts that are looked for in one text, each only where its clues are there.

    The clues of a part are its words, but not its first and last, which may go on in a text: the longest is asked for
    first. A part without such words has its first four pieces: wherever a text is cut, one of them comes out whole.
    """

    def __init__(self, parts: Iterable[str]) -> None:
        self._parts = [(part, part.strip().split(" ")[1:-1]) for part in parts]
        self._by_clue: dict[str, list[int]] = {}
        for number, (part, inner) in enumerate(self._parts):
            for clue in (max(inner, key=len),) if inner else _pieces(part.strip()):
                self._by_clue.setdefault(clue, []).append(number)

    def within(self, text: str, there: set[str]) -> Iterator[int]:
        """Yield the numbers of the parts that are in a text, in order. `there` are the clues of the text."""
        possible = {number for clue in there & self._by_clue.keys() for number in self._by_clue[clue]}
        possible.update(self._by_clue.get("", ()))
        for number in sorted(possible):
            part, inner = self._parts[number]
            if there.issuperset(inner) and part in text:
                yield number


def _pieces(part: str) -> Iterable[str]:
    if len(part) < 2 * _PIECE - 1:
        return ("",)  # looked for in every text
    return {part[start : start + _PIECE] for start in range(_PIECE)}


def normal(text: str) -> str:
    """Return a text as signatures are written: lower case, straight quotes, single spaces, without drawn lines and
    Markdown's escapes.
    """
    text = text.lower().replace("\\`", "`")
    if not text.isascii():
        text = _DRAWN.sub(" ", text.replace("\u2019", "'"))
    return " ".join(text.split())
