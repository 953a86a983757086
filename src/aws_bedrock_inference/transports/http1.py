"""Read one HTTP/1.1 answer from the bytes of a connection, without I/O. h11 parses the answer. For speed,
`fast/chunks.py` parses most chunks of a chunked body.

h11 accepts some answers whose end is ambiguous, such as an answer with both Content-Length and Transfer-Encoding. If
h11 assumed the wrong end, the rest of the answer would be read as the answer to the next request. Therefore this module
refuses such an answer as malformed, or does not use the connection again.
"""

from __future__ import annotations

import re

from h11 import (
    CLIENT,
    DONE,
    NEED_DATA,
    Connection,
    Data,
    EndOfMessage,
    InformationalResponse,
    RemoteProtocolError,
    Request,
    Response,
)
from urllib3 import HTTPHeaderDict

from aws_bedrock_inference.transports.failures import ConnectionClosed, MalformedAnswer
from aws_bedrock_inference.transports.fast.chunks import Chunks

# The maximum size in bytes of a head, of a trailer and of the line before a chunk, and the maximum number of header
# fields. AWS sends 1 to 2 KB. Without these limits, a server that never stops sending would fill the memory.
MAX_HEAD = 65_536
MAX_FIELDS = 256
# The maximum number of interim answers. The codes 100, 102 and 103 may come at any time, but rarely do.
MAX_INTERIM = 32

SWITCHING = 101

START = b"HTTP/1."
NOT_HTTP1 = "the answer does not begin with HTTP/1"
INVALID_HEAD = "the head is not valid HTTP/1.1"

_HEAD_END = re.compile(rb"\n\r?\n")  # h11's own pattern
_VERSIONS = (b"1.1", b"1.0")
_NO_BODY = (204, 304)
_TOO_LONG = 431

# h11 expects to write the request, but another module writes and signs it. h11 gets this request instead, to know that
# the answer has an ordinary body.
_REQUEST = Request(method="POST", target="/", headers=[("Host", "")])


class Answer:
    """The answer to one request. Pass all received bytes to `feed` until `complete` is True. `status` and `headers` are
    set earlier, as soon as the head has arrived.
    """

    def __init__(self) -> None:
        self.status = 0
        self.reason = ""
        self.headers = HTTPHeaderDict()
        self.complete = False
        self.reusable = True
        self._body: list[bytes] = []
        self._interim = 0
        self._chunks: Chunks | None = None
        self._split = False  # True if a head came in pieces: h11's position in the next bytes is then unknown
        self._connection = Connection(CLIENT, MAX_HEAD)
        self._connection.send(_REQUEST)

    def feed(self, data: bytes) -> None:
        """Add received bytes. Empty bytes mean that the server has closed the connection. Raises `MalformedAnswer` and
        `ConnectionClosed`.
        """
        while not self.status and data and not self._split:
            end = _HEAD_END.search(data)
            self._split = end is None
            head, data = (data, b"") if end is None else (data[: end.end()], data[end.end() :])
            self._parse(head)
            if not data:
                return
        rest = data if self._chunks is None or self.complete else self._plain(self._chunks, data)
        if rest is not None:
            self._parse(rest)

    def _plain(self, chunks: Chunks, data: bytes) -> bytes | None:
        """Read the plain chunks at the start of `data`. In a plain chunk, the line before the content contains only the
        size.

        Return the bytes that h11 must read, from the first part that is not a plain chunk, such as the last chunk. h11
        then also reads the rest of the body. Return None if h11 must read nothing.
        """
        if data:
            rest = chunks.feed(data, self._body)
            if rest is None:
                return None
        elif chunks.inside:
            raise ConnectionClosed("the server closed the connection in the middle of the answer")
        else:
            rest = b""
            if chunks.held:
                self._parse(chunks.held)
        self._chunks = None
        return rest

    def _parse(self, data: bytes) -> None:
        try:
            self._connection.receive_data(data)
            while not self.complete and (event := self._connection.next_event()) is not NEED_DATA:
                self._read(event)
        except RemoteProtocolError as error:  # the text of the error may quote the answer
            raise self._refused(error, closed=not data) from None
        if not self.status and not START.startswith(self._connection.trailing_data[0][: len(START)]):
            raise MalformedAnswer(NOT_HTTP1)

    def take(self) -> bytes:
        """Return the part of the body that has arrived since the previous call of `take`."""
        taken = b"".join(self._body)
        self._body.clear()
        return taken

    def _read(self, event: object) -> None:
        if isinstance(event, (Response, InformationalResponse)) and event.http_version not in _VERSIONS:
            raise MalformedAnswer(NOT_HTTP1)
        if isinstance(event, Data):
            self._body.append(event.data)
        elif isinstance(event, EndOfMessage):
            self._end()
        elif isinstance(event, Response):
            self._begin(event)
        elif isinstance(event, InformationalResponse):
            self._interim += 1
            if self._interim > MAX_INTERIM:
                raise MalformedAnswer(f"the server sent more than {MAX_INTERIM} interim answers (status 1xx)")

    def _begin(self, head: Response) -> None:
        if len(head.headers) > MAX_FIELDS:
            raise MalformedAnswer(f"the answer has more than {MAX_FIELDS} header fields")
        self.headers = HTTPHeaderDict(
            [(name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers.raw_items()]
        )
        if "transfer-encoding" in self.headers and "content-length" in self.headers:
            raise MalformedAnswer("the answer has both Content-Length and Transfer-Encoding, but HTTP allows only one")
        self.status = head.status_code
        if not self._split and self.headers.get("transfer-encoding", "").lower() == "chunked":
            self._chunks = Chunks()
        self.reason = head.reason.decode("latin-1")

    def _end(self) -> None:
        self.complete = True
        unread, closed = self._connection.trailing_data
        # Some servers send a body with 204 and 304 although HTTP does not allow it.
        if unread or closed or self._connection.their_state is not DONE or self.status in _NO_BODY:
            self.reusable = False

    def _refused(self, error: RemoteProtocolError, *, closed: bool) -> Exception:
        if closed:
            return ConnectionClosed(
                "the server closed the connection in the middle of the answer"
                if self.status
                else "the server closed the connection without an answer"
            )
        if error.error_status_hint == _TOO_LONG:
            return MalformedAnswer(f"a head, a trailer or a line of the body is longer than {MAX_HEAD} bytes")
        return MalformedAnswer("the body is not valid HTTP/1.1" if self.status else INVALID_HEAD)
