"""Check numbers and texts that come from the program or from AWS, and write them into error messages safely."""

from __future__ import annotations

from difflib import get_close_matches
from hashlib import sha256
from math import inf, isnan
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

# The largest values of the integer types in AWS's API models, by botocore's names of these types.
WHOLE = {"integer": 2**31 - 1, "long": 2**63 - 1}

# Limits for a JSON document. Writing nested JSON uses Python's call stack, so the depth is limited far below Python's
# recursion limit of 1,000. Python can refuse to write integers with 640 digits or more, so the length of integers is
# limited.
DEEPEST = 200
LONGEST_INTEGER = 2048  # bits

# The maximum number of characters that a message shows of a number or of a name.
_SHOWN = 40
_NAME = 24


def is_number(
    value: Any,
    *,
    above: float = -inf,
    least: float = -inf,
    most: float = inf,
    whole: bool = False,
    infinite: bool = False,
) -> bool:
    """Return True if `value` is a number within the given limits; otherwise return False. The number must be greater
    than `above`, at least `least` and at most `most`. A bool or NaN is not accepted, and infinity is accepted only if
    `infinite` is True.

    If `whole` is True, the number must be an int or an equivalent type such as NumPy's integers; 5.0 is not accepted.
    """
    if isinstance(value, bool) or not isinstance(value, Integral if whole else Real):
        return False
    try:
        number = float(value)
    except (OverflowError, ValueError):
        return False
    return not isnan(number) and (infinite or abs(number) < inf) and number > above and least <= number <= most


def shown(value: Any) -> str:
    """Return the text that an error message shows for a value. A number, a bool or None is shown unchanged, except that
    a very long number is truncated. For any other value, only its type is shown, because a text that was passed by
    mistake can be a prompt or a secret.
    """
    if value is None or isinstance(value, bool):
        return repr(value)
    if not isinstance(value, Real):
        return f"<{type(value).__name__}>"
    try:
        text = repr(value)
    except ValueError:  # Python refuses to write integers of thousands of digits
        return "<a huge integer>"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def shown_name(value: Any, known: Iterable[str]) -> str:
    """Return the text that an error message shows for a name that is not in `known`. If the name looks like a
    misspelling of a known name, show the name itself. Otherwise show only its type, because a short text that was
    passed by mistake can be a password.
    """
    misspelt = isinstance(value, str) and len(value) <= _NAME and get_close_matches(value.lower(), known, 1)
    return repr(value) if misspelt else shown(value)


def hashed(text: str) -> str:
    """Return a hash of `text`. It distinguishes the text from other texts without revealing it."""
    return sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


def encodable(text: str) -> bool:
    """Return True if `text` can be encoded as UTF-8. Return False if it contains a lone surrogate, which is half of a
    character.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
