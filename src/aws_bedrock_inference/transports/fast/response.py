"""Reading a JSON answer by its shape in the service model: botocore's result, at a third of its cost.

botocore walks every member that the model knows and asks the shape anew what it is; a reader walks what has come and
has asked before. A test holds the two equal.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from botocore.parsers import DEFAULT_TIMESTAMP_PARSER
from botocore.utils import ensure_boolean

if TYPE_CHECKING:
    from botocore.model import Shape

Reader = Callable[[Any], Any]

_SCALARS: dict[str, Reader] = {
    "blob": b64decode,
    "boolean": ensure_boolean,
    "double": float,
    "float": float,
    "integer": int,
    "long": int,
    "timestamp": DEFAULT_TIMESTAMP_PARSER,
}


def reader(shape: Any) -> Reader | None:
    """Return what turns JSON of `shape` into boto3's form; None when the two are the same."""
    if shape.type_name == "structure":
        return None if shape.is_document_type else Structure(shape)
    if shape.type_name == "list":
        return _list(reader(shape.member))
    if shape.type_name == "map":
        return _map(reader(shape.value))
    return _SCALARS.get(shape.type_name)


class Structure:
    """Reads one structure. Its members' readers are made when first met, for shapes may contain themselves.

    As in botocore, members that are null or that the model does not know are left out, and an unknown member of a
    tagged union is told by its name. Raises `ValueError` for a union with more than one member, or none.
    """

    def __init__(self, shape: Any) -> None:
        self._union: bool = shape.is_tagged_union
        self._members: dict[str, tuple[str, Shape]] = {
            member.serialization.get("name", name): (name, member) for name, member in shape.members.items()
        }
        self._readers: dict[str, tuple[str, Reader | None]] = {}

    def __call__(self, value: dict[str, Any]) -> dict[str, Any]:
        """Return boto3's form of `value`."""
        result = {}
        for key, part in value.items():
            if part is None:
                continue
            known = self._readers.get(key) or self._meet(key)
            if known is not None:
                name, read = known
                result[name] = part if read is None else read(part)
            elif self._union and key != "__type":
                result["SDK_UNKNOWN_MEMBER"] = {"name": key}
        if self._union and len(result) != 1:
            raise ValueError("a union must have one member")
        return result

    def _meet(self, key: str) -> tuple[str, Reader | None] | None:
        if key not in self._members:
            return None
        name, member = self._members[key]
        known = self._readers[key] = (name, reader(member))
        return known


def _list(read: Reader | None) -> Reader | None:
    if read is None:
        return None
    return lambda value: [None if part is None else read(part) for part in value]


def _map(read: Reader | None) -> Reader | None:
    if read is None:
        return None
    return lambda value: {key: None if part is None else read(part) for key, part in value.items()}
