"""One look at everything that was reported: pure, from the memory before to the memory after and what to deliver."""

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
"""The alerts that wait for a process to deliver them; the oldest goes first if more come."""

LAPSE = 60.0
"""Seconds after which a message belongs to nobody, if the process that delivers it does not report that it still
does: it has ended."""


class MemoryUnreadable(ValueError):
    """The memory in the store was not written by this version, or is damaged."""


_REMEDY = "Update aws-bedrock-inference in all processes, or give Alerts another store or service"

# What this process wrote last need not be read again, if nobody wrote since.
_last: dict[str, Any] = {}


def look(memory: str, reports: Iterable[tuple[float, str]], now: float, service: str) -> tuple[str, list[Alert]]:
    """Return the memory with `reports` (time and text) and the alerts that the caller has to deliver.

    Raises `MemoryUnreadable`.
    """
    known = _last.pop(memory, ())
    book, waiting = known or _read(memory)
    for at, text in reports:
        with suppress(Exception):  # of another version, or nobody's: one report must not end all looks
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
        raise MemoryUnreadable(f"the memory of alerts cannot be read: {error}. {_REMEDY}") from error
    if found is None:
        raise MemoryUnreadable(
            f"the memory of alerts has format {version}, and format {FORMAT} is read here. {_REMEDY}"
        )
    return found, waiting
