"""Faults that hit every record: when they park a run, and how often a parked run asks whether they are over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_bedrock_inference.fault import Fault, Kind
from aws_bedrock_inference.knowledge.every_record import BUDGET_EXHAUSTED, DAY, NEVER
from aws_bedrock_inference.knowledge.lifecycle import heals_after

if TYPE_CHECKING:
    from aws_bedrock_inference.batch.fates import Fate

# A run parks after this many records in a row met one fault that does not depend on the record.
ENOUGH_IN_A_ROW = 5

# Seconds between two questions, where AWS documents none: a network comes back within seconds, a person renews
# credentials within minutes, a day's quota takes longer.
_RHYTHM = {Kind.UNREACHABLE: 10.0, Kind.DENIED: 60.0}
_SLOW = 900.0

GIVE_UP_AFTER = 86_400.0
"""Seconds that a run stays parked by default, if it had answers before: a day's tokens are back after a day."""


def may_pass(fault: Fault) -> bool:
    """Return whether a fault that affects every record may be over later, without another command."""
    return heals_after(fault.cause) is not None or (fault.kind is not Kind.NOT_FOUND and fault.cause not in NEVER)


def ask_again_after(fault: Fault) -> float:
    """Return the seconds after which to ask again: what AWS states or documents for the fault, else by its kind."""
    if documented := heals_after(fault.cause) or fault.stated_wait:
        return documented
    return _SLOW if fault.cause in DAY else _RHYTHM.get(fault.kind, _SLOW)


def is_final(fault: Fault) -> bool:
    """Return whether the fault ends the run at the first record that meets it, and those in flight are to be awaited:
    the budget is spent, which no other record changes.
    """
    return fault.cause == BUDGET_EXHAUSTED


class Parking:
    """The rules for a fault that hits every record: when the run parks, asks whether it is over, and gives up.

    `give_up_after` is the number of seconds that the run stays parked at most; None means a day for a run that had
    answers before, and not to park for one that had none: nothing shows that it would ever work.

    `met` has the records in a row that met one such fault, by number; `fault` is the one for which the run is parked,
    and `next` when it asks next; `probed` is the record that is asked.
    """

    def __init__(self, give_up_after: float | None = None) -> None:
        self.met: dict[int, tuple[Fate, Fault]] = {}
        self.fault: Fault | None = None
        self.next = 0.0
        self.probed: int | None = None
        self._give_up_after = give_up_after
        self._since = 0.0

    def is_another(self, fault: Fault) -> bool:
        """Return whether the records met another fault before, for which the run is not parked."""
        return self.fault is None and any(other.cause != fault.cause for _, other in self.met.values())

    def meets(self, fate: Fate, fault: Fault, now: float) -> bool:
        """Note that a record met the fault; return whether the run must park now, or consider how long it goes on."""
        self.met.pop(fate.number, None)  # it becomes the last one: another record is probed next
        self.met[fate.number] = (fate, fault)
        if self.fault is None:
            return is_final(fault) or len(self.met) >= ENOUGH_IN_A_ROW
        if fate.number != self.probed:
            return False
        self.probed, self.fault = None, fault
        self.next = now + ask_again_after(fault)
        return True

    def park(self, now: float, *, had_answers: bool) -> Fault | None:
        """Park, or stay parked. Return the fault if it makes no sense to wait for its end, or no longer."""
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
        """Return the record to ask now whether the fault is over, or None."""
        if self.fault is None or self.probed is not None or now < self.next:
            return None
        self.probed = next(iter(self.met))
        return self.probed

    def end(self) -> None:
        """Go on: the fault is over."""
        self.met.clear()
        self.fault = self.probed = None
