"""Convert an answer to the bytes that a store contains, and convert these bytes back to an answer. The bytes contain
JSON. Each reader receives a separate copy of the answer, so a change to one copy does not affect other readers.

An answer consists of items. The first item is boto3's response. If the answer is a stream, each event of the stream is
a further item.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST = 1_000_000
"""The maximum size of a stored answer in bytes. It is a hundred times the size of most answers."""

# JSON cannot contain bytes, so bytes are stored as an object with this one member. The first byte of a stored answer
# shows whether the answer contains bytes.
_BYTES = "$bytes"
_MARK = f'{{"{_BYTES}": "'
_WITH, _WITHOUT = b"1", b"0"


class Recording:
    """Records an answer while the caller receives it, so that a cache can store it. An answer consists of items:
    boto3's response and, for a stream, each event. Each item is converted to JSON before the caller receives the item,
    because the caller can change it.

    `whole` becomes False if an item cannot be converted; such an answer is not stored. For InvokeModel, `body` contains
    the bytes of the response's body; for other operations it is None.
    """

    def __init__(self) -> None:
        self.whole = True
        self.body: bytes | None = None
        self._items: list[str] = []
        self._blobs = 0
        self._encode = json.JSONEncoder(default=self._blob).encode

    def add(self, item: Mapping[str, Any]) -> None:
        """Add the next item of the answer: boto3's response, or one event of its stream."""
        before = self._blobs
        try:
            text = self._encode(item)
        except (TypeError, ValueError, RecursionError):
            self.whole = False
            return
        if self._blobs != before and text.count(_MARK) != self._blobs - before:
            self.whole = False  # the answer contains a text that looks like serialized bytes
        self._items.append(text)

    def add_response(self, response: dict[str, Any]) -> None:
        """Add a response. A body of an InvokeModel response can be read only once. This method reads the body, and
        writes a copy of the body into `response` for the caller.
        """
        body: Any = response.get("body")
        if hasattr(body, "read"):
            self.body = body.read()
            self.add({**response, "body": self.body})
            response["body"] = _streaming(self.body)
        else:
            self.add(response)

    def answer(self, key: str, at: float) -> Answer | None:
        """Return the answer to the request with this key, or None if the answer is not complete. `at` is the time on
        the store's clock when the answer was received.
        """
        if not self.whole or not self._items:
            return None
        text = f'{{"key": "{key}", "at": {at!r}, "items": [{", ".join(self._items)}]}}'
        return Answer((_WITH if self._blobs else _WITHOUT) + text.encode(), at)

    def _blob(self, value: Any) -> dict[str, str]:
        if not isinstance(value, (bytes, bytearray)):
            raise TypeError(f"the cache cannot store a {type(value).__name__}; it stores only JSON values and bytes")
        self._blobs += 1
        return {_BYTES: b64encode(value).decode()}


class Answer:
    """A stored answer. `content` contains its bytes. `at` is the time when the answer was received, on the clock of the
    store.
    """

    __slots__ = ("_read", "at", "content")

    def __init__(self, content: bytes, at: float, read: list[Any] | None = None) -> None:
        self.content = content
        self.at = at
        self._read = [] if read is None else [read]

    def items(self) -> list[Any]:
        """Return the items of the answer as a new copy. The first item is boto3's response. For a stream, each event is
        a further item.
        """
        try:
            return self._read.pop()  # the copy that `read_answer` parsed
        except IndexError:
            items: list[Any] = _loaded(self.content)["items"]
            return items


def read_answer(content: bytes, key: str) -> Answer | None:
    """Return the answer in the bytes `content`. Return None if they are not an answer, or contain another key."""
    try:
        loaded = _loaded(content)
        at, items = loaded["at"], loaded["items"]
        sound = loaded["key"] == key and type(at) is float and items and all(type(item) is dict for item in items)
    except (ValueError, TypeError, LookupError, RecursionError):
        return None
    return Answer(content, at, items) if sound else None


def response_of(item: dict[str, Any]) -> dict[str, Any]:
    """Return the stored response `item` in the form that boto3's callers expect: bytes in `body` become a readable
    object.
    """
    body = item.get("body")
    if isinstance(body, bytes):
        item["body"] = _streaming(body)
    return item


def _bytes(members: dict[str, Any]) -> Any:
    return b64decode(members[_BYTES]) if members.keys() == {_BYTES} else members


_load = json.JSONDecoder().decode
_load_with_bytes = json.JSONDecoder(object_hook=_bytes).decode


def _loaded(content: bytes) -> Any:
    return (_load_with_bytes if content[:1] == _WITH else _load)(content[1:].decode())


def _streaming(content: bytes) -> Any:
    from botocore.response import StreamingBody  # noqa: PLC0415 - heavy, and only bodies of InvokeModel need it

    return StreamingBody(BytesIO(content), len(content))
