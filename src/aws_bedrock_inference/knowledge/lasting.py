"""Find words about lasting problems in a text from AWS whose cause is unknown. If there are such words, the call is not
retried.

For example, `permission denied` and `should be a string` describe problems that a retry does not change. A text can
also contain words about a temporary state, such as `timed out` or `in progress`. The words about lasting problems are
then ignored, because the problem may be temporary. All words are data in `lasting.toml`.
"""

from __future__ import annotations

import re
from functools import cache

from aws_bedrock_inference.fault import Category, Decision, Fault, Hint, Kind
from aws_bedrock_inference.knowledge.catalogue import catalogue

LASTS = Fault(
    code="",
    message="",
    kind=Kind.INVALID,
    decision=Decision.FAIL,
    category=Category.PERMANENT,
    advice="Read the message: it describes a problem that a retry does not change. The error is unknown.",
    hint=Hint(attempts=1),
)
"""The fault of an error whose text describes a lasting problem."""


def lasting(text: str) -> str:
    """Return the first words in `text` that describe a lasting problem, such as `permission denied`.

    The result is empty if the text contains no such words, or also contains words about a temporary state. `text` must
    be normal (lower case, single spaces).
    """
    stays, passes = _patterns()
    found = stays.search(text)
    return found.group().strip() if found and not passes.search(text) else ""


@cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    words = catalogue().lasting
    stays, passes = (re.compile(rf"\b(?:{'|'.join(words[kind])})(?!\w)") for kind in ("lasting", "passing"))
    return stays, passes
