"""The package's log: one line of the standard library's `logging` for each event that someone on call wants to see.

    logging.getLogger("aws_bedrock_inference").setLevel(logging.INFO)

Retries, an open circuit, a lost store and failed calls are warnings: calls go on, or their exceptions say more. That is
the level at which stamina and urllib3 log retries; botocore's DEBUG hides them among thousands of lines. Throttles that
the quota paces, and recoveries, are INFO. Calls that succeed, wait, or are ended by the program are DEBUG.

A line has routes, codes, causes, counts and request ids: no message of the service, since that may quote the request,
no prompt, no answer, no credentials. `log` is a listener like any other, and the first of every client and wrapper.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

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
from aws_bedrock_inference.flow import ABANDONED

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from aws_bedrock_inference.fault import Fault

LOGGER = logging.getLogger("aws_bedrock_inference")
LOGGER.addHandler(logging.NullHandler())  # a library prints nothing by itself

enabled = LOGGER.isEnabledFor


def log(event: object) -> None:
    """Write the line of `event`, if it has one and its level is enabled."""
    write = _LINES.get(type(event))
    if write is not None:
        write(event)


def _retry(event: RetryScheduled) -> None:
    if enabled(logging.WARNING):
        LOGGER.warning(
            "%s: attempt %d failed with %s%s; the next one follows in %.2f s",
            event.route,
            event.attempt,
            _named(event.fault),
            f" and may have been charged {event.tokens:,} tokens" if event.tokens else "",
            event.wait,
        )


def _resumed(event: StreamResumed) -> None:
    if enabled(logging.WARNING):
        LOGGER.warning(
            "%s: the stream broke after %d characters with %s; %s follows in %.2f s",
            event.route,
            event.received,
            _named(event.fault),
            "the answer anew" if event.how == "restart" else "the rest",
            event.wait,
        )


def _degraded(event: AnswerDegraded) -> None:
    if enabled(logging.WARNING):
        LOGGER.warning(
            "%s: a substitute was answered, because the call failed after %d attempt(s) with %s",
            event.route,
            event.attempts,
            _named(event.fault),
        )


def _filtered(event: ContentFiltered) -> None:
    LOGGER.info(
        "%s: the content was %s; %s",
        event.route,
        event.filtered,
        "the message for it was answered" if event.replaced else "an exception follows",
    )


def _ended(event: CallEnded) -> None:
    if event.fault is None:
        if enabled(logging.DEBUG):
            LOGGER.debug(
                "%s on %s succeeded after %d attempt(s) in %.2f s%s",
                event.operation,
                event.route,
                event.attempts,
                event.seconds,
                _cost(event),
            )
    elif event.fault.cause == ABANDONED.cause:
        LOGGER.debug("%s on %s was ended by the program after %.2f s", event.operation, event.route, event.seconds)
    elif enabled(logging.WARNING):
        LOGGER.warning(
            "%s on %s failed after %d attempt(s) in %.2f s with %s",
            event.operation,
            event.route,
            event.attempts,
            event.seconds,
            _named(event.fault),
        )


def _cost(event: CallEnded) -> str:
    """Return the cost of a call that used tokens, in words."""
    if event.usage is None:
        return ""
    from aws_bedrock_inference.pricing import dollars  # noqa: PLC0415 - as for the cost itself

    return f", {dollars(event.cost)}"


def _throttle(event: ThrottleReceived) -> None:
    LOGGER.info(
        "%s: throttled by %s per minute; used %d, estimated limit %.0f",
        event.route,
        event.cause or event.limit or "an unnamed limit",
        event.used,
        event.estimate,
    )


def _queued(event: QuotaQueued) -> None:
    LOGGER.debug("%s: waits for quota of %d tokens, %d calls ahead", event.route, event.tokens, event.ahead)


def _cached(event: AnswerCached) -> None:
    if event.fault is None:
        LOGGER.debug("%s: answered from the cache, %.0f s old", event.route, event.age)
    elif enabled(logging.WARNING):
        LOGGER.warning(
            "%s: answered from the cache although %.0f s old, in the place of %s",
            event.route,
            event.age,
            _named(event.fault),
        )


def _cache_store(event: CacheStoreChanged) -> None:
    if event.available:
        LOGGER.info("the cache at %s is available again", event.place)
    else:
        LOGGER.warning("the cache is unavailable, and calls are made without it: %s", event.message)


def _letter(event: DeadLetterKept) -> None:
    if enabled(logging.INFO):
        LOGGER.info("%s: failed with %s; kept as dead letter %s", event.route, _named(event.fault), event.letter_id)


def _letter_lost(event: DeadLetterLost) -> None:
    LOGGER.error("%s: failed with %s; not kept as a dead letter: %s", event.route, _named(event.fault), event.message)


def _burndown(event: BurndownChanged) -> None:
    LOGGER.info(
        "%s: an output token counts as %.3g tokens of the quota, where the table says %.3g: %s",
        event.route,
        event.burndown,
        event.table,
        event.reason,
    )


def _circuit(event: CircuitChanged) -> None:
    level = logging.WARNING if event.state == "open" else logging.INFO
    LOGGER.log(level, "%s: the circuit is %s", event.route, event.state)


def _store(event: StoreChanged) -> None:
    if event.available:
        LOGGER.info("quota of %s: the store is available again", event.pool)
    else:
        LOGGER.warning("quota of %s: the store is unavailable; its last share, or a small one, is used", event.pool)


def _profile(event: ProfileChosen) -> None:
    LOGGER.warning("%s: no on-demand throughput; its calls go through inference profile %s", event.route, event.profile)


def _fell_back(event: FellBack) -> None:
    if enabled(logging.WARNING):
        LOGGER.warning(
            "%s: left after %d attempt(s), %d in all, with %s; the call goes on at %s",
            event.route,
            event.attempts,
            event.total,
            _named(event.fault),
            event.to,
        )


def _health(event: RouteHealthChanged) -> None:
    if event.resting:
        LOGGER.warning("%s: rests; single calls probe it, and the others go to other routes", event.route)
    else:
        LOGGER.info("%s: takes calls again, %.0f %% of them at first", event.route, 100 * event.share)


def _awaited(event: ReadinessAwaited) -> None:
    LOGGER.warning(
        "%s: not ready after %.0f s: %s; the next attempt follows in %.0f s",
        event.route,
        event.waited,
        _named(event.fault),
        event.wait,
    )


def _job(event: JobCreated) -> None:
    LOGGER.info("job %s (%s) %s", event.job_id, event.name, "has this content already" if event.adopted else "created")


def _progress(event: JobProgressed) -> None:
    LOGGER.info(
        "job %s: %s, %d of %d records processed, %d failed, after %.0f s",
        event.job_id,
        event.aws_status,
        event.processed,
        event.total,
        event.failed,
        event.waited,
    )


def _poll_failed(event: JobPollFailed) -> None:
    LOGGER.warning(
        "job %s: its status could not be asked: %s; asked again in %.0f s",
        event.job_id,
        _named(event.fault),
        event.wait,
    )


def _named(fault: Fault) -> str:
    request = f", request id {fault.request_id}" if fault.request_id else ""
    return f"{fault.code} ({fault.cause}, {fault.origin.value}{request})"


_LINES: dict[type, Callable[[Any], None]] = {
    AnswerCached: _cached,
    AnswerDegraded: _degraded,
    CacheStoreChanged: _cache_store,
    BurndownChanged: _burndown,
    CallEnded: _ended,
    CircuitChanged: _circuit,
    ContentFiltered: _filtered,
    DeadLetterKept: _letter,
    DeadLetterLost: _letter_lost,
    FellBack: _fell_back,
    JobCreated: _job,
    JobPollFailed: _poll_failed,
    JobProgressed: _progress,
    ProfileChosen: _profile,
    QuotaQueued: _queued,
    ReadinessAwaited: _awaited,
    RetryScheduled: _retry,
    RouteHealthChanged: _health,
    StoreChanged: _store,
    StreamResumed: _resumed,
    ThrottleReceived: _throttle,
}
