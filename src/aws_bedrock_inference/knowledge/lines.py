"""Divide a log into lines, and find the role of each line in its event. An "event" is one log message with all its
lines, such as a traceback.

The prefix that Docker Compose, Kubernetes, syslog or journald adds to each line is skipped. The rest of a line shows
its kind:

* A "stamped" line begins with a date (usually followed by a time), or is a JSON record with a time or a level.
* A "levelled" line begins with a level, such as ERROR, or with a time without a date, such as `12:00:00`.
* A "continuation" belongs to the line above it: it is indented, or begins with words such as `Caused by:`.
* All other lines are "plain".

A "frame" is a line of a traceback that names a place in the code.
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import NamedTuple

_LEVELS = rb"TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERR|ERROR?|FATAL|CRITICAL|CRIT|SEVERE|PANIC"
LEVEL = rb"(?:" + _LEVELS + rb"|" + _LEVELS.lower() + rb")\b"
_COLOUR = rb"(?:\x1b\[[\d;]{0,16}m){0,4}"
_DATE = rb"\d{4}[-/]\d\d[-/]\d\d"
_ISO = _DATE + rb"[T ]\d\d:\d\d:\d\d[.,\d]{0,10}(?:Z| ?[+-]\d\d:?\d\d)?"
_ISO_T = _ISO.replace(b"[T ]", b"T")  # log transports write the letter T between date and time
_MONTH = rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_SYSLOG = _MONTH + rb" [ \d]\d \d\d:\d\d:\d\d[.\d]{0,7}"

_CARRIER = re.compile(
    rb"(?:\xef\xbb\xbf)?"  # the byte-order mark of UTF-8 at the start of a file
    + _COLOUR
    + rb"(?P<source>[\w.-]{1,64}+ {0,24}+\| ?|\[pod/[^\]\n]{1,200}\] )?"
    + _COLOUR
    + rb"(?:"
    + _ISO_T
    + rb" std(?:out|err) [FP] |(?:<\d{1,3}>)?(?:"
    + _SYSLOG
    + rb"(?P<program> [\w.-]{1,255}+ [\w./@-]{1,64}+(?:\[\d{1,9}\])?)|"
    + _ISO_T
    + rb"(?P<unit> [\w.-]{1,255}+ [\w./@-]{1,64}+\[\d{1,9}\])): )?"
    + _COLOUR
)
# The words that may precede a time: a level, something in brackets, a key, an address.
_BEFORE = (
    rb"(?:(?>\[[^\]\n]{1,80}\]|\[?"
    + LEVEL
    + rb"\]?:?|\w{1,16}=\"?|(?=[\w.:-]{0,40}\d)[\w.:-]{1,60}(?=[ \t]))[ \t]{0,8}+(?:- )?){1,2}"
)
_STAMP = re.compile(
    rb"[^\w\s{}]{0,2}(?:"
    + rb"|".join(
        (
            _ISO,
            _DATE + rb"\b",
            _BEFORE + _ISO,
            rb"(?:[A-Z][a-z]{2},? )?(?:" + _MONTH + rb" [ \d]\d|\d{1,2} " + _MONTH + rb")[ ,][^\n]{0,6}?\d\d:\d\d:\d\d",
            rb"1\d{9}(?:\d{3}|\.\d{1,9})?\b",
            rb"[IWEF]\d{4} \d\d:\d\d:\d\d[.\d]{0,7}",
            rb"\S{1,64}+ \S{1,64}+ \S{1,64}+ \[\d\d/" + _MONTH + rb"/\d{4}:[^\]\n]{1,20}",
        )
    )
    + rb")[\])\"]?"
    + _COLOUR
    + rb"[ \t]?"
    + _COLOUR
)
_RECORD = re.compile(
    rb'\{(?=[^\n]{0,4000}?"(?:@?time(?:stamp)?|ts|t|asctime|date|datetime|@?level|levelname|severity|log_?level|eventTime'
    rb'|__REALTIME_TIMESTAMP|ingestionTime|log\.level|instant|timeMillis)"\s?:)|EVENTS\t'
)
_LEVELLED = re.compile(
    rb"[^\w\s]{0,2}" + LEVEL + rb"[^\w\s]{0,2}(?:[ \t:|=-]|$)"
    rb"|\[?\d\d:\d\d:\d\d[.,\d]{0,8}\]?[ \t]+\S|\{\"|(?:START|END|REPORT|INIT_START|INIT_REPORT) "
    rb"|(?:level|lvl|severity)=|\"?(?:GET|POST|PUT|DELETE|HEAD|PATCH|OPTIONS) /"
)
_ANY_LEVEL = re.compile(rb"(?i)\b(?:(TRACE|DEBUG|INFO|NOTICE)|" + _LEVELS + rb")\b")
_TROUBLE = re.compile(rb"(?i)exce|error|throttl|denied|timed out|fail|unable to")
_LEVEL_WITHIN, _TROUBLE_WITHIN = 160, 1_280

_CAUSED = re.compile(rb"[Cc]aused by:|Suppressed:")
CHAIN = re.compile(rb"During handling of|The above exception was")
STARTS = re.compile(
    rb"Traceback \(most recent|Exception in thread |panic: |Unhandled [eE]xception|fatal error: |Uncaught |thread '"
)
_DEEPER = re.compile(rb"(?:\t| {2,}|(?:\xc2\xa0)+| ?at )(?!\s|" + LEVEL + rb")")
_FRAME = re.compile(rb"(?:[ \t]|\xc2\xa0){1,8}(?:File \"|at |\.\.\. \d)")
_TO_THE_SECOND = 19
_GOES_ON = re.compile(
    rb"[ \t]|\xc2\xa0|[})\]]|[Cc]aused by:|Suppressed:|\.\.\. \d|at |--- |---> |goroutine \d|created by |exit status \d"
    rb"|From previous event|Node\.js v\d|stack backtrace:|note: run with|\[Previous line|\xe2[\x94\x95]"
)
# Docker's own log files have a JSON record for each line of a traceback.
_RECORD_GOES_ON = re.compile(rb'\{"log":\s?"(?:\\t|[ \t]|[Cc]aused by:|Suppressed:|\.\.\. \d|at )')
BLANK = re.compile(rb"\s*?(?:\n|\Z)")
RAISED = re.compile(rb"(?=[\w.$:]{0,99}[a-z])[A-Za-z_][\w.$]{0,99}(?::|\s*?(?:\n|\Z))")
EXCEPTION = re.compile(rb"[A-Za-z_][\w.$]{0,99}(?:Error|Exception|Fault)\b")


class Kind(IntEnum):
    """The kinds of lines. A `RECORD` is a complete log message as JSON, with its time or its level."""

    PLAIN, CONTINUES, LEVELLED, STAMPED, RECORD = range(5)


class Line(NamedTuple):
    """One line of a log: its kind, the position at which the program's own text begins, and its source. The source is
    the program that wrote the line, if several programs write to one log.
    """

    kind: Kind
    text: int
    source: bytes


def line_at(buffer: bytes, at: int) -> Line:
    """Return the line that starts at position `at`."""
    carrier = _CARRIER.match(buffer, at)
    begin, source = (carrier.end(), b"".join(filter(None, carrier.groups()))) if carrier else (at, b"")
    if _RECORD.match(buffer, begin):
        return Line(Kind.CONTINUES if _RECORD_GOES_ON.match(buffer, begin) else Kind.RECORD, begin, source)
    stamp = _STAMP.match(buffer, begin)
    if stamp is None:
        if _LEVELLED.match(buffer, begin):
            return Line(Kind.LEVELLED, begin, source)
        return Line(Kind.CONTINUES if _GOES_ON.match(buffer, begin) else Kind.PLAIN, begin, source)
    text = stamp.end()
    if _RECORD.match(buffer, text):
        return Line(Kind.RECORD, text, source)
    return Line(Kind.CONTINUES if _traced(buffer, at, text) else Kind.STAMPED, text, source)


def _traced(buffer: bytes, at: int, text: int) -> bool:
    """Return True if a line with a time belongs to the traceback above it.

    Some loggers write the time before each line of a traceback. A line belongs to the traceback if it meets all three
    conditions:

    * The line has the same time (to the second) as the line above.
    * Both lines look like lines of a traceback, such as `File "app.py", line 3`.
    * The line below also begins with a time, or does not exist.
    """
    if at == 0 or not (_DEEPER.match(buffer, text) or EXCEPTION.match(buffer, text) or CHAIN.match(buffer, text)):
        return False
    over = above(buffer, at)
    if buffer[over : over + _TO_THE_SECOND] != buffer[at : at + _TO_THE_SECOND]:
        return False
    stamp = _STAMP.match(buffer, over)
    following = below(buffer, at)
    if stamp is None or (following < len(buffer) and not _STAMP.match(buffer, following)):
        return False
    before = stamp.end()
    if _FRAME.match(buffer, text):
        return bool(_DEEPER.match(buffer, before) or STARTS.match(buffer, before) or EXCEPTION.match(buffer, before))
    if _DEEPER.match(buffer, text):
        return bool(_FRAME.match(buffer, before))
    return bool(_DEEPER.match(buffer, before) and _traced(buffer, over, before))


def is_calm(buffer: bytes, line: Line) -> bool:
    """Return True if a line reports no problem: the line's level is low, and the line contains no word that indicates
    an error.
    """
    end = below(buffer, line.text)
    calm = has_calm_level(buffer, line.text, end)
    return calm and not _TROUBLE.search(buffer, line.text, min(end, line.text + _TROUBLE_WITHIN))


def has_calm_level(buffer: bytes, begin: int, end: int) -> bool:
    """Return whether a line's level is low, such as INFO or DEBUG."""
    level = _ANY_LEVEL.search(buffer, begin, min(end, begin + _LEVEL_WITHIN))
    return bool(level and level[1])


def goes_on_with_a_cause(event: bytes) -> bool:
    """Return True if an event is the rest of a Java traceback that continues with `Caused by:`.

    The event must begin with continuation lines, such as `at com.example.App.main`, and one of them must begin with
    `Caused by:`.
    """
    at = 0
    while at < len(event):
        line = line_at(event, at)
        if line.kind is not Kind.CONTINUES or _CAUSED.match(event, line.text):
            return line.kind is Kind.CONTINUES
        at = below(event, at)
    return False


def above(buffer: bytes, at: int) -> int:
    """Return the position where the line above begins. For the first line, return the line's own position."""
    return buffer.rfind(b"\n", 0, max(0, at - 1)) + 1


def below(buffer: bytes, at: int) -> int:
    """Return the position where the line below begins, or the end of the buffer."""
    return buffer.find(b"\n", at) + 1 or len(buffer)
