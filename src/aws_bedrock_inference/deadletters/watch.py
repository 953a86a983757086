"""Measure how much time has passed since each claim last changed. A claim marks a dead letter that a redrive is
sending.

The clock of the waiting process measures the time. This is the process that waits until the claims expire.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.deadletters.letter import Summary

# Maximum number of claims that are watched.
_MOST = 10_000


class Watch:
    """Stores for each claim its version, and the time at which this version was first seen. `clock` is monotonic."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[int, float]] = {}

    def has_lapsed(self, summary: Summary) -> bool:
        """Return whether the lease of a claim has expired: the claim has not changed for the duration of its lease.

        The duration starts when this method first sees the current version of the claim.
        """
        version, since = self._seen.get(summary.id, (0, 0.0))
        if version != summary.version:
            if len(self._seen) >= _MOST:
                del self._seen[next(iter(self._seen))]
            self._seen[summary.id] = (summary.version, self._clock())
            return False
        return self._clock() - since >= summary.lease
