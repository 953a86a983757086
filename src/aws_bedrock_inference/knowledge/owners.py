"""Find the program that a text comes from. Other programs also write `Connection refused` and `rate limit exceeded`.
Therefore a text is treated as AWS's only if it contains a proof that AWS wrote it.

This check is not needed for an exception, an HTTP answer, or a text for which the caller names the service. A "mark" is
a string that shows which program wrote a text. The marks are data in `owners.toml`.
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

_TELLING = 25  # characters: other programs may also write a shorter sentence


def owner(seen: Evidence, entry: Entry | None, words: str) -> str:
    """Return `AWS`, or the name of the other program or service that the text comes from. The result is empty if the
    text does not show where it comes from.

    `seen` contains the facts of the error, such as its text, codes and operation. `entry` is the catalogue's entry that
    matches the error, and `words` are the words that match. A mark is a string that shows who wrote a text. The
    following are searched in this order, and the first that is found decides:

    * marks of servers that implement AWS's protocols, such as MinIO. They come first, because these servers also use
      AWS's codes.
    * proofs of AWS: codes and sentences that only AWS uses, and facts that are certain (see `Evidence`). For example,
      the code of a boto3 exception is certain.
    * marks that only AWS writes.
    * marks of other programs.
    * the name AWS.
    * names of other vendors. They come last: if a vendor's client called AWS, the text can contain both names.
    """
    assert seen.words is not None  # noqa: S101 - completed evidence has them
    if stand_in := _marked(seen.words, "stand_ins"):
        return stand_in
    if seen.certain or not _own_codes().isdisjoint(seen.codes) or _own_words(entry, words):
        return AWS
    return _marked(seen.words, "others")


def _marked(words: Words, kind: str) -> str:
    """Return the program that the first mark in the text `words` shows. A mark is a string that shows which program
    wrote a text. The result is empty if the text contains no mark.

    If `kind` is `stand_ins`, only the marks of servers that implement AWS's protocols are searched. Otherwise, all
    other marks are searched.
    """
    names, marks = _marks(kind)
    found = marks.within(f" {words.lower} ", words.there)
    return next((names[number] for number in found), NOBODY)


def _own_words(entry: Entry | None, words: str) -> bool:
    """Return True if `words` prove that AWS wrote the text: a service of AWS writes them, and no other program does.
    `words` is the part of the text that matches the catalogue.
    """
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
    """Return the error codes that prove that AWS wrote a text. No other program uses these codes."""
    known = catalogue()
    own = {code for entry in known.entries if entry.service != ANY for code in entry.own_codes}
    return frozenset(own.difference(known.owners["aws"]["shared_codes"]))


@cache
def _marks(kind: str) -> tuple[list[str], Parts]:
    """Return a list of programs, and an index of marks. A mark is a string that shows which program wrote a text. The
    index searches a text for marks, and yields the number of each mark that it finds. For example, if it yields 5,
    element 5 of the list is the program that wrote the text.

    If `kind` is `stand_ins`, these are the marks of servers that implement AWS's protocols. Otherwise, these are all
    other marks.
    """
    marks = catalogue().owners
    aws = marks["aws"]
    groups: tuple[dict[str, list[str]], ...] = (
        (marks["stand_ins"],)
        if kind == "stand_ins"
        else ({AWS: aws["proofs"]}, marks["programs"], {AWS: aws["hints"]}, marks["clients"])
    )
    every = [(name, mark) for group in groups for name in group for mark in group[name]]
    return [name for name, _ in every], Parts(mark for _, mark in every)
