"""The words of an event: what the program said, without what loggers and transports put around it."""

from __future__ import annotations

import json
import re
from typing import Any

from aws_bedrock_inference.knowledge.lines import LEVEL, Kind, line_at

_LONGEST_RECORD = 1 << 17
_COLOURS = re.compile(r"\x1b\[[\d;]{0,16}[A-Za-z]")
_LEVEL = re.compile(rb"[^\w\s{]{0,2}" + LEVEL + rb"[\])}>]?[ \t:|-]{0,3}")
# The members of a log record that hold its message. What else it has (times, hosts, paths, ids) tells of no error.
_SAYS = frozenset(
    "message msg @message error err errors exception exc exc_info exc_text exception_message exceptionmessage stack"
    " stack_trace stacktrace stack_info traceback trace errormessage errortype error_message error_type error.message"
    " error.type error.stack error.stack_trace exception.message exception.type exception.stacktrace reason detail"
    " details cause caused_by event log text body response responsebody textpayload jsonpayload payload description"
    " errorname errorcode error_code statuscode status_code thrown throwable output stderr".split()
)
_RECORD = frozenset(
    "time timestamp @timestamp ts t date datetime asctime level @level levelname severity loglevel log_level log.level"
    " logger loggername logger_name ingestiontime __realtime_timestamp instant timemillis stream log logstreamname"
    " pid hostname".split()
)


def message(event: bytes) -> str:
    """Return the words of an event; of a record in JSON, those of the members that hold its message."""
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
    """Return what a record in JSON says; any other text as it is."""
    if not text.startswith("{") or len(text) > _LONGEST_RECORD:
        return text
    try:
        record, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(record, dict) or not _RECORD.intersection(map(str.lower, record)) or "eventSource" in record:
        return text
    said = [_of_member(value) for name, value in record.items() if name.lower() in _SAYS and value]
    rest = text[end:].strip(" ,\n")
    return "\n".join(said + [rest] * bool(rest)) if said else text


def _of_member(value: Any) -> str:
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    logged = value[:1].isdigit() or value[:1] in "[{"  # a line that another logger wrote
    return message(value.encode(errors="replace")) if logged else value.strip()
