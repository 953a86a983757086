"""The errors of a log of any size, by cause: how many, since when, of which services.

Most lines of a log are no errors, so the blocks are searched for a few marks of trouble first, which costs some
nanoseconds a byte; only the events around a mark are decoded and explained, and alike events only once. A message that
holds none of the marks, neither in its code nor around it, is not found.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from aws_bedrock_inference.fault import Decision
from aws_bedrock_inference.knowledge.explain import explain
from aws_bedrock_inference.knowledge.judge import MODELLED, UNKNOWN
from aws_bedrock_inference.knowledge.logs import event_around, last_time, lines_after, time_of
from aws_bedrock_inference.knowledge.masking import masked
from aws_bedrock_inference.knowledge.modelled import modelled

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

MARKS = (
    *(b"exce", b"error", b"throttl", b"denied", b"timed out", b"fail", b"unable to", b" not "),
    *(b"too many", b"status code", b"slowdown"),
)
"""The marks, in lower case; only lines with one of them are examined. `exce` is exception and exceeded. Each mark costs
about half a nanosecond a byte."""

_LONGEST_LINE = 1 << 20
_EXPLAINED, _HEAD = 8_192, 1_024
_EXAMPLE = 300
_LOOK_BACK = 4_096
_DECIDE = 2
"""Lines after an event that must be known to say that it has ended: an empty one, and what may follow it."""

_MOST_REMEMBERED = 1 << 16
_MOST_NAMES = 50

# The parts in which similar events differ: times, ids and numbers. Statuses and numbers of one digit decide.
_VARIES = re.compile(
    rb"\d{4}[-/]\d\d[-/]\d\d[T _]?[\d:.,]*Z?|[0-9a-fA-F]{8}(?:-?[0-9a-fA-F]{4,12}){1,4}"
    rb"|(?<![A-Za-z\d])(?!\d(?!\d)|[1-5]\d\d(?!\d))\d+"
)
_CODE = re.compile(r"error occurred \(([\w.]{2,80})\)|\b([A-Z]\w{2,60}(?:Exception|Fault|Error))\b")


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


@dataclass(slots=True)
class Finding:
    """One cause in a log. `example` is masked; `first` and `last` are None when no line of it bears a time."""

    cause: str
    title: str
    decision: Decision
    example: str
    count: int = 0
    first: datetime | None = None
    last: datetime | None = None
    services: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    timeline: Timeline = field(default_factory=Timeline)

    def add(self, at: datetime | None, service: str, code: str) -> None:
        """Count one more."""
        self.count += 1
        for names, name in ((self.services, service), (self.codes, code)):
            if name and (name in names or len(names) < _MOST_NAMES):
                names[name] += 1
        if at is not None:
            self.first = at if self.first is None else min(self.first, at)
            self.last = at if self.last is None else max(self.last, at)
            self.timeline.add(at)


class _Meaning(NamedTuple):
    cause: str
    title: str
    decision: Decision
    service: str
    code: str


class LogScan:
    """Reads logs, block by block, and keeps what it found. What it keeps does not grow with the log.

    `other` counts the events that bear a mark of trouble and are no error of AWS; `undated` those that `since` could
    not judge, which are left out. `now` dates lines that have no year.
    """

    def __init__(self, *, now: datetime, since: datetime | None = None) -> None:
        self.findings: dict[str, Finding] = {}
        self.bytes = 0
        self.other = 0
        self.undated = 0
        self._now = now
        self._since = since
        self._rest = b""
        self._time: datetime | None = None
        self._meanings: dict[int, _Meaning | None] = {}

    def read(self, blocks: Iterable[bytes]) -> None:
        """Read one log to its end; also what was read of one that breaks off is counted."""
        self._time = None
        try:
            for block in blocks:
                self.feed(block)
        finally:
            self.close()

    def feed(self, block: bytes) -> None:
        """Read the next bytes of a log."""
        self.bytes += len(block)
        buffer = self._rest + block if self._rest else block
        self._rest = b""
        read = self._search(buffer, last=len(buffer) > _LONGEST_LINE)
        self._rest = buffer[read:]

    def close(self) -> None:
        """End the log: what may have gone on does not."""
        buffer, self._rest = self._rest, b""
        self._search(buffer, last=True)

    def by_cause(self) -> list[Finding]:
        """Return what was found, the most frequent first."""
        return sorted(self.findings.values(), key=lambda finding: (-finding.count, finding.cause))

    def _search(self, buffer: bytes, *, last: bool) -> int:
        """Count the events of a buffer and return where that begins which the next events may need."""
        complete = len(buffer) if last else buffer.rfind(b"\n") + 1
        done = 0
        for line, mark in _marked(buffer, complete):
            if line < done:
                continue
            start, end = event_around(buffer, line, done)
            if not last and lines_after(buffer, end) < _DECIDE:
                return _context(buffer, start, done)
            event = buffer[start:end]
            if len(event) > _EXPLAINED:
                event = event[:_HEAD] + buffer[max(start + _HEAD, mark - _HEAD) : min(end, mark + _EXPLAINED)]
            self._count(event, before=buffer[max(done, start - _LOOK_BACK) : start])
            done = end
        return _context(buffer, complete, done)

    def _count(self, event: bytes, before: bytes) -> None:
        self._time = at = time_of(event, self._now) or last_time(before, self._now) or self._time
        if self._since is not None and (at is None or at < self._since):
            self.undated += at is None
            return
        meaning = self._remembered(event)
        if meaning is None:
            self.other += 1
            return
        finding = self.findings.get(meaning.cause)
        if finding is None:
            example = _example(event, meaning.code)
            finding = Finding(meaning.cause, meaning.title, meaning.decision, example)
            self.findings[meaning.cause] = finding
        finding.add(at, meaning.service, meaning.code)

    def _remembered(self, event: bytes) -> _Meaning | None:
        alike = hash(_VARIES.sub(b"#", event))
        if alike not in self._meanings:
            if len(self._meanings) >= _MOST_REMEMBERED:
                self._meanings.clear()
            self._meanings[alike] = _meaning(event.decode(errors="replace"))
        return self._meanings[alike]


def _context(buffer: bytes, at: int, done: int) -> int:
    """Return where the lines begin that may tell when, and under what, an event at `at` happened.

    A line without end is no context: what is kept of it is bounded.
    """
    return max(done, buffer.rfind(b"\n", 0, max(0, at - _LOOK_BACK)) + 1, at - _LONGEST_LINE)


def _marked(buffer: bytes, end: int) -> list[tuple[int, int]]:
    """Return where the lines begin that hold a mark, and where the first mark of each stands."""
    low = buffer[:end].lower()
    lines: dict[int, int] = {}
    for mark in MARKS:
        at = low.find(mark)
        while at >= 0:
            line = low.rfind(b"\n", 0, at) + 1
            lines[line] = min(at, lines.get(line, at))
            following = low.find(b"\n", at)
            at = low.find(mark, following, end) if following >= 0 else -1
    return sorted(lines.items())


def _meaning(text: str) -> _Meaning | None:
    known = explain(text)
    if known.cause not in {UNKNOWN, MODELLED} and (known.code or known.service or not known.decided_by.isdigit()):
        return _Meaning(known.cause, known.title, known.decision, known.service, known.code)
    for found in _CODE.finditer(text):
        code = found[1] or found[2]
        facts = modelled(code, fresh=False)
        if facts:
            decisions = {each.verdict.decision for each in facts}
            decision = decisions.pop() if len(decisions) == 1 else Decision.RETRY_LIMITED
            service = facts[0].service if len(facts) == 1 else known.service
            return _Meaning(code, facts[0].verdict.reason, decision, service, code)
        if found[1]:
            return _Meaning(code, "Not in the catalogue", Decision.RETRY_LIMITED, known.service, code)
    return None


def _example(event: bytes, code: str) -> str:
    """Return the line of an event that says most: the one with the code, else the first that bears a mark."""
    lines = event.decode(errors="replace").splitlines()
    named = [line for line in lines if code and code in line]
    marked = [line for line in lines if any(mark.decode() in line.lower() for mark in MARKS)]
    line = " ".join(masked((named or marked or lines or [""])[0], accounts=True).split())
    return line if len(line) <= _EXAMPLE else line[: _EXAMPLE - 2] + " …"
