"""The quota that "gone" members used in the last minute. A gone member is a member (process) of a shared quota that has
left, or that has stopped renewing its share.

When a member is gone, the other members share its part of the quota. However, the service still counts the requests
and tokens that the gone member used in the last minute. So this package counts them too. Otherwise each newly started
process could use a whole minute's quota.

The use of all members that left is stored as one sum. A silent member (one that stopped renewing its share) can
return, and it then reports its use itself. Therefore its use is stored under its own name until it returns.

A member that needs little quota sends calls seldom, so its share can expire between two calls. Therefore the small
share of such a silent member stays reserved for another 15 seconds. If the member returns in this time, its next
call need not wait until other members have released quota.
"""

from __future__ import annotations

import json
from math import ceil, isfinite
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from aws_bedrock_inference.rules.quota.fair_shares import FREE
from aws_bedrock_inference.rules.quota.limit import MINUTE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Use: TypeAlias = tuple[float, float, float]
"""A tuple (seconds, requests, tokens): an amount of quota that was used, and a number of seconds. The seconds are the
age of the use, or the time for which the use still counts.
"""

Uses: TypeAlias = "tuple[Use, ...] | None"
"""The uses of gone members that still count against the quota, or None if these uses are unknown."""

# Uses of the quota within this many seconds are counted as one.
STEP = 2.0

# A member can admit a call after it has sent its report, so the service counts this call up to this many seconds later
# than the report shows.
LATE = 0.5

# The maximum number of uses in a report.
MOST = 64

# Three limits of the reservation for a silent member: its need is at most this fraction of the quota, the reservation
# lasts this many seconds, and all these reservations together are at most this fraction of the quota.
LITTLE = 0.05
KEPT_FOR = 15.0
KEPT_FOR_ALL = FREE

# The name under which the uses of all members that left are stored.
LEFT = ""


class Gone:
    """The quota that members (processes) used before they left or stopped renewing their share.

    Each use is stored under two keys. The first is the name of the member. The second is the time from which the use no
    longer counts against the quota, rounded up to a multiple of `STEP` seconds.
    """

    def __init__(self) -> None:
        self._uses: dict[str, dict[int, tuple[float, float]]] = {}
        self._kept: dict[str, tuple[float, float]] = {}

    def add(self, name: str, uses: Iterable[Use], at: float) -> None:
        """Count the quota that the member `name` used, as reported at the time `at`."""
        steps = self._uses.setdefault(name, {})
        for age, requests, tokens in uses:
            step = ceil((at + MINUTE + LATE - age) / STEP)
            before = steps.get(step, (0.0, 0.0))
            steps[step] = before[0] + requests, before[1] + tokens

    def keep(self, name: str, share: float, need: float, at: float) -> None:
        """Reserve a part of the quota for a member (process) whose share expired at the time `at`, so that its next
        call need not wait.

        `need` and `share` are fractions of the quota: the fraction that the member's calls need, and the fraction that
        the member had. The smaller of the two is reserved. If `need` is above `LITTLE`, nothing is reserved.
        """
        if need <= LITTLE and min(share, need) > 0.0:
            self._kept[name] = min(share, need), at

    def kept(self, now: float) -> float:
        """Return the part of the quota that is reserved for all members that have stopped renewing their share."""
        self._kept = {name: (share, at) for name, (share, at) in self._kept.items() if now < at + KEPT_FOR}
        total = sum(share for share, _ in self._kept.values())
        if total > KEPT_FOR_ALL:
            each = KEPT_FOR_ALL / total
            self._kept = {name: (share * each, at) for name, (share, at) in self._kept.items()}
        return min(total, KEPT_FOR_ALL)

    def back(self, name: str) -> float:
        """Remove the recorded use of a member (a process) that has returned. Return the share of the quota that was
        reserved for this member.
        """
        self._uses.pop(name, None)
        return self._kept.pop(name, (0.0, 0.0))[0]

    def at(self, now: float) -> tuple[Use, ...]:
        """Return the uses of gone members that still count against the quota. Each use is a tuple (seconds for which it
        still counts, requests, tokens). Delete the uses that no longer count.
        """
        total: dict[int, tuple[float, float]] = {}
        for name, steps in list(self._uses.items()):
            for step, (requests, tokens) in list(steps.items()):
                if step * STEP <= now:
                    del steps[step]
                    continue
                before = total.get(step, (0.0, 0.0))
                total[step] = before[0] + requests, before[1] + tokens
            if not steps:
                del self._uses[name]
        return tuple((step * STEP - now, *total[step]) for step in sorted(total))

    def __contains__(self, name: str) -> bool:
        return name in self._uses

    def left(self, name: str) -> float:
        """Record that a silent member has left: a member (process) that had stopped renewing its share. Return the
        share of the quota that was reserved for it.
        """
        together = self._uses.setdefault(LEFT, {})
        for step, (requests, tokens) in self._uses.pop(name, {}).items():
            before = together.get(step, (0.0, 0.0))
            together[step] = before[0] + requests, before[1] + tokens
        return self.back(name)

    def plain(self) -> dict[str, Any]:
        """Return this object in a form that JSON can store."""
        uses = {name: [(step, *used) for step, used in steps.items()] for name, steps in self._uses.items()}
        return {"uses": uses, "kept": self._kept}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Self:
        """Return the object that `plain` contains. Raises `TypeError` or `ValueError` if the data has a different
        form.
        """
        gone = cls()
        for name, steps in dict(plain.get("uses", {})).items():
            gone._uses[name] = {int(step): (_amount(requests), _amount(tokens)) for step, requests, tokens in steps}
        for name, (share, at) in dict(plain.get("kept", {})).items():
            gone._kept[name] = min(LITTLE, _amount(share)), _amount(at)
        return gone


def uses_of(report: str) -> tuple[Use, ...]:
    """Return the amounts of quota that a member used in the last minute, from the field `minute` of its `report`.
    Return an empty tuple if the report cannot be read.
    """
    try:
        minute = json.loads(report)["minute"]
        uses = [(min(_amount(age), MINUTE), _amount(requests), _amount(tokens)) for age, requests, tokens in minute]
    except (LookupError, TypeError, ValueError, RecursionError):
        return ()
    return tuple(uses) if len(uses) <= MOST else ()


def _amount(value: Any) -> float:
    if not isinstance(value, (int, float)) or not isfinite(value) or value < 0.0:
        raise ValueError(f"the quota store is damaged: it contains {value!r} instead of a finite number, 0 or more")
    return float(value)
