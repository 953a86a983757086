"""Compute the key of a request, under which a cache stores the answer. Requests that the service treats as equal have
the same key. If two requests differ in anything that can change the answer, their keys differ.

The spelling of a number (1 or 1.0), the order of the members of a JSON object, and the spaces in a JSON body do not
change the key. `requestMetadata` does not change the key either, because it merely labels the request in the invocation
log. A key is a hash, so that a store does not reveal the request.
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
"""The version of the format of keys and answers. A version of this package with another format does not find these
answers.
"""

_BODY = "body"
_APART = frozenset({_BODY, "requestMetadata"})

# The first text of a blob. A blob is represented as a tuple of two texts. Members are tuples of pairs, so no other
# value equals a blob.
_BLOB = "blob"


class Content(NamedTuple):
    """The content of a request. `body` contains the bytes of the request's body, or None if it has no body. `request`
    is what the model receives: the JSON in the body, or boto3's params if there is no body.
    """

    body: bytes | None
    request: Any


def content_of(params: Mapping[str, Any]) -> Content | None:
    """Return the content of a request with boto3's `params`. Return None if the body can be read only once, as with a
    stream. If the cache read such a body, nothing would remain to send.
    """
    if _BODY not in params:
        return Content(None, params)
    try:
        body = _bytes(params[_BODY])
    except (TypeError, ValueError, OSError):
        return None
    return Content(body, _parsed(body))


def key_of(call: Call, content: Content, *, shared: bool) -> str | None:
    """Return the key of `call`. With `shared`, equal requests of all callers have the same key; otherwise each caller
    has separate keys.

    Return None if the params contain a value that cannot be compared, such as a stream that can be read only once.
    """
    route = call.route
    # If the client reads a stream to its end, the answer is the same as Converse's.
    operation = "converse" if call.collected else call.operation
    whose = () if shared else _asker(call)
    try:
        params = _canonical({name: value for name, value in call.params.items() if name not in _APART})
        body = content.body and (_blob(content.body) if content.request is None else _canonical(content.request))
        # Format 0 of `marshal` serializes each of these types in one way, in every Python release, and regardless of
        # object identity. It takes a tenth of the time of JSON. The bytes are only hashed, never read.
        serialized = dumps((FORMAT, operation, route.endpoint, route.region, whose, params, body), 0)
    except (TypeError, ValueError, OSError, RecursionError):
        return None
    return sha256(serialized).hexdigest()


def _asker(call: Call) -> tuple[str, ...]:
    """Return the account, principal and tenant of the caller. `key_of` includes them in the key if callers do not share
    answers. A caller then receives a stored answer only if it was stored for the same account, principal and tenant.
    """
    return call.route.account, call.route.principal, call.tenant


def _canonical(value: Any) -> Any:
    """Return `value` in a form that depends only on its content: texts, whole numbers, floats, lists, and objects as
    sorted tuples of their members.

    Raises `TypeError` for a value that cannot be compared, such as a stream that can be read only once.
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
    """Return the bytes of `value`, a binary parameter of a request: bytes, or a file that contains them. After reading
    a file, restore its position. Raises `TypeError` if the file cannot be read twice.
    """
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if not hasattr(value, "read") or not value.seekable():
        raise TypeError(f"the body is a {type(value).__name__} and cannot be read twice; pass bytes")
    start = value.tell()
    try:
        return _bytes(value.read())
    finally:
        value.seek(start)


def _parsed(content: bytes) -> Any:
    """Return the parsed JSON of a body. Return None if the body is not JSON. Also return None if two JSON parsers can
    read the body differently, for example because a name occurs twice.
    """
    try:
        return json.loads(content, object_pairs_hook=_members)
    except (ValueError, RecursionError):
        return None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("the JSON body contains an object in which a name occurs twice; remove one")
    return members
