"""Read JSON as strictly as AWS does. Python's `json` also accepts values that standard JSON does not allow, such as
NaN.
"""

from __future__ import annotations

import json
from math import isinf
from typing import Any, NoReturn

DEEPEST = 200
"""The maximum nesting depth of JSON. Functions that recurse through the result need the rest of the stack."""


def loads(text: bytes) -> Any:
    """Return the value of a JSON text. Raises `ValueError` also for NaN, numbers out of range, lone surrogates, and
    JSON that is nested more than `DEEPEST` levels deep.
    """
    try:
        found = _DECODER.decode(text.decode())
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if text.count(b"[") + text.count(b"{") > DEEPEST and _is_deep(found):
        raise ValueError("nested too deeply")
    if b"\\u" in text:
        json.dumps(found, ensure_ascii=False).encode()  # fails for a lone surrogate, with a ValueError
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    if isinf(number := float(text)):
        raise ValueError("a number is too large")
    return number


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        within = [item.values() if isinstance(item, dict) else item for item in level if isinstance(item, (dict, list))]
        level = [item for items in within for item in items]
    return bool(level)


_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)
