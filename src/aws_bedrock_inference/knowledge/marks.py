"""Search a log for lines that can be part of an error. A "mark" is a word that such lines contain, such as `exception`.
A line without a mark is not examined.

A search for each of the forty marks would be too slow. Therefore the search has three steps. First, everything but
letters, apostrophes and line breaks is removed, which halves the size of the text. Then the remaining text is searched
for short parts of the marks: a few parts that occur in many marks, and parts that begin with rare letters. Finally, the
lines that contain such a part are searched for all marks.
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING

from aws_bedrock_inference.knowledge.lines import has_calm_level

if TYPE_CHECKING:
    from collections.abc import Iterator

TROUBLE = (
    *(b"exce", b"error", b"throttl", b"denied", b"timed out", b"fail", b"unable to", b"not "),
    *(b"too many", b"invalid", b"timeout", b"warn", b"status code"),
)
"""The marks that are valid in lines of every level, in lower case. `exce` stands for exception and exceeded."""

WEAK = (
    *(b"n't ", b"n\xe2\x80\x99t ", b"must ", b"too ", b"please ", b"missing", b"required", b"malformed", b"expected"),
    *(b"expired", b"exist", b"maximum", b"violat", b"unavailable", b"unauthorized", b"forbidden", b"rejected"),
    *(b"problem", b"unknown", b"unsupported", b"unprocessed", b"refusal", b"intervened", b"is empty", b"blocked by"),
    *(b"try again", b"only one ", b"only be "),
)
"""Marks that also occur in lines without an error. In a line with a low level, such as INFO, they are ignored."""

_PIECE = 1 << 15
_LETTERS = b"abcdefghijklmnopqrstuvwxyz"
# A typographic apostrophe becomes a plain apostrophe: its last byte in UTF-8 is replaced.
_SMALL = bytes.maketrans(_LETTERS.upper() + b"\x99", _LETTERS + b"'")
_LEFT_OUT = bytes(set(range(256)) - set(_LETTERS + _LETTERS.upper() + b"\n'\x99"))

# Each mark contains one of these parts once everything except letters is removed.
_PARTS = (b"error", b"throttl", b"denied", b"not", b"too", b"statuscode")
_BY_RARE_LETTER = (
    *(b"xce", b"xpected", b"xpired", b"xist", b"ximum", b"valid", b"violat", b"vened", b"quired", b"jected", b"fail"),
    *(b"forbid", b"fusal", b"must", b"missing", b"meout", b"medout", b"malformed", b"mpty", b"please", b"problem"),
    *(b"una", b"unkn", b"unpro", b"unsup", b"warn", b"kedby", b"yagain", b"yone", b"ybe", b"'t"),
)
_PATTERNS = tuple(
    re.compile(re.escape(letter) + b"(?:" + b"|".join(part[1:] for part in parts) + b")")
    for letter, parts in groupby(_BY_RARE_LETTER, key=lambda part: part[:1])
)


def marked_lines(buffer: bytes, begin: int, end: int) -> Iterator[int]:
    """Yield the position of each line between `begin` and `end` that contains a mark (a word that indicates an
    error).
    """
    while begin < end:
        stop = _stop(buffer, begin, end)
        piece = buffer[begin:stop]
        numbers = _possible(piece.translate(_SMALL, _LEFT_OUT))
        if numbers:
            at = begin
            for number, line in enumerate(piece.split(b"\n")):
                if number in numbers and is_marked(line):
                    yield at
                at += len(line) + 1
        begin = stop


def _stop(buffer: bytes, begin: int, end: int) -> int:
    """Return the end of the piece of the log that begins at `begin`. A piece consists of complete lines. A very long
    line is a piece by itself.
    """
    if end - begin <= _PIECE:
        return end
    return buffer.rfind(b"\n", begin, begin + _PIECE) + 1 or buffer.find(b"\n", begin, end) + 1 or end


def is_trouble(text: bytes) -> bool:
    """Return whether a text contains one of the marks in `TROUBLE`. Such a mark indicates an error in a line of every
    log level, even INFO.
    """
    low = text.lower()
    return any(mark in low for mark in TROUBLE)


def first_mark(text: bytes) -> int:
    """Return the position of the first mark (a word that indicates an error) in a text, or -1."""
    low = text.lower()
    return min((at for at in map(low.find, TROUBLE + WEAK) if at >= 0), default=-1)


def is_marked(line: bytes) -> bool:
    """Return whether a line contains a mark (a word that indicates an error). If the log level of the line is low, such
    as INFO, the marks in `WEAK` are ignored, because they also occur in lines without an error.
    """
    low = line.lower()
    if any(mark in low for mark in TROUBLE):
        return True
    return any(mark in low for mark in WEAK) and not has_calm_level(line, 0, len(line))


def _possible(letters: bytes) -> set[int]:
    """Return the line numbers, from 0, of the lines that can contain a mark (a word that indicates an error)."""
    found = set()
    for part in _PARTS:
        at = letters.find(part)
        while at >= 0:
            found.add(letters.count(b"\n", 0, at))
            following = letters.find(b"\n", at)
            at = letters.find(part, following) if following >= 0 else -1
    for pattern in _PATTERNS:
        match = pattern.search(letters)
        while match:
            found.add(letters.count(b"\n", 0, match.start()))
            following = letters.find(b"\n", match.start())
            match = pattern.search(letters, following) if following >= 0 else None
    return found
