"""The records that met a transient fault and wait to be asked again."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_bedrock_inference.fault import Fault

# A record that is asked again waits at least 5 s, then 10 s, 20 s; shorter faults were handled by the client's retries.
_FIRST_PAUSE = 5.0

# At this number of records that wait to be asked again, no new ones are claimed until some of them are done.
_MOST = 1000


class Delayed:
    """Records by number, each with how often it was delayed; the one that is due next comes first."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, int]] = []

    def add(self, number: int, rounds: int, fault: Fault, now: float) -> None:
        """Delay a record that was delayed `rounds` times before."""
        due = now + max(_FIRST_PAUSE * 2**rounds, fault.stated_wait)
        heapq.heappush(self._heap, (due, rounds + 1, number))

    def due(self, now: float, most: int) -> dict[int, int]:
        """Take out up to `most` records that have waited long enough."""
        found: dict[int, int] = {}
        while self._heap and len(found) < most and self._heap[0][0] <= now:
            _, rounds, number = heapq.heappop(self._heap)
            found[number] = rounds
        return found

    @property
    def next(self) -> float:
        """The time when the next one is due."""
        return self._heap[0][0]

    @property
    def is_full(self) -> bool:
        """True if some must be asked before new ones."""
        return len(self._heap) >= _MOST

    def __len__(self) -> int:
        return len(self._heap)
