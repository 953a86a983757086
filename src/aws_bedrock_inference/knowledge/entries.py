"""The contents of the catalogue: causes with their remedies, and the errors of services with their messages."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from aws_bedrock_inference.fault import Category, Decision, Fault, Hint, Kind, Origin

_TO_ITS_END = r"(?:[^.]|\.(?! |$))*\."
_OF_A_COMMAND = re.compile(
    rf"(?:^|(?<=\.) )[^.,;:()]*\b(?:the|this) commands?\b{_TO_ITS_END}"  # a sentence
    r"|[,;:] [^.,;:()]*\b(?:the|this) commands?\b[^.;()]*?(?=[.;)]| \()"  # the rest of a sentence
    r"| \((?:the|this) commands?\b[^()]*\)",  # an aside
    re.IGNORECASE,
)


class Remedy(NamedTuple):
    """One action, and the command that checks or does it, or an empty string."""

    do: str
    run: str = ""

    @property
    def alone(self) -> str:
        """The sentence for a reader who does not see the command, without its references to the command."""
        return _OF_A_COMMAND.sub("", self.do).strip()


class Step(NamedTuple):
    """A remedy and the errors that it applies to: errors of `services` (of all, if empty) whose text matches the
    pattern `when` and does not match the pattern `unless`; an empty pattern does not restrict. The sentence may
    contain the named groups of `when` in braces.
    """

    remedy: Remedy
    services: tuple[str, ...] = ()
    when: str = ""
    unless: str = ""


@dataclass(frozen=True, slots=True)
class Cause:
    """The cause of an error.

    `slug` is its stable name. `scope` states what must change or recover before the error ends, and `origin` the place
    where it arises. `retry_after` is the wait in seconds that AWS's documents state for it. `advice` contains its
    steps; in their services, `other` stands for the services that no step names. `again` states what happens if the
    same request is sent again, where this is not simply the same failure. `again` does not apply to texts that match
    the pattern `again_unless`, whose fault does not change with time. `note` states where AWS's documents and other
    guides differ from this entry, and why.
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
        """Return the steps for an error of a service, most likely first."""
        place = service if any(service in step.services for step in self.advice) else "other"
        return tuple(step for step in self.advice if not step.services or place in step.services)

    def remedies(self, service: str = "") -> tuple[Remedy, ...]:
        """Return the remedies for an error of a service without a known text, most likely first."""
        return tuple(step.remedy for step in self.steps(service) if not step.when)


@dataclass(eq=False)
class Signature:
    """The words of a message of this cause: any of `contains`, all of `all`, none of `none`, and one of `beside` if it
    is not empty. `pattern` must also match, if it is not empty: it is for messages that words alone cannot describe,
    such as a word that occurs twice.

    `coded` messages are too common to decide without the error's code or service. `rank` orders signatures that match
    the same text. `data` is the entry in the index.
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
        """The fault that the message shows, with the values of its entry; also the number of attempts, if both have
        the same decision. It is created at the first use, because few faults are used.
        """
        whole = self.fault.data
        kept: dict[str, Any] = {key: whole[key] for key in ("service", "unhealthy", "reached") if key in whole}
        hint = whole.get("hint", {})
        if self.fault.cause.decision is not self.cause.decision:
            hint = {key: value for key, value in hint.items() if key != "attempts"}
        return _template(self.cause, {**kept, **self.data, "hint": {**hint, **self.data.get("hint", {})}})

    def decided(self, text: str, found: list[str]) -> str:
        """Return the longest part of a `normal` text that decides, or an empty string. `found` contains the present
        words of `contains`, or of the first of `all`.
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
    """One error of one service: its codes and statuses, its own meaning, and the meanings of its messages.

    If an entry is `firm`, its code decides even if the message resembles one of another error. `data` is the entry in
    the index.
    """

    service: str
    codes: tuple[str, ...]
    statuses: tuple[int, ...]
    cause: Cause
    data: dict[str, Any]
    firm: bool = False
    signatures: list[Signature] = field(default_factory=list)
    own_codes: frozenset[str] = frozenset()
    """The codes that not every service has: they identify the service."""

    @cached_property
    def template(self) -> Fault:
        """The fault that the codes show."""
        return _template(self.cause, self.data)

    def meanings(self) -> list[Entry | Signature]:
        """Return the possible meanings: that of the codes, and that of each message."""
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
        advice=cause.remedies(data["service"])[0].alone,
        hint=Hint(**hint),
        unhealthy=data.get("unhealthy", False),
        reached=data.get("reached", True),
        limit=data.get("limit"),
        retry_after=cause.retry_after,
        origin=cause.origin,
    )


def cause_of(slug: str, data: dict[str, Any]) -> Cause:
    """Return the cause with a slug from its entry in the index."""
    known = {**data, "decision": Decision(data["decision"]), "category": Category(data["category"])}
    known["origin"] = Origin(data["origin"])
    known["advice"] = tuple(_step(*facts) for facts in known.pop("remedies"))
    return Cause(slug=slug, **known)


def _step(do: str, run: str, services: list[str], when: str = "", unless: str = "") -> Step:
    return Step(Remedy(do, run), tuple(services), when, unless)
