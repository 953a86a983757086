"""The package's log: one line of the standard library's `logging` for each event that someone on call wants to see.

    logging.getLogger("aws_bedrock_inference").setLevel(logging.INFO)

Retries, an open circuit, a lost store and failed calls are warnings: calls go on, or their exceptions say more. That is
the level at which stamina and urllib3 log retries; botocore's DEBUG hides them among thousands of lines. Throttles that
the quota paces, and recoveries, are INFO, and calls that succeed or wait are DEBUG.

A line has routes, codes, causes, counts and request ids: no message of the service, since that may quote the request,
no prompt, no answer, no credentials. `log` is a listener like any other, and the first of every client and wrapper.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from aws_bedrock_inference.events import (
    BurndownChanged,
    CallEnded,
    CircuitChanged,
    QuotaQueued,
    RetryScheduled,
    StoreChanged,
    ThrottleReceived,
)

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


def _ended(event: CallEnded) -> None:
    if event.fault is None:
        LOGGER.debug(
            "%s on %s succeeded after %d attempt(s) in %.2f s",
            event.operation,
            event.route,
            event.attempts,
            event.seconds,
        )
    elif enabled(logging.WARNING):
        LOGGER.warning(
            "%s on %s failed after %d attempt(s) in %.2f s with %s",
            event.operation,
            event.route,
            event.attempts,
            event.seconds,
            _named(event.fault),
        )


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


def _named(fault: Fault) -> str:
    request = f", request id {fault.request_id}" if fault.request_id else ""
    return f"{fault.code} ({fault.cause}, {fault.origin.value}{request})"


_LINES: dict[type, Callable[[Any], None]] = {
    BurndownChanged: _burndown,
    CallEnded: _ended,
    CircuitChanged: _circuit,
    QuotaQueued: _queued,
    RetryScheduled: _retry,
    StoreChanged: _store,
    ThrottleReceived: _throttle,
}
