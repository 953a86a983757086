"""Checks of JSON texts by a schema, where `jsonschema` is installed (extra `schema`); else only that they are JSON."""

from __future__ import annotations

import json
from functools import cache, lru_cache
from importlib.util import find_spec
from typing import Any

# Schemas come from callers, who mostly use a few: making a validator costs more than using one.
_KEPT = 64


def violation(schema: str, text: str) -> str | None:
    """Return how `text` breaks `schema`, without a word of the text; None if it does not.

    A schema that cannot be used, for example because it refers to one elsewhere, asks for JSON only: nothing is
    fetched.
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
    except Exception:  # noqa: BLE001 - a reference to elsewhere, a pattern that Python does not know
        return None
    if error is None:
        return None
    rule = "/".join(map(str, error.absolute_schema_path))
    return f"it breaks the rule {rule}"


def is_usable(schema: str) -> bool:
    """Return whether answers can be checked by `schema` here."""
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
        return kind(parsed, registry=Registry())  # an empty one fetches nothing
    except Exception:  # noqa: BLE001 - the service takes schemas that no validator takes
        return None


@cache
def is_installed() -> bool:
    """Return whether the extra `schema` is installed, without which answers are only checked to be JSON."""
    return find_spec("jsonschema") is not None
