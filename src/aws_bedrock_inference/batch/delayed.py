"""The records of a run that failed with a transient fault. The run sends each of them again after a wait."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_bedrock_inference.fault import Fault

# The minimum seconds before the second attempt of a record. The minimum doubles with each further attempt (5 s, 10 s,
# 20 s). The client's own retries handle shorter faults.
_FIRST_PAUSE = 5.0

# While this many records are delayed, the run sends these records and no new records.
_MOST = 1000


class Delayed:
    """The delayed records, ordered by the time of the next attempt. Each has its number in the journal and the count of
    its delays.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, int]] = []

    def add(self, number: int, rounds: int, fault: Fault, now: float) -> None:
        """Delay a record for its next attempt. `rounds` is the number of its previous delays."""
        due = now + max(_FIRST_PAUSE * 2**rounds, fault.stated_wait)
        heapq.heappush(self._heap, (due, rounds + 1, number))

    def due(self, now: float, most: int) -> dict[int, int]:
        """Remove and return at most `most` records whose wait has ended, each with its number of delays."""
        found: dict[int, int] = {}
        while self._heap and len(found) < most and self._heap[0][0] <= now:
            _, rounds, number = heapq.heappop(self._heap)
            found[number] = rounds
        return found

    @property
    def next(self) -> float:
        """The time when the next record can be sent."""
        return self._heap[0][0]

    @property
    def is_full(self) -> bool:
        """True if the number of delayed records has reached its maximum. The run then sends delayed records before new
        records.
        """
        return len(self._heap) >= _MOST

    def __len__(self) -> int:
        return len(self._heap)
