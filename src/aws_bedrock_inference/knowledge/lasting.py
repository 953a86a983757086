"""Words about lasting problems, which decide for a text from AWS without a known cause.

`permission denied` and `should be a string` are also true at the next attempt, whatever they are about. A word about
time in the same text (`timed out`, `in progress`) leaves the decision open. The words are data: `lasting.toml`.
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
"""The fault that such words show."""


def lasting(text: str) -> str:
    """Return the first words of a `normal` text about a problem that a retry does not change; empty if other words are
    about time.
    """
    stays, passes = _patterns()
    found = stays.search(text)
    return found.group().strip() if found and not passes.search(text) else ""


@cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    words = catalogue().lasting
    stays, passes = (re.compile(rf"\b(?:{'|'.join(words[kind])})(?!\w)") for kind in ("lasting", "passing"))
    return stays, passes
