"""The objects of pretty-printed JSON, such as the AWS CLI prints: each member has a line, and none bears a time."""

from __future__ import annotations

import re

from aws_bedrock_inference.knowledge.lines import above, below

_REACH = 1 << 15
_MEMBER = re.compile(rb'[ \t]+["{}\[\]\d]')
_INDENT = re.compile(rb"[ \t]*")
# Arrays whose elements are events of their own: what `aws logs`, CloudTrail and log stores print.
_EVENTS = re.compile(
    rb'\s*"(?:events|logEvents|results|Records|records|logs|entries|items|hits|messages)"\s*:\s*\[\s*$'
)


def object_around(buffer: bytes, line: int, floor: int) -> tuple[int, int] | None:
    """Return where the outermost object around a line begins and ends, below the array of all events."""
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
