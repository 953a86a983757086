"""The age of claims, told by the clock of whoever waits for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.deadletters.letter import Summary

# Claims whose age is watched.
_MOST = 10_000


class Watch:
    """Remembers by a monotonic `clock` since when claims are as they are."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[int, float]] = {}

    def has_lapsed(self, summary: Summary) -> bool:
        """Return whether a claim has not changed for its lease, since this was first asked."""
        version, since = self._seen.get(summary.id, (0, 0.0))
        if version != summary.version:
            if len(self._seen) >= _MOST:
                del self._seen[next(iter(self._seen))]
            self._seen[summary.id] = (summary.version, self._clock())
            return False
        return self._clock() - since >= summary.lease
