"""Join two parts of an answer. A request for the second part asks the model to begin with the last characters of the
first part.

These last characters are the *anchor*. If the second part contains the anchor near its beginning, everything up to
the end of the anchor is removed, and the two parts fit. However, a model can begin without the anchor, write it
differently, or repeat only a part of it. In that case only the visibly repeated text is removed, and it is unknown
whether the parts fit.
"""

from __future__ import annotations

from functools import cached_property
from unicodedata import category, normalize

# The length of the anchor in characters. If the anchor occurs more than once in the text, its length is doubled, up to
# LONGEST.
ANCHOR = 40
LONGEST = 640

# The anchor is searched in this many characters of the second part, plus the anchor's own length. This is enough if a
# model first announces that it continues, or repeats a sentence or two. If a model repeats its whole answer, the search
# continues.
REACH = 400

# Repeated texts shorter than this can be coincidence, so they count only at the very beginning of the second part.
TELLING = 12
SHARED = 8

MARK = "====="
"""A line that the request contains both before and after the anchor (the end of the first part). A model can copy these
lines into its answer.
"""

# Other ways to write the same character, in addition to those that Unicode calls compatible.
_SAME = str.maketrans(
    "\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\xab\xbb\u2010\u2011\u2013\u2014\u2212", "''''" + 6 * '"' + 5 * "-"
)
_JOINER = "\u200d"


def anchor_of(text: str) -> str:
    """Return the anchor: the last characters of `text`, which the model is asked to repeat at the beginning of the
    second part. If possible, the anchor is so long that it occurs only once in the text. The anchor does not begin
    inside a sequence that readers see as one character.
    """
    length = ANCHOR
    while length < min(len(text), LONGEST) and text.find(text[-length:]) < len(text) - length:
        length *= 2
    start = max(0, len(text) - length)
    while start > 0 and (category(text[start]) in ("Mn", "Mc", "Me", "Cf", "Sk") or text[start - 1] == _JOINER):
        start -= 1
    return text[start:]


class Seam:
    """Receives the second part of an answer, and returns its text without the beginning that repeats the first part.

    `verified` is True if the two parts are known to fit, and False if this is unknown. It is None until the beginning
    of the second part has been read.
    """

    def __init__(self, received: str) -> None:
        self.anchor = anchor_of(received)
        self.verified: bool | None = None
        self._received = received
        self._held = ""

    def add(self, piece: str) -> str:
        """Add a piece of the answer's second part. Return the text that can be delivered now, which may be empty."""
        if self.verified is not None:
            return piece
        self._held += piece
        if self._held.startswith(self.anchor):
            return self.end()
        return "" if len(self._held) < REACH + len(self.anchor) or self._repeats() else self.end()

    def end(self) -> str:
        """Compare the two parts. Return the received text of the second part, without the beginning that repeats the
        first part.

        `add` calls this method itself as soon as it has received enough text for the comparison. A short second part
        can end before that. Therefore the caller must call this method when the second part has ended. If `add` has
        already called it, the result is "".
        """
        if self.verified is not None:
            return ""
        held, anchor = self._held, self.anchor
        at, last = held.find(anchor), held.rfind(anchor)
        if at > 0 and len(anchor) < TELLING and held[:at].strip() not in ("", MARK):
            at = -1
        if at < 0:
            self.verified = False
            return held[_shared(self._received, anchor, held) :]
        # The anchor can be found at more than one position: the text repeats itself, or the second part contains the
        # anchor twice. If the model wrote an introduction before the answer, an anchor in the introduction is only a
        # quotation.
        clear = at in (0, last)
        if not clear and not self._received.endswith(held[: at + len(anchor)]):
            at = last
        rest = held[at + len(anchor) :]
        copied = held[:at].rstrip().endswith(MARK) and rest.lstrip().startswith(MARK)
        alone = self._received.find(anchor) == len(self._received) - len(anchor)
        self.verified = clear and alone and not copied and not _recurs(anchor)
        return rest.lstrip().lstrip(MARK[0]).removeprefix("\n") if copied else rest

    def _repeats(self) -> bool:
        """Return True if the received text still repeats an earlier passage of the first part; otherwise return False.
        Some models begin the whole answer again.
        """
        if len(self._held) >= len(self._received) + REACH or self.anchor in self._held:
            return False
        last = self._held[-ANCHOR:]
        return last in self._received or _alike(last)[0].strip() in self._plain

    @cached_property
    def _plain(self) -> str:
        return _alike(self._received)[0]


def _recurs(anchor: str) -> bool:
    """Return True if `anchor` (the end of the first part) begins and ends with the same text; otherwise return False.

    For example, "abcab" begins and ends with "ab". A model can repeat only "ab", and then continue with the new text
    "cab". The second part then begins with "abcab", as if the model had repeated the whole anchor.
    """
    return any(anchor.startswith(anchor[-length:]) for length in range(SHARED, len(anchor)))


def _shared(first: str, anchor: str, second: str) -> int:
    """Return the number of characters at the beginning of `second` (the second part) that repeat the end of `first`.
    Differences in spelling are ignored. Return 0 if the repeated text is so short that it can be a coincidence.
    """
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
    """Return `text` with unified quotation marks, dashes and white space, so that texts with different spellings can be
    compared. Also return a list: for each character of the result, the position in `text` at which this character ends.
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
