"""Write the frames of an event stream as the service does: a prelude, headers, a payload, and two checksums (CRCs).

Format: https://smithy.io/2.0/aws/amazon-eventstream.html
"""

from __future__ import annotations

import string
import struct
from binascii import crc32
from functools import lru_cache

_PADDING = string.ascii_letters.encode() + string.digits.encode()
_STRING = 7  # the header value type of a string with a two-byte length


def padded(payload: bytes) -> bytes:
    """Add a member `p` of varying length to a JSON object. The service adds it so that the size of a frame does not
    reveal the length of the text.
    """
    length = crc32(payload) % len(_PADDING)
    return b'%b%b"p":"%b"}' % (payload[:-1], b"," if len(payload) > len(b"{}") else b"", _PADDING[: length + 1])


def event(name: str, payload: bytes) -> bytes:
    """Return the frame of a normal event with a JSON payload."""
    return _frame(_headers(":event-type", name, "event"), payload)


def exception(name: str, payload: bytes) -> bytes:
    """Return the frame of an exception. `name` can be an exception that the service model does not contain."""
    return _frame(_headers(":exception-type", name, "exception"), payload)


def _frame(headers: bytes, payload: bytes) -> bytes:
    prelude = struct.pack("!II", 16 + len(headers) + len(payload), len(headers))
    message = b"".join((prelude, struct.pack("!I", crc32(prelude)), headers, payload))
    return message + struct.pack("!I", crc32(message))


@lru_cache(maxsize=256)
def _headers(kind: str, name: str, message_type: str) -> bytes:
    headers = {kind: name, ":content-type": "application/json", ":message-type": message_type}
    return b"".join(
        struct.pack(f"!B{len(key)}sBH{len(value)}s", len(key), key.encode(), _STRING, len(value), value.encode())
        for key, value in headers.items()
    )
