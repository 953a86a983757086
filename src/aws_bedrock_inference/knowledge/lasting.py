"""Words that speak of something lasting: what decides on a text of AWS's in which no cause is found.

`permission denied` and `should be a string` are as true at the next attempt, whatever they are about. A word of time
beside them (`timed out`, `in progress`) leaves the text undecided. The words are data: `lasting.toml`.
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
    advice="Unknown to this version; read the message: a retry does not change what it speaks of.",
    hint=Hint(attempts=1),
)
"""The fault that such words tell."""


def lasting(text: str) -> str:
    """Return the first words of a `normal` text that speak of what a retry does not change; nothing if others speak
    of time.
    """
    stays, passes = _patterns()
    found = stays.search(text)
    return found.group().strip() if found and not passes.search(text) else ""


@cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    words = catalogue().lasting
    stays, passes = (re.compile(rf"\b(?:{'|'.join(words[kind])})(?!\w)") for kind in ("lasting", "passing"))
    return stays, passes
