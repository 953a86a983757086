"""Join two parts of a text of which the second was asked to begin with the last characters of the first.

The last characters are the *anchor*. Where the second part has it near its beginning, what comes up to and with it is
left out: the parts then fit, whatever stands before it. A model may also begin without it, or with less of it; then
only what the parts visibly share is left out, and nobody can say whether they fit.
"""

from __future__ import annotations

# The anchor's characters. One that occurs elsewhere in the text, too, says nothing: it is made longer, up to LONGEST.
ANCHOR = 40
LONGEST = 400

# An anchor is looked for in so many characters, besides its own. It takes a model so many to say that it goes on, or to
# repeat a sentence or two.
REACH = 400

# Shorter texts occur anywhere by chance: they count at the very beginning only.
TELLING = 12
SHARED = 8


def anchor_of(text: str) -> str:
    """Return the last characters of `text`, as many as are needed to occur only there, if that can be."""
    length = ANCHOR
    while length < min(len(text), LONGEST) and text.find(text[-length:]) < len(text) - length:
        length *= 2
    return text[-length:]


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
        if self._held.startswith(self.anchor) or len(self._held) >= REACH + len(self.anchor):
            return self.end()
        return ""

    def end(self) -> str:
        """Return the rest; the second part has ended, or enough of it has been read."""
        if self.verified is not None:
            return ""
        held, anchor = self._held, self.anchor
        at = held.find(anchor) if len(anchor) >= TELLING else 0 if held.startswith(anchor) else -1
        if at >= 0:
            after = at + len(anchor)
            # A text that repeats itself, or a part that has the anchor twice, fits in more than one place.
            clear = at == 0 or held.find(anchor, at + 1) < 0
            self.verified = clear and self._received.find(anchor) == len(self._received) - len(anchor)
            return held[after:]
        self.verified = False
        return held[_shared(self._received, held) :]


def _shared(first: str, second: str) -> int:
    """Return how many characters at the end of `first` are the beginning of `second`; 0 if so few may be chance."""
    for length in range(min(len(first), len(second), ANCHOR), SHARED - 1, -1):
        if first.endswith(second[:length]):
            return length
    return 0
