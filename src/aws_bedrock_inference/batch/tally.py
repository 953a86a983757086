"""Count the records and tokens of a run, for its progress display."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aws_bedrock_inference.batch.bill import Bill
from aws_bedrock_inference.dialects.usage import FILTERED, TRUNCATED
from aws_bedrock_inference.events import BurndownChanged, CallEnded, RetryScheduled, StoreChanged
from aws_bedrock_inference.fault import Kind
from aws_bedrock_inference.knowledge.models import model_facts

if TYPE_CHECKING:
    from aws_bedrock_inference.batch.deadline.course import Course
    from aws_bedrock_inference.batch.fates import State
    from aws_bedrock_inference.batch.letters import Kept
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.fault import Fault

_MINUTE = 60

# The remaining time is estimated from this many past minutes. Quotas apply per minute, but one minute can be untypical.
_PACE_MINUTES = 3

# An outage is assumed, and not only a slow service, if no call has succeeded for a long time. The time must be longer
# than this many seconds, and longer than this multiple of the usual time between two answers.
_OUTAGE_AFTER = 3.0
_OUTAGE_GAPS = 5.0


class Meter:
    """Measures a rate per minute, such as answers or tokens per minute.

    The rate is measured over the last `minutes` minutes, or since the start if less time has passed.
    """

    def __init__(self, clock: Clock, minutes: int = 1) -> None:
        self._clock = clock
        self._started = clock()
        self._slots = [0.0] * _MINUTE * minutes
        self._last = int(self._started)

    def add(self, amount: float) -> None:
        """Count `amount` at the current time, for example 1 for an answer or 250 for the tokens of an answer."""
        self._slots[self._advance() % len(self._slots)] += amount

    def per_minute(self) -> float:
        """Return the current rate."""
        self._advance()
        seconds = min(float(len(self._slots)), self._clock() - self._started)
        return sum(self._slots) * 60 / seconds if seconds >= 1 else 0.0

    def _advance(self) -> int:
        now = int(self._clock())
        window = len(self._slots)
        for passed in range(max(self._last + 1, now - window + 1), now + 1):
            self._slots[passed % window] = 0.0
        self._last = now
        return now


@dataclass
class Tally:
    """The counts of one run.

    `bad` is the number of invalid lines. `tokens` is the number of tokens that were charged to the quota. `total` is
    the number of records, or None until the input is read. `lost` is the number of records that were in flight when an
    earlier run was killed.

    `fates` is set at the end of the run. It has the number of records in each state, such as 90 answered and 10 failed.
    Records that were sent by earlier runs are included.

    While the run is parked, it sends only one record at intervals, as a probe. `parked` is the fault because of which
    the run is parked, and `asks_next` is the time of the next probe.

    `trouble` is the latest fault. A successful call sets `trouble` to None. `troubled_since` is the time of the first
    fault after the last successful call.

    `unshared` is the reason why the store of the shared quota is not available.

    `pace` measures the completed records per minute. The remaining time of the run is estimated from this rate. The
    clock of `pace` stops during an outage, so that the minutes of the outage do not lower the rate.

    `reasons` has the number of failed records by error code, and `examples` has the first fault of each code.

    `collected` is the number of answers from a batch job. These answers are included in `answered`, too. `course` is
    the progress of a run with a deadline. For a run without a deadline, `course` is None.

    `letters` is the result of storing the failures as dead letters, or None if they are not stored.

    `bill` has the cost of the calls.

    `truncated` and `filtered` answers are included in `answered`. They were received completely, but the model or a
    guardrail ended them early.
    """

    clock: Clock
    total: int | None = None
    fates: dict[State, int] = field(default_factory=dict)
    lost: int = 0
    parked: Fault | None = None
    asks_next: float = 0.0
    skipped: int = 0
    bad: int = 0
    answered: int = 0
    failed: int = 0
    truncated: int = 0
    filtered: int = 0
    in_flight: int = 0
    put_back: int = 0
    retries: int = 0
    throttles: int = 0
    tokens: float = 0.0
    collected: int = 0
    course: Course | None = None
    letters: Kept | None = None
    bill: Bill = field(default_factory=Bill)
    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, Fault] = field(default_factory=dict)
    unshared: str = ""
    trouble: Fault | None = None
    troubled_since: float = 0.0

    def __post_init__(self) -> None:
        self.started = self.clock()
        self.answer_rate = Meter(self.clock)
        self.token_rate = Meter(self.clock)
        self._outages = 0.0
        self._burndowns: dict[str, float] = {}  # by model: measured rate, if it differs from the table
        self.pace = Meter(lambda: self.clock() - self._outages - self._outage, _PACE_MINUTES)

    @property
    def seconds(self) -> float:
        """The seconds since the start."""
        return self.clock() - self.started

    @property
    def done(self) -> int:
        """The number of records that are answered or failed."""
        return self.skipped + self.answered + self.failed

    def answer(self, stop_reason: str) -> None:
        """Count an answered record. `stop_reason` states why the model stopped."""
        self._answer(stop_reason)
        self.answer_rate.add(1)
        self.pace.add(1)

    def collect(self, stop_reason: str) -> None:
        """Count a record that a batch job answered. The rates per minute measure only calls. A batch job sends no
        calls, so the rates do not include this record.
        """
        self._answer(stop_reason)
        self.collected += 1

    def fail(self, fault: Fault) -> None:
        """Count a record that failed."""
        self.failed += 1
        self.pace.add(1)
        self.reasons[fault.code] += 1
        self.examples.setdefault(fault.code, fault)

    def hear(self, event: object) -> None:
        """Update the counts from an event of the client."""
        if isinstance(event, CallEnded):
            self._fault(event.fault)
            if event.usage is not None:
                base = event.route.base
                charge = event.usage.charge(self._burndowns.get(base) or model_facts(base).burndown)
                self.tokens += charge
                self.token_rate.add(charge)
        elif isinstance(event, BurndownChanged):
            self._burndowns[event.route.base] = event.burndown
        elif isinstance(event, RetryScheduled):
            self.retries += 1
            self._fault(event.fault)
        elif isinstance(event, StoreChanged):
            self.unshared = "" if event.available else event.message

    def _answer(self, stop_reason: str) -> None:
        self.answered += 1
        self.truncated += stop_reason in TRUNCATED
        self.filtered += stop_reason in FILTERED

    @property
    def _outage(self) -> float:
        """The seconds since the current outage started, or 0 without an outage."""
        if self.trouble is None:
            return 0.0
        silent = self.clock() - self.troubled_since
        usual = self.seconds / max(1, self.answered)
        return silent if silent > max(_OUTAGE_AFTER, _OUTAGE_GAPS * usual) else 0.0

    def _fault(self, fault: Fault | None) -> None:
        if fault is None:
            self._outages += self._outage
            self.trouble = None
            return
        self.throttles += fault.kind is Kind.THROTTLED
        if fault.kind is not Kind.REFUSED:
            self.troubled_since = self.troubled_since if self.trouble else self.clock()
            self.trouble = fault
