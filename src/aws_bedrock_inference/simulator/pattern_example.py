"""Create texts that match a regular expression in a JSON schema."""

from __future__ import annotations

from itertools import product
from re import _constants as op  # type: ignore[attr-defined]
from typing import Any

from aws_bedrock_inference.simulator.pattern_match import covers, matches, parsed

_LONGEST = 10_000  # maximum characters of a text
_MOST_WRITTEN = 20_000  # maximum characters of all texts that are tried
_BRANCHES = 6  # maximum number of alternatives that are tried
_CLASSES = {
    op.CATEGORY_DIGIT: "1234567890",
    op.CATEGORY_WORD: "simulated",
    op.CATEGORY_SPACE: " ",
    op.CATEGORY_NOT_DIGIT: "simulated",
    op.CATEGORY_NOT_WORD: "-",
    op.CATEGORY_NOT_SPACE: "simulated",
}
_PRINTABLE = "simulated" + "".join(map(chr, range(33, 127))) + " "


def pattern_example(pattern: str, least: float, most: float, variant: int) -> str | None:
    """Return a text that matches the pattern, with at least `least` and at most `most` characters. Return None if no
    such text is found.
    """
    tree = parsed(pattern)
    if tree is None:
        return None
    written = 0
    for shift, extra in product(range(_BRANCHES), (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128, 256)):
        text = _Writer(extra, variant + shift).write(tree)
        for candidate in dict.fromkeys((text, text.ljust(int(min(least, _LONGEST)), "x"))):
            if least <= len(candidate) <= most and matches(pattern, candidate):
                return candidate
            written += len(candidate)
        if written > _MOST_WRITTEN:
            break
    return None


class _Writer:
    """Writes one text for a parsed pattern. Each repeated element occurs as often as its minimum plus `extra`. For
    example, with an `extra` of 2, the pattern `a+` becomes `aaa`.

    Look-ahead and look-behind conditions are ignored.
    """

    def __init__(self, extra: int, variant: int) -> None:
        self._extra = extra
        self._variant = variant
        self._groups: dict[int, str] = {}
        self._written = 0

    def write(self, tree: Any) -> str:
        text = "".join(self._node(kind, value) for kind, value in tree)
        self._written += len(text)
        return text

    def _node(self, kind: Any, value: Any) -> str:  # noqa: C901, PLR0911 - one case for each kind of node
        match kind:
            case op.LITERAL:
                return chr(value)
            case op.NOT_LITERAL:
                return next(letter for letter in _PRINTABLE if letter != chr(value))
            case op.ANY:
                return "x"
            case op.IN:
                return self._one_of(value)
            case op.MAX_REPEAT | op.MIN_REPEAT | op.POSSESSIVE_REPEAT:
                return self._repeated(*value)
            case op.SUBPATTERN:
                group, _, _, tree = value
                text = self.write(tree)
                if group is not None:
                    self._groups[group] = text
                return text
            case op.BRANCH:
                branches = value[1]
                return self.write(branches[self._variant % len(branches)])
            case op.ATOMIC_GROUP:
                return self.write(value)
            case op.GROUPREF:
                return self._groups.get(value, "")
        return ""  # anchors and look-around match no characters

    def _repeated(self, least: int, most: int, tree: Any) -> str:
        times = min(least + self._extra, most, max(least, _LONGEST))
        text = ""
        for _ in range(int(times)):
            if self._written + len(text) > _LONGEST:
                break
            text += self.write(tree)
        return text

    def _one_of(self, items: list[tuple[Any, Any]]) -> str:
        allowed = set(_PRINTABLE)
        if items[0][0] is op.NEGATE:
            allowed -= {letter for letter in allowed if any(covers(item, letter) for item in items[1:])}
            letters = [letter for letter in _PRINTABLE if letter in allowed]
        else:
            letters = [letter for item in items for letter in _letters(item)]
        return letters[self._variant % len(letters)] if letters else ""


def _letters(item: tuple[Any, Any]) -> str:
    kind, value = item
    if kind is op.LITERAL:
        return chr(value)
    if kind is op.RANGE:
        return "".join(map(chr, range(value[0], min(value[1], value[0] + 30) + 1)))
    return _CLASSES.get(value, "") if kind is op.CATEGORY else ""
