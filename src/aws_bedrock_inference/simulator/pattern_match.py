"""Match a text with a regular expression in a JSON schema, in bounded time.

Patterns come from requests. For some patterns, such as `^(a+)+$`, Python's `re` needs exponential time, and meanwhile
it blocks every thread. This module follows all possible positions in the text at the same time, as an automaton does.
"""

from __future__ import annotations

import re
from functools import lru_cache
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_MOST_STEPS = 100_000  # characters read of one text
_KEPT = 1024  # parsed patterns in the cache
_SET = re.compile(r"\[(?:\\.|[^\]\\]){1,500}\]")
_PROPERTY = re.compile(r"\\p\{(\w{1,20})\}")


def _is_word(letter: str) -> bool:
    return letter.isalnum() or letter == "_"


_CATEGORIES: dict[Any, Callable[[str], bool]] = {
    op.CATEGORY_DIGIT: str.isdigit,
    op.CATEGORY_NOT_DIGIT: lambda letter: not letter.isdigit(),
    op.CATEGORY_SPACE: str.isspace,
    op.CATEGORY_NOT_SPACE: lambda letter: not letter.isspace(),
    op.CATEGORY_WORD: _is_word,
    op.CATEGORY_NOT_WORD: lambda letter: not _is_word(letter),
}


@lru_cache(maxsize=_KEPT)
def parsed(pattern: str) -> Any:
    """Return the pattern as `re` parses it, or None if `re` cannot read it."""
    try:
        return _parser.parse(_python(pattern))
    except (re.error, RecursionError, OverflowError):
        return None


def matches(pattern: str, text: str) -> bool:
    r"""Return whether the pattern matches a part of the text. Return False if the pattern is not supported or needs too
    many steps.

    The text of a group is not stored. Therefore a back reference, such as `\1`, matches any text.
    """
    tree = parsed(pattern)
    if tree is None:
        return False
    try:
        return bool(_Reader(text, tree.state.flags).ends(tree, set(range(len(text) + 1))))
    except (_TooHardError, RecursionError, OverflowError):
        return False


def covers(item: tuple[Any, Any], letter: str) -> bool:
    """Return whether an item of a character set, such as `a-z`, contains the letter."""
    kind, value = item
    if kind is op.LITERAL:
        return bool(ord(letter) == value)
    if kind is op.RANGE:
        return bool(value[0] <= ord(letter) <= value[1])
    return kind is op.CATEGORY and value in _CATEGORIES and _CATEGORIES[value](letter)


def _python(pattern: str) -> str:
    r"""Convert the pattern from JavaScript's syntax to Python's: `(?<name>`, `\k<name>` and `\p{L}` are different."""
    pattern = re.sub(r"\(\?<(?![=!])", "(?P<", pattern)
    pattern = re.sub(r"\\k<(\w+)>", r"(?P=\1)", pattern)
    if r"\p{" not in pattern:
        return pattern
    pattern = _SET.sub(lambda part: _PROPERTY.sub(lambda name: _properties(name[1]), part[0]), pattern)
    return _PROPERTY.sub(lambda name: f"[{_properties(name[1])}]", pattern)


def _properties(name: str) -> str:
    general = {"N": "0-9", "P": "!-/"}.get(name[:1], "a-zA-Z")
    return {"Lu": "A-Z", "Ll": "a-z"}.get(name, general)


class _TooHardError(Exception):
    """Raised if a pattern needs too many steps, or contains an unsupported element."""


class _Reader:
    """Matches one text with a parsed pattern, without backtracking.

    For each part of the pattern, the class knows all positions in the text at which a match of this part can begin.
    From them, it computes all positions at which the match can end. The next part can begin at these positions.
    """

    def __init__(self, text: str, flags: int) -> None:
        self._text = text
        self._flags = flags
        self._steps = _MOST_STEPS

    def ends(self, tree: Iterable[Any], places: set[int]) -> set[int]:
        for kind, value in tree:
            if not places:
                break
            places = self._after(kind, value, places)
        return places

    def _after(self, kind: Any, value: Any, places: set[int]) -> set[int]:  # noqa: PLR0911 - one case for each kind of node
        match kind:
            case op.LITERAL | op.NOT_LITERAL | op.ANY | op.IN:
                return self._letters(kind, value, places)
            case op.MAX_REPEAT | op.MIN_REPEAT | op.POSSESSIVE_REPEAT:
                least, most, inner = value
                return self._repeated(least, most, inner, places)
            case op.SUBPATTERN:
                return self.ends(value[3], places)
            case op.ATOMIC_GROUP:
                return self.ends(value, places)
            case op.BRANCH:
                return set().union(*(self.ends(branch, places) for branch in value[1]))
            case op.AT:
                return {place for place in places if self._is_at(value, place)}
            case op.GROUPREF:
                return set(range(min(places), len(self._text) + 1))
            case op.ASSERT | op.ASSERT_NOT:
                direction, tree = value
                wanted = kind is op.ASSERT
                return {place for place in places if self._sees(tree, place, direction) is wanted}
        raise _TooHardError

    def _letters(self, kind: Any, value: Any, places: set[int]) -> set[int]:
        self._steps -= len(places)
        if self._steps < 0:
            raise _TooHardError
        text = self._text
        return {place + 1 for place in places if place < len(text) and self._fits(kind, value, text[place])}

    def _fits(self, kind: Any, value: Any, letter: str) -> bool:
        if kind is op.ANY:
            return letter != "\n" or bool(self._flags & re.DOTALL)
        if self._flags & re.IGNORECASE:
            return any(_is_one(kind, value, other) for other in {letter.lower(), letter.upper()} if len(other) == 1)
        return _is_one(kind, value, letter)

    def _repeated(self, least: int, most: int, tree: Any, places: set[int]) -> set[int]:
        # After as many repetitions as the text has letters, further repetitions reach no new positions.
        length = len(self._text) + 1
        for _ in range(min(least, length)):
            places = self.ends(tree, places)
            if not places:
                return places
        reached, fresh = set(places), places
        for _ in range(min(most - least, length)):
            fresh = self.ends(tree, fresh) - reached
            if not fresh:
                break
            reached |= fresh
        return reached

    def _is_at(self, where: Any, place: int) -> bool:
        text = self._text
        if where in {op.AT_BEGINNING, op.AT_BEGINNING_STRING}:
            return place == 0
        if where in {op.AT_END, op.AT_END_STRING}:
            return place == len(text)
        before, after = place > 0 and _is_word(text[place - 1]), place < len(text) and _is_word(text[place])
        return (before is not after) is (where is op.AT_BOUNDARY)

    def _sees(self, tree: Any, place: int, direction: int) -> bool:
        if direction > 0:
            return bool(self.ends(tree, {place}))
        least, most = tree.getwidth()
        return any(place in self.ends(tree, {start}) for start in range(max(0, place - most), place - least + 1))


def _is_one(kind: Any, value: Any, letter: str) -> bool:
    if kind is op.LITERAL:
        return bool(ord(letter) == value)
    if kind is op.NOT_LITERAL:
        return bool(ord(letter) != value)
    negated = value[0][0] is op.NEGATE
    return any(covers(item, letter) for item in value[negated:]) is not negated
