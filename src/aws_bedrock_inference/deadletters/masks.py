"""Mask the secrets in a dead letter: in the visible form of its request, in its metadata and in its tags."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.deadletters.encoding import DEEPEST
from aws_bedrock_inference.knowledge.masking import masked

if TYPE_CHECKING:
    from collections.abc import Iterator

# A test value: it is masked only if it follows the name of a secret.
_PROBE = "a1" * 12


def without_secrets(value: Any) -> Any:
    """Return a request or its metadata with all secrets masked, at every depth.

    A secret is recognized by its form, or by the name of its field. Secrets in bodies of JSON or text are also masked.
    """
    return _masked(value, 0)


def _masked(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _body(bytes(value))
    if depth > DEEPEST:  # the letter does not contain deeper parts
        return None
    if isinstance(value, Mapping):
        hidden = _names_a_secret(value.get("name", value.get("Name")))
        return {_name(name): _member(name, part, depth + 1, hidden=hidden) for name, part in value.items()}
    kind = next((each for each in (list, tuple, set, frozenset) if isinstance(value, each)), None)
    return value if kind is None else kind(_parts(value, depth + 1))


def _parts(value: Any, depth: int) -> Iterator[Any]:
    hidden = isinstance(value, tuple) and len(value) == 2 and _names_a_secret(value[0])  # noqa: PLR2004 - a name, a value
    for number, part in enumerate(value):
        yield _hidden(part) if hidden and number else _masked(part, depth)


def _name(name: Any) -> Any:
    return masked(name) if isinstance(name, str) else name


def _member(name: Any, part: Any, depth: int, *, hidden: bool) -> Any:
    """Return the value of a field with its secrets masked.

    The complete value is masked if the name of the field means a secret, such as `password`. The same is true for the
    value in a pair such as `{"Name": "password", "Value": "..."}`.
    """
    if _names_a_secret(name) or (hidden and name in ("value", "Value")):
        return _hidden(part)
    return _masked(part, depth)


def _hidden(part: Any) -> Any:
    return "***" if part and not isinstance(part, bool) else part


def _names_a_secret(name: Any) -> bool:
    return isinstance(name, str) and _is_secret(name)


def _body(content: bytes) -> bytes:
    try:
        text = content.decode()
    except UnicodeDecodeError:  # an image, or a text in an encoding in which each byte is a character
        return content if b"\0" in content else masked(content.decode("latin-1")).encode("latin-1")
    try:
        return json.dumps(without_secrets(json.loads(text)), ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return masked(text).encode()


@lru_cache(maxsize=512)
def _is_secret(name: str) -> bool:
    return masked(f"{name}: {_PROBE}") != f"{name}: {_PROBE}"
