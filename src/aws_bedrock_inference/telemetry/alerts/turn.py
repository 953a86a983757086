"""Examine all reports of a service once, as a pure function.

The memory is the state of the alert rules. The function receives the old memory and the reports. It returns the new
memory and the alerts to deliver.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.telemetry.alerts.alert import Alert, alert_of
from aws_bedrock_inference.telemetry.alerts.book import Book
from aws_bedrock_inference.telemetry.alerts.report import Report

if TYPE_CHECKING:
    from collections.abc import Iterable

FORMAT = 1

MOST_UNDELIVERED = 1000
"""The maximum number of alerts that wait for delivery by a process. If there are more, the oldest alert is dropped."""

LAPSE = 60.0
"""The number of seconds after which another process can deliver an alert. This happens only if the process that
delivers the alert has ended, so that it no longer renews its claim.
"""


class MemoryUnreadable(ValueError):
    """Raised if the state of the alert rules is damaged, or a different version of this package wrote it."""


_REMEDY = "Update aws-bedrock-inference in all processes, or set another store or service in Alerts"

# The memory that this process wrote last. If no other process has written since, the memory need not be parsed again.
_last: dict[str, Any] = {}


def look(memory: str, reports: Iterable[tuple[float, str]], now: float, service: str) -> tuple[str, list[Alert]]:
    """Count all `reports` of the processes. Return the new memory, and the alerts that the caller must deliver.

    The memory is the state of the alert rules. Each report is a text with the time when it arrived.

    Raises `MemoryUnreadable` if the old memory cannot be read.
    """
    known = _last.pop(memory, ())
    book, waiting = known or _read(memory)
    for at, text in reports:
        with suppress(Exception):  # from another version or program; the other reports count
            report = Report.from_json(text)
            book.add(report, at)
            for name in report.delivered:
                waiting.pop(name, None)
            since = dict.fromkeys(report.held, at) | dict.fromkeys(report.released, 0.0)
            for name in since.keys() & waiting.keys():
                waiting[name][1] = since[name]
    for incident, ended in book.evaluate(now):
        alert = alert_of(incident, now, service, ended=ended, ahead=book.ahead)
        waiting[alert.id] = [alert.to_dict(), 0.0]
    while len(waiting) > MOST_UNDELIVERED:
        del waiting[next(iter(waiting))]
    mine = [each for each in waiting.values() if abs(now - each[1]) >= LAPSE]  # the clock may have been set back
    for each in mine:
        each[1] = now
    after = json.dumps([FORMAT, book.plain(), waiting], separators=(",", ":"))
    _last.clear()
    _last[after] = book, waiting
    return after, [Alert.from_dict(plain) for plain, _ in mine]


def _read(memory: str) -> tuple[Book, dict[str, list[Any]]]:
    if not memory:
        return Book(), {}
    try:
        version, book, waiting = json.loads(memory)
        found = Book.of(book) if version == FORMAT else None
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise MemoryUnreadable(f"the stored state of the alert rules cannot be read: {error}. {_REMEDY}") from error
    if found is None:
        raise MemoryUnreadable(
            f"the stored state of the alert rules has format {version}, but this version reads {FORMAT}. {_REMEDY}"
        )
    return found, waiting
