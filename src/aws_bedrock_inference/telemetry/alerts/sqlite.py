"""An alert store in a file, for the processes of one machine."""

from __future__ import annotations

import uuid
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from aws_bedrock_inference.clock import wall
from aws_bedrock_inference.stores.disk import Schema
from aws_bedrock_inference.stores.file import SharedFile
from aws_bedrock_inference.stores.request import STORE_TIMEOUT, Question
from aws_bedrock_inference.telemetry.alerts.store import MOST_REPORTS, Turn, due

if TYPE_CHECKING:
    from aws_bedrock_inference.clock import Clock

ALERTS = Schema(
    application=0x62647277,  # "bdrw" in ASCII
    version=1,
    newest=1,
    tables={
        "reports": "number INTEGER PRIMARY KEY, service TEXT NOT NULL, at REAL NOT NULL, report TEXT NOT NULL",
        "memories": "service TEXT PRIMARY KEY, memory TEXT NOT NULL, looked_at REAL NOT NULL, taken_at REAL NOT NULL, "
        "token TEXT NOT NULL",
    },
    noun="alerts",
    use="share alerts",
    loss="the usual values are learned again, and open incidents are reported again",
)

_LONG_AGO = -1e18


class SqliteAlerts:
    """Stores the reports of processes, and the state of the alert rules, in the file at `path`.

    The file is created with mode 0600. All processes must use the same `clock`, by default the time of day of the
    machine. A request that waits longer than `timeout` seconds raises `StoreUnavailable`.
    """

    def __init__(self, path: Path | str, clock: Clock = wall, *, timeout: float = STORE_TIMEOUT) -> None:
        self.path = Path(path)
        self.place = str(path)
        self._clock = clock
        self._timeout = timeout
        self._file = SharedFile(self.path, ALERTS, timeout=timeout)

    def report(self, service: str, text: str) -> Question[Turn | None]:
        """Store a report of a process.

        If the stored reports are due for examination, return a `Turn`. The caller must then examine these reports.
        Otherwise, return None.
        """
        return Question(partial(self._report, service, text), 2 * self._timeout, self.place)

    def settle(self, service: str, turn: Turn, memory: str) -> Question[bool]:
        """Store `memory` as the new state of the alert rules. Delete the reports that `turn` contains. Return True.

        If another process has received a newer `Turn`, change nothing and return False.
        """
        return Question(partial(self._settle, service, turn, memory), 2 * self._timeout, self.place)

    def close(self) -> None:
        """Close the file. The next request opens it again."""
        self._file.close()

    def __repr__(self) -> str:
        return f"SqliteAlerts({self.place!r})"

    def _report(self, service: str, text: str) -> Turn | None:
        now, token = self._clock(), uuid.uuid4().hex
        with self._file.changing() as database:
            (waiting,) = database.execute("SELECT count(*) FROM reports WHERE service = ?", (service,)).fetchone()
            if waiting < MOST_REPORTS:
                row = (service, now, text)
                database.execute("INSERT INTO reports (service, at, report) VALUES (?, ?, ?)", row)
            found = database.execute(
                "SELECT memory, looked_at, taken_at FROM memories WHERE service = ?", (service,)
            ).fetchone()
            memory, looked_at, taken_at = found or ("", _LONG_AGO, _LONG_AGO)
            if not due(now, looked_at, taken_at):
                return None
            taken = (service, memory, looked_at, now, token)
            database.execute("INSERT OR REPLACE INTO memories VALUES (?, ?, ?, ?, ?)", taken)
            rows = database.execute("SELECT at, report FROM reports WHERE service = ? ORDER BY number", (service,))
            return Turn(token, now, memory, tuple(rows))

    def _settle(self, service: str, turn: Turn, memory: str) -> bool:
        with self._file.changing() as database:
            changed = database.execute(
                "UPDATE memories SET memory = ?, looked_at = ?, taken_at = ?, token = '' "
                "WHERE service = ? AND token = ?",
                (memory, turn.now, _LONG_AGO, service, turn.token),
            )
            if not changed.rowcount:
                return False
            database.execute(
                "DELETE FROM reports WHERE number IN (SELECT number FROM reports WHERE service = ? ORDER BY number "
                "LIMIT ?)",
                (service, len(turn.reports)),
            )
            return True
