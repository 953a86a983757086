"""The plain part of a chunked body: lines with a size and nothing else, each with its data.

A stream of events is thousands of small chunks, and h11 takes 4 us for each. Whatever is not plain (a chunk extension,
the last chunk, trailers, a line that is no size) is left to h11, which has read nothing of the body so far.
"""

from __future__ import annotations

import re

from aws_bedrock_inference.transports.failures import MalformedAnswer

# Eight digits are four gigabytes; zero is the last chunk.
_SIZE = re.compile(rb"(?!0+\r)([0-9A-Fa-f]{1,8})\r\n")
_BEGINNING = re.compile(rb"[0-9A-Fa-f]{0,8}\r?")
_END = b"\r\n"
_MALFORMED = "the body is not HTTP/1.1's"


class Chunks:
    """A reader of plain chunks. `held` is the beginning of a line whose rest has not come."""

    def __init__(self) -> None:
        self.held = b""
        self._left = 0  # of the chunk at hand, with the line's end after it

    @property
    def inside(self) -> bool:
        """True if the chunk at hand has not ended."""
        return self._left > 0

    def feed(self, data: bytes, body: list[bytes]) -> bytes | None:
        """Add the data of the chunks to `body`; return what is not plain and all that follows it, None if all was.

        Raises `MalformedAnswer`.
        """
        if self.held:
            data, self.held = self.held + data, b""
        at, size = 0, len(data)
        while at < size:
            if not self._left:
                line = _SIZE.match(data, at)
                if line is None:
                    if not _BEGINNING.fullmatch(data, at):
                        return data[at:]
                    self.held = data[at:]
                    return None
                self._left = int(line[1], 16) + len(_END)
                at = line.end()
            end = at + self._left
            if end > size:
                self._begin(data[at:], body)
                return None
            if not data.startswith(_END, end - len(_END)):
                raise MalformedAnswer(_MALFORMED)
            body.append(data[at : end - len(_END)])
            at, self._left = end, 0
        return None

    def _begin(self, data: bytes, body: list[bytes]) -> None:
        """Take in the beginning of a chunk."""
        content = data[: max(0, self._left - len(_END))]
        body.append(content)
        self._left -= len(content)
        self.held = data[len(content) :]
        if not _END.startswith(self.held):
            raise MalformedAnswer(_MALFORMED)
