"""The findings of a scan: for each cause of errors how many, since when, and of which actions and resources."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

    from aws_bedrock_inference.fault import Decision

_MOST_NAMES = 50
_MOST_PARTS = 8
"""Rows of one cause; what more there is stands in one further row."""


class Timeline:
    """Counts over time in buckets of `width` seconds, which grow as the time does."""

    WIDTHS = (60, 300, 900, 3_600, 86_400, 7 * 86_400)
    MOST = 1_024

    def __init__(self) -> None:
        self.width = self.WIDTHS[0]
        self.buckets: Counter[int] = Counter()

    def add(self, at: datetime) -> None:
        """Count one more."""
        second = int(at.timestamp())
        self.buckets[second - second % self.width] += 1
        while len(self.buckets) > self.MOST and self.width < self.WIDTHS[-1]:
            wider = self.WIDTHS[self.WIDTHS.index(self.width) + 1]
            self.buckets, self.width = self.by(wider), wider

    def by(self, width: int) -> Counter[int]:
        """Return the counts by `width` seconds; narrower than the timeline's own cannot be had."""
        counts: Counter[int] = Counter()
        for start, count in self.buckets.items():
            counts[start - start % max(width, self.width)] += count
        return counts


class Subject(NamedTuple):
    """What an error was about: `call` is the action or the operation, `target` the model or the resource."""

    call: str = ""
    target: str = ""


class Meaning(NamedTuple):
    """The meaning of one event. It is `conditional` when nothing in it shows that it is AWS's."""

    cause: str
    title: str
    decision: Decision
    confidence: str
    service: str
    code: str
    subject: Subject
    example: str
    conditional: bool = False


@dataclass(slots=True)
class Tally:
    """A count of events; `first` and `last` are None when no line of them bears a time."""

    count: int = 0
    first: datetime | None = None
    last: datetime | None = None
    services: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    timeline: Timeline = field(default_factory=Timeline)

    def add(self, at: datetime | None, meaning: Meaning) -> None:
        """Count one more."""
        self.count += 1
        for names, name in ((self.services, meaning.service), (self.codes, meaning.code)):
            if name and (name in names or len(names) < _MOST_NAMES):
                names[name] += 1
        if at is not None:
            self.first = at if self.first is None else min(self.first, at)
            self.last = at if self.last is None else max(self.last, at)
            self.timeline.add(at)


@dataclass(slots=True, kw_only=True)
class Part(Tally):
    """The events of one cause that are about one subject. `example` is masked."""

    subject: Subject
    confidence: str
    example: str


@dataclass(slots=True, kw_only=True)
class Finding(Tally):
    """One cause in a log."""

    cause: str
    title: str
    decision: Decision
    conditional: bool = False
    parts: dict[Subject, Part] = field(default_factory=dict)

    @property
    def example(self) -> str:
        """An event of the most frequent part."""
        return self.by_subject()[0].example if self.parts else ""

    def by_subject(self) -> list[Part]:
        """Return the parts, the most frequent first."""
        return sorted(self.parts.values(), key=lambda part: (-part.count, part.subject))

    def add(self, at: datetime | None, meaning: Meaning) -> None:
        """Count one more, also in its part."""
        Tally.add(self, at, meaning)
        subject = meaning.subject
        if subject not in self.parts and len(self.parts) >= _MOST_PARTS:
            subject = Subject()
        part = self.parts.get(subject)
        if part is None:
            part = Part(subject=subject, confidence=meaning.confidence, example=meaning.example)
            self.parts[subject] = part
        elif _CERTAINTY.index(meaning.confidence) > _CERTAINTY.index(part.confidence):
            part.confidence, part.example = meaning.confidence, meaning.example
        part.add(at, meaning)


_CERTAINTY = ("none", "low", "medium", "high")
