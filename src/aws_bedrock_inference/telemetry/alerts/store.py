"""The places where the processes of a service meet, so that one incident raises one alert: the protocol, and memory.

A process reports some counts every ten seconds. Whoever reports when a look is due gets the turn: the memory and all
reports since the last look. It writes the new memory back if the turn is still its own. Nothing but texts is kept.
"""

from __future__ import annotations

import uuid
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

from aws_bedrock_inference.clock import wall
from aws_bedrock_inference.forks import Locked
from aws_bedrock_inference.stores import opened_at
from aws_bedrock_inference.stores.request import Instant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.flow import StoreRequest

EVERY = 10.0
"""Seconds between two reports of a process."""

DUE = 8.0
"""Seconds after a look from which the next one is due: less than `EVERY`, which no clock keeps exactly."""

TURN = 20.0
"""Seconds after which a turn is another's: whoever had it has ended, or is stuck."""

MOST_REPORTS = 5000
"""Reports that wait for a look; more are dropped."""


class Turn(NamedTuple):
    """The right to look: the time of the store, the memory, and the reports with their times."""

    token: str
    now: float
    memory: str
    reports: tuple[tuple[float, str], ...]


class AlertStore(Protocol):
    """A place where the processes of one service meet. Requests raise `StoreUnavailable`."""

    place: str

    def report(self, service: str, text: str) -> StoreRequest[Turn | None]:
        """Leave a report, and get the turn if a look is due."""

    def settle(self, service: str, turn: Turn, memory: str) -> StoreRequest[bool]:
        """Replace the memory and drop the reports that were looked at; False if the turn is another's by now."""

    def close(self) -> None:
        """Release connections and files."""


class _Room:
    """The texts that are kept for one service."""

    def __init__(self, memory: str = "") -> None:
        self.memory = memory
        self.reports: list[tuple[float, str]] = []
        self.looked_at = self.taken_at = float("-inf")
        self.token = ""


class MemoryAlerts(Locked):
    """Keeps everything in this object, for one process; `clock` has seconds since the epoch. It begins with `memories`,
    by service.
    """

    place = "memory"

    def __init__(self, clock: Clock = wall, memories: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._clock = clock
        self._rooms = {service: _Room(memory) for service, memory in (memories or {}).items()}

    def after_fork(self) -> None:
        """Begin anew: what was reported is the parent's to tell."""
        super().after_fork()
        self._rooms = {}

    def report(self, service: str, text: str) -> Instant[Turn | None]:
        """Leave a report, and get the turn if a look is due."""
        return Instant(partial(self._report, service, text))

    def settle(self, service: str, turn: Turn, memory: str) -> Instant[bool]:
        """Replace the memory and drop the reports that were looked at."""
        return Instant(partial(self._settle, service, turn, memory))

    def close(self) -> None:
        """Nothing is open."""

    def __repr__(self) -> str:
        return "MemoryAlerts()"

    def _report(self, service: str, text: str) -> Turn | None:
        with self._lock:
            now, room = self._clock(), self._rooms.setdefault(service, _Room())
            if len(room.reports) < MOST_REPORTS:
                room.reports.append((now, text))
            if not due(now, room.looked_at, room.taken_at):
                return None
            room.token, room.taken_at = uuid.uuid4().hex, now
            return Turn(room.token, now, room.memory, tuple(room.reports))

    def _settle(self, service: str, turn: Turn, memory: str) -> bool:
        with self._lock:
            room = self._rooms.get(service)
            if room is None or room.token != turn.token:
                return False
            room.memory, room.looked_at = memory, turn.now
            room.token, room.taken_at = "", float("-inf")
            del room.reports[: len(turn.reports)]
            return True


def due(now: float, looked_at: float, taken_at: float) -> bool:
    """Return whether a look is due at `now`. A clock that was set back makes it due."""
    return not (0.0 <= now - looked_at < DUE or 0.0 <= now - taken_at < TURN)


def open_alert_store(url: str) -> AlertStore:
    """Return the store at `url`: sqlite:///path for the processes of one machine, redis://host for those of many.

    Raises `ValueError`.
    """
    from aws_bedrock_inference.telemetry.alerts.sqlite import SqliteAlerts  # noqa: PLC0415 - only who shares needs it

    def server(url: str) -> AlertStore:
        from aws_bedrock_inference.telemetry.alerts.valkey import ValkeyAlerts  # noqa: PLC0415 - redis-py is an extra

        return ValkeyAlerts(url)

    def file(path: object) -> AlertStore:
        return SqliteAlerts(str(path))

    return opened_at(url, file, server, use="Sharing alerts", name="alerts.db")
