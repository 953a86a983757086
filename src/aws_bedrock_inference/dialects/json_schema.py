"""Check a JSON text against a schema with the package `jsonschema` (extra `schema`). Without this package, check only
whether the text is JSON.
"""

from __future__ import annotations

import json
from functools import cache, lru_cache
from importlib.util import find_spec
from typing import Any

# The number of stored validators. Callers mostly use few schemas, and creating a validator costs more than using it.
_KEPT = 64


def violation(schema: str, text: str) -> str | None:
    """Return how `text` violates `schema`, without quoting the text. Return None if the text is valid.

    Some schemas cannot be used, for example because they refer to another document, which is never downloaded. For such
    a schema, the function only checks whether the text is JSON.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return "it is not well-formed JSON" if text.strip() else "it is empty"
    validator = _validator(schema)
    if validator is None:
        return None
    try:
        error = next(validator.iter_errors(value), None)
    except Exception:  # noqa: BLE001 - a reference to another document, a pattern that Python does not support
        return None
    if error is None:
        return None
    rule = "/".join(map(str, error.absolute_schema_path))
    return f"it violates the rule {rule}"


def is_usable(schema: str) -> bool:
    """Return whether answers can be checked against `schema` in this environment, with the installed packages."""
    return _validator(schema) is not None


@lru_cache(maxsize=_KEPT)
def _validator(schema: str) -> Any:
    if not is_installed():
        return None
    from jsonschema.validators import (  # type: ignore[import-untyped]  # noqa: PLC0415 - 40 ms, for those who need it
        Draft202012Validator,
        validator_for,
    )
    from referencing import Registry  # noqa: PLC0415 - as above

    try:
        parsed = json.loads(schema)
        kind = validator_for(parsed, default=Draft202012Validator)
        kind.check_schema(parsed)
        return kind(parsed, registry=Registry())  # an empty registry downloads nothing
    except Exception:  # noqa: BLE001 - the service accepts schemas that no validator accepts
        return None


@cache
def is_installed() -> bool:
    """Return whether the extra `schema` is installed. Without it, answers are only checked for valid JSON."""
    return find_spec("jsonschema") is not None
