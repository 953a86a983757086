"""Measure how long each claim has not changed. A claim that does not change for the duration of its lease has expired.

A claim marks a dead letter that a redrive is sending. Another process can wait until the claim expires. The waiting
process measures the time with its own clock, because the clocks of two machines can differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.deadletters.letter import Summary

# Maximum number of claims that are watched.
_MOST = 10_000


class Watch:
    """Stores the current version of each claim, and the time at which this process first saw this version. A claim
    marks a dead letter that a redrive is sending. `clock` is monotonic.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[int, float]] = {}

    def has_lapsed(self, summary: Summary) -> bool:
        """Return whether the lease of a claim has expired.

        The first call with a new version of the claim stores the current time and returns False. A later call returns
        True if the version is still the same and the duration of the lease has passed since then.
        """
        version, since = self._seen.get(summary.id, (0, 0.0))
        if version != summary.version:
            if len(self._seen) >= _MOST:
                del self._seen[next(iter(self._seen))]
            self._seen[summary.id] = (summary.version, self._clock())
            return False
        return self._clock() - since >= summary.lease
