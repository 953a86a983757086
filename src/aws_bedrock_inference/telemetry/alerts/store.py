"""The stores that the processes of a service share, so that one incident raises one alert. This file has the protocol,
and a store in memory.

Each process reports its counts every ten seconds. Eight seconds after an examination, the reports are due for the next
examination. The next process that reports gets the *turn*: it receives the state of the rules (the *memory*) and all
reports since the last turn. The process examines the reports, and writes the changed memory to the store. If this lasts
more than 20 seconds, another process can get the turn. The store then refuses the memory of the slow process.

A store contains only texts.
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
"""The number of seconds between two reports of a process."""

DUE = 8.0
"""The number of seconds from one examination of the reports until the next one is due. It is less than `EVERY`,
because the intervals between the reports of a process are not exact.
"""

TURN = 20.0
"""The number of seconds after which another process gets the turn if the turn has not ended. The process that had the
turn has then ended or is stuck.
"""

MOST_REPORTS = 5000
"""The maximum number of reports that wait for examination. Further reports are dropped."""


class Turn(NamedTuple):
    """The turn: the right of one process to examine the reports.

    It contains the current time of the store, the memory (the state of the alert rules), and the reports with their
    times.
    """

    token: str
    now: float
    memory: str
    reports: tuple[tuple[float, str], ...]


class AlertStore(Protocol):
    """A store that the processes of one service share.

    If the store cannot process a request, the request raises `StoreUnavailable`.
    """

    place: str

    def report(self, service: str, text: str) -> StoreRequest[Turn | None]:
        """Store a report of a process.

        If the stored reports are due for examination, return a `Turn`. The caller must then examine these reports.
        Otherwise, return None.
        """

    def settle(self, service: str, turn: Turn, memory: str) -> StoreRequest[bool]:
        """Store `memory` as the new state of the alert rules. Delete the reports that `turn` contains. Return True.

        If another process has received a newer `Turn`, change nothing and return False.
        """

    def close(self) -> None:
        """Release connections and files."""


class _Room:
    """The stored texts of one service: its reports, and the state of its alert rules."""

    def __init__(self, memory: str = "") -> None:
        self.memory = memory
        self.reports: list[tuple[float, str]] = []
        self.looked_at = self.taken_at = float("-inf")
        self.token = ""


class MemoryAlerts(Locked):
    """Stores everything in this object, so only one process can use it. `clock` returns seconds since the epoch.
    `memories` contains the initial state of the alert rules for each service.
    """

    place = "memory"

    def __init__(self, clock: Clock = wall, memories: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._clock = clock
        self._rooms = {service: _Room(memory) for service, memory in (memories or {}).items()}

    def after_fork(self) -> None:
        """Start empty in a forked child process, because the parent process reports its own counts."""
        super().after_fork()
        self._rooms = {}

    def report(self, service: str, text: str) -> Instant[Turn | None]:
        """Store a report of a process.

        If the stored reports are due for examination, return a `Turn`. The caller must then examine these reports.
        Otherwise, return None.
        """
        return Instant(partial(self._report, service, text))

    def settle(self, service: str, turn: Turn, memory: str) -> Instant[bool]:
        """Store `memory` as the new state of the alert rules. Delete the reports that `turn` contains. Return True.

        If another process has received a newer `Turn`, change nothing and return False.
        """
        return Instant(partial(self._settle, service, turn, memory))

    def close(self) -> None:
        """Do nothing, because nothing is open."""

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
    """Return whether the reports are due for examination at `now`.

    `looked_at` is the time of the last examination. `taken_at` is the time when a process last got the turn. The
    reports are due if enough time has passed since both times. A time after `now` is ignored, because it means that the
    clock was set back.
    """
    return not (0.0 <= now - looked_at < DUE or 0.0 <= now - taken_at < TURN)


def open_alert_store(url: str) -> AlertStore:
    """Return the store at `url`: sqlite:///path for the processes of one machine, redis://host for many machines.

    Raises `ValueError` for any other URL.
    """
    from aws_bedrock_inference.telemetry.alerts.sqlite import SqliteAlerts  # noqa: PLC0415 - only needed for shared stores

    def server(url: str) -> AlertStore:
        from aws_bedrock_inference.telemetry.alerts.valkey import ValkeyAlerts  # noqa: PLC0415 - redis-py is an extra

        return ValkeyAlerts(url)

    def file(path: object) -> AlertStore:
        return SqliteAlerts(str(path))

    return opened_at(url, file, server, use="Sharing alerts", name="alerts.db")
