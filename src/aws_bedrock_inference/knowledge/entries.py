"""The contents of the catalogue: causes with their remedies, and the errors of services with their messages."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from aws_bedrock_inference.fault import Category, Decision, Fault, Hint, Kind, Origin


class Remedy(NamedTuple):
    """One thing to do, and the command that checks or does it where there is one."""

    do: str
    run: str = ""

    @property
    def advice(self) -> str:
        """The thing to do, without the sentence about the command, for a place where that is not shown."""
        return self.do.partition(" The command")[0]


class Step(NamedTuple):
    """A remedy with the errors that it is for: those of `services`, all if none is named; whose text matches `when` and
    does not match `unless`, where there is such a pattern. The named groups of `when` stand in the sentence in braces.
    """

    remedy: Remedy
    services: tuple[str, ...] = ()
    when: str = ""
    unless: str = ""


@dataclass(frozen=True, slots=True)
class Cause:
    """The cause of an error. `slug` is its stable name; `scope` what must change, or heal, for it to go away, `origin`
    the place where it arises, `retry_after` the wait in seconds that AWS's documents state for it. `advice` has its
    steps; among their services `other` are those that no step of the cause names. `again` says what the same request
    meets when it is sent once more, where that is not simply the same failure; not for texts of the pattern
    `again_unless`, which speak of what time does not change. `note` says where AWS's documents and
    other guides differ from this entry, and why.
    """

    slug: str
    group: str
    title: str
    meaning: str
    decision: Decision
    category: Category
    scope: str
    origin: Origin
    advice: tuple[Step, ...]
    link: str = ""
    source: str = ""
    seen: str = ""
    practice: str = ""
    retry_after: float | None = None
    note: str = ""
    again: str = ""
    again_unless: str = ""

    def steps(self, service: str = "") -> tuple[Step, ...]:
        """Return the steps for an error of a service, the most likely first."""
        place = service if any(service in step.services for step in self.advice) else "other"
        return tuple(step for step in self.advice if not step.services or place in step.services)

    def remedies(self, service: str = "") -> tuple[Remedy, ...]:
        """Return the remedies for an error of a service of which no text is known, the most likely first."""
        return tuple(step.remedy for step in self.steps(service) if not step.when)


@dataclass(eq=False)
class Signature:
    """The words that a message of this cause contains: any of `contains`, all of `all`, none of `none`, one of `beside`
    if it has some, and `pattern` where words alone cannot say it, as that one of them stands there twice.

    `coded` messages are too common to decide without the error's code or service; `rank` orders signatures that match
    the same text. `data` is what the index has of it.
    """

    fault: Entry
    cause: Cause
    data: dict[str, Any]
    contains: tuple[str, ...]
    all: tuple[str, ...] = ()
    none: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    pattern: str = ""
    rank: int = 0
    coded: bool = False

    @cached_property
    def template(self) -> Fault:
        """The fault that the message tells, with what it takes over from its entry: how often to try if both decide
        alike. Made when it is first told: few of them ever are.
        """
        whole = self.fault.data
        kept: dict[str, Any] = {key: whole[key] for key in ("service", "unhealthy", "reached") if key in whole}
        hint = whole.get("hint", {})
        if self.fault.cause.decision is not self.cause.decision:
            hint = {key: value for key, value in hint.items() if key != "attempts"}
        return _template(self.cause, {**kept, **self.data, "hint": {**hint, **self.data.get("hint", {})}})

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


@dataclass(eq=False)
class Entry:
    """One error of one service: its codes and statuses, what it means by itself, and what its messages tell.

    The code of a `firm` one decides, whatever sentence of another error the message resembles. `data` is what the index
    has of it.
    """

    service: str
    codes: tuple[str, ...]
    statuses: tuple[int, ...]
    cause: Cause
    data: dict[str, Any]
    firm: bool = False
    signatures: list[Signature] = field(default_factory=list)
    own_codes: frozenset[str] = frozenset()
    """Those that are not also known of every service: they tell whose error it is."""

    @cached_property
    def template(self) -> Fault:
        """The fault that its codes tell."""
        return _template(self.cause, self.data)

    def meanings(self) -> list[Entry | Signature]:
        """Return what this may mean: by its codes, and by each of its messages."""
        return [self, *self.signatures]


def _template(cause: Cause, data: dict[str, Any]) -> Fault:
    """Return the fault of a cause, without the facts of one occurrence."""
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
        advice=cause.remedies(data["service"])[0].advice,
        hint=Hint(**hint),
        unhealthy=data.get("unhealthy", False),
        reached=data.get("reached", True),
        limit=data.get("limit"),
        retry_after=cause.retry_after,
        origin=cause.origin,
    )


def cause_of(slug: str, data: dict[str, Any]) -> Cause:
    """Return the cause that the index has under a slug."""
    known = {**data, "decision": Decision(data["decision"]), "category": Category(data["category"])}
    known["origin"] = Origin(data["origin"])
    known["advice"] = tuple(_step(*facts) for facts in known.pop("remedies"))
    return Cause(slug=slug, **known)


def _step(do: str, run: str, services: list[str], when: str = "", unless: str = "") -> Step:
    return Step(Remedy(do, run), tuple(services), when, unless)
