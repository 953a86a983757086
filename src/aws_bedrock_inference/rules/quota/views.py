"""The members of a shared quota, as `bedrock quota watch` shows them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Seen:
    """One member (process): its share of the quota, seconds since its last request, its calls per second, and its
    report.
    """

    member: str
    share: float
    age: float
    rate: float
    report: str


@dataclass(frozen=True, slots=True)
class View:
    """The members of a quota, sorted by name, and their shared `limits`: tuples (dimension, units per minute, stamp).
    The stamp counts the changes of the limit.
    """

    members: tuple[Seen, ...]
    limits: tuple[tuple[str, float, int], ...]
