"""Join characters that a stream cuts in half.

JSON can write a character such as an emoji as two escapes (surrogates). A service that counts characters in UTF-16 can
put these two halves into two deltas, that is, pieces of the stream. Python does not join the halves, and a text with
one half cannot be printed, encoded or sent back.
"""

from __future__ import annotations

from typing import Any

_FIRST = ("\ud800", "\udbff")  # the range of the first half


class Halves:
    """Holds back the first half of a character at the end of a delta, and adds it to the next delta of the same block.

    `held` contains the halves. Its keys consist of the index of the block and the names of the members that contain the
    text.
    """

    def __init__(self) -> None:
        self.held: dict[tuple[Any, ...], str] = {}

    def whole(self, event: dict[str, Any]) -> dict[str, Any]:
        """Return an event of ConverseStream in which no text ends with the first half of a character. If a block ends
        after a first half, this half is lost, because a half alone is not a character.
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
        text = self.held.pop(place, "") + text
        if text and _FIRST[0] <= text[-1] <= _FIRST[1]:
            self.held[place] = text[-1]
            text = text[:-1]
        if text.isascii():
            return text
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
