"""Find the errors in a log of any size, and count them by cause, with their times and services. An "event" is one log
message with all its lines; its "head" is its first line. A "mark" is a word that indicates an error (see `marks.py`).

Most lines of a log are not errors. Therefore each block is first searched for marks, which takes some nanoseconds per
byte. Only the events around a mark are decoded and explained, and similar events are explained only once. An error
whose event contains no mark is not found.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aws_bedrock_inference.knowledge.events import REACH, event_around, lines_after
from aws_bedrock_inference.knowledge.findings import Finding
from aws_bedrock_inference.knowledge.lines import goes_on_with_a_cause, line_at
from aws_bedrock_inference.knowledge.logs import BLOCK, last_time, time_of
from aws_bedrock_inference.knowledge.marks import is_marked, is_trouble, marked_lines
from aws_bedrock_inference.knowledge.meanings import example, meaning
from aws_bedrock_inference.knowledge.objects import BETWEEN, events_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from aws_bedrock_inference.knowledge.findings import Meaning

_LONGEST_LINE, _CUT_WITHIN = (1 << 20) - 1, 1 << 18
"""The maximum length of a line in bytes, and a distance in bytes. A longer line is read as several lines. If a JSON
object ends within the distance before the limit, the line is divided there.
"""

_LOOK_BACK = 4_096
_KEPT = REACH + _LOOK_BACK
"""The number of bytes that are retained before the next unread line. They can contain the head of the event that this
line belongs to, and a time before that head.
"""

_DECIDE = 2
"""The number of complete lines below an event that must be known before its end is decided. Two are necessary, because
after an empty line the next line can still belong to the event.
"""

_MOST_REMEMBERED, _MOST_SOURCES = 1 << 14, 1 << 10

# The parts in which similar events differ: times, ids and numbers. HTTP statuses and numbers of one digit are not
# among them, because they affect the meaning.
_VARIES = re.compile(
    rb"\d{4}[-/]\d\d[-/]\d\d[T _]?[\d:.,]*Z?|[0-9a-fA-F]{8}(?:-?[0-9a-fA-F]{4,12}){1,4}"
    rb"|(?<![A-Za-z\d])(?!\d(?!\d)|[1-5]\d\d(?!\d))\d+"
)


class LogScan:
    """Reads logs block by block, and collects their errors. Its memory does not grow with the size of the log.

    `other` is the number of events (log messages) that contain a word such as `exception` but are not errors of AWS.
    If `since` is set, events before this time are omitted. Events without a time are also omitted, and `undated` is
    the number of the events without a time. `now` supplies the year for dates without a year.
    """

    def __init__(self, *, now: datetime, since: datetime | None = None) -> None:
        self.findings: dict[tuple[str, bool], Finding] = {}
        self.bytes = 0
        self.other = 0
        self.undated = 0
        self._now = now
        self._since = since
        self._rest = b""
        self._searched = 0  # position in the rest: the lines before it were read
        self._length = 0  # length of the line that has not ended
        self._time: datetime | None = None
        self._causes: dict[bytes, str] = {}  # the cause of the last event of each source
        self._meanings: dict[int, Meaning | None] = {}
        self._distinct: dict[Meaning | None, Meaning | None] = {}  # one shared object for equal meanings

    def read(self, blocks: Iterable[bytes]) -> None:
        """Read one log to its end. If the log is damaged at some position, everything before this position is
        counted.
        """
        self._time = None
        try:
            for block in blocks:
                self.feed(block)
        except KeyboardInterrupt:
            self._rest = self._rest[: self._rest.rfind(b"\n") + 1]  # half a line may mislead
            raise
        finally:
            self.close()

    def feed(self, block: bytes) -> None:
        """Read the next bytes of a log."""
        self.bytes += len(block)
        for at in range(0, len(block), BLOCK):
            piece = self._cut(block[at : at + BLOCK])
            self._rest += piece
            if b"\n" in piece:
                self._search(last=False)

    def close(self) -> None:
        """Count the last event (log message), which is now complete, and prepare for another log."""
        self._search(last=True)
        self._rest, self._searched, self._length = b"", 0, 0

    def by_cause(self) -> list[Finding]:
        """Return a finding for each cause of AWS's errors in the log, the most frequent cause first."""
        return self._found(conditional=False)

    def possible(self) -> list[Finding]:
        """Return a finding for each cause of errors that are perhaps from AWS: their texts do not show whether AWS or
        another program wrote them. The most frequent cause is first.
        """
        return self._found(conditional=True)

    def _found(self, *, conditional: bool) -> list[Finding]:
        found = [finding for finding in self.findings.values() if finding.conditional is conditional]
        return sorted(found, key=lambda finding: (-finding.count, finding.cause))

    def _cut(self, block: bytes) -> bytes:
        """Return the block of the log, with a line break inserted if a line is too long.

        The line break has the same position whatever the size of the blocks is. Therefore the result of a scan does not
        depend on the size of the blocks.
        """
        first = block.find(b"\n")
        length, room = len(block) if first < 0 else first, _LONGEST_LINE - self._length
        between = BETWEEN.search(block, max(0, room - _CUT_WITHIN), min(length, max(0, room)))
        if between or length > room:
            at = between.end() if between else room
            block = block[:at] + b"\n" + block[at:]
        newest = block.rfind(b"\n")
        self._length = self._length + len(block) if newest < 0 else len(block) - newest - 1
        return block

    def _search(self, *, last: bool) -> None:
        """Count the complete events (log messages) with errors in the bytes that were not searched before.

        The last event can be incomplete, because more of its lines can follow. Its lines remain for the next search.
        Some kilobytes of earlier lines also remain, because the time of an event can be in a line before the event.
        `last` is True at the end of the log, where the last event is complete.
        """
        buffer, done = self._rest, 0
        self._rest = b""  # an interruption must not count events twice
        complete = len(buffer) if last else buffer.rfind(b"\n") + 1
        unread = complete
        for line in marked_lines(buffer, self._searched, complete):
            if line < done:
                continue
            start, end = event_around(buffer, line, done)
            if not last and lines_after(buffer, end) < _DECIDE:
                unread = line
                break
            event, before = buffer[start:end], buffer[max(done, start - _LOOK_BACK) : start]
            several = events_of(event)
            for each in filter(is_marked, several) if several else (event,):
                self._count(each, before)
            done = end
        unread = max(unread, done)
        kept = max(done, buffer.rfind(b"\n", 0, max(0, unread - _KEPT)) + 1)
        self._rest, self._searched = buffer[kept:], unread - kept

    def _count(self, event: bytes, before: bytes) -> None:
        self._time = at = time_of(event, self._now) or last_time(before, self._now) or self._time
        if self._since is not None and (at is None or at < self._since):
            self.undated += at is None
            return
        known = self._remembered(event)
        if self._is_torn_off(event, known):
            return
        if known is None:
            self.other += is_trouble(event)
            return
        finding = self.findings.get((known.cause, known.conditional))
        if finding is None:
            finding = Finding(
                cause=known.cause, title=known.title, decision=known.decision, conditional=known.conditional
            )
            self.findings[known.cause, known.conditional] = finding
        finding.add(at, known, lambda: example(event, known))

    def _is_torn_off(self, event: bytes, known: Meaning | None) -> bool:
        """Return True if `event` is only the second part of a log message, because lines of other programs are between
        its parts.
        """
        line = line_at(event, 0)
        if not line.source:
            return False
        cause = known.cause if known else ""
        torn = self._causes.get(line.source) == cause and goes_on_with_a_cause(event)
        if len(self._causes) >= _MOST_SOURCES:
            self._causes.clear()
        self._causes[line.source] = cause
        return torn

    def _remembered(self, event: bytes) -> Meaning | None:
        alike = hash(_VARIES.sub(b"#", event))
        if alike not in self._meanings:
            if len(self._meanings) >= _MOST_REMEMBERED:
                self._meanings.clear()
                self._distinct.clear()
            known = meaning(event)
            self._meanings[alike] = self._distinct.setdefault(known, known)
        return self._meanings[alike]
