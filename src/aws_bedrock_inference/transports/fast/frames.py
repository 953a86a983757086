"""Read the frames of an event stream as botocore's `EventStreamBuffer` reads them, in a fifth of the time.

A frame is a prelude (two lengths and their checksum), headers, a payload, and a checksum of the whole frame
(https://smithy.io/2.0/aws/amazon-eventstream.html). Most frames of a stream have exactly the same headers. This module
lets botocore parse them once, and uses the result for all later frames whose header bytes are equal. The limits and the
errors are the same as in botocore.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

from botocore.eventstream import (
    ChecksumMismatch,
    EventStreamHeaderParser,
    InvalidHeadersLength,
    InvalidPayloadLength,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

# As in botocore 1.44.8, eventstream.py.
_MAX_HEADERS = 128 * 1024
_MAX_PAYLOAD = 24 * 1024 * 1024

_AROUND = 16  # length in bytes of the prelude and the last checksum
_PRELUDE = Struct("!III")
_CHECKSUM = Struct("!I")


class Frame(NamedTuple):
    """One message of a stream."""

    headers: Mapping[str, Any]
    payload: bytes


class Frames:
    """The frames of an event stream whose bytes arrive in pieces. Pass the bytes to `feed`, and call `next` until it
    returns None.

    The pieces of a frame are joined only when the last piece has arrived. Joining them at each arrival would copy a
    long frame as many times as it has pieces.
    """

    def __init__(self) -> None:
        self._data = b""
        self._at = 0
        self._more: list[bytes] = []
        self._missing = 0  # missing bytes of the current frame, as far as its length is known

    @property
    def open(self) -> int:
        """The number of received bytes that belong to an incomplete frame."""
        return len(self._data) - self._at + sum(map(len, self._more))

    def feed(self, data: bytes) -> None:
        """Add the next bytes."""
        self._missing -= len(data)
        if self._at < len(self._data):
            self._more.append(data)
        else:
            self._data, self._at = data, 0

    def next(self) -> Frame | None:
        """Return the next complete frame, or None if more bytes are needed. Raises botocore's `ParserError` if the
        frame is damaged.
        """
        if self._more:
            if self._missing > 0:
                return None
            self._data, self._at = b"".join([self._data[self._at :], *self._more]), 0
            self._more.clear()
        data, start = self._data, self._at
        if len(data) - start < _PRELUDE.size:
            return None
        length, headers_length, checksum = _PRELUDE.unpack_from(data, start)
        view = memoryview(data)
        computed = crc32(view[start : start + 8])
        if computed != checksum:
            raise ChecksumMismatch(checksum, computed)
        if headers_length > _MAX_HEADERS:
            raise InvalidHeadersLength(headers_length)
        if not 0 <= length - headers_length - _AROUND <= _MAX_PAYLOAD:
            raise InvalidPayloadLength(length - headers_length - _AROUND)
        end = start + length
        if len(data) < end:
            self._missing = end - len(data)
            return None
        [expected] = _CHECKSUM.unpack_from(data, end - 4)
        computed = crc32(view[start : end - 4])
        if computed != expected:
            raise ChecksumMismatch(expected, computed)
        payload = start + _PRELUDE.size + headers_length
        self._at = end
        return Frame(_headers(data[start + _PRELUDE.size : payload]), data[payload : end - 4])


@lru_cache(maxsize=256)
def _headers(data: bytes) -> Mapping[str, Any]:
    headers: Mapping[str, Any] = EventStreamHeaderParser().parse(data)
    return headers
