"""The members of a shared quota, as `bedrock quota watch` shows them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Seen:
    """One member (process) of a shared quota.

    * `share`: the fraction of the quota that the member can use.
    * `age`: the seconds since the member's last request.
    * `rate`: the member's calls per second.
    * `report`: the member's report, a text for people.
    """

    member: str
    share: float
    age: float
    rate: float
    report: str


@dataclass(frozen=True, slots=True)
class View:
    """The members of a shared quota, sorted by name, and the limits that they share. `limits` contains tuples
    (dimension, units per minute, stamp). The stamp counts the values that the limit has had.
    """

    members: tuple[Seen, ...]
    limits: tuple[tuple[str, float, int], ...]
