"""The delivery of alerts. Each sink has its own thread and its own bounded queue, so that no sink delays another."""

from __future__ import annotations

import logging
import threading
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.fault import Decision, Fault, Hint, Origin
from aws_bedrock_inference.knowledge.classify import classify
from aws_bedrock_inference.rules.backoff import delay, near

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.telemetry.alerts.alert import Alert

    Sink = Callable[[Alert], Any]

_log = logging.getLogger(__name__)

MOST_QUEUED = 1000
"""The maximum number of alerts that wait for one sink. When another alert arrives, the oldest waiting alert is
dropped.
"""

GIVE_UP_AFTER = 3600.0
"""The number of seconds after which the delivery of an alert is given up. A permanent failure ends the delivery
immediately.
"""

SCHEDULE = Hint(base=1.0, cap=60.0, attempts=1_000_000)
"""The waits between attempts to deliver an alert, in seconds. They are short, so that a sink gets its alerts within a
minute after it has recovered.
"""


class NotDelivered(Exception):
    """Raised if a sink (receiver of alerts) refused an alert.

    `fault` is the classified error of the sink. It shows whether another attempt can succeed.
    """

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


class Outlet:
    """Delivers alerts, one after the other, to one sink: a webhook, an SNS topic, a function or the log.

    `done` is called with each alert whose delivery has ended, successfully or not.
    """

    def __init__(
        self,
        sink: Sink,
        done: Callable[[Alert], None],
        *,
        clock: Clock = clocks.monotonic,
        chance: clocks.Chance = clocks.chance,
    ) -> None:
        self.lost = 0
        self._sink = sink
        self._done = done
        self._clock, self._chance = clock, chance
        self._queue: deque[Alert] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False

    def put(self, alert: Alert) -> None:
        """Queue an alert."""
        given_up = None
        with self._changed:
            if len(self._queue) >= MOST_QUEUED:
                given_up = self._queue.popleft()
                self.lost += 1
            self._queue.append(alert)
            if self._thread is None:
                self._thread = started(self._run)
            self._changed.notify_all()
        if given_up is not None:
            if self.lost.bit_count() == 1:  # logged after 1, 2, 4, 8 … dropped alerts, to limit the lines
                _log.error(
                    "%d alerts were not delivered to %s: more than %d alerts are waiting for this target. Check "
                    "whether it is slow or fails",
                    *(self.lost, _name(self._sink), MOST_QUEUED),
                )
            self._done(given_up)

    def close(self, until: float) -> None:
        """Wait until all alerts are delivered, or until the time `until`. Then stop the delivery."""
        with self._changed:
            while self._thread is not None and self._queue and self._clock() < until:
                self._changed.wait(max(0.0, until - self._clock()))
            self._closing = True
        while self._thread is None and self._queue and self._clock() < until and self._deliver(self._queue[0]):
            self._done(self._queue.popleft())
        with self._changed:
            if self._queue:
                _log.error(
                    "%d alerts were not delivered to %s before the program ended", len(self._queue), _name(self._sink)
                )
            self._changed.notify_all()

    def _run(self) -> None:
        while (alert := self._next()) is not None:
            delivered = self._deliver(alert)
            with self._changed:
                if self._closing and not delivered:
                    return
                if self._queue and self._queue[0] is alert:
                    self._queue.popleft()
                self._changed.notify_all()
            self._done(alert)

    def _next(self) -> Alert | None:
        """Return the next alert, or None if the outlet is closed. The alert stays in the queue until the delivery
        ends.
        """
        with self._changed:
            while not self._queue and not self._closing:
                self._changed.wait()
            return None if self._closing else self._queue[0]

    def _deliver(self, alert: Alert) -> bool:
        started, retry, wait = self._clock(), 0, 0.0
        while True:
            try:
                self._sink(alert)
            except Exception as error:  # noqa: BLE001 - a sink may be the user's code
                fault = error.fault if isinstance(error, NotDelivered) else classify(error)
            else:
                return True
            retry += 1
            wait = delay(replace(fault, hint=SCHEDULE), retry, wait, jitter=near, chance=self._chance)
            wait = min(wait, SCHEDULE.cap)  # even if the sink asks for a longer wait, as a rate limiter may
            lasting = (
                fault.decision is Decision.FAIL and fault.origin is not Origin.NETWORK
            )  # a host name may resolve again soon
            if lasting or self._clock() - started + wait > GIVE_UP_AFTER:
                self.lost += 1
                _log.error(
                    "alert %s was not delivered to %s and is dropped. The last error: %s (%s)",
                    alert.id,
                    _name(self._sink),
                    fault.code,
                    fault.cause,
                )
                return False
            if retry == 1:
                _log.warning(
                    "alert %s: %s failed with %s; the delivery is retried", alert.id, _name(self._sink), fault.code
                )
            if not self._waited(wait):
                return False

    def _waited(self, seconds: float) -> bool:
        """Wait for this number of seconds. Return whether the outlet is still open after the wait."""
        until = self._clock() + seconds
        with self._changed:
            while not self._closing and (left := until - self._clock()) > 0:
                self._changed.wait(left)
            return not self._closing


def started(run: Callable[[], None]) -> threading.Thread | None:
    """Start a thread that calls `run`, and return the thread. Return None if the program is ending and cannot start
    threads.
    """
    thread = threading.Thread(target=run, name="bedrock-alerts", daemon=True)
    try:
        thread.start()
    except RuntimeError:
        return None
    return thread


def _name(sink: Sink) -> str:
    """Return the name of a sink for the log. If the sink is a method, the name contains the class but not the object,
    because the text of the object can contain a secret.
    """
    name: str = getattr(sink, "name", "") or getattr(sink, "__qualname__", type(sink).__qualname__)
    return name
