"""Find the first and the last line of an event in a log. An "event" is one log message with all its lines, such as a
traceback; its "head" is its first line. `lines.py` defines the kinds of lines: stamped (with a time), levelled (with a
level, such as ERROR), continuation and plain.

* An event extends from one stamped line to the next.
* In a log without times, an event extends from one levelled line to the next.
* In a log without times and levels, an event is a line with its continuations, or a traceback.

The length of an event is limited. The head of a line's event is searched in the `REACH` bytes before the line. If a
program reads a log in blocks, the head can be in one block and the line in the next block. Therefore, the program must
retain the last `REACH` bytes of each block until it has examined the next block.
"""

from __future__ import annotations

import re
from enum import Enum

from aws_bedrock_inference.knowledge.lines import (
    BLANK,
    CHAIN,
    EXCEPTION,
    RAISED,
    STARTS,
    Kind,
    Line,
    above,
    below,
    is_calm,
    line_at,
)
from aws_bedrock_inference.knowledge.objects import object_around

REACH = 1 << 15
"""The maximum distance, in bytes, between a line and the head of the event that the line belongs to."""

_LONGEST, _MOST_LINES = 1 << 16, 2_000
_NEAR = 20
"""The maximum number of consecutive plain lines below a head that are treated as part of its message."""

_CARETS = re.compile(rb"\s+\^+\s*$", re.MULTILINE)
_RUNTIME = re.compile(rb"goroutine \d|stack backtrace:|Node\.js v\d|exit status \d")
# Lines that no exception name follows. Python writes the exception's name below the lines of code that it shows.
_ENDS = re.compile(rb"\s*(?:at |\.\.\. \d|[}\])])")
_ERROR = re.compile(EXCEPTION.pattern + rb":|[^\n]{0,99}error occurred \(")


def event_around(buffer: bytes, line: int, floor: int) -> tuple[int, int]:
    """Return the start and the end of the event (log message) that contains the line at position `line`. The start is
    not before `floor`.
    """
    start = _head_above(buffer, line, floor)
    if line_at(buffer, start).kind < Kind.STAMPED:
        whole = object_around(buffer, line, floor)
        if whole is not None:
            return whole
    while (end := _end(buffer, start)) <= line:
        start = end
    return start, end


def lines_after(buffer: bytes, end: int) -> int:
    """Return the number of complete lines after position `end`, or 2 if there are more than two.

    Two lines are enough to decide whether an event (log message) has ended.
    """
    first = buffer.find(b"\n", end)
    return 0 if first < 0 else 1 + (buffer.find(b"\n", first + 1) >= 0)


def _head_above(buffer: bytes, line: int, floor: int) -> int:
    """Return the position of the first line of the event (log message) that contains the line at position `line`.

    The first line is the nearest line, at or above `line`, that begins with a time. If no line begins with a time, it
    is the nearest line that begins with a level. If no line begins with a level either, the search goes up from `line`.
    It ends at the nearest line that does not continue the line above it.
    """
    levelled, at = -1, line
    for _ in range(_MOST_LINES):
        kind = line_at(buffer, at).kind
        if kind >= Kind.STAMPED:
            return at
        if kind is Kind.LEVELLED and levelled < 0:
            levelled = at
        if at <= floor or line - at >= REACH:
            break
        at = max(floor, above(buffer, at))
    if levelled >= 0:
        return levelled
    at = line
    while at > floor and line - at < REACH and _continues(buffer, at):
        at = max(floor, above(buffer, at))
    return at


def _continues(buffer: bytes, at: int) -> bool:
    """Return True if the line at `at` continues the line above it.

    For example, an indented line always continues the line above it. The line `ValueError: 5` continues it only if the
    line above is a code line of a traceback.
    """
    line = line_at(buffer, at)
    if at == 0 or line.kind > Kind.CONTINUES:
        return False
    over = above(buffer, at)
    before = line_at(buffer, over)
    if before.source != line.source:
        return False
    if line.kind is Kind.CONTINUES or CHAIN.match(buffer, line.text):
        return True
    if BLANK.match(buffer, line.text):
        return _bridges(buffer, before, below(buffer, at))
    if STARTS.match(buffer, line.text):
        return bool(BLANK.match(buffer, before.text) and CHAIN.match(buffer, line_at(buffer, above(buffer, over)).text))
    shown = before.kind is Kind.CONTINUES and not _ENDS.match(buffer, before.text)
    return shown and bool(RAISED.match(buffer, line.text))


def _bridges(buffer: bytes, before: Line, following: int) -> bool:
    """Return whether an empty line of a log is inside a traceback.

    `before` is the line above the empty line. `following` is the position of the line below the empty line.
    """
    if CHAIN.match(buffer, before.text) or _CARETS.match(buffer, before.text):
        return True
    after = line_at(buffer, following).text
    return bool(CHAIN.match(buffer, after) or _RUNTIME.match(buffer, after))


def _end(buffer: bytes, start: int) -> int:
    """Return the position of the end of the event (log message) that starts at `start`."""
    head = line_at(buffer, start)
    takes = _Takes.MORE_MESSAGE if STARTS.match(buffer, head.text) else _takes(buffer, head)
    traced = takes is _Takes.MORE_MESSAGE
    plain = 0
    at = below(buffer, start)
    for _ in range(_MOST_LINES):
        if at >= len(buffer) or at - start > _LONGEST:
            break
        line = line_at(buffer, at)
        if line.kind >= Kind.STAMPED or line.source != head.source:
            break
        if _continues(buffer, at):
            plain = 0
        else:
            starts = STARTS.match(buffer, line.text) is not None
            plain += 1
            if plain > _NEAR or (starts and traced) or not takes.line(buffer, line):
                break
            traced |= starts
        at = below(buffer, at)
    return at


class _Takes(Enum):
    """The lines that belong to an event (log message), in addition to its first line (its head) and its continuations,
    such as indented lines.
    """

    ALL = "all lines: the head is stamped, and may be the first line of a message"
    PLAIN = "lines without a level: the head has a level and no time"
    MORE_MESSAGE = "lines that may continue the message of an exception"
    NONE = "none"

    def line(self, buffer: bytes, line: Line) -> bool:
        """Return True if a line that is not a continuation belongs to the event (log message) above it."""
        if self is _Takes.MORE_MESSAGE:
            own = _ERROR.match(buffer, line.text) or BLANK.match(buffer, line.text)
            return line.kind is Kind.PLAIN and not own
        return self is _Takes.ALL or (self is _Takes.PLAIN and line.kind is Kind.PLAIN)


def _takes(buffer: bytes, head: Line) -> _Takes:
    if head.kind in {Kind.PLAIN, Kind.CONTINUES, Kind.RECORD} or is_calm(buffer, head):
        return _Takes.NONE
    return _Takes.ALL if head.kind is Kind.STAMPED else _Takes.PLAIN
