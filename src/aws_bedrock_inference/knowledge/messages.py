"""Find the program's own message in an event of a log, without the text that loggers and transports add. An "event" is
one log message with all its lines.
"""

from __future__ import annotations

import json
import re
from typing import Any

from aws_bedrock_inference.knowledge.lines import LEVEL, Kind, line_at

_LONGEST_RECORD = 1 << 17
_COLOURS = re.compile(r"\x1b\[[\d;]{0,16}[A-Za-z]")
_LEVEL = re.compile(rb"[^\w\s{]{0,2}" + LEVEL + rb"[\])}>]?[ \t:|-]{0,3}")
# The members of a log record that contain its message. Its other members (times, hosts, paths, ids) describe no error.
_SAYS = re.compile(
    r"@?message|msg|event|log|text|body|(?:text|json)?payload|description|reason|details?|output|stderr|response_?body"
    r"|response|(?:error|exception|err|exc)s?(?:[._](?:message|type|name|code|info|text|stack|stack_trace|stacktrace))?"
    r"|(?:error|exception)(?:message|type|name|code)|stack(?:_?trace|_info)?|trace(?:back)?|caused?_?(?:by)?"
    r"|thrown|throwable|status_?code",
    re.IGNORECASE,
)
_RECORD = re.compile(
    r"@?time(?:stamp|millis)?|ts|t|date(?:time)?|asctime|instant|@?level|levelname|severity|log[._]?level|logger(?:_?name)?"
    r"|ingestiontime|__realtime_timestamp|stream|logstreamname|pid|hostname",
    re.IGNORECASE,
)


def message(event: bytes) -> str:
    """Return the text of an event (log message). For a JSON record, return the text of the members that contain its
    message.
    """
    lines = event.split(b"\n")
    said = []
    for number, line in enumerate(lines):
        known = line_at(line, 0)
        text = line[known.text :]
        if number == 0 and known.kind is not Kind.RECORD:
            text = _without_level(text)
        said.append(text)
    return _of_record(_COLOURS.sub("", b"\n".join(said).decode(errors="replace").replace("\r", "")).strip())


def _without_level(text: bytes) -> bytes:
    level = _LEVEL.match(text)
    return text[level.end() :] if level else text


def _of_record(text: str) -> str:
    """Return the message of a JSON record. Any other text is returned unchanged."""
    if not text.startswith("{") or len(text) > _LONGEST_RECORD:
        return text
    try:
        record, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(record, dict) or not any(map(_RECORD.fullmatch, record)) or "eventSource" in record:
        return text
    said = [_of_member(value) for name, value in record.items() if value and _SAYS.fullmatch(name)]
    rest = text[end:].strip(" ,\n")
    return "\n".join(said + [rest] * bool(rest)) if said else text


def _of_member(value: Any) -> str:
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    logged = value[:1].isdigit() or value[:1] in "[{"  # a line of another logger
    return message(value.encode(errors="replace")) if logged else value.strip()
