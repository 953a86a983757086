"""Find JSON objects in logs, as the AWS CLI and log stores print them: each member of the object on its own line, or
all events on one line.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.knowledge.lines import above, below

if TYPE_CHECKING:
    from collections.abc import Iterator

_REACH = 1 << 15
_MEMBER = re.compile(rb'[ \t]+["{}\[\]\d]')
_INDENT = re.compile(rb"[ \t]*")
# Arrays whose elements are separate events, as `aws logs`, CloudTrail and log stores print them.
_EVENTS = re.compile(
    rb'\s*"(?:events|logEvents|results|Records|records|logs|entries|items|hits|messages)"\s*:\s*\[\s*$'
)

# Several events on one line: inside an object that is not an event itself, as an array, or as the rest of a truncated
# array.
_ONE_LINE = re.compile(
    r'\s*(?:\{(?:(?!"(?:@?timestamp|time|ts|level|severity)")[^\n]){0,500}?'
    r'"(?:events|logEvents|results|Records|records|logs|entries|items|hits)"\s?:\s?)?\[\s?(?=[\[{])'
    r'|(?=\{[^\n]*?\},\s?\{")'
)
BETWEEN = re.compile(rb'\},\s?(?=\{")')
"""The pattern of the end of an object in an array, followed by the start of the next object."""

_TIMES = frozenset({"timestamp", "@timestamp", "time", "ts", "eventTime", "date", "datetime", "ingestionTime"})


def events_of(line: bytes) -> list[bytes]:
    """Return the events (log messages) of a JSON line that contains several events, such as the output of `aws logs`
    through `jq -c`. The result is empty for other lines.
    """
    text = line.decode(errors="replace") if line[:1] in b"{[" else ""
    array = _ONE_LINE.match(text)
    records = [_record(element) for element in _elements(text, array.end())] if array else []
    if array and not array.group() and len(records) == 1:
        return []
    if not all(isinstance(record, dict) and _TIMES & record.keys() for record in records):
        return []
    return [json.dumps(record, ensure_ascii=False).encode(errors="replace") for record in records]


def _elements(text: str, at: int) -> Iterator[Any]:
    """Yield the elements of a JSON array in a text, up to the array's end or to the position where the array is
    truncated.
    """
    decoder = json.JSONDecoder()
    while True:
        try:
            element, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return
        yield element
        comma = _COMMA.match(text, at)
        if comma is None:
            return
        at = comma.end()


_COMMA = re.compile(r"\s*,\s*")


def _record(element: Any) -> Any:
    """Return an element of a JSON array as one log record, which is a dictionary of the record's members.

    Logs Insights writes a record as a list of pairs of field and value. Search engines write the record inside the
    member `_source`. Any other element is returned unchanged.
    """
    if isinstance(element, list):
        pairs = [pair for pair in element if isinstance(pair, dict) and {"field", "value"} <= pair.keys()]
        return {str(pair["field"]): pair["value"] for pair in pairs}
    inner = element.get("_source") if isinstance(element, dict) else None
    return inner if isinstance(inner, dict) else element


def object_around(buffer: bytes, line: int, floor: int) -> tuple[int, int] | None:
    """Return the start and the end of the outermost JSON object that contains the line at position `line`. The start is
    not before `floor`. The result is None if no such object is found.

    If the log is one large array of events, the result is the event that contains the line.
    """
    if not _MEMBER.match(buffer, line):
        return None
    indent, at, start = _indent(buffer, line), line, -1
    while at > floor and line - at < _REACH and indent:
        at = max(floor, above(buffer, at))
        if _indent(buffer, at) >= indent:
            continue
        opener = buffer[at : below(buffer, at)].strip()
        if not opener.endswith((b"{", b"[")) or (start >= 0 and _EVENTS.match(opener)):
            break
        indent = _indent(buffer, at)
        start = at if opener == b"{" else start
    return None if start < 0 else _closed(buffer, start, line)


def _closed(buffer: bytes, start: int, line: int) -> tuple[int, int] | None:
    indent, at = _indent(buffer, start), line
    while at < len(buffer) and at - start < 2 * _REACH:
        following = below(buffer, at)
        if _indent(buffer, at) == indent and buffer[at + indent : at + indent + 1] == b"}":
            return start, following
        at = following
    return (start, at) if at >= len(buffer) else None


def _indent(buffer: bytes, at: int) -> int:
    found = _INDENT.match(buffer, at)
    return found.end() - at if found else 0
