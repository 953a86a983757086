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
    from aws_bedrock_inference.knowledge.evidence import Evidence, Words

AWS = "AWS"
NOBODY = ""

_TELLING = 25  # characters: a shorter sentence of one service may be anybody's


def owner(seen: Evidence, entry: Entry | None, words: str) -> str:
    """Return `AWS`, the name of another program or service, or nothing where the text does not tell.

    `seen` is completed evidence, `entry` what was found in it, by `words`. A server that stands in for AWS decides
    first, since its codes and SDKs are AWS's; then what only AWS writes, then what a program writes of itself, then
    who is spoken of: AWS before others, since a client of OpenAI's may call it.
    """
    assert seen.words is not None  # noqa: S101 - completed evidence has them
    if stand_in := _marked(seen.words, "stand_ins"):
        return stand_in
    if seen.certain or not _own_codes().isdisjoint(seen.codes) or _own_words(entry, words):
        return AWS
    return _marked(seen.words, "others")


def _marked(words: Words, kind: str) -> str:
    """Return whose the first mark of a kind is that stands in the words, or nothing."""
    names, marks = _marks(kind)
    found = marks.within(f" {words.lower} ", words.there)
    return next((names[number] for number in found), NOBODY)


def _own_words(entry: Entry | None, words: str) -> bool:
    """Return whether the words that decided are a service's own sentence, which nobody else writes, too."""
    if entry is None or entry.service == ANY or words in entry.codes or len(words) < _TELLING:
        return False
    known = catalogue()
    if words in known.owners["aws"]["shared_words"]:
        return False
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
def _marks(kind: str) -> tuple[list[str], Parts]:
    """Return whose each mark of a kind is, and the marks; the first that a text has decides."""
    marks = catalogue().owners
    aws = marks["aws"]
    groups: tuple[dict[str, list[str]], ...] = (
        (marks["stand_ins"],)
        if kind == "stand_ins"
        else ({AWS: aws["proofs"]}, marks["programs"], {AWS: aws["hints"]}, marks["clients"])
    )
    every = [(name, mark) for group in groups for name in group for mark in group[name]]
    return [name for name, _ in every], Parts(mark for _, mark in every)
