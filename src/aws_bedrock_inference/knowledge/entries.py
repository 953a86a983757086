"""The classes of the catalogue's contents: causes with their remedies, and the errors of services with their messages.

A "step" is a remedy with the conditions under which it is shown. A "signature" contains the words that identify a
message. A "normal" text is lower case and has single spaces (see `words.py`).
"""

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
    """One action as a sentence (`do`), and the command that checks or performs the action (`run`). `run` is empty if
    there is no command.
    """

    do: str
    run: str = ""

    @property
    def alone(self) -> str:
        """The sentence of the remedy without its parts about the command, for readers who do not see the command."""
        return _OF_A_COMMAND.sub("", self.do).strip()


class Step(NamedTuple):
    """A remedy and the errors that it applies to.

    A step applies to errors of `services` whose text matches the pattern `when` and does not match the pattern
    `unless`. An empty `services` means all services, and an empty pattern is ignored.

    The remedy's sentence can contain words of the error's text. For example, if `when` contains the group
    `(?P<id>...)`, the text that matches this group replaces `{id}` in the sentence.
    """

    remedy: Remedy
    services: tuple[str, ...] = ()
    when: str = ""
    unless: str = ""


@dataclass(frozen=True, slots=True)
class Cause:
    """The cause of an error.

    * `slug` is the stable name of the cause.
    * `scope` states what must change or recover before the error ends.
    * `origin` states where the error arises.
    * `retry_after` is the wait in seconds that AWS's documents state for this cause.
    * `advice` contains the steps (remedies with conditions). A step with `other` in its `services` applies to all
      services that no other step names.
    * `again` states what happens if the same request is sent again. It is empty if the request simply fails again.
    * `again_unless` is a pattern. `again` does not apply to a text that matches this pattern.
    * `note` states where AWS's documents and other guides differ from this entry, and why.
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
        """Return the steps (remedies with conditions) for an error of a service. The first step helps most often."""
        place = service if any(service in step.services for step in self.advice) else "other"
        return tuple(step for step in self.advice if not step.services or place in step.services)

    def remedies(self, service: str = "") -> tuple[Remedy, ...]:
        """Return the remedies for an error of `service`, if the error's text is unknown. The first remedy helps most
        often.
        """
        return tuple(step.remedy for step in self.steps(service) if not step.when)


@dataclass(eq=False)
class Signature:
    """The words that identify one message of an error, and the cause of this message.

    A text matches if it contains a word of `contains`, all words of `all` and no word of `none`. If `beside` is not
    empty, the text must also contain a word of `beside`. If `pattern` is not empty, the text must also match this
    regular expression.

    If `coded` is True, the words are common. The text must then also show the error's code or service. If several
    signatures match one text, each signature gets a score, and the signature with the highest score is used. A higher
    `rank` increases the score. `data` is the signature's part of `index.json`.
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
        """The fault for an error with this message. It contains no details of a call, such as a request id.

        The message belongs to an entry, which is in the field `fault`. If `index.json` does not state `service`,
        `unhealthy`, `reached` or `hint` for the message, the value of the entry is used.
        """
        whole = self.fault.data
        kept: dict[str, Any] = {key: whole[key] for key in ("service", "unhealthy", "reached") if key in whole}
        hint = whole.get("hint", {})
        if self.fault.cause.decision is not self.cause.decision:
            hint = {key: value for key, value in hint.items() if key != "attempts"}
        return _template(self.cause, {**kept, **self.data, "hint": {**hint, **self.data.get("hint", {})}})

    def decided(self, text: str, found: list[str]) -> str:
        """Return the words of a text that match this signature. Return an empty string if the text does not match.

        `text` must be normal (lower case, single spaces). The caller has already searched `text` for the words of the
        field `contains`. If `contains` is empty, the caller has searched for the first word of the field `all`. `found`
        contains the words that were found.
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
    """One error of one service: its codes and HTTP statuses, the cause of its codes, and the causes of its messages.

    `firm` is True if the codes have only one meaning. The cause of the code is then used even if the text also
    contains the message of another error.

    `data` is the entry's part of `index.json`.
    """

    service: str
    codes: tuple[str, ...]
    statuses: tuple[int, ...]
    cause: Cause
    data: dict[str, Any]
    firm: bool = False
    signatures: list[Signature] = field(default_factory=list)
    own_codes: frozenset[str] = frozenset()
    """The codes of this entry that only some services have, so that they identify the service."""

    @cached_property
    def template(self) -> Fault:
        """The fault for an error with one of the codes. It contains no details of a call, such as a request id."""
        return _template(self.cause, self.data)

    def meanings(self) -> list[Entry | Signature]:
        """Return all possible causes of this error: first the cause of its codes, then the cause of each message."""
        return [self, *self.signatures]


def _template(cause: Cause, data: dict[str, Any]) -> Fault:
    """Return the fault that belongs to a cause. It contains no details of a call, such as a request id."""
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
    """Return the cause with the name `slug`. `data` is the part of `index.json` that describes the cause."""
    known = {**data, "decision": Decision(data["decision"]), "category": Category(data["category"])}
    known["origin"] = Origin(data["origin"])
    known["advice"] = tuple(_step(*facts) for facts in known.pop("remedies"))
    return Cause(slug=slug, **known)


def _step(do: str, run: str, services: list[str], when: str = "", unless: str = "") -> Step:
    return Step(Remedy(do, run), tuple(services), when, unless)
