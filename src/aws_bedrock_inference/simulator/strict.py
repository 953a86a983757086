"""Read JSON as strictly as AWS does. Python's `json` also accepts values that standard JSON does not allow, such as
NaN.
"""

from __future__ import annotations

import json
from math import isinf
from typing import Any, NoReturn

DEEPEST = 200
"""The maximum nesting depth of JSON. Functions that recurse through the result need the rest of the stack."""
_TOO_DEEP = f"the JSON is nested more than {DEEPEST} levels deep; remove levels"


def loads(text: bytes) -> Any:
    """Return the value of a JSON text. Raises `ValueError` also for NaN, numbers out of range, lone surrogates, and
    JSON that is nested more than `DEEPEST` levels deep.
    """
    try:
        found = _DECODER.decode(text.decode())
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    if text.count(b"[") + text.count(b"{") > DEEPEST and _is_deep(found):
        raise ValueError(_TOO_DEEP)
    if b"\\u" in text:
        json.dumps(found, ensure_ascii=False).encode()  # fails for a lone surrogate, with a ValueError
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"the JSON contains {constant}, but JSON has no such number; write a finite number or null")


def _finite(text: str) -> float:
    if isinf(number := float(text)):
        raise ValueError(f"the number {text:.40} in the JSON is too large; write a number up to 1.7e308")
    return number


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        within = [item.values() if isinstance(item, dict) else item for item in level if isinstance(item, (dict, list))]
        level = [item for items in within for item in items]
    return bool(level)


_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)
