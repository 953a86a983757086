"""Members of shared quotas, as the store shows them to people."""

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

# From this part of a limit on, it is the minute that holds calls back.
_FULL = 0.8


@dataclass(frozen=True, slots=True)
class Member:
    """One process. `share` is the part of the quota that it may use, `rate` its calls per second; `age` is the number
    of seconds since it sent `report`. `unread` says why the report could not be read; empty if it could.
    """

    name: str
    share: float
    rate: float
    age: float
    report: MemberReport
    unread: str = ""

    @classmethod
    def of(cls, seen: Seen) -> Self:
        """Return the member behind what the store shows."""
        try:
            report, unread = MemberReport.from_json(seen.report), ""
        except ReportTooNew as error:
            report, unread = MemberReport(), str(error)
        return cls(seen.member, seen.share, seen.rate, seen.age, report, unread)


@dataclass(frozen=True)
class SharedQuota:
    """One quota and who shares it. `limits` are its members' estimates by dimension, a minute; `burndown` is how many
    times an output token counts, where they found that the table is wrong.
    """

    key: str
    members: tuple[Member, ...]
    limits: Mapping[str, float]
    burndown: float | None = None

    @classmethod
    def of(cls, key: str, view: View) -> Self:
        """Return what the store shows under `key`."""
        believed = {name: value for name, value, _ in view.limits}
        limits = {name: limit for name, limit in believed.items() if name in ("requests", "tokens")}
        return cls(key, tuple(map(Member.of, view.members)), limits, believed.get(BURNDOWN))

    @property
    def place(self) -> tuple[str, str, str, str]:
        """Account, Region, base model and pool, as `Route.quota_key` joins them."""
        account, region, model, pool = self.key.split("|") if self.key.count("|") == 3 else ("", "", self.key, "")  # noqa: PLR2004
        return account, region, model, pool

    def is_apart_from(self, other: SharedQuota) -> bool:
        """Return whether this may be the other quota, under the name that it has where the account is not known."""
        return not self.place[0] and other.place[0] != "" and self.place[1:] == other.place[1:]

    def used(self, dimension: str) -> int:
        """Return the use of all members in the last minute."""
        return sum(member.report.used.get(dimension, 0) for member in self.members)

    @property
    def reserved(self) -> int:
        """The tokens reserved by calls in flight."""
        return sum(member.report.reserved for member in self.members)

    @property
    def throttled(self) -> int:
        """Throttles since each member began."""
        return sum(member.report.throttled for member in self.members)

    @property
    def waiting(self) -> dict[float, int]:
        """The number of waiting calls, by priority."""
        return _sum(member.report.waiting for member in self.members)

    @property
    def consumers(self) -> dict[float, int]:
        """Tokens a minute, by priority."""
        return _sum(member.report.consumers for member in self.members)

    @property
    def answers(self) -> AnswerSizes:
        """The lengths of the answers of all members."""
        sizes = AnswerSizes()
        for member in self.members:
            sizes.merge(member.report.answers)
        return sizes

    def reasons(self, dimension: str) -> dict[str, list[str]]:
        """Return why the members believe in their estimate of a limit, in words, and which of them believe each."""
        believed: dict[str, list[str]] = {}
        for member in self.members:
            reason = member.report.reasons.get(dimension, "")
            if reason:
                believed.setdefault(reason, []).append(member.name)
        return dict(sorted(believed.items(), key=lambda each: -len(each[1])))

    def holding(self) -> str:
        """Return the reason why calls wait now."""
        if not any(self.waiting.values()):
            return "nothing; no call waits"
        fills = {name: self.used(name) / limit for name, limit in self.limits.items() if limit < inf}
        fullest = max(fills, key=lambda name: fills[name], default="")
        if fills.get(fullest, 0.0) < _FULL:
            return "even pacing, a pause after throttles, the daily quota or concurrency; the minute is not full"
        if fullest == "tokens" and self.reserved > self.used("tokens") / 2:
            return "tokens per minute, most of them reserved and not used; a lower max_tokens admits more calls"
        return f"{fullest} per minute"


def _sum(counts: Iterable[Mapping[float, int]]) -> dict[float, int]:
    total: Counter[float] = Counter()
    for each in counts:
        total.update(each)
    return dict(sorted(total.items()))
