"""Check quickly whether the parameters of a request are valid and consist only of JSON values and blobs.

botocore inspects the type of each shape twice for every request: to validate and to serialize it. A check of this
module inspects the type once, when the check is created. A check accepts only parameters that botocore would accept
and send unchanged. All other parameters are passed to botocore, so that errors and conversions are always those of
botocore. A test checks that this module and botocore agree.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from aws_bedrock_inference.bounds import DEEPEST, LONGEST_INTEGER, WHOLE, encodable

Check = Callable[[Any], bool]

_LARGEST = sys.float_info.max


def plain(shape: Any) -> Check:
    """Return a function that checks whether a value matches `shape` and can be written as JSON without a conversion.
    The function also accepts `bytes` for a blob. They are sent as base64.
    """
    make = _CHECKS.get(shape.type_name)
    return make(shape) if make is not None else never


class Structure:
    """Checks one structure. The checks of its members are created on first use, because a shape can contain itself."""

    def __init__(self, shape: Any) -> None:
        self._union: bool = shape.is_tagged_union
        self._required = frozenset(shape.metadata.get("required", ()))
        self._members: dict[str, Any] = shape.members
        self._checks: dict[str, Check] = {}

    def __call__(self, value: Any) -> bool:
        """Return whether `value` is a valid dictionary for this structure.

        The dictionary must contain all required members and no unknown member. The check of each member must accept the
        member's value. A union must have exactly one member.
        """
        if type(value) is not dict or (self._union and len(value) != 1) or not self._required <= value.keys():
            return False
        for name, part in value.items():
            check = self._checks.get(name) or self._meet(name)
            if not check(part):
                return False
        return True

    def _meet(self, name: str) -> Check:
        member = self._members.get(name)
        if member is None:
            return never
        renamed = member.serialization.get("name", name) != name
        check = self._checks[name] = never if renamed else plain(member)
        return check


def _structure(shape: Any) -> Check:
    return _document if shape.is_document_type else Structure(shape)


def _list(shape: Any) -> Check:
    check, least = plain(shape.member), shape.metadata.get("min", 0)
    return lambda value: type(value) in (list, tuple) and len(value) >= least and all(map(check, value))


def _map(shape: Any) -> Check:
    key, part = plain(shape.key), plain(shape.value)
    return lambda value: type(value) is dict and all(map(key, value)) and all(map(part, value.values()))


def _string(shape: Any) -> Check:
    least = shape.metadata.get("min", 0)
    if not least:
        return _text
    return lambda value: type(value) is str and len(value) >= least and (value.isascii() or encodable(value))


def _text(value: Any) -> bool:
    return type(value) is str and (value.isascii() or encodable(value))


def _integer(shape: Any) -> Check:
    least, most = shape.metadata.get("min", -_LARGEST), WHOLE[shape.type_name]
    return lambda value: type(value) is int and least <= value <= most


def _float(shape: Any) -> Check:
    least = shape.metadata.get("min", -_LARGEST)
    return lambda value: type(value) in (float, int) and least <= value <= _LARGEST


def _boolean(_: Any) -> Check:
    return lambda value: type(value) is bool


def _blob(_: Any) -> Check:
    return lambda value: type(value) in (bytes, bytearray)


def _document(value: Any) -> bool:
    # botocore omits a JSON document that is null, and preserves a null inside a document.
    return value is not None and _json(value, DEEPEST)


def _json(value: Any, levels: int) -> bool:  # noqa: PLR0911 - a case for each type, the common ones first
    kind: Any = type(value)
    if kind is str:
        return value.isascii() or encodable(value)
    if kind is dict:
        for name, part in value.items():
            if not (type(name) is str and (name.isascii() or encodable(name)) and levels and _json(part, levels - 1)):
                return False
        return True
    if kind is list:
        for part in value:  # noqa: SIM110 - all() would use twice as much of the stack
            if not (levels and _json(part, levels - 1)):
                return False
        return True
    if kind is int:
        return int.bit_length(value) <= LONGEST_INTEGER
    return value is None or kind is bool or (kind is float and -_LARGEST <= value <= _LARGEST)


def never(_: Any) -> bool:
    """Return False for every value. This is the check for each type of the service model that this module does not
    know. The result False lets botocore validate and serialize the request.
    """
    return False


_CHECKS: dict[str, Callable[[Any], Check]] = {
    "blob": _blob,
    "boolean": _boolean,
    "double": _float,
    "float": _float,
    "integer": _integer,
    "list": _list,
    "long": _integer,
    "map": _map,
    "string": _string,
    "structure": _structure,
}
