"""Select the fault of each simulated request. The same requests in the same order always get the same faults."""

from __future__ import annotations

from fnmatch import fnmatchcase
from hashlib import blake2b
from typing import TYPE_CHECKING

from aws_bedrock_inference.simulator.request import JOBS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_bedrock_inference.simulator.request import Asked
    from aws_bedrock_inference.simulator.settings import FaultRule

_STREAMS_ONLY = {"exception", "truncate"}
_JOBS_ONLY = {"lost"}
_FROM_THE_FIRST_REQUEST = {"not-ready", "access-pending"}


class Faults:
    """The fault rules of a scenario, with the number of requests that matched each rule so far.

    If several rules apply to a request, the first of these rules decides.
    """

    def __init__(self, rules: Sequence[FaultRule], seed: int) -> None:
        self._rules = rules
        self._seed = seed
        self._seen = [0] * len(rules)
        self._since: dict[tuple[int, str], float] = {}

    def strike(self, asked: Asked, now: float) -> FaultRule | None:
        """Return the fault rule that applies to the request, or None. `now` is in seconds since the scenario was
        loaded.
        """
        faulted = None
        for number, rule in enumerate(self._rules):
            if not _matches(rule, asked):
                continue
            self._seen[number] += 1
            if faulted is None and rule.since <= now < rule.until and self._hits(number, rule, asked, now):
                faulted = rule
        return faulted

    def _hits(self, number: int, rule: FaultRule, asked: Asked, now: float) -> bool:
        seen = self._seen[number]
        if rule.first is not None and seen > rule.first:
            return False
        if rule.requests and seen not in rule.requests:
            return False
        if rule.kind in _FROM_THE_FIRST_REQUEST and now >= self._begun(number, asked, now) + rule.seconds:
            return False
        return rule.rate >= 1 or self._drawn(number, seen) < rule.rate

    def _begun(self, number: int, asked: Asked, now: float) -> float:
        return self._since.setdefault((number, asked.base), now)

    def _drawn(self, number: int, seen: int) -> float:
        digest = blake2b(f"{self._seed} {number} {seen}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) / 2**64


def _matches(rule: FaultRule, asked: Asked) -> bool:
    if rule.kind == "refused" or ((rule.kind in _STREAMS_ONLY or rule.after is not None) and not asked.streaming):
        return False
    if rule.kind in _JOBS_ONLY and asked.operation not in JOBS:
        return False
    if asked.control and rule.operation == "*":
        return False  # a fault of the runtime does not affect the control plane
    return (
        fnmatchcase(asked.operation, rule.operation)
        and fnmatchcase(asked.region, rule.region)
        and (fnmatchcase(asked.base, rule.model) or fnmatchcase(asked.model, rule.model))
    )
