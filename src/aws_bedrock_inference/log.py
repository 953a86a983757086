"""The package's log: one line in the standard library's `logging` for each event that an engineer on call needs.

    logging.getLogger("aws_bedrock_inference").setLevel(logging.INFO)

* ERROR: a dead letter that could not be stored.
* WARNING: a call is retried, resumes its stream, continues on another route, waits for a model that is not ready, or
  fails. A failed call is not an ERROR, because the caller also receives an exception. If the caller receives a
  substitute or an expired answer instead, this is also a WARNING.
* WARNING: a route receives only test calls, a circuit opens, a store becomes unavailable, an inference profile is
  chosen, or the status of a job could not be read.
* INFO: throttles, changes of a burndown (the quota tokens that one output token uses), filtered content, stored dead
  letters, new jobs and their progress, and the recovery of a circuit, a route or a store.
* DEBUG: calls that succeed, are answered from a cache, wait for quota, or are ended by the program.

This list contains all lines about events. docs/events.md also lists the lines that are not about an event.

A line contains routes, codes, causes, counts and request ids. It contains no prompt, answer or credential. It also
contains no message of the service, because the message can quote the request. The record's attribute `bedrock` has the
same facts as named values, from which `telemetry.logs` writes JSON. `log` is an ordinary listener, and the first one of
every client and wrapper.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from aws_bedrock_inference.event_fields import code_of, fields_of, request_id_of
from aws_bedrock_inference.events import (
    AnswerCached,
    AnswerDegraded,
    BurndownChanged,
    CacheStoreChanged,
    CallEnded,
    CircuitChanged,
    ContentFiltered,
    DeadLetterKept,
    DeadLetterLost,
    FellBack,
    JobCreated,
    JobPollFailed,
    JobProgressed,
    ProfileChosen,
    QuotaQueued,
    ReadinessAwaited,
    RetryScheduled,
    RouteHealthChanged,
    StoreChanged,
    StreamResumed,
    ThrottleReceived,
)
from aws_bedrock_inference.fault import Kind
from aws_bedrock_inference.flow import ABANDONED
from aws_bedrock_inference.knowledge.masking import masked

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from aws_bedrock_inference.fault import Fault

    Line: TypeAlias = tuple[Any, ...]

LOGGER = logging.getLogger("aws_bedrock_inference")
LOGGER.addHandler(logging.NullHandler())  # without it, logging would print to standard error

DEBUG, INFO, WARNING, ERROR = logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR

enabled = LOGGER.isEnabledFor


def log(event: object) -> None:
    """Log the line of `event`, if the event has one and its level is enabled."""
    line = _LINES.get(type(event))
    if line is not None:
        level, text = line
        if not isinstance(level, int):
            level = level(event)
        if enabled(level):
            LOGGER.log(level, *text(event), extra={"bedrock": fields_of(event)})


def _retry(event: RetryScheduled) -> Line:
    return (
        "%s: attempt %d %s %s%s; the next one follows in %.2f s",
        event.route,
        event.attempt,
        "was not sent:" if event.fault.kind is Kind.REFUSED else "failed with",
        _named(event.fault),
        f" and may have been charged {event.tokens:,} tokens" if event.tokens else "",
        event.wait,
    )


def _resumed(event: StreamResumed) -> Line:
    return (
        "%s: the stream broke after %d characters with %s; %s follows in %.2f s",
        event.route,
        event.received,
        _named(event.fault),
        "the answer anew" if event.how == "restart" else "the rest",
        event.wait,
    )


def _degraded(event: AnswerDegraded) -> Line:
    return (
        "%s: a substitute was returned, because the call failed after %d attempt(s) with %s",
        event.route,
        event.attempts,
        _named(event.fault),
    )


def _filtered(event: ContentFiltered) -> Line:
    return (
        "%s: the content was %s; %s",
        event.route,
        event.filtered,
        "the configured message was returned" if event.replaced else "an exception follows",
    )


def _ended_level(event: CallEnded) -> int:
    return DEBUG if event.fault is None or event.fault.cause == ABANDONED.cause else WARNING


def _ended(event: CallEnded) -> Line:
    if event.fault is None:
        return (
            "%s on %s succeeded after %d attempt(s) in %.2f s%s",
            event.operation,
            event.route,
            event.attempts,
            event.seconds,
            _cost(event),
        )
    if event.fault.cause == ABANDONED.cause:
        return ("%s on %s was ended by the program after %.2f s", event.operation, event.route, event.seconds)
    return (
        "%s on %s failed after %d attempt(s) in %.2f s with %s",
        event.operation,
        event.route,
        event.attempts,
        event.seconds,
        _named(event.fault),
    )


def _cost(event: CallEnded) -> str:
    """Return the cost of a call as text. Return an empty text if the call used no tokens."""
    if event.usage is None:
        return ""
    from aws_bedrock_inference.pricing import dollars  # noqa: PLC0415 - as for the cost itself

    return f", {dollars(event.cost)}"


def _throttle(event: ThrottleReceived) -> Line:
    return (
        "%s: throttled by %s per minute; used %d, estimated limit %.0f",
        event.route,
        event.cause or event.limit or "an unnamed limit",
        event.used,
        event.estimate,
    )


def _queued(event: QuotaQueued) -> Line:
    return ("%s: waits for quota of %d tokens, %d calls ahead", event.route, event.tokens, event.ahead)


def _cached(event: AnswerCached) -> Line:
    if event.fault is None:
        return ("%s: answered from the cache, %.0f s old", event.route, event.age)
    return (
        "%s: answered from the cache with an expired answer, %.0f s old, after %s",
        event.route,
        event.age,
        _named(event.fault),
    )


def _cache_store(event: CacheStoreChanged) -> Line:
    if event.available:
        return ("the cache at %s is available again", event.place)
    return ("the cache is unavailable, and calls are sent without it: %s", masked(event.message))


def _letter(event: DeadLetterKept) -> Line:
    return ("%s: failed with %s; stored as dead letter %s", event.route, _named(event.fault), event.letter_id)


def _letter_lost(event: DeadLetterLost) -> Line:
    why = masked(event.message)
    return ("%s: failed with %s; not stored as a dead letter: %s", event.route, _named(event.fault), why)


def _burndown(event: BurndownChanged) -> Line:
    return (
        "%s: an output token counts as %.3g tokens of the quota, not %.3g as in the table: %s",
        event.route,
        event.burndown,
        event.table,
        event.reason,
    )


def _circuit(event: CircuitChanged) -> Line:
    return ("%s: the circuit is %s", event.route, event.state)


def _store(event: StoreChanged) -> Line:
    if event.available:
        return ("quota of %s: the store is available again", event.pool)
    return (
        "quota of %s: the store is unavailable; this process uses its last share of the quota, or a small share",
        event.pool,
    )


def _profile(event: ProfileChosen) -> Line:
    return (
        "%s: the model has no on-demand throughput; its calls go through inference profile %s",
        event.route,
        event.profile,
    )


def _fell_back(event: FellBack) -> Line:
    return (
        "%s: the call left this route after %d attempt(s), %d in all, with %s; it continues on %s",
        event.route,
        event.attempts,
        event.total,
        _named(event.fault),
        event.to,
    )


def _health(event: RouteHealthChanged) -> Line:
    if event.resting:
        return (
            "%s: the route is resting; individual calls probe it, and all other calls use other routes",
            event.route,
        )
    return ("%s: the route receives calls again, at first %.0f %% of them", event.route, 100 * event.share)


def _awaited(event: ReadinessAwaited) -> Line:
    return (
        "%s: not ready after %.0f s: %s; the next attempt follows in %.0f s",
        event.route,
        event.waited,
        _named(event.fault),
        event.wait,
    )


def _job(event: JobCreated) -> Line:
    return ("job %s (%s) %s", event.job_id, event.name, "already has this content" if event.adopted else "created")


def _progress(event: JobProgressed) -> Line:
    return (
        "job %s: %s, %d of %d records processed, %d failed, after %.0f s",
        event.job_id,
        event.aws_status,
        event.processed,
        event.total,
        event.failed,
        event.waited,
    )


def _poll_failed(event: JobPollFailed) -> Line:
    return (
        "job %s: its status could not be read: %s; the next request follows in %.0f s",
        event.job_id,
        _named(event.fault),
        event.wait,
    )


def _named(fault: Fault) -> str:
    request_id = request_id_of(fault)
    request = f", request id {request_id}" if request_id else ""
    return f"{code_of(fault) or 'an unnamed error'} ({fault.cause}, {fault.origin.value}{request})"


# The level of each event's line, and the text with its arguments.
_LINES: dict[type, tuple[int | Callable[[Any], int], Callable[[Any], Line]]] = {
    AnswerCached: (lambda event: DEBUG if event.fault is None else WARNING, _cached),
    AnswerDegraded: (WARNING, _degraded),
    BurndownChanged: (INFO, _burndown),
    CacheStoreChanged: (lambda event: INFO if event.available else WARNING, _cache_store),
    CallEnded: (_ended_level, _ended),
    CircuitChanged: (lambda event: WARNING if event.state == "open" else INFO, _circuit),
    ContentFiltered: (INFO, _filtered),
    DeadLetterKept: (INFO, _letter),
    DeadLetterLost: (ERROR, _letter_lost),
    FellBack: (WARNING, _fell_back),
    JobCreated: (INFO, _job),
    JobPollFailed: (WARNING, _poll_failed),
    JobProgressed: (INFO, _progress),
    ProfileChosen: (WARNING, _profile),
    QuotaQueued: (DEBUG, _queued),
    ReadinessAwaited: (WARNING, _awaited),
    RetryScheduled: (WARNING, _retry),
    RouteHealthChanged: (lambda event: WARNING if event.resting else INFO, _health),
    StoreChanged: (lambda event: INFO if event.available else WARNING, _store),
    StreamResumed: (WARNING, _resumed),
    ThrottleReceived: (INFO, _throttle),
}
