"""Write the times and durations of a deadline as text."""

from __future__ import annotations

from datetime import UTC, datetime

_MINUTE, _HOUR = 60, 3600


def duration(seconds: float) -> str:
    """Return a duration as `40 s`, `25 min` or `9 h 20 min`."""
    if seconds < 2 * _MINUTE:
        return f"{max(0, round(seconds))} s"
    hours, minutes = divmod(round(seconds / _MINUTE), _HOUR // _MINUTE)
    return f"{hours} h {minutes} min" if hours and minutes else f"{hours} h" if hours else f"{minutes} min"


def local_time(moment: float, now: float) -> str:
    """Return a time as text in the time zone of this machine, for example `07:30`.

    If the time is on another day than `now`, the text also contains the date, for example `Tue 01 Dec 07:30`.
    """
    then, today = (datetime.fromtimestamp(time, UTC).astimezone() for time in (moment, now))
    return then.strftime("%H:%M" if then.date() == today.date() else "%a %d %b %H:%M")
