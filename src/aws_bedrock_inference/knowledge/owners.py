"""Whose error a text is. Other programs write `Connection refused` and `rate limit exceeded` as AWS's do, so a text is
taken for AWS's only where something in it shows that.

An exception, an answer or a service that the caller names needs no such proof; only texts do. The marks are data:
`owners.toml`.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from aws_bedrock_inference.knowledge.catalogue import ANY, catalogue
from aws_bedrock_inference.knowledge.words import Parts

if TYPE_CHECKING:
    from aws_bedrock_inference.knowledge.entries import Entry
    from aws_bedrock_inference.knowledge.evidence import Evidence

AWS = "AWS"
NOBODY = ""


def owner(seen: Evidence, entry: Entry | None, words: str) -> str:
    """Return `AWS`, the name of another program or service, or nothing where the text does not tell.

    `seen` is completed evidence, `entry` what was found in it, by `words`. What only AWS writes decides first, then
    what a program writes of itself, then who is spoken of: AWS before others, since a client of OpenAI's may call it.
    """
    assert seen.words is not None  # noqa: S101 - completed evidence has them
    if seen.certain or not _own_codes().isdisjoint(seen.codes) or _own_words(entry, words):
        return AWS
    names, marks = _marks()
    found = marks.within(f" {seen.words.lower} ", seen.words.there)
    return next((names[number] for number in found), NOBODY)


def _own_words(entry: Entry | None, words: str) -> bool:
    """Return whether the words that decided are a service's own sentence, which no model's maker writes, too."""
    if entry is None or entry.service == ANY or words in entry.codes:
        return False
    known = catalogue()
    return any(
        rule.rank >= 0
        and not rule.coded
        and words in (*rule.contains, *rule.all)
        and rule.cause.group not in known.owners["aws"]["shared_groups"]
        for rule in entry.signatures
    )


@cache
def _own_codes() -> frozenset[str]:
    """Return the codes that one service of AWS has and no other program."""
    known = catalogue()
    own = {code for entry in known.entries if entry.service != ANY for code in entry.own_codes}
    return frozenset(own.difference(known.owners["aws"]["shared_codes"]))


@cache
def _marks() -> tuple[list[str], Parts]:
    """Return whose each mark is, and the marks; the first that a text has decides."""
    marks = catalogue().owners
    kinds: tuple[dict[str, list[str]], ...] = (
        {AWS: marks["aws"]["proofs"]},
        marks["programs"],
        {AWS: marks["aws"]["hints"]},
        marks["clients"],
    )
    every = [(name, mark) for kind in kinds for name in kind for mark in kind[name]]
    return [name for name, _ in every], Parts(mark for _, mark in every)
