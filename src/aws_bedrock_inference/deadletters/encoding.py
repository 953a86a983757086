"""Encode requests and answers as JSON, so that decoding returns equal values. Bytes, all floats, tuples and dates are
supported.

A value of a type that JSON lacks becomes an object with one field, such as `{"$bytes": "..."}`. The name of the field
starts with `$`. A caller's own dictionary can have the same form. Such a dictionary is stored inside
`{"$object": ...}`, so that decoding does not change it. Some values cannot be restored, such as a file that can be
read only once. Only the name of their type is stored.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from math import isfinite
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.bounds import LONGEST_INTEGER

if TYPE_CHECKING:
    from collections.abc import Callable

_LOST = "$lost"
# The maximum nesting depth of a stored request. boto3 refuses requests of this depth.
DEEPEST = 200


def encoded(value: Any) -> Any:
    """Return `value` converted to types that JSON supports."""
    return _encoded(value, 0)


def decoded(value: Any) -> Any:
    """Return the value that was passed to `encoded`. A part that could not be stored is a `Lost`."""
    if isinstance(value, list):
        return [decoded(part) for part in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((name, inner),) = value.items()
        read = _READERS.get(name)
        if read is not None:
            return read(inner)
    return {name: decoded(part) for name, part in value.items()}


class Lost:
    """A part of a request that could not be stored. `kind` is the name of its type."""

    __slots__ = ("kind",)

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lost) and other.kind == self.kind

    def __hash__(self) -> int:
        return hash(self.kind)

    def __repr__(self) -> str:
        return f"<{self.kind}, not stored>"


def lost_in(value: Any) -> str:
    """Find the first part of the decoded `value` that could not be stored, and return the name of its type. Return an
    empty text if all parts were stored.
    """
    if isinstance(value, Lost):
        return value.kind
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple, set)) else ()
    return next(filter(None, map(lost_in, parts)), "")


def _encoded(value: Any, depth: int) -> Any:  # noqa: PLR0911 - one line per type
    if value is None or type(value) in (bool, str):
        return value
    if depth > DEEPEST:
        return {_LOST: type(value).__name__}
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, (int, float)):
        return _number(value)
    if isinstance(value, Mapping):
        return _object(value, depth + 1)
    if isinstance(value, list):
        return [_encoded(part, depth + 1) for part in value]
    if isinstance(value, (tuple, set, frozenset)):
        name = "$tuple" if isinstance(value, tuple) else "$set"
        return {name: [_encoded(part, depth + 1) for part in value]}
    return _other(value)


def _number(value: float) -> Any:
    if isinstance(value, int):
        whole = int(value)
        return whole if whole.bit_length() <= LONGEST_INTEGER else {"$integer": hex(whole)}
    number = float(value)
    return number if isfinite(number) else {"$float": repr(number)}


def _object(value: Mapping[Any, Any], depth: int) -> Any:
    if not all(isinstance(name, str) for name in value):
        return {"$pairs": [[_encoded(name, depth), _encoded(part, depth)] for name, part in value.items()]}
    members = {str.__str__(name): _encoded(part, depth) for name, part in value.items()}
    return {"$object": members} if len(members) == 1 and next(iter(members)).startswith("$") else members


def _other(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"$bytes": b64encode(bytes(value)).decode()}
    if isinstance(value, Decimal):
        return {"$decimal": str(value)}
    if isinstance(value, (date, datetime)):
        return {f"${type(value).__name__}" if type(value) in (date, datetime) else "$datetime": value.isoformat()}
    content = _content_of(value)
    return {_LOST: type(value).__name__} if content is None else {"$bytes": b64encode(content).decode()}


def _content_of(file: Any) -> bytes | None:
    """Return all bytes of a file, and restore the position of the file. Return None if `file` can be read only once or
    is not a file.
    """
    try:
        place = file.tell()
        file.seek(0)
        content = file.read()
        file.seek(place)
    except Exception:  # noqa: BLE001 - any error shows that the value is not a file that can be read again
        return None
    return content.encode() if isinstance(content, str) else content if isinstance(content, bytes) else None


_READERS: dict[str, Callable[[Any], Any]] = {
    "$bytes": b64decode,
    "$tuple": lambda parts: tuple(map(decoded, parts)),
    "$set": lambda parts: set(map(decoded, parts)),
    "$integer": lambda text: int(text, 16),
    "$float": float,
    "$decimal": Decimal,
    "$date": date.fromisoformat,
    "$datetime": datetime.fromisoformat,
    "$pairs": lambda pairs: {decoded(name): decoded(part) for name, part in pairs},
    "$object": lambda members: {name: decoded(part) for name, part in members.items()},
    _LOST: Lost,
}
