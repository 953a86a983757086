"""The listener that raises alerts. It counts events in the threads of the calls. A separate thread sends a report of
the counts every ten seconds.
"""

from __future__ import annotations

import logging
import threading
import weakref
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.forks import AtEnd, renew_after_fork
from aws_bedrock_inference.telemetry.alerts.counted import counted
from aws_bedrock_inference.telemetry.alerts.delivery import Outlet, started
from aws_bedrock_inference.telemetry.alerts.member import Member
from aws_bedrock_inference.telemetry.alerts.store import EVERY
from aws_bedrock_inference.telemetry.alerts.tally import HEARD, Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aws_bedrock_inference.telemetry.alerts.alert import Alert
    from aws_bedrock_inference.telemetry.alerts.counted import Limits
    from aws_bedrock_inference.telemetry.alerts.store import AlertStore

_log = logging.getLogger(__name__)

FLUSH = 5.0
"""The maximum number of seconds by which the end of the program is delayed so that alerts are delivered."""


class Watching:
    """Counts the events of calls and reports the counts, until `close` is called."""

    attempts = False

    def __init__(
        self,
        sinks: Sequence[Callable[[Alert], Any]],
        store: AlertStore | None,
        quota: Limits | None,
        service: str,
    ) -> None:
        self._sinks, self._quota = tuple(sinks), quota
        self._tally = Tally()
        self._member = Member(store, service, self._deliver, clocks.wall)
        self._store = store
        self._closed = False
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Start without threads and without alerts in a forked child. The parent process delivers its own alerts."""
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._outlets = [Outlet(sink, self._taken) for sink in self._sinks]
        self._outstanding: dict[str, int] = {}

    def __call__(self, event: object) -> None:
        """Count `event`."""
        count = HEARD.get(type(event))
        if count is not None:
            count(self._tally, event)
            if self._thread is None:
                self._start()

    def close(self) -> None:
        """Send the last report. Then wait at most five seconds until the remaining alerts are delivered."""
        with self._lock:
            closed, self._closed = self._closed, True
            thread = self._thread
        if closed or thread is None:
            return
        until = clocks.monotonic() + FLUSH
        self._stop.set()
        thread.join(FLUSH)
        self._report(last=False)
        for outlet in self._outlets:
            outlet.close(until)
        self._report(last=True)
        if self._store is not None:
            self._store.close()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None and not self._closed:
                self._thread = started(self._run)
                _close_at_exit(self)

    def _run(self) -> None:
        while not self._stop.wait(EVERY):
            self._report(last=False)

    def _report(self, *, last: bool) -> None:
        try:
            self._member.step(counted(self._tally.take(), self._quota, clocks.monotonic()), last=last)
        except Exception:  # noqa: BLE001 - one failed report must not end the alerts
            _log.exception("alerts: a report failed")

    def _deliver(self, alert: Alert) -> None:
        with self._lock:
            self._outstanding[alert.id] = len(self._outlets)
        for outlet in self._outlets:
            outlet.put(alert)

    def _taken(self, alert: Alert) -> None:
        """Record that one sink (receiver of alerts) has delivered `alert` or has failed to deliver it."""
        with self._lock:
            left = self._outstanding.pop(alert.id, 1) - 1
            if left > 0:
                self._outstanding[alert.id] = left
        if left <= 0:
            self._member.delivered(alert)


_running: weakref.WeakSet[Watching] = weakref.WeakSet()


def _close_at_exit(watching: Watching) -> None:
    _running.add(watching)
    _AT_END.arm()


def _close_all() -> None:
    for watching in list(_running):
        watching.close()


_AT_END = AtEnd(_close_all)
