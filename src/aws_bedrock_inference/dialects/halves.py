"""Join characters that a stream cuts in half.

JSON can write a character such as an emoji as two escapes (surrogates). A service that counts characters in UTF-16 can
put these two halves into two deltas, that is, pieces of the stream. Python does not join the halves, and a text with
one half cannot be printed, encoded or sent back.
"""

from __future__ import annotations

from typing import Any

# The ranges of both halves.
_FIRST = ("\ud800", "\udbff")
_SECOND = ("\udc00", "\udfff")


class Halves:
    """Joins the two halves of a character, such as an emoji, if they arrive in two deltas of the same block. The halves
    are surrogates of UTF-16, for example U+D83D and U+DE00.

    A first half at the end of a delta is held back. If the next delta of the block begins with a second half, the first
    half is put before it. Otherwise, the first half is lost, because half a character cannot be printed or sent.

    `held` contains the halves that are held back. A key of `held` consists of the index of the block and the path of
    the text in the delta.
    """

    def __init__(self) -> None:
        self.held: dict[tuple[Any, ...], str] = {}

    def whole(self, event: dict[str, Any]) -> dict[str, Any]:
        """Return an event of ConverseStream in which the two halves of each character are joined.

        If a text ends with a first half, this half is removed from the event, and held back for the next event. If a
        text begins with a second half, the first half that was held back is added before it.
        """
        body = event.get("contentBlockDelta")
        if isinstance(body, dict) and isinstance(delta := body.get("delta"), dict):
            index = str(body.get("contentBlockIndex"))
            return {"contentBlockDelta": {**body, "delta": self._joined(delta, (index,))}}
        return event

    def _joined(self, part: dict[str, Any], place: tuple[Any, ...]) -> dict[str, Any]:
        joined = dict(part)
        for name, value in part.items():
            here = (*place, name)
            if isinstance(value, dict):
                joined[name] = self._joined(value, here)
            elif isinstance(value, str):
                joined[name] = self._text(value, here)
        return joined

    def _text(self, text: str, place: tuple[Any, ...]) -> str:
        if not text:
            return text
        held = self.held.pop(place, "")
        if _SECOND[0] <= text[0] <= _SECOND[1]:
            text = held + text
        if _FIRST[0] <= text[-1] <= _FIRST[1]:
            self.held[place] = text[-1]
            text = text[:-1]
        if text.isascii():
            return text
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
