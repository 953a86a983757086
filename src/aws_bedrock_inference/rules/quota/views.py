"""The members of a shared quota, as others see them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Seen:
    """A member as others see it: its fraction, seconds since it last asked, its calls a second, its report."""

    member: str
    share: float
    age: float
    rate: float
    report: str


@dataclass(frozen=True, slots=True)
class View:
    """The members of a quota, by name, and their estimates of its limits: (dimension, units a minute, stamp)."""

    members: tuple[Seen, ...]
    limits: tuple[tuple[str, float, int], ...]
