"""Describe shared quotas and their members in human-readable form. A member is a process that uses the quota."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Self

from aws_bedrock_inference.rules.quota.beliefs import BURNDOWN
from aws_bedrock_inference.stores.report import MemberReport, ReportTooNew
from aws_bedrock_inference.tokens.answer_sizes import AnswerSizes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aws_bedrock_inference.rules.quota.views import Seen, View

# The number of different reasons for which calls wait that are shown.
_MOST_PACES = 3

# A limit delays calls if at least this fraction of it is used in a minute.
_FULL = 0.8


@dataclass(frozen=True, slots=True)
class Member:
    """One process that shares a quota.

    * `share`: the fraction of the quota, from 0 to 1, that the process is allowed to use now.
    * `rate`: the number of calls per second that the process sends.
    * `age`: the seconds since the process sent `report`.
    * `unread`: the reason why the report could not be read, or an empty text.
    """

    name: str
    share: float
    rate: float
    age: float
    report: MemberReport
    unread: str = ""

    @classmethod
    def of(cls, seen: Seen) -> Self:
        """Return the member (a process that uses a shared quota) that is described by its entry in the store."""
        try:
            report, unread = MemberReport.from_json(seen.report), ""
        except ReportTooNew as error:
            report, unread = MemberReport(), str(error)
        return cls(seen.member, seen.share, seen.rate, seen.age, report, unread)


@dataclass(frozen=True)
class SharedQuota:
    """One quota and the members that share it.

    `limits` are the members' estimates of the limits per minute, by dimension (requests or tokens). `burndown` is the
    number of quota tokens for each output token. It is None unless the members measured a number that differs from the
    number in this package's table.
    """

    key: str
    members: tuple[Member, ...]
    limits: Mapping[str, float]
    burndown: float | None = None

    @classmethod
    def of(cls, key: str, view: View) -> Self:
        """Return the quota from the store's entry with the name `key`."""
        believed = {name: value for name, value, _ in view.limits}
        limits = {name: limit for name, limit in believed.items() if name in ("requests", "tokens")}
        return cls(key, tuple(map(Member.of, view.members)), limits, believed.get(BURNDOWN))

    @property
    def place(self) -> tuple[str, str, str, str]:
        """The account, Region, base model and pool of the quota. `Route.quota_key` joins them into `key`."""
        account, region, model, pool = self.key.split("|") if self.key.count("|") == 3 else ("", "", self.key, "")  # noqa: PLR2004
        return account, region, model, pool

    def is_apart_from(self, other: SharedQuota) -> bool:
        """Return True if this quota and the quota `other` may be the same quota in AWS.

        The store identifies a quota by its account, Region, base model and pool. If some members do not know their AWS
        account, the store counts them under a separate quota without an account. Therefore the result is True if
        `other` has an account, this quota has none, and Region, base model and pool of both quotas are equal.
        """
        return not self.place[0] and other.place[0] != "" and self.place[1:] == other.place[1:]

    def used(self, dimension: str) -> int:
        """Return how much of a dimension (requests or tokens) all members used in the last minute."""
        return sum(member.report.used.get(dimension, 0) for member in self.members)

    @property
    def reserved(self) -> int:
        """The tokens that calls in flight of all members have reserved."""
        return sum(member.report.reserved for member in self.members)

    @property
    def throttled(self) -> int:
        """The number of throttles of all members, since the start of each member's process."""
        return sum(member.report.throttled for member in self.members)

    @property
    def waiting(self) -> dict[float, int]:
        """The number of calls of all members that wait for quota, by the priority of the calls."""
        return _sum(member.report.waiting for member in self.members)

    @property
    def consumers(self) -> dict[float, int]:
        """The tokens per minute that all members use, by the priority of the calls."""
        return _sum(member.report.consumers for member in self.members)

    @property
    def answers(self) -> AnswerSizes:
        """Statistics about the lengths of the answers that all members received."""
        sizes = AnswerSizes()
        for member in self.members:
            sizes.merge(member.report.answers)
        return sizes

    def reasons(self, dimension: str) -> dict[str, list[str]]:
        """Return the reasons for the members' estimates of the limit of a `dimension` (requests or tokens).

        The result is a dictionary. Each key is a reason, and its value lists the members that state this reason.
        """
        believed: dict[str, list[str]] = {}
        for member in self.members:
            reason = member.report.reasons.get(dimension, "")
            if reason:
                believed.setdefault(reason, []).append(member.name)
        return dict(sorted(believed.items(), key=lambda each: -len(each[1])))

    def holding(self) -> str:
        """Return a text that states why calls of the members wait now. If the members report different reasons, it
        contains all of them, the most frequent one first.
        """
        if not any(self.waiting.values()):
            return "nothing; no call is waiting"
        paces = Counter(member.report.pace for member in self.members if any(member.report.waiting.values()))
        if all(paces):
            return "; ".join(_of(pace, count, len(self.members)) for pace, count in paces.most_common(_MOST_PACES))
        fills = {name: self.used(name) / limit for name, limit in self.limits.items() if limit < inf}
        fullest = max(fills, key=lambda name: fills[name], default="")
        if fills.get(fullest, 0.0) < _FULL:
            return (
                "even pacing, a pause after throttles, the daily quota or concurrency; no limit per minute is reached"
            )
        if fullest == "tokens" and self.reserved > self.used("tokens") / 2:
            return "tokens per minute; most are reserved and not used, so a lower max_tokens admits more calls"
        return f"{fullest} per minute"


def _of(pace: str, count: int, members: int) -> str:
    return pace if count == members else f"{pace} ({count:,} of {members:,} members)"


def _sum(counts: Iterable[Mapping[float, int]]) -> dict[float, int]:
    total: Counter[float] = Counter()
    for each in counts:
        total.update(each)
    return dict(sorted(total.items()))
