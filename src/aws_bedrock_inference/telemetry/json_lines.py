"""Write log records as lines of JSON.

Keys such as `timestamp` and `level` have the names that an example in AWS's documentation uses. Keys such as `attempt`
have the names of the fields of this package's events.
"""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from functools import lru_cache
from json import JSONEncoder
from math import inf
from typing import Any

from aws_bedrock_inference.contexts import current
from aws_bedrock_inference.dialects.echo import SHORTEST
from aws_bedrock_inference.event_fields import fault_fields, surroundings
from aws_bedrock_inference.fault import Fault
from aws_bedrock_inference.knowledge.masking import masked, masked_in
from aws_bedrock_inference.log import LOGGER
from aws_bedrock_inference.telemetry.plain import chained, error_text, plain, text_of, whole_characters

_FRAME = re.compile(r'[ |]*File "[^"]*", line \d+')
_SURROGATE = "\\ud"  # as JSON escapes one

_written = JSONEncoder(allow_nan=False).encode


class JsonFormatter(logging.Formatter):
    """A formatter of the standard library's `logging` that writes each record as one line of JSON.

        handler.setFormatter(JsonFormatter())

    A line has `timestamp` (UTC), `level`, `message` and `logger`. The line of an event also has the name and the
    values of the event. `context`, `trace_id` and `span_id` are added if they exist, and `exception` if the record
    has an exception. A program can add keys with `extra={"data": ...}`; a key that already exists gets the prefix
    `data_`. Secrets are masked everywhere.

    Every line is valid JSON, whatever the record contains. A line consists of ASCII characters. It contains no line
    breaks, no NaN and no lone surrogates.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON."""
        line = {
            "timestamp": f"{_second(int(record.created))}.{int(record.created % 1 * 1000):03d}Z",
            "level": record.levelname,
            "message": _message(record),
            "logger": record.name,
        }
        try:
            said = self._said(record, line)
            text = _written(said)
            return _written(plain(said)) if _SURROGATE in text else text  # some are lone surrogates
        except Exception as error:  # noqa: BLE001 - a line of the log is never worth an exception
            return _written({**line, "message": f"a record that cannot be written: {type(error).__name__}"})

    def _said(self, record: logging.LogRecord, line: dict[str, Any]) -> dict[str, Any]:
        said, fields = {**line}, event_of(record)
        if fields:  # created by `event_fields`; only its context comes from the user
            said.update(fields)
            if "context" in fields:
                said["context"] = masked_in(fields["context"])
        else:
            said.update(masked_in(surroundings(0, current())))
        said["message"] = masked(said["message"])
        if record.exc_info and record.exc_info[1] is not None:
            said.update(self._exception(record.exc_info))
        if record.stack_info:
            said["stack"] = masked(whole_characters(_without_source(record.stack_info)))
        data = getattr(record, "data", None)
        if data is not None:
            given = masked_in(plain(data))
            given = given if isinstance(given, dict) else {"data": given}
            said.update({f"data_{name}" if name in said else name: value for name, value in given.items()})
        return said

    def _exception(self, exc_info: Any) -> dict[str, Any]:
        """Return the traceback and the facts of the failure, such as its cause and its error code.

        The source lines are removed from the traceback, because they can contain a prompt. If the message of an
        exception quotes values of a request, these values are also removed.
        """
        text = _without_source(self.formatException(exc_info))
        for error in chained(exc_info[1]):
            said = text_of(error)
            clean = error_text(error)
            if said != clean and len(said) >= SHORTEST:
                text = text.replace(said, clean)
        fault = getattr(exc_info[1], "fault", None)
        known = fault_fields(fault) if isinstance(fault, Fault) else {}
        return {**known, "exception": masked(whole_characters(text))}


def event_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return the values of the event that `record` reports.

    The result is empty if `record` reports no event, or is not a record of this package's log.
    """
    fields = getattr(record, "bedrock", None)
    return fields if isinstance(fields, dict) and record.name == LOGGER.name else {}


def _message(record: logging.LogRecord) -> str:
    try:
        text = record.getMessage()
    except Exception:  # noqa: BLE001 - its arguments do not fit its format, or their methods fail
        text = text_of(record.msg)
    return whole_characters(text)


def _without_source(traceback: str) -> str:
    """Return a traceback without its source lines. It still has the files, the line numbers and the functions."""
    kept: list[str] = []
    depth = inf  # the source lines and their marks are indented further than their frame
    for line in traceback.split("\n"):
        indent = len(line) - len(line.lstrip(" |"))
        if _FRAME.match(line):
            depth = indent
        elif indent > depth:
            continue
        else:
            depth = inf
        kept.append(line)
    return "\n".join(kept)


@lru_cache(maxsize=4)
def _second(since_epoch: int) -> str:
    return datetime.fromtimestamp(since_epoch, UTC).strftime("%Y-%m-%dT%H:%M:%S")
