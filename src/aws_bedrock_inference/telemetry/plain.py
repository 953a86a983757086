"""Convert any object to values that JSON can write, and an error to a text that does not quote the failed request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal
from enum import Enum
from math import isfinite
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from uuid import UUID

from aws_bedrock_inference.bounds import LONGEST_INTEGER
from aws_bedrock_inference.exceptions import BedrockError
from aws_bedrock_inference.fault import Fault
from aws_bedrock_inference.knowledge.masking import masked

if TYPE_CHECKING:
    from collections.abc import Iterator

DEEPEST = 12
LONGEST = 20_000  # characters of a text; log collectors cut lines of 256 KB, and some of 16 KB

_WRITTEN_AS_TEXT = (date, time, Decimal, UUID, PurePath, BaseException)

# The form in which botocore quotes rejected values. A value can itself contain these words, so everything up to the
# last match is removed.
_PARAMETER = re.compile(r"(, value: ).*(?=, type: <class )", re.DOTALL)


def plain(value: Any, *around: int) -> Any:
    """Return `value` in a form that JSON can write: a dictionary, a list, a text, a number, a boolean or None.

    The keys of dictionaries become texts. Objects of a few other types, such as dates, are replaced by their text. All
    other objects are replaced by the name of their type.

    `around` contains the Python ids of the containers that contain `value`. If `around` also contains the id of
    `value`, then `value` contains itself. In this case, `value` is replaced by the name of its type.
    """
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, (Mapping, list, tuple, set, frozenset)):
        return _contents(value, around)
    if isinstance(value, (str, *_WRITTEN_AS_TEXT)):
        return whole_characters(text_of(value))
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if value.bit_length() <= LONGEST_INTEGER else "<a huge integer>"
    if isinstance(value, float):
        return float(value) if isfinite(value) else str(float(value))
    return f"<{type(value).__name__}>"


def _contents(value: Any, around: tuple[int, ...]) -> Any:
    if id(value) in around or len(around) >= DEEPEST:
        return f"<{type(value).__name__}>"
    inner = (*around, id(value))
    if isinstance(value, Mapping):
        return {whole_characters(text_of(name)): plain(part, *inner) for name, part in list(value.items())}
    return [plain(part, *inner) for part in list(value)]


def whole_characters(text: str) -> str:
    """Return the text without lone surrogates, because many JSON readers refuse them.

    Only the first 20,000 characters of a longer text are returned, with a note about its length.
    """
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}… ({len(text):,} characters)"
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def text_of(value: object) -> str:
    """Return the text of an arbitrary object."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - methods of an arbitrary object may fail
        return f"<{type(value).__name__}>"


def error_text(error: object) -> str:
    """Return the text of an error with secrets masked.

    If a call through this package raised the error, the text does not quote the request. If botocore rejected a value
    of the request, `***` replaces this value in the text.
    """
    fault = getattr(error, "fault", None)
    known = isinstance(fault, Fault) and not isinstance(error, BedrockError)
    return masked(_PARAMETER.sub(r"\1***", text_of(fault if known else error)))


def chained(error: BaseException | None) -> Iterator[BaseException]:
    """Yield `error` and all other exceptions that the traceback of `error` shows."""
    waiting, seen = [error], set[int]()
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += [each.__cause__, each.__context__, *getattr(each, "exceptions", ())]
