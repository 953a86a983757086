"""Join two parts of a text of which the second was asked to begin with the last characters of the first.

The last characters are the *anchor*. Where the second part has it near its beginning, what comes up to and with it is
left out: the parts then fit, whatever stands before it. A model may also begin without it, or write it in its own way,
or repeat less of it; then only what the parts visibly share is left out, and nobody can say whether they fit.
"""

from __future__ import annotations

from functools import cached_property
from unicodedata import category, normalize

# The anchor's characters. One that occurs elsewhere in the text, too, says nothing: it is made longer, up to LONGEST.
ANCHOR = 40
LONGEST = 640

# An anchor is looked for in so many characters, besides its own. It takes a model so many to say that it goes on, or to
# repeat a sentence or two. One that repeats its whole answer is waited for.
REACH = 400

# Shorter texts occur anywhere by chance: they count at the very beginning only.
TELLING = 12
SHARED = 8

MARK = "====="
"""The line before and after the anchor where it is asked for. A model may copy the lines, too."""

# Other ways to write the same character, besides those that Unicode calls compatible.
_SAME = str.maketrans(
    "\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\xab\xbb\u2010\u2011\u2013\u2014\u2212", "''''" + 6 * '"' + 5 * "-"
)
_JOINER = "\u200d"


def anchor_of(text: str) -> str:
    """Return the last characters of `text`, as many as are needed to occur only there, if that can be. They do not
    begin inside of what a reader takes for one character.
    """
    length = ANCHOR
    while length < min(len(text), LONGEST) and text.find(text[-length:]) < len(text) - length:
        length *= 2
    start = max(0, len(text) - length)
    while start > 0 and (category(text[start]) in ("Mn", "Mc", "Me", "Cf", "Sk") or text[start - 1] == _JOINER):
        start -= 1
    return text[start:]


class Seam:
    """Passes on the second part of a text without what the first one has already. `verified` says whether the parts are
    known to fit; it is None until the beginning of the second part has been read.
    """

    def __init__(self, received: str) -> None:
        self.anchor = anchor_of(received)
        self.verified: bool | None = None
        self._received = received
        self._held = ""

    def add(self, piece: str) -> str:
        """Take in more of the second part, and return what can be passed on."""
        if self.verified is not None:
            return piece
        self._held += piece
        if self._held.startswith(self.anchor):
            return self.end()
        return "" if len(self._held) < REACH + len(self.anchor) or self._repeats() else self.end()

    def end(self) -> str:
        """Return the rest; the second part has ended, or enough of it has been read."""
        if self.verified is not None:
            return ""
        held, anchor = self._held, self.anchor
        at, last = held.find(anchor), held.rfind(anchor)
        if at > 0 and len(anchor) < TELLING and held[:at].strip() not in ("", MARK):
            at = -1
        if at < 0:
            self.verified = False
            return held[_shared(self._received, anchor, held) :]
        # A text that repeats itself, or a part that has the anchor twice, fits in more than one place. In words that
        # come before the answer the anchor is only quoted.
        clear = at in (0, last)
        if not clear and not self._received.endswith(held[: at + len(anchor)]):
            at = last
        rest = held[at + len(anchor) :]
        copied = held[:at].rstrip().endswith(MARK) and rest.lstrip().startswith(MARK)
        alone = self._received.find(anchor) == len(self._received) - len(anchor)
        self.verified = clear and alone and not copied and not _recurs(anchor)
        return rest.lstrip().lstrip(MARK[0]).removeprefix("\n") if copied else rest

    def _repeats(self) -> bool:
        """Return whether the second part is still at what the first one has: some models begin their answer anew."""
        if len(self._held) >= len(self._received) + REACH or self.anchor in self._held:
            return False
        last = self._held[-ANCHOR:]
        return last in self._received or _alike(last)[0].strip() in self._plain

    @cached_property
    def _plain(self) -> str:
        return _alike(self._received)[0]


def _recurs(anchor: str) -> bool:
    """Return whether `anchor` ends as it begins: a part that repeats only its end may then look as if it had all."""
    return any(anchor.startswith(anchor[-length:]) for length in range(SHARED, len(anchor)))


def _shared(first: str, anchor: str, second: str) -> int:
    """Return how many characters of `second` the end of `first` has, too, if written alike; 0 if that may be chance."""
    shown = _alike(first[-2 * LONGEST :])[0].rstrip()
    again, ends = _alike(second)
    begun = len(again) - len(again.lstrip())
    wanted = _alike(anchor)[0].strip()
    at = again.find(wanted) if len(wanted) >= TELLING else -1
    last = at + len(wanted) if at >= 0 else 0
    for end in range(min(len(again), begun + len(shown)) if not last else 0, begun + SHARED - 1, -1):
        if again[end - 1] != " " and shown.endswith(again[begun:end]):
            last = end
            break
    if not last:
        return 0
    through = ends[last - 1]
    while first[-1].isspace() and through < len(second) and second[through].isspace():
        through += 1
    return through


def _alike(text: str) -> tuple[str, list[int]]:
    """Return `text` without the differences of quotation marks, dashes, white space and the like, and where in `text`
    each character of that ends.
    """
    plain: list[str] = []
    ends: list[int] = []
    for place, written in enumerate(text, 1):
        for character in normalize("NFKD", written).translate(_SAME):
            if not character.isspace():
                plain.append(character)
                ends.append(place)
            elif plain[-1:] == [" "]:
                ends[-1] = place
            else:
                plain.append(" ")
                ends.append(place)
    return "".join(plain), ends
