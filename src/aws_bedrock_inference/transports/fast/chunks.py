"""Read the plain chunks of a chunked HTTP body. In a plain chunk, the line before the content contains only the
size of the content.

A stream of events consists of thousands of small chunks, and h11 needs 4 us (microseconds) for each. Therefore this
module reads the plain chunks at the start of the body. It stops at the first part of the body that is not a plain
chunk: a chunk with an extension, the last chunk (size 0), or a line that is not a size. h11 reads this part and the
rest of the body.
"""

from __future__ import annotations

import re

from aws_bedrock_inference.transports.failures import MalformedAnswer

# At most eight hexadecimal digits, which is 4 GB. The size zero is not matched, because it means the last chunk.
_SIZE = re.compile(rb"(?!0+\r)([0-9A-Fa-f]{1,8})\r\n")
_BEGINNING = re.compile(rb"[0-9A-Fa-f]{0,8}\r?")
_END = b"\r\n"
_MALFORMED = "the body is not valid HTTP/1.1"


class Chunks:
    """Reads the plain chunks of one body. `held` contains bytes that wait for the rest of their line. For example, if
    the received bytes end with `1f`, the rest of the size can still arrive.
    """

    def __init__(self) -> None:
        self.held = b""
        self._left = 0  # bytes of the current chunk, including the end of the line after it

    @property
    def inside(self) -> bool:
        """True while a part of the current chunk is missing."""
        return self._left > 0

    def feed(self, data: bytes, body: list[bytes]) -> bytes | None:
        """Append the content of the plain chunks at the start of `data` to `body`. In a plain chunk, the line before
        the content contains only the size.

        Return the bytes that h11 must read, from the first part that is not a plain chunk, such as the last chunk.
        Return None if h11 must read nothing. Raises `MalformedAnswer`.
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
        """Append the beginning of an incomplete chunk to `body`."""
        content = data[: max(0, self._left - len(_END))]
        body.append(content)
        self._left -= len(content)
        self.held = data[len(content) :]
        if not _END.startswith(self.held):
            raise MalformedAnswer(_MALFORMED)
