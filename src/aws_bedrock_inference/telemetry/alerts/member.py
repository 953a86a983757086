"""One process among those that meet at a store: it reports, takes its turns to look, and keeps alerts that it has to
deliver in force. It knows no thread and no clock: `step` is called every ten seconds.

Beside the store it remembers its own counts. If the store has failed for three reports, it judges by these alone: an
alert too many is better than none.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING

from aws_bedrock_inference.forks import Locked
from aws_bedrock_inference.stores.request import StoreUnavailable
from aws_bedrock_inference.telemetry.alerts.report import Report
from aws_bedrock_inference.telemetry.alerts.store import MemoryAlerts
from aws_bedrock_inference.telemetry.alerts.turn import MemoryUnreadable, look

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.telemetry.alerts.alert import Alert
    from aws_bedrock_inference.telemetry.alerts.store import AlertStore

_log = logging.getLogger(__name__)

ALONE = 3
"""Reports in a row that the store did not take, after which a process judges alone."""

# Reports that are kept for a store that fails: a minute. Older ones say nothing of now.
_KEPT = 6


class Member(Locked):
    """A process of `service` at `store`, or alone if that is None; `deliver` is called with each alert that is its to
    deliver, and `delivered` says when it is done with one.
    """

    def __init__(self, store: AlertStore | None, service: str, deliver: Callable[[Alert], None], wall: Clock) -> None:
        super().__init__()
        self._own: AlertStore = MemoryAlerts(wall)
        self._store = store
        self._service = service
        self._deliver = deliver
        self._failures = 0
        self._unsent: deque[Report] = deque(maxlen=_KEPT)
        self._held: dict[str, None] = {}
        self._done: list[str] = []

    def after_fork(self) -> None:
        """Begin anew: what is reported and delivered is the parent's."""
        super().after_fork()
        self._unsent.clear()
        self._held, self._done = {}, []

    def step(self, report: Report, *, last: bool = False) -> None:
        """Report, and look if it is this process's turn. The `last` one hands over what it could not deliver."""
        with self._lock:
            done, self._done = self._done, []
            held = tuple(self._held)
        names = Report(held=() if last else held, delivered=tuple(done), released=held if last else ())
        whole = Report(report.answers, report.failures, report.letters, report.uses, *_names(names))
        alone = self._meet(self._own, whole)
        if self._store is None:
            self._hand_out(alone)
            return
        self._unsent.append(whole)
        try:
            while self._unsent:
                found = self._meet(self._store, self._unsent[0])
                self._unsent.popleft()
                self._hand_out(found)
        except (StoreUnavailable, MemoryUnreadable) as error:
            self._fails(error, alone)
        else:
            if self._failures >= ALONE:
                _log.info("alerts: %s answers again", self._store.place)
            self._failures = 0
            self.delivered(*alone)

    def delivered(self, *alerts: Alert) -> None:
        """Record that the delivery of alerts is over, well or not."""
        with self._lock:
            for alert in alerts:
                self._held.pop(alert.id, None)
                self._done.append(alert.id)

    def _meet(self, store: AlertStore, report: Report) -> list[Alert]:
        """Leave a report; return the alerts to deliver, if it was this process's turn."""
        turn = store.report(self._service, report.to_json()).run()
        if turn is None:
            return []
        memory, alerts = look(turn.memory, turn.reports, turn.now, self._service)
        return alerts if store.settle(self._service, turn, memory).run() else []

    def _fails(self, error: Exception, alone: list[Alert]) -> None:
        self._failures += 1
        if self._failures == ALONE:
            _log.warning("alerts: this process judges alone until the store works: %s", error)
        if self._failures >= ALONE:
            self._hand_out(alone)
        else:
            self.delivered(*alone)

    def _hand_out(self, alerts: list[Alert]) -> None:
        for alert in alerts:
            with self._lock:
                known = alert.id in self._held
                self._held[alert.id] = None
            if not known:
                self._deliver(alert)


def _names(report: Report) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    return report.held, report.delivered, report.released
