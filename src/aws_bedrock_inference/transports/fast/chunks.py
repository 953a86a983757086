"""The plain part of a chunked body: lines that contain only a size, each followed by its data.

A stream of events consists of thousands of small chunks, and h11 needs 4 us for each. h11 reads everything that is not
plain: a chunk extension, the last chunk, trailers, a line that is not a size. It has read nothing of the body before
that.
"""

from __future__ import annotations

import re

from aws_bedrock_inference.transports.failures import MalformedAnswer

# Eight digits are 4 GB. Zero is the last chunk.
_SIZE = re.compile(rb"(?!0+\r)([0-9A-Fa-f]{1,8})\r\n")
_BEGINNING = re.compile(rb"[0-9A-Fa-f]{0,8}\r?")
_END = b"\r\n"
_MALFORMED = "the body is not valid HTTP/1.1"


class Chunks:
    """A reader of plain chunks. `held` is the beginning of an incomplete line."""

    def __init__(self) -> None:
        self.held = b""
        self._left = 0  # bytes of the current chunk, including the end of the line after it

    @property
    def inside(self) -> bool:
        """True if the current chunk has not ended."""
        return self._left > 0

    def feed(self, data: bytes, body: list[bytes]) -> bytes | None:
        """Add the data of the chunks to `body`. Return the first part that is not plain and everything after it, or
        None.

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
        """Add the beginning of a chunk."""
        content = data[: max(0, self._left - len(_END))]
        body.append(content)
        self._left -= len(content)
        self.held = data[len(content) :]
        if not _END.startswith(self.held):
            raise MalformedAnswer(_MALFORMED)
