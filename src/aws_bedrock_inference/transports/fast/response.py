"""Read a JSON answer according to its shape in the service model. The result equals botocore's result, at a third of
the cost.

botocore visits every member in the model and inspects the shape of each member every time. A reader of this module
visits only the members in the answer, and inspects each shape once. A test checks that both results are equal for
every answer that botocore can read.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from botocore.parsers import DEFAULT_TIMESTAMP_PARSER
from botocore.utils import ensure_boolean

if TYPE_CHECKING:
    from botocore.model import Shape

Reader = Callable[[Any], Any]

_NUMBERS: dict[str, Reader] = {
    "boolean": ensure_boolean,
    "double": float,
    "float": float,
    "integer": int,
    "long": int,
}
_OTHERS: dict[str, Reader] = {"blob": b64decode, "timestamp": DEFAULT_TIMESTAMP_PARSER}

# Members other than the content. If one of them cannot be read, the answer is still useful.
_BESIDE = frozenset({"metrics", "performanceConfig", "serviceTier", "trace", "usage"})


class Structure:
    """Reads one structure. The readers of its members are created on first use, because a shape can contain itself.

    As in botocore, members that are null or not in the model are omitted. For an unknown member of a tagged union, the
    result contains the member's name in `SDK_UNKNOWN_MEMBER`. Raises an exception for data that botocore cannot read.
    For example, raises `ValueError` for a union with no member or with two members.

    With `numbers`, a number or boolean is converted to the type in the service model. For example, `5.0` becomes 5 if
    the model declares an integer. As in botocore, this is done for answers, but not for the events of a stream.
    """

    def __init__(self, shape: Any, *, numbers: bool = True) -> None:
        self._shape = shape
        self._numbers = numbers
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
                result["SDK_UNKNOWN_MEMBER"] = {"name": next(iter(value))}  # as botocore names it
        if self._union and len(result) != 1:
            raise ValueError(f"the answer from AWS is malformed: it must set exactly one member of {self._shape.name}")
        return result

    @cached_property
    def lenient(self) -> Structure:
        """A reader of the same structure that also reads malformed answers, which botocore cannot read."""
        return _Lenient(self._shape, numbers=self._numbers)

    def _meet(self, key: str) -> tuple[str, Reader | None] | None:
        if key not in self._members:
            return None
        name, member = self._members[key]
        known = self._readers[key] = (name, self._reader(member))
        return known

    def _reader(self, shape: Any) -> Reader | None:
        """Return the function that converts JSON of `shape` into boto3's form. Return None if the two forms are the
        same.
        """
        kind = shape.type_name
        if kind == "structure":
            return None if shape.is_document_type else type(self)(shape, numbers=self._numbers)
        if kind == "list":
            return _list(self._reader(shape.member))
        if kind == "map":
            return _map(self._reader(shape.value))
        return _OTHERS.get(kind) or (_NUMBERS.get(kind) if self._numbers else None)


class _Lenient(Structure):
    """Reads malformed answers, which botocore cannot read.

    If a member is unreadable, but the answer is useful without it, the member is omitted. This applies to numbers,
    dates, and members such as `usage` and `trace`. For any other unreadable member, an exception is raised. A union
    whose only member is omitted becomes an empty dictionary.
    """

    def __call__(self, value: dict[str, Any]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, part in value.items():
            try:
                result |= super().__call__({key: part})
            except Exception:
                if not self._may_miss(key, part):
                    raise
        if self._union and len(result) > 1:
            raise ValueError(f"the answer from AWS is malformed: it must set exactly one member of {self._shape.name}")
        return result

    def _may_miss(self, key: str, part: Any) -> bool:
        """Return whether an answer is still useful without its member `key`, whose value `part` cannot be read."""
        if part is None or key == "__type" or key in _BESIDE:
            return True
        _, member = self._members[key]
        return member.type_name in _NUMBERS or member.type_name == "timestamp"


def _list(read: Reader | None) -> Reader:
    if read is None:
        return list
    return lambda value: [None if part is None else read(part) for part in value]


def _map(read: Reader | None) -> Reader:
    if read is None:
        return lambda value: dict(value.items())
    return lambda value: {key: None if part is None else read(part) for key, part in value.items()}
