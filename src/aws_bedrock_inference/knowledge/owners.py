"""Whose error a text is. Other programs write `Connection refused` and `rate limit exceeded` as AWS's do, so a text is
taken for AWS's only where something in it shows that.

An exception, an answer or a service that the caller names needs no such proof; only texts do. The marks are data:
`owners.toml`.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from aws_bedrock_inference.knowledge.catalogue import ANY, catalogue

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aws_bedrock_inference.knowledge.catalogue import Entry
    from aws_bedrock_inference.knowledge.evidence import Evidence

AWS = "AWS"
NOBODY = ""


def owner(seen: Evidence, entry: Entry | None, words: str) -> str:
    """Return `AWS`, the name of another program or service, or nothing where the text does not tell.

    `seen` is completed evidence, `entry` what was found in it, by `words`. What only AWS writes decides first, then
    what a program writes of itself, then who is spoken of: AWS before others, since a client of OpenAI's may call it.
    """
    assert seen.words is not None  # noqa: S101 - completed evidence has them
    text = f" {seen.words.lower} "
    marks = catalogue().owners
    if seen.certain or _own_code(seen) or _own_words(entry, words) or _any(marks["aws"]["proofs"], text):
        return AWS
    program = _first(marks["programs"], text)
    if program:
        return program
    return AWS if _any(marks["aws"]["hints"], text) else _first(marks["clients"], text)


def _own_code(seen: Evidence) -> bool:
    return not _own_codes().isdisjoint(seen.codes)


def _own_words(entry: Entry | None, words: str) -> bool:
    """Return whether the words that decided are a service's own sentence, which no model's maker writes, too."""
    if entry is None or entry.service == ANY or words in entry.codes:
        return False
    known = catalogue()
    return any(
        rule.rank >= 0
        and not rule.coded
        and words in (*rule.contains, *rule.all)
        and known.causes[rule.template.cause].group not in known.owners["aws"]["shared_groups"]
        for rule in entry.signatures
    )


@cache
def _own_codes() -> frozenset[str]:
    """Return the codes that one service of AWS has and no other program."""
    known = catalogue()
    own = {code for entry in known.entries if entry.service != ANY for code in entry.own_codes}
    return frozenset(own.difference(known.owners["aws"]["shared_codes"]))


def _first(owners: dict[str, list[str]], text: str) -> str:
    return next((name for name, marks in owners.items() if _any(marks, text)), NOBODY)


def _any(marks: Iterable[str], text: str) -> bool:
    return any(mark in text for mark in marks)
