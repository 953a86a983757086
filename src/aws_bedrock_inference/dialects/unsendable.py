"""Find the parts of a request that cannot be sent. Error messages name where such a part is in the request, and never
contain its value.

botocore's validator checks types, but it accepts values that cannot be sent as JSON, UTF-8 or HTTP: lone surrogates,
NaN, cycles, and numbers of 400 digits. AWS refuses some of these values, and others cause an error in the middle of a
call.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from itertools import islice
from math import isfinite
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.bounds import DEEPEST, LONGEST_INTEGER, WHOLE, encodable

if TYPE_CHECKING:
    from collections.abc import Iterator

SURROGATE = (
    "has half a character (a lone surrogate), which UTF-8 cannot encode; read the text as UTF-8, or replace it: "
    "text.encode('utf-8', 'replace').decode()"
)
_MOST = 3
# The types that a document (JSON without a fixed form) accepts. For a value of another type, such as Decimal,
# botocore's validator names only the last key.
_JSON = (str, int, float, list, dict, type(None))


def unsendable(params: Any, shape: Any = None) -> str | None:
    """Return a text that describes the first parts of `params` that cannot be sent (at most three). The text states
    where in `params` each part is. Return None if all of `params` can be sent.

    `shape` is botocore's shape of `params`, or None if `params` are JSON of any form. This function checks the values
    of all numbers, texts and keys, but not the types. botocore's validator checks the types.
    """
    if isinstance(params, dict) and all(map(_plain, params.values())):
        return None
    return "; ".join(islice(_inside(params, shape, "", DEEPEST), _MOST)) or None


def _plain(value: Any) -> bool:
    """Return whether a value consists of bytes or printable ASCII, which can always be sent."""
    kind = type(value)
    return kind is bytes or (kind is str and value.isascii() and value.isprintable())


def says_json(params: Mapping[str, Any]) -> bool:
    """Return whether InvokeModel's `params` declare their body as JSON. JSON is also the default."""
    return "contentType" not in params or "json" in str(params["contentType"]).lower()


def not_utf8(params: Mapping[str, Any]) -> str | None:
    """Check whether a JSON body in InvokeModel's `params` is UTF-8, because JSON must be UTF-8.

    Return an error text with the position of the first wrong byte. Return None if the body is UTF-8, or is not JSON.
    """
    body = params.get("body")
    if isinstance(body, (bytes, bytearray)) and says_json(params):
        try:
            body.decode()
        except UnicodeDecodeError as error:
            return f"body is not UTF-8 (byte {error.start}), but JSON must be UTF-8. Encode the body as UTF-8"
    return None


def _inside(value: Any, shape: Any, where: str, levels: int) -> Iterator[str]:
    if getattr(shape, "is_document_type", False) and not isinstance(value, _JSON):
        yield f"{where} must be a value that JSON can represent, not {type(value).__name__}"
    elif isinstance(value, str):
        yield from _text(value, shape, where)
    elif isinstance(value, (int, float, Decimal)):
        yield from _number(value, shape, where)
    elif not isinstance(value, (Mapping, list, tuple)):
        return
    elif levels < 0:
        yield f"{where.partition('.')[0]} is nested more than {DEEPEST} levels deep, or contains itself"
    elif isinstance(value, Mapping):
        for name, part in value.items():
            yield from _key(name, where)
            yield from _inside(part, _shape_of(shape, name), _member(where, name), levels - 1)
    else:
        inner = getattr(shape, "member", _shape_of(shape, None))
        for index, part in enumerate(value):
            yield from _inside(part, inner, f"{where}[{index}]", levels - 1)


def _shape_of(shape: Any, name: Any) -> Any:
    """Return the shape of a member, that is, botocore's description of the member's type. `shape` is the shape of the
    structure or map that contains the member. `name` is the member's name.

    If `shape` is a document (JSON without a fixed form), return `shape` itself. Return None if botocore's validator
    will refuse the member, for example because the service model does not contain it.
    """
    if getattr(shape, "is_document_type", False):
        return shape
    kind = getattr(shape, "type_name", "")
    if kind == "structure" and isinstance(name, str):
        return shape.members.get(name)
    return shape.value if kind == "map" else None


def _text(value: str, shape: Any, where: str) -> Iterator[str]:
    if not encodable(value):
        yield f"{where or 'the text'} {SURROGATE}"
    elif getattr(shape, "serialization", {}).get("location") == "header" and not (
        value.isascii() and value.isprintable()
    ):
        yield f"{where} must be printable ASCII without line breaks, since it is sent as an HTTP header"


def _number(value: float | Decimal, shape: Any, where: str) -> Iterator[str]:
    kind = getattr(shape, "type_name", "")
    if kind in WHOLE and isinstance(value, int):
        if isinstance(value, bool):
            yield f"{where} must be int, not bool"
        elif abs(value) > WHOLE[kind]:
            yield f"{where} must be at most {WHOLE[kind]}"
    elif isinstance(value, int):
        if value.bit_length() > LONGEST_INTEGER:
            yield f"{where} is an integer of more than {LONGEST_INTEGER} bits; pass a smaller integer or a string"
    elif not isfinite(value):
        yield f"{where} is {value}, which JSON cannot represent; pass a finite number"


def _key(name: Any, where: str) -> Iterator[str]:
    if isinstance(name, str):
        if not encodable(name):
            yield f"a key in {where or 'the request'} {SURROGATE}"
    elif name is not None and not isinstance(name, (int, float)):
        yield f"{where or 'the request'} has a key of type {type(name).__name__}; keys must be strings"


def _member(where: str, name: Any) -> str:
    shown = name if isinstance(name, str) and encodable(name) else f"<{type(name).__name__}>"
    return f"{where}.{shown}" if where else str(shown)
