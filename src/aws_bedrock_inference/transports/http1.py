"""One HTTP/1.1 answer, put together from the bytes of a connection. No I/O.

It is strict where leniency would let requests and answers get out of step: an answer whose end is not certain is
malformed or the last one of its connection, and so is one with bytes behind it.
"""

from __future__ import annotations

import re

from urllib3 import HTTPHeaderDict

from aws_bedrock_inference.transports.failures import ConnectionClosed, MalformedAnswer

# One head or trailer, in bytes and in fields. AWS sends one or two KB; a server without end must not fill the memory.
MAX_HEAD = 65_536
MAX_FIELDS = 256
# Answers before the answer: 100, 102 and 103 may come at any time, none of them often.
MAX_INTERIM = 32
# The line before a chunk, with its extensions.
MAX_LINE = 4_096

SWITCHING = 101

_START = b"HTTP/1."
_END = re.compile(rb"\r?\n\r?\n")
_STATUS = re.compile(r"HTTP/1\.([01]) ([1-9][0-9]{2})(?: .*)?")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?")
_LENGTH = re.compile(r"[0-9]{1,15}")
_NO_BODY = (204, 304)


class Answer:
    """The answer to one request. `feed` it what was received, until it has a head, and then until it is `complete`."""

    def __init__(self) -> None:
        self.status = 0
        self.reason = ""
        self.headers = HTTPHeaderDict()
        self.complete = False
        self.reusable = False
        self._rest = b""
        self._at = 0  # what stands before it in `_rest` has been read
        self._trailer = 0
        self._body: list[bytes] = []
        self._left = 0
        self._interim = 0
        self._until_closed = False
        self._stage = self._in_head

    def feed(self, data: bytes) -> None:
        """Take in what was received; nothing means that the server has closed the connection.

        Raises `MalformedAnswer` and `ConnectionClosed`.
        """
        if data:
            self._rest, self._at = self._rest[self._at :] + data, 0
            while not self.complete and self._at < len(self._rest) and self._stage():
                pass
            if self.complete and self._at < len(self._rest):
                self.reusable = False  # bytes that nobody asked for
        elif self._until_closed:
            self.complete = True
        else:
            raise ConnectionClosed("closed inside the answer" if self.status else "closed without an answer")

    def take(self) -> bytes:
        """Return the part of the body that has come since the last time."""
        if len(self._body) == 1:
            return self._body.pop()
        taken = b"".join(self._body)
        self._body.clear()
        return taken

    def _in_head(self) -> bool:
        start = self._rest[self._at : self._at + len(_START)]
        if not _START.startswith(start):
            raise MalformedAnswer("the answer does not begin with HTTP/1")
        found = _END.search(self._rest, self._at)
        end = found.end() if found else len(self._rest)
        if end - self._at > MAX_HEAD:
            raise MalformedAnswer(f"the head is longer than {MAX_HEAD} bytes")
        if found is None:
            return False
        head, self._at = self._rest[self._at : end], end
        self._read_head(head.decode("latin-1").replace("\r\n", "\n").rstrip("\n"))
        return True

    def _read_head(self, head: str) -> None:
        first, *lines = head.split("\n")
        line = _STATUS.fullmatch(first)
        if line is None or "\r" in head or "\0" in head:
            raise MalformedAnswer("the status line is not HTTP/1.1's")
        status = int(line[2])
        if status < 200:  # noqa: PLR2004 - an interim answer; the final one follows
            self._interim += 1
            if status == SWITCHING or self._interim > MAX_INTERIM:
                raise MalformedAnswer(
                    "a switch of protocols that nobody asked for"
                    if status == SWITCHING
                    else f"more than {MAX_INTERIM} interim answers"
                )
            return
        self.headers = _fields(lines)
        self.status = status
        self.reason = first[13:]
        self._frame(keeps=line[1] == "1")

    def _frame(self, *, keeps: bool) -> None:
        """Decide where the body ends."""
        lengths = self.headers.getlist("content-length")
        codings = self.headers.getlist("transfer-encoding")
        self.reusable = keeps and "close" not in self.headers.get("connection", "").lower()
        if self.status in _NO_BODY:
            self.complete, self.reusable = True, False  # servers that send a body all the same do exist
        elif codings:
            if lengths or [coding.strip().lower() for coding in codings] != ["chunked"]:
                raise MalformedAnswer("the length of the body is given in two ways, or in an unknown one")
            self._stage = self._in_size
        elif lengths:
            if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0].strip()):
                raise MalformedAnswer("Content-Length is not one number")
            self._left = int(lengths[0])
            self.complete = not self._left
            self._stage = self._in_body
        else:
            self._until_closed, self.reusable = True, False
            self._stage = self._in_rest

    def _in_body(self) -> bool:
        self._add()
        self.complete = not self._left
        return False

    def _in_rest(self) -> bool:
        self._body.append(self._rest[self._at :])
        self._at = len(self._rest)
        return False

    def _in_size(self) -> bool:
        line = self._line()
        if line is None:
            return False
        size = _SIZE.fullmatch(line)
        if size is None:
            raise MalformedAnswer("the size of a chunk is not a number")
        self._left = int(size[1], 16)
        self._stage = self._in_chunk if self._left else self._in_trailer
        self._trailer = 0
        return True

    def _in_chunk(self) -> bool:
        self._add()
        if not self._left:
            self._stage = self._behind_chunk
        return True

    def _behind_chunk(self) -> bool:
        line = self._line()
        if line is None:
            return False
        if line:
            raise MalformedAnswer("a chunk is longer than its size")
        self._stage = self._in_size
        return True

    def _in_trailer(self) -> bool:
        line = self._line()
        if line is None:
            return False
        self._trailer += len(line) + 2
        if self._trailer > MAX_HEAD:
            raise MalformedAnswer(f"the trailer is longer than {MAX_HEAD} bytes")
        self.complete = not line
        return True

    def _add(self) -> None:
        data = self._rest[self._at : self._at + self._left]
        self._at += len(data)
        self._left -= len(data)
        self._body.append(data)

    def _line(self) -> bytes | None:
        end = self._rest.find(b"\n", self._at)
        if (len(self._rest) if end < 0 else end) - self._at > MAX_LINE:
            raise MalformedAnswer(f"a line of the body is longer than {MAX_LINE} bytes")
        if end < 0:
            return None
        line, self._at = self._rest[self._at : end], end + 1
        return line.removesuffix(b"\r")


def _fields(lines: list[str]) -> HTTPHeaderDict:
    if len(lines) > MAX_FIELDS:
        raise MalformedAnswer(f"more than {MAX_FIELDS} header fields")
    fields: list[tuple[str, str]] = []
    for line in lines:
        name, colon, value = line.partition(":")
        if fields and line[:1] in (" ", "\t"):  # a folded line, which old gateways still send
            fields[-1] = (fields[-1][0], f"{fields[-1][1]} {line.strip()}")
        elif not colon or not _NAME.fullmatch(name):
            raise MalformedAnswer("a header field has no name")
        else:
            fields.append((name, value.strip(" \t")))
    return HTTPHeaderDict(fields)
