"""The key of a request: equal for requests that are equal to the service, different if anything differs that may change
the answer.

Numbers count by value, members in any order, and a JSON body by what it says. Left out is `requestMetadata` alone: it
labels the request in the invocation log. A key is a hash, so that a store learns nothing of a request.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from marshal import dumps
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Call

FORMAT = 1
"""The version of keys and answers; another one finds nothing of this."""

_BODY = "body"
_APART = frozenset({_BODY, "requestMetadata"})

# The first half of a blob. Members are tuples of pairs, which two texts are not: a blob equals nothing else.
_BLOB = "blob"


class Said(NamedTuple):
    """The content of a request: its `body`, if it has one, and what the model is asked, which is the JSON in that body
    or boto3's params.
    """

    body: bytes | None
    request: Any


def said(params: Mapping[str, Any]) -> Said | None:
    """Return what boto3's `params` say; None if that cannot be known without sending them, as of a file that can be
    read only once.
    """
    if _BODY not in params:
        return Said(None, params)
    try:
        body = _bytes(params[_BODY])
    except (TypeError, ValueError, OSError):
        return None
    return Said(body, _parsed(body))


def key_of(call: Call, said: Said, *, shared: bool) -> str | None:
    """Return the key of `call`, which is `shared` by all who ask or theirs alone; None if it holds what no request can
    say.
    """
    route = call.route
    # A stream that is collected gives what Converse gives.
    operation = "converse" if call.collected else call.operation
    whose = () if shared else _asker(call)
    try:
        params = _canonical({name: value for name, value in call.params.items() if name not in _APART})
        body = said.body and (_blob(said.body) if said.request is None else _canonical(said.request))
        # Format 0 of `marshal` writes each of these types in one way, whatever the release of Python, and without
        # regard to which objects are the same. It takes a tenth of the time of JSON, and nobody ever reads it.
        content = dumps((FORMAT, operation, route.endpoint, route.region, whose, params, body), 0)
    except (TypeError, ValueError, OSError, RecursionError):
        return None
    return sha256(content).hexdigest()


def _asker(call: Call) -> tuple[str, ...]:
    """Return for whom a call is made: an answer for one is never given to another."""
    return call.route.account, call.route.principal, call.tenant


def _canonical(value: Any) -> Any:
    """Return `value` of nothing but texts, whole numbers, floats, lists, and members as tuples in order.

    Raises `TypeError` for what no request can say.
    """
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if kind is dict:
        return tuple(sorted([(name, _canonical(member)) for name, member in value.items()]))
    if kind is list:
        return [_canonical(member) for member in value]
    if kind is float:
        return int(value) if value.is_integer() else value
    return _unusual(value)


def _unusual(value: Any) -> Any:
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return _canonical(float(value))
    if isinstance(value, Mapping):
        return _canonical(dict(value))
    if isinstance(value, (list, tuple)):
        return _canonical([*value])
    return _blob(_bytes(value))


def _blob(content: bytes) -> tuple[str, str]:
    return _BLOB, sha256(content).hexdigest()


def _bytes(value: Any) -> bytes:
    """Return the bytes of a blob; a file is put back to where it stood. Raises `TypeError`."""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if not hasattr(value, "read") or not value.seekable():
        raise TypeError(f"{type(value).__name__} cannot be read twice")
    start = value.tell()
    try:
        return _bytes(value.read())
    finally:
        value.seek(start)


def _parsed(content: bytes) -> Any:
    """Return the JSON in a body; None where there is none, or one that readers may read differently."""
    try:
        return json.loads(content, object_pairs_hook=_members)
    except (ValueError, RecursionError):
        return None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name stands twice")
    return members
