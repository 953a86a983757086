"""Faults that affect every record, such as an outage or expired credentials. This module decides when a run *parks*:
it stops sending records, and sends only one record at intervals as a *probe*, until the fault ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_bedrock_inference.fault import Fault, Kind
from aws_bedrock_inference.knowledge.every_record import BUDGET_EXHAUSTED, DAY, NEVER
from aws_bedrock_inference.knowledge.lifecycle import heals_after

if TYPE_CHECKING:
    from aws_bedrock_inference.batch.fates import Fate

# A run parks after this many consecutive records have failed with the same fault. The fault is one that does not depend
# on the record.
ENOUGH_IN_A_ROW = 5

# Seconds between two probes, for faults for which AWS documents no wait. A network recovers within seconds. A person
# renews credentials within minutes. A daily quota takes longer.
_RHYTHM = {Kind.UNREACHABLE: 10.0, Kind.DENIED: 60.0}
_SLOW = 900.0

GIVE_UP_AFTER = 86_400.0
"""The default of `give_up_after` for a run that already has answers: one day, because a daily quota is then available
again.
"""


def may_pass(fault: Fault) -> bool:
    """Return whether a fault that affects every record can end while the run waits.

    If it returns False, a person must correct the cause and start the run again.
    """
    return heals_after(fault.cause) is not None or (fault.kind is not Kind.NOT_FOUND and fault.cause not in NEVER)


def ask_again_after(fault: Fault) -> float:
    """Return the seconds to wait before the next probe, a single record that tests whether the fault has ended.

    If AWS documents a wait for the cause of the fault, return this wait. If the response of the service states a wait,
    return the stated wait. Otherwise, return the default wait for this kind of fault.
    """
    if documented := heals_after(fault.cause) or fault.stated_wait:
        return documented
    return _SLOW if fault.cause in DAY else _RHYTHM.get(fault.kind, _SLOW)


def is_final(fault: Fault) -> bool:
    """Return whether the run ends at the first record that fails with this fault.

    This is the case if the budget is exhausted, because every other record would fail too. The run still waits for the
    calls in flight, because the user already pays for them.
    """
    return fault.cause == BUDGET_EXHAUSTED


class Parking:
    """The rules for a fault that affects every record: when the run parks, when it sends a probe, and when it gives up.

    `give_up_after` is the maximum number of seconds that the run stays parked. The default is one day for a run that
    has received answers. A run without answers gives up immediately by default, because nothing shows that its calls
    can succeed.

    `met` contains the latest failed records, which all failed with the same fault. Its keys are the numbers of the
    records. If `met` contains 5 records, the run parks. If another record is answered first, the run removes all
    records from `met`, because the fault does not affect every record.

    `fault` is the fault because of which the run is parked, or None if the run is not parked. `next` is the time of the
    next probe. `probed` is the number of the record that is in flight as the probe.
    """

    def __init__(self, give_up_after: float | None = None) -> None:
        self.met: dict[int, tuple[Fate, Fault]] = {}
        self.fault: Fault | None = None
        self.next = 0.0
        self.probed: int | None = None
        self._give_up_after = give_up_after
        self._since = 0.0

    def is_another(self, fault: Fault) -> bool:
        """Return True if the cause of `fault` differs from the cause for which the records in `met` failed. For
        example, the records in `met` failed because of expired credentials, and `fault` is a throttle.

        For a parked run, always return False. Its records remain in `met` until a probe shows that the fault has ended.
        """
        return self.fault is None and any(other.cause != fault.cause for _, other in self.met.values())

    def meets(self, fate: Fate, fault: Fault, now: float) -> bool:
        """Add a record that failed with `fault` to `met`. Return True if the caller must now call `park`.

        If the run is not parked, return True if `met` now contains enough records, or if the budget is exhausted.

        If the run is parked, return True if the record was the probe. `park` then decides whether the run waits for the
        next probe or gives up.
        """
        self.met.pop(fate.number, None)  # added again at the end, so that the next probe is another record
        self.met[fate.number] = (fate, fault)
        if self.fault is None:
            return is_final(fault) or len(self.met) >= ENOUGH_IN_A_ROW
        if fate.number != self.probed:
            return False
        self.probed, self.fault = None, fault
        self.next = now + ask_again_after(fault)
        return True

    def park(self, now: float, *, had_answers: bool) -> Fault | None:
        """Park the run, if it is not yet parked. Return None if the run can wait for the end of the fault.

        Return the fault if the run must give up: it has been parked for the maximum time, or a person must correct the
        cause.
        """
        fault = next(reversed(self.met.values()))[1]
        limit = self._give_up_after
        if limit is None:
            limit = GIVE_UP_AFTER if had_answers else 0.0
        if self.fault is None:
            self._since, self.next = now, now + ask_again_after(fault)
        self.fault = fault
        left = self._since + limit - now
        self.next = min(self.next, self._since + limit)
        return fault if left <= 0 or not may_pass(fault) else None

    def probe_at(self, now: float) -> int | None:
        """Return the number of the record to send now as a probe (a test whether the fault has ended).

        Return None if the run is not parked, if the time of the next probe has not come, or if a probe is in flight.
        """
        if self.fault is None or self.probed is not None or now < self.next:
            return None
        self.probed = next(iter(self.met))
        return self.probed

    def end(self) -> None:
        """End the parking (the pause in which only probes are sent), because the fault has ended."""
        self.met.clear()
        self.fault = self.probed = None
