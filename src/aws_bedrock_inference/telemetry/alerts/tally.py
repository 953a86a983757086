"""The counts of this process since its last report. The threads of the calls update the counts, so an update must be
quick. The number of counts is limited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from aws_bedrock_inference.dialects.usage import FILTERED, TRUNCATED
from aws_bedrock_inference.events import (
    AnswerCached,
    AnswerDegraded,
    CallEnded,
    DeadLetterKept,
    DeadLetterLost,
    FellBack,
    RetryScheduled,
    StreamResumed,
)
from aws_bedrock_inference.fault import Category, Kind
from aws_bedrock_inference.flow import ABANDONED
from aws_bedrock_inference.forks import Locked

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_bedrock_inference.call import Route
    from aws_bedrock_inference.fault import Fault

MOST_ROWS = 1000
"""The maximum number of rows of each kind in one report. An event that would need one more row is counted without its
operation and tenant. If even this would need one more row, the event is not counted.
"""

# The maximum number of characters of a message that are stored. The error catalogue later looks for its words in them.
_MESSAGE = 2000


class Answered:
    """Answers with the same route, operation, tenant and tier.

    The object contains the number, the tokens and the stop reasons of these answers.
    """

    __slots__ = (
        "cache_read",
        "cache_write",
        "cache_write_1h",
        "count",
        "input",
        "output",
        "refused",
        "route",
        "truncated",
    )

    def __init__(self, route: Route) -> None:
        self.route = route
        self.count = self.refused = self.truncated = 0
        self.input = self.output = self.cache_read = self.cache_write = self.cache_write_1h = 0


class Failed:
    """Failed attempts with the same route, operation, tenant and cause.

    The object contains the number of these attempts. It also contains facts about the last one, such as its code, its
    request id and its message.
    """

    __slots__ = ("advice", "code", "count", "kind", "message", "request_id", "route")

    def __init__(self, route: Route, fault: Fault) -> None:
        self.route = route
        self.count = 0
        self.kind = kind_of(fault)
        self.code = self.request_id = self.message = self.advice = ""


class Counts(NamedTuple):
    """The counts of a process.

    Answers are counted by route (a model in a Region), operation, tenant and tier. Failures are counted by route,
    operation, tenant and cause. Dead letters are counted by route and cause. Stored dead letters and lost dead letters
    are counted separately.
    """

    answers: dict[tuple[str, str, str, str], Answered]
    failures: dict[tuple[str, str, str, str], Failed]
    letters: dict[tuple[str, str], list[Any]]


class Tally(Locked):
    """Counts the events of a process."""

    def __init__(self) -> None:
        super().__init__()
        self._counts = Counts({}, {}, {})

    def after_fork(self) -> None:
        """Start empty in a forked child, because the counts belong to the parent."""
        super().after_fork()
        self._counts = Counts({}, {}, {})

    def take(self) -> Counts:
        """Return the counts since the last call of this method, and begin to count from zero."""
        with self._lock:
            counts, self._counts = self._counts, Counts({}, {}, {})
        return counts

    def ended(self, event: CallEnded) -> None:
        """Count the end of a call."""
        fault, route, tenant = event.fault, event.route, event.tenant
        if fault is not None:
            self._failed(route, event.operation, tenant, fault)
            return
        if not event.attempts:  # answered without a request
            return
        usage, stop = event.usage, event.stop
        key = (route.health_key, event.operation, tenant, event.tier)
        with self._lock:
            rows = self._counts.answers
            row = rows.get(key) or self._new_answers(rows, key, route)
            row.count += 1
            if usage is not None:
                row.input += usage.input_tokens
                row.output += usage.output_tokens
                if usage.cache_read_tokens or usage.cache_write_tokens:
                    row.cache_read += usage.cache_read_tokens
                    row.cache_write += usage.cache_write_tokens
                    row.cache_write_1h += usage.cache_write_1h_tokens
            if stop and stop not in _USUAL:
                row.refused += stop in FILTERED
                row.truncated += stop in TRUNCATED

    def attempt_failed(self, event: RetryScheduled | StreamResumed) -> None:
        """Count a failed attempt that is followed by another attempt."""
        self._failed(event.route, "", "", event.fault)

    def left(self, event: FellBack) -> None:
        """Count the failed attempt after which a call changed from one route (a model in a Region) to another."""
        if event.attempts:
            self._failed(event.route, "", "", event.fault)

    def replaced(self, event: AnswerDegraded | AnswerCached) -> None:
        """Count a call that failed and returned a substitute."""
        if event.fault is not None:
            self._failed(event.route, "", "", event.fault)

    def letter(self, event: DeadLetterKept | DeadLetterLost) -> None:
        """Count a dead letter."""
        key = event.route.health_key, event.fault.cause
        with self._lock:
            rows = self._counts.letters
            if key in rows or len(rows) < MOST_ROWS:
                rows.setdefault(key, [event.route, 0, 0])[1 + isinstance(event, DeadLetterLost)] += 1

    def _failed(self, route: Route, operation: str, tenant: str, fault: Fault) -> None:
        if fault.cause == ABANDONED.cause:
            return
        key = (route.health_key, operation, tenant, fault.cause)
        with self._lock:
            rows = self._counts.failures
            if key not in rows and len(rows) >= MOST_ROWS:
                key = (route.health_key, "", "", fault.cause)
                if key not in rows and len(rows) >= 2 * MOST_ROWS:
                    return
            row = rows.get(key)
            if row is None:
                row = rows[key] = Failed(route, fault)
            row.count += 1
            row.code, row.request_id, row.advice = fault.code, fault.request_id or "", fault.advice
            row.message = fault.message[:_MESSAGE]

    def _new_answers(
        self, rows: dict[tuple[str, str, str, str], Answered], key: tuple[str, str, str, str], route: Route
    ) -> Answered:
        if len(rows) >= MOST_ROWS:
            key = (route.health_key, "", "", key[3])
            if key not in rows and len(rows) >= 2 * MOST_ROWS:
                return Answered(route)
        return rows.setdefault(key, Answered(route))


# The stop reasons of most answers, which need no look-up.
_USUAL = frozenset({"end_turn", "tool_use", "stop", "stop_sequence"})

HEARD: dict[type, Callable[[Tally, Any], None]] = {
    CallEnded: Tally.ended,
    RetryScheduled: Tally.attempt_failed,
    StreamResumed: Tally.attempt_failed,
    FellBack: Tally.left,
    AnswerDegraded: Tally.replaced,
    AnswerCached: Tally.replaced,
    DeadLetterKept: Tally.letter,
    DeadLetterLost: Tally.letter,
}


def kind_of(fault: Fault) -> str:
    """Return the kind of a failure for alerts: `permanent`, `transient`, or `refusal` for a call that this package
    refused because of earlier failures.
    """
    if fault.kind is Kind.REFUSED and fault.category is not Category.PERMANENT:
        return "refusal"
    return "permanent" if fault.category is Category.PERMANENT else "transient"
