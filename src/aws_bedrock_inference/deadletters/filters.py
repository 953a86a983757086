"""Select dead letters by cause, model, Region, time and tag."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from math import inf
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.bounds import is_number, shown

if TYPE_CHECKING:
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.deadletters.letter import Summary

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_AGO = re.compile(r"(\d{1,9})([smhd])")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A selection of dead letters. An empty field selects all letters.

    `cause` and `model` are names, or patterns such as `throttled-*`. `since` (inclusive) and `until` (exclusive) limit
    the time of the letter's first failure, in seconds since the epoch. `tags` are pairs of a name and a value; a value
    of None matches any value.
    """

    cause: str = ""
    model: str = ""
    region: str = ""
    since: float = -inf
    until: float = inf
    tags: tuple[tuple[str, str | None], ...] = ()

    def fits(self, summary: Summary) -> bool:
        """Return whether the selection contains this dead letter."""
        return (
            (not self.cause or fnmatchcase(summary.cause, self.cause))
            and (not self.model or fnmatchcase(summary.model, self.model))
            and self.region in ("", summary.region)
            and self.since <= summary.first < self.until
            and all(name in summary.tags and value in (None, summary.tags[name]) for name, value in self.tags)
        )


def wanted(
    now: Clock,
    *,
    cause: str | None = None,
    model: str | None = None,
    region: str | None = None,
    route: str | None = None,
    since: Any = None,
    until: Any = None,
    tag: str | list[str] | tuple[str, ...] | None = None,
) -> Wanted:
    """Return the selection for these arguments.

    A route is written `MODEL in REGION`. A time is a `datetime`, seconds since the epoch, ISO 8601, or a duration
    before now, such as `30m`, `2h` or `7d`. A tag is `name` or `name=value`. Raises `ValueError` for an invalid
    argument.
    """
    if route is not None:
        if model is not None or region is not None:
            raise ValueError("pass either route, or model and region: a route contains both, as `MODEL in REGION`")
        model, _, place = _pattern("route", route).partition(" in ")
        region = place or None
    tags = [tag] if isinstance(tag, str) else list(tag or ())
    return Wanted(
        cause=_pattern("cause", cause),
        model=_pattern("model", model),
        region=_pattern("region", region),
        since=-inf if since is None else time_of("since", since, now),
        until=inf if until is None else time_of("until", until, now),
        tags=tuple(_tag(each) for each in tags),
    )


def time_of(name: str, value: Any, now: Clock) -> float:
    """Return the time `value` in seconds since the epoch. `value` is a `datetime`, a number of seconds, ISO 8601, or a
    duration before the time `now()`, such as `2h`.

    Raises `ValueError` for any other value. The message contains `name`, the name of the argument.
    """
    if isinstance(value, datetime):
        return (value if value.tzinfo is not None else value.replace(tzinfo=UTC)).timestamp()
    if is_number(value):
        return float(value)
    if isinstance(value, str):
        if found := _AGO.fullmatch(value.strip()):
            return now() - int(found[1]) * _UNITS[found[2]]
        try:
            return time_of(name, datetime.fromisoformat(value.strip()), now)
        except ValueError:
            pass
    raise ValueError(
        f"{name}={shown(value)}: use a time such as 2026-11-29T14:00:00 (UTC), or a duration before now: 30m, 2h, 7d"
    )


def _pattern(name: str, value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name}={shown(value)}: pass a name; in cause and model, * matches any text")
    return value


def _tag(text: Any) -> tuple[str, str | None]:
    if not isinstance(text, str) or not text.partition("=")[0]:
        raise ValueError(f"tag={shown(text)}: pass the name of a tag, or name=value")
    name, separator, value = text.partition("=")
    return name, value if separator else None
