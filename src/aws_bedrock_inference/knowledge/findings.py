"""The result of the scan of a log: for each cause, the number and the times of its errors.

An "event" is one log message with all its lines. The "subject" of an event is what was called: an action, and the model
or resource on which it was called. A finding contains all events with one cause. It is divided into "parts", and each
part contains the events with one subject.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from aws_bedrock_inference.fault import Decision

_MOST_NAMES = 50
_MOST_PARTS = 8
"""The maximum number of parts (subjects) that are counted separately for one cause. All others share one more part."""


class Timeline:
    """Counts of a log's events (log messages) over time, in intervals of `width` seconds. The width increases with the
    length of the log.
    """

    WIDTHS = (60, 300, 900, 3_600, 86_400, 7 * 86_400)
    MOST = 1_024

    def __init__(self) -> None:
        self.width = self.WIDTHS[0]
        self.buckets: Counter[int] = Counter()

    def add(self, at: datetime) -> None:
        """Count one event."""
        second = int(at.timestamp())
        self.buckets[second - second % self.width] += 1
        while len(self.buckets) > self.MOST and self.width < self.WIDTHS[-1]:
            wider = self.WIDTHS[self.WIDTHS.index(self.width) + 1]
            self.buckets, self.width = self.by(wider), wider

    def by(self, width: int) -> Counter[int]:
        """Return the counts in intervals of `width` seconds, or in the timeline's own intervals if these are wider."""
        counts: Counter[int] = Counter()
        for start, count in self.buckets.items():
            counts[start - start % max(width, self.width)] += count
        return counts


class Subject(NamedTuple):
    """The subject of an error: what was called, and on what. `call` is the action or the operation; `target` is the
    model or the resource.
    """

    call: str = ""
    target: str = ""


class Meaning(NamedTuple):
    """The meaning of one event (log message): its cause and its subject.

    `words` are the words that show the cause. `conditional` is True if it is unknown whether the event is from AWS. If
    the event is not from AWS, the cause may be wrong.
    """

    cause: str
    title: str
    decision: Decision
    confidence: str
    service: str
    code: str
    subject: Subject
    words: str
    conditional: bool = False


@dataclass(slots=True)
class Part:
    """The events (log messages) with one cause and one subject. `first` and `last` are the times of the first and the
    last event. They are None if no event has a time.

    `example` and `confidence` are from the event with the highest confidence. Secrets in the example are masked.
    """

    subject: Subject
    confidence: str = "none"
    example: str = ""
    count: int = 0
    first: datetime | None = None
    last: datetime | None = None
    services: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    timeline: Timeline = field(default_factory=Timeline)

    def add(self, at: datetime | None, meaning: Meaning) -> None:
        """Count one event."""
        self.count += 1
        for names, name in ((self.services, meaning.service), (self.codes, meaning.code)):
            if name and (name in names or len(names) < _MOST_NAMES):
                names[name] += 1
        if at is not None:
            self.first = at if self.first is None else min(self.first, at)
            self.last = at if self.last is None else max(self.last, at)
            self.timeline.add(at)


@dataclass(slots=True)
class Finding:
    """One cause in a log, with its events divided by subject into parts."""

    cause: str
    title: str
    decision: Decision
    conditional: bool = False
    parts: dict[Subject, Part] = field(default_factory=dict)

    def add(self, at: datetime | None, meaning: Meaning, example: Callable[[], str]) -> None:
        """Count one event (log message). Each subject (what was called) has a separate part, which counts its events.

        The number of parts is limited, so that memory stays small. If the limit is reached, the events of all new
        subjects are counted in one additional part. The subject of this part is empty.
        """
        subject = meaning.subject
        if subject not in self.parts and len(self.parts) >= _MOST_PARTS:
            subject = Subject()
        part = self.parts.get(subject)
        if part is None or _CERTAINTY.index(meaning.confidence) > _CERTAINTY.index(part.confidence):
            part = self.parts.setdefault(subject, Part(subject))
            part.confidence, part.example = meaning.confidence, example()
        part.add(at, meaning)

    def by_subject(self) -> list[Part]:
        """Return the parts of this finding, each with the events of one subject. The part with the most events is
        first.
        """
        return sorted(self.parts.values(), key=lambda part: (-part.count, part.subject))

    @property
    def count(self) -> int:
        """The number of events (log messages) with this cause."""
        return sum(part.count for part in self.parts.values())

    @property
    def first(self) -> datetime | None:
        """The time of the first event."""
        return min((part.first for part in self.parts.values() if part.first), default=None)

    @property
    def last(self) -> datetime | None:
        """The time of the last event."""
        return max((part.last for part in self.parts.values() if part.last), default=None)

    @property
    def services(self) -> Counter[str]:
        """The number of events for each service."""
        return sum((part.services for part in self.parts.values()), Counter())

    @property
    def codes(self) -> Counter[str]:
        """The number of events for each error code."""
        return sum((part.codes for part in self.parts.values()), Counter())

    @property
    def example(self) -> str:
        """The text of one event with this cause. The event has the subject (what was called) that occurs most often.
        Secrets in the text are masked.
        """
        return self.by_subject()[0].example

    @property
    def timeline(self) -> Timeline:
        """The number of events (log messages) over time."""
        return merged(part.timeline for part in self.parts.values())


def merged(timelines: Iterable[Timeline]) -> Timeline:
    """Return the sum of several timelines (counts of events over time).

    The timelines can have intervals of different widths. The sum has the largest of these widths.
    """
    each = list(timelines)
    whole = Timeline()
    whole.width = max(timeline.width for timeline in each)
    for timeline in each:
        whole.buckets += timeline.by(whole.width)
    return whole


_CERTAINTY = ("none", "low", "medium", "high")
