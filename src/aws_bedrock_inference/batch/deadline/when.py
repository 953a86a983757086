"""Read a deadline: a time of day, a date with a time, or a span of time from now."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta, tzinfo
from typing import TypeAlias
from zoneinfo import ZoneInfo

from aws_bedrock_inference.bounds import shown

When: TypeAlias = str | datetime | timedelta
"""A deadline in one of these forms: `08:00`, `08:00 Europe/Berlin`, `2026-12-01T08:00+01:00`, `3h`, `1h30m`, or a
value of `datetime`.
"""

_SPAN = re.compile(
    r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?:in)?)?(?:(\d+(?:\.\d+)?)s)?", re.ASCII
)
_UNITS = (86_400, 3600, 60, 1)
_FORMS = (
    "Use a time such as 08:00, a date with a time such as 2026-12-01T08:00, or a span such as 3h or 90m. With a zone: "
    "08:00 Europe/Berlin, 08:00+01:00 or 08:00Z"
)
_DAY = timedelta(days=1)
_MOST_DAYS = 31  # AWS stops a batch job after 7 days


def moment(when: When, now: float, zone: tzinfo | None = None) -> float:
    """Return the deadline in seconds since the epoch. A time of day means its next occurrence.

    `zone` applies to a time without a zone; None is the zone of this machine. Raises `ValueError` for an invalid
    deadline, a deadline in the past, or a deadline more than 31 days away.
    """
    found = read(when, now, zone)
    if found <= now:
        raise ValueError(
            f"the deadline {when} has passed. Use a later time; a time of day such as 08:00 means its next occurrence"
        )
    if found > now + _MOST_DAYS * _DAY.total_seconds():
        raise ValueError(f"the deadline {when} is more than {_MOST_DAYS} days away. Use an earlier time")
    return found


def read(when: When, now: float = 0.0, zone: tzinfo | None = None) -> float:
    """Return the deadline in seconds since the epoch. It can be in the past. Raises `ValueError` for an invalid
    deadline.
    """
    if isinstance(when, timedelta):
        return now + when.total_seconds()
    if isinstance(when, datetime):
        return (when if when.tzinfo else when.replace(tzinfo=zone)).timestamp()
    if not isinstance(when, str):
        raise ValueError(f"{shown(when)} is not a deadline. {_FORMS}")  # noqa: TRY004 - the same as for an invalid text
    return _read(when.strip(), now, zone)


def _read(text: str, now: float, zone: tzinfo | None) -> float:
    bare = text.replace(" ", "").lower()
    if bare and (span := _SPAN.fullmatch(bare)):
        return now + sum(float(number or 0) * unit for number, unit in zip(span.groups(), _UNITS, strict=True))
    words = text.split()
    try:
        if len(words) > 1 and words[-1][0].isalpha():
            zone = ZoneInfo(words.pop())
        joined = "T".join(words)
        if "T" in joined[1:]:
            day_and_time = datetime.fromisoformat(joined)
            return (day_and_time if day_and_time.tzinfo else day_and_time.replace(tzinfo=zone)).timestamp()
        clock = time.fromisoformat(f"0{joined}" if joined[1:2] == ":" else joined)
    except (
        ValueError,
        KeyError,
        OSError,
    ):  # an unknown zone raises KeyError; a zone that is a directory raises OSError
        raise ValueError(f"{text!r} is not a deadline. {_FORMS}") from None
    return _next(clock.replace(tzinfo=None), now, clock.tzinfo or zone)


def _next(clock: time, now: float, zone: tzinfo | None) -> float:
    """Return the next moment when clocks in the zone show the time `clock`.

    When summer time ends, clocks show some times twice. In this case, return the first of the two moments, or the
    second if the first is not in the future.

    When summer time starts, clocks skip some times. If they skip the hour after 2:00, the time 2:30 means 3:30.
    """
    day = datetime.fromtimestamp(now, zone).date()
    while True:
        for fold in (0, 1):
            found = datetime.combine(day, clock, zone).replace(fold=fold).timestamp()
            shown = datetime.fromtimestamp(found, zone).time()
            if found > now and (shown == clock or fold == 0):
                return found
        day += _DAY
