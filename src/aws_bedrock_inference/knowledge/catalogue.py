"""The catalogue: which error means what, and what to do about it. Read from its index at the first question."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

from aws_bedrock_inference.fault import Category, Decision, Fault, Hint, Kind, Origin
from aws_bedrock_inference.knowledge.words import Trigrams, ends, longest_word, words

if TYPE_CHECKING:
    from collections.abc import Iterator

_HUMPS, _MANY_HUMPS = re.compile("[A-Z]"), 3  # `InvalidParameterValueError` is a code, `InvalidRequestError` anybody's
_NO_WORD = 15  # letters: the longest word of English that is also a code has fewer

ANY = "any"
"""The service of errors that every service may answer with."""

HOME = "bedrock-runtime"  # the service of an error that may be of any


class Remedy(NamedTuple):
    """One thing to do, and the command that checks or does it where there is one."""

    do: str
    run: str = ""


@dataclass(frozen=True, slots=True)
class Cause:
    """The cause of an error. `slug` is its stable name; `scope` what must change, or heal, for it to go away, `origin`
    the place where it arises, `retry_after` the wait in seconds that AWS's documents state for it. `advice` has its
    remedies, each with the services that it is for: all if none is named; `other` are those that no remedy of the cause
    names. `note` says where AWS's documents and other guides differ from this entry, and why.
    """

    slug: str
    group: str
    title: str
    meaning: str
    decision: Decision
    category: Category
    scope: str
    origin: Origin
    advice: tuple[tuple[Remedy, tuple[str, ...]], ...]
    link: str = ""
    source: str = ""
    seen: str = ""
    practice: str = ""
    retry_after: float | None = None
    note: str = ""

    def remedies(self, service: str = "") -> tuple[Remedy, ...]:
        """Return the remedies for an error of a service, the most likely first."""
        place = service if any(service in services for _, services in self.advice) else "other"
        return tuple(remedy for remedy, services in self.advice if not services or place in services)


@dataclass(frozen=True, slots=True)
class Signature:
    """The words that a message of this cause contains: any of `contains`, all of `all`, none of `none`, one of `beside`
    if it has some, and `pattern` where words alone cannot say it, as that one of them stands there twice.

    `coded` messages are too common to decide without the error's code or service; `rank` orders signatures that match
    the same text.
    """

    fault: Entry
    template: Fault
    contains: tuple[str, ...]
    all: tuple[str, ...] = ()
    none: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    pattern: str = ""
    rank: int = 0
    coded: bool = False

    def decided(self, text: str, found: list[str]) -> str:
        """Return the longest part of a `normal` text that decides, or nothing; `found` are those of `contains`, or the
        first of `all`, that are there.
        """
        if any(part not in text for part in self.all) or any(part in text for part in self.none):
            return ""
        if self.beside and not any(part in text for part in self.beside):
            return ""
        if not self.pattern:
            return max((*found, *self.all), key=len)
        match = re.search(self.pattern, text)
        return match.group() if match else ""


@dataclass(eq=False, slots=True)
class Entry:
    """One error of one service: its codes and statuses, what it means by itself, and what its messages tell.

    The code of a `firm` one decides, whatever sentence of another error the message resembles.
    """

    service: str
    codes: tuple[str, ...]
    statuses: tuple[int, ...]
    template: Fault
    firm: bool = False
    signatures: list[Signature] = field(default_factory=list)
    own_codes: frozenset[str] = frozenset()
    """Those that are not also known of every service: they tell whose error it is."""

    def templates(self) -> list[Fault]:
        """Return the faults that this may be: its own, and those of its messages."""
        return [self.template, *(rule.template for rule in self.signatures)]


class Catalogue:
    """All of it, with the ways to look things up.

    `operations` has the services of an operation's name, with "" among them if services outside the catalogue have it
    too; `homes` the catalogue's service of each of boto3's names.
    """

    def __init__(self, index: dict[str, Any], operations: dict[str, list[str]]) -> None:
        self.operations = operations
        self.owners: dict[str, Any] = index["owners"]
        self.lasting: dict[str, list[str]] = index["lasting"]
        self._shapes: list[tuple[str, str]] = index["shapes"]
        self.causes = {slug: _cause(slug, data) for slug, data in index["causes"].items()}
        self.services: dict[str, dict[str, Any]] = index["services"]
        self.homes = {aws: service for service, about in self.services.items() for aws in about["aws"]}
        self.entries = [self._entry(data) for data in index["faults"]]
        self.by_code: dict[str, list[Entry]] = {}
        self._by_status: dict[tuple[str, int], Entry] = {}
        for entry in self.entries:
            for code in entry.codes:
                self.by_code.setdefault(code, []).append(entry)
        for entry in self.entries:
            shared = entry.service != ANY
            entry.own_codes = frozenset(code for code in entry.codes if not (shared and self._at_any(code)))
            for status in entry.statuses:
                self._by_status.setdefault((entry.service, status), entry)
        self.signatures = [signature for entry in self.entries for signature in entry.signatures]
        self.templates: dict[str, Fault] = {}
        for template in [rule.template for rule in self.signatures] + [entry.template for entry in self.entries]:
            self.templates.setdefault(template.cause, template)

    @cached_property
    def _by_word(self) -> dict[str, list[tuple[Signature, str, Trigrams]]]:
        """Made when the first error is judged."""
        found: dict[str, list[tuple[Signature, str, Trigrams]]] = {}
        for signature in self.signatures:
            for part in signature.contains or signature.all[:1]:
                key = longest_word(part)
                found.setdefault(key, []).append((signature, part, set() if key else ends(part)))
        return found

    @cached_property
    def unsent(self) -> frozenset[str]:
        """The codes of errors that happen before anything is sent."""
        return frozenset(code for entry in self.entries if not entry.template.reached for code in entry.codes)

    @cached_property
    def general(self) -> frozenset[str]:
        """The causes that any service may have: a code of one service that has such a cause means it elsewhere too."""
        return frozenset(
            template.cause for entry in self.entries if entry.service == ANY for template in entry.templates()
        )

    @cached_property
    def names(self) -> list[tuple[str, str, Trigrams]]:
        """Every name of every service, as texts have it: service, name, its ends."""
        return [(service, name, ends(name)) for service, facts in self.services.items() for name in facts["names"]]

    def _at_any(self, code: str) -> bool:
        return any(entry.service == ANY for entry in self.by_code[code])

    def matching(self, text: str, there: Trigrams) -> Iterator[tuple[Signature, str]]:
        """Yield the signatures that match a `normal` text, each with the words that decided.

        There are thousands of parts: one is looked for only when its longest word, or for lack of one its ends, are in
        the text.
        """
        found: dict[int, tuple[Signature, list[str]]] = {}
        for word in {"", *words(text)} & self._by_word.keys():
            for signature, part, its_ends in self._by_word[word]:
                if there.issuperset(its_ends) and part in text:
                    found.setdefault(id(signature), (signature, []))[1].append(part)
        for signature, parts in found.values():
            if decided := signature.decided(text, parts):
                yield signature, decided

    def code(self, name: str) -> str:
        """Return the code that a name is, or nothing. Streams write the first letter small; all small is taken for a
        code only when it is no ordinary word.
        """
        if name in self.by_code:
            return name
        if name.islower():
            return self._small.get(name, "") if len(name) >= _NO_WORD else ""
        folded = name[:1].upper() + name[1:]
        if folded in self.by_code:
            return folded
        bare = folded.removesuffix("Error")  # as the CLI of Elastic Beanstalk writes
        return bare if bare in self.by_code and len(_HUMPS.findall(bare)) >= _MANY_HUMPS else ""

    def alike(self, code: str) -> Entry | None:
        """Return what a code is like that is described nowhere, by the shape of its name."""
        like = next((like for pattern, like in self._shapes if re.search(pattern, code)), "")
        return next((entry for entry in self.by_code.get(like, ()) if entry.service == ANY), None)

    @cached_property
    def _small(self) -> dict[str, str]:
        return {code.lower(): code for code in self.by_code}

    def status(self, service: str, code: str) -> int | None:
        """Return the HTTP status that a service answers a code, or a cause without one, with; None if not known."""
        told: dict[str, dict[str, int]] = {name: about["status"] for name, about in self.services.items()}
        return told.get(service or HOME, {}).get(code) or told[ANY].get(code)

    @cached_property
    def practices(self) -> dict[str, str]:
        """The sentence of each practice."""
        return {slug: text for about in self.services.values() for slug, text in about["practice"].items()}

    def by_status(self, service: str | None, status: int) -> Entry | None:
        """Return what an HTTP status without a known code means."""
        return self._by_status.get((service or ANY, status)) or self._by_status.get((ANY, status))

    def _entry(self, data: dict[str, Any]) -> Entry:
        about = data["service"], tuple(data["codes"]), tuple(data["statuses"])
        entry = Entry(*about, self._template(data), data.get("firm", False))
        for rule in data["messages"]:
            entry.signatures.append(
                Signature(
                    entry,
                    self._template(self._merged(data, rule)),
                    tuple(rule.get("contains", ())),
                    tuple(rule.get("all", ())),
                    tuple(rule.get("none", ())),
                    tuple(rule.get("beside", ())),
                    rule.get("pattern", ""),
                    rule.get("rank", 0),
                    rule.get("coded", False),
                )
            )
        return entry

    def _merged(self, data: dict[str, Any], rule: dict[str, Any]) -> dict[str, Any]:
        """Return a message's rule with what it takes over from its fault: how often to try if both decide alike."""
        kept: dict[str, Any] = {key: data[key] for key in ("service", "unhealthy", "reached") if key in data}
        hint = data.get("hint", {})
        if self.causes[data["cause"]].decision is not self.causes[rule["cause"]].decision:
            hint = {key: value for key, value in hint.items() if key != "attempts"}
        return {**kept, **rule, "hint": {**hint, **rule.get("hint", {})}}

    def _template(self, data: dict[str, Any]) -> Fault:
        cause = self.causes[data["cause"]]
        hint = data.get("hint", {})
        if "attempts" not in hint and cause.decision is not Decision.RETRY:
            hint = {**hint, "attempts": 1 if cause.decision is Decision.FAIL else 2}
        return Fault(
            code="",
            message="",
            kind=Kind(data["kind"]),
            decision=cause.decision,
            category=cause.category,
            cause=cause.slug,
            advice=cause.remedies(data["service"])[0].do,
            hint=Hint(**hint),
            unhealthy=data.get("unhealthy", False),
            reached=data.get("reached", True),
            limit=data.get("limit"),
            retry_after=cause.retry_after,
            origin=cause.origin,
        )


def _cause(slug: str, data: dict[str, Any]) -> Cause:
    known = {**data, "decision": Decision(data["decision"]), "category": Category(data["category"])}
    known["origin"] = Origin(data["origin"])
    known["advice"] = tuple((Remedy(do, run), tuple(services)) for do, run, services in known.pop("remedies"))
    return Cause(slug=slug, **known)


@cache
def catalogue() -> Catalogue:
    """Return the catalogue, read at the first call."""
    index, operations = (
        json.loads(files(__package__).joinpath(name).read_text(encoding="utf-8"))
        for name in ("index.json", "operations.json")
    )
    return Catalogue(index, operations)
