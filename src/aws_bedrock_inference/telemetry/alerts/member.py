"""One of the processes that share a store of alerts.

The process reports its counts. One process at a time has the *turn*: the right to examine the reports of all processes.
The process also reports which alerts it is still delivering, so that no other process delivers them. `Member` starts no
thread: its owner calls `step` every ten seconds.

After three consecutive failures of the store, the process continues alone. It then examines only its own counts, and
begins with the last state of the alert rules that it has stored. Several processes can now raise an alert about the
same incident, but a duplicate alert is better than no alert.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from aws_bedrock_inference.forks import Locked
from aws_bedrock_inference.stores.request import StoreUnavailable
from aws_bedrock_inference.telemetry.alerts.store import MemoryAlerts
from aws_bedrock_inference.telemetry.alerts.turn import MemoryUnreadable, look

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.telemetry.alerts.alert import Alert
    from aws_bedrock_inference.telemetry.alerts.report import Report
    from aws_bedrock_inference.telemetry.alerts.store import AlertStore, Turn

_log = logging.getLogger(__name__)

ALONE = 3
"""After the store has refused this number of consecutive reports, a process examines only its own counts."""

# Reports kept while the store fails: one minute. Older reports no longer matter.
_KEPT = 6


class Member(Locked):
    """A process of `service` that shares `store` with other processes. If `store` is None, the process works alone.

    `deliver` is called with each alert that this process has to deliver. When a delivery has ended, the owner must call
    `delivered`.
    """

    def __init__(self, store: AlertStore | None, service: str, deliver: Callable[[Alert], None], wall: Clock) -> None:
        super().__init__()
        self._store = store or MemoryAlerts(wall)
        self._service = service
        self._deliver = deliver
        self._wall = wall
        self._alone: MemoryAlerts | None = None
        self._memory = ""
        self._failures = 0
        self._unreadable: MemoryUnreadable | None = None  # of the last turn at the store
        self._unsent: deque[Report] = deque(maxlen=_KEPT)
        self._held: dict[str, None] = {}
        self._done: list[str] = []

    def after_fork(self) -> None:
        """Start empty in a forked child, because the parent sends its own reports and delivers its own alerts."""
        super().after_fork()
        self._unsent.clear()
        self._held, self._done, self._alone = {}, [], None

    def step(self, report: Report, *, last: bool = False) -> None:
        """Send the report of this process. If the store answers with a `Turn`, examine the reports of all processes.

        `last` is True for the last report of the process. This report releases the alerts that the process has not
        delivered, so that other processes can deliver these alerts.
        """
        with self._lock:
            done, self._done = self._done, []
            held = tuple(self._held)
        whole = replace(report, held=() if last else held, delivered=tuple(done), released=held if last else ())
        problem = self._report(whole)
        if problem is None:
            if self._alone is not None:
                _log.info("alerts: %s is available again", self._store.place)
            self._failures, self._alone = 0, None
            return
        self._failures += 1
        if self._failures == ALONE:
            _log.warning(
                "alerts: the store of the alerts is not available. Until it is available again, this process examines "
                "only its own counts: %s",
                problem,
            )
            self._alone = MemoryAlerts(self._wall, {self._service: self._memory})
        if self._alone is not None:
            for each in self._unsent if self._failures == ALONE and self._unsent else (whole,):
                self._look(self._alone, self._alone.report(self._service, each.to_json()).run())

    def _report(self, report: Report) -> Exception | None:
        """Send this report to the store. If earlier reports could not be sent, send them first.

        If the store answers with a `Turn`, examine the reports of all processes.

        Return None on success. Return `StoreUnavailable` if the store is not available. Return `MemoryUnreadable` if
        the state of the alert rules in the store cannot be read. All later calls then also return `MemoryUnreadable`,
        until this process gets a turn in which it can read the state.
        """
        self._unsent.append(report)
        try:
            while self._unsent:
                turn = self._store.report(self._service, self._unsent[0].to_json()).run()
                self._unsent.popleft()
                self._look(self._store, turn)
                if turn is not None:
                    self._unreadable = None
        except MemoryUnreadable as error:
            self._unreadable = error
        except StoreUnavailable as error:
            return error
        return self._unreadable

    def delivered(self, *alerts: Alert) -> None:
        """Record that the delivery of alerts is finished, successfully or not."""
        with self._lock:
            for alert in alerts:
                self._held.pop(alert.id, None)
                self._done.append(alert.id)

    def _look(self, store: AlertStore, turn: Turn | None) -> None:
        """Examine the reports of `turn`, and deliver the alerts that result. If `turn` is None, do nothing."""
        if turn is None:
            return
        memory, alerts = look(turn.memory, turn.reports, turn.now, self._service)
        if store.settle(self._service, turn, memory).run():
            self._memory = memory
            for alert in alerts:
                self._take(alert)

    def _take(self, alert: Alert) -> None:
        with self._lock:
            known = alert.id in self._held
            self._held[alert.id] = None
        if not known:
            self._deliver(alert)
