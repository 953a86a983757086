"""Letters without secrets: what people see of a request, of its metadata and of its tags."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from aws_bedrock_inference.knowledge.masking import masked

# A value that every name of a secret hides.
_PROBE = "a1" * 12


def without_secrets(value: Any) -> Any:
    """Return a request or its metadata with all secrets masked: by their form, or by the name of the member that holds
    them. Bodies that are JSON or text are read too.
    """
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, Mapping):
        return {name: "***" if _hides(name, part) else without_secrets(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(without_secrets, value)) if type(value) in (list, tuple) else value
    return _body(bytes(value)) if isinstance(value, (bytes, bytearray)) else value


def _body(content: bytes) -> bytes:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return content
    try:
        return json.dumps(without_secrets(json.loads(text)), ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return masked(text).encode()


def _hides(name: Any, part: Any) -> bool:
    return isinstance(name, str) and isinstance(part, (str, bytes)) and bool(part) and _is_secret(name)


@lru_cache(maxsize=512)
def _is_secret(name: str) -> bool:
    return masked(f"{name}: {_PROBE}") != f"{name}: {_PROBE}"
