"""Share quotas between the processes of one machine through a file."""

from __future__ import annotations

import json
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from aws_bedrock_inference.clock import wall
from aws_bedrock_inference.rules.quota.leases import FORMAT, Leases, TooNew
from aws_bedrock_inference.stores.disk import Schema, too_new
from aws_bedrock_inference.stores.file import SharedFile
from aws_bedrock_inference.stores.request import STORE_TIMEOUT, Question, StoreUnusable

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.rules.quota.leases import Grant, LeaseRequest
    from aws_bedrock_inference.rules.quota.views import View

T = TypeVar("T")

# Seconds after which an unused pool is deleted.
UNUSED = 3600.0

SHARES = Schema(
    application=0x62647271,  # "bdrq" in ASCII
    version=FORMAT,
    newest=FORMAT + 1,
    # The first versions of this package wrote these tables, but neither `application` nor `version`.
    tables={
        "pools": "pool TEXT PRIMARY KEY, used REAL NOT NULL, state TEXT NOT NULL",
        "reports": "pool TEXT, member TEXT, report TEXT NOT NULL, PRIMARY KEY (pool, member)",
    },
    noun="a shared quota",
    use="share a quota",
    loss="it has no data older than a minute",
)


class SqliteStore:
    """A store in a SQLite file, with one row for each pool (a shared quota) and one row for the report of each member
    (process). `clock` must be the same for all processes.

    If a request waits longer than `timeout` seconds for other threads or processes, the request raises
    `StoreUnavailable`. Only the owner of the file can read and write the file. If the file was deleted or replaced,
    the next request uses the file that is now at the path, or creates a file.
    """

    def __init__(self, path: Path | str, clock: Clock = wall, *, timeout: float = STORE_TIMEOUT) -> None:
        self.path = Path(path)
        self._clock = clock
        self._timeout = timeout
        self._file = SharedFile(self.path, SHARES, timeout=timeout)

    def renew(self, pool: str, member: str, request: LeaseRequest) -> Question[Grant]:
        """Report the quota that `member` (a process) needs, and return its new lease. The lease is the share of the
        quota that the member is allowed to use.
        """
        return self._question(partial(self._renew, pool, member, request))

    def leave(self, pool: str, member: str, report: str = "") -> Question[None]:
        """Release the lease (the share of the quota) of `member`. `report` is the last report of the member."""
        return self._question(partial(self._leave, pool, member, report))

    def look(self, pool: str | None = None) -> Question[dict[str, View]]:
        """Return the members of `pool` (one quota). If `pool` is not set, return the members of every stored pool."""
        return self._question(partial(self._look, pool))

    def close(self) -> None:
        """Close the file. The next request opens the file again."""
        self._file.close()

    def __repr__(self) -> str:
        return f"SqliteStore({str(self.path)!r})"

    def _question(self, answer: Callable[[], T]) -> Question[T]:
        return Question(answer, 2 * self._timeout, str(self.path))

    def _renew(self, pool: str, member: str, request: LeaseRequest) -> Grant:
        with self._changing() as database:
            now = self._clock()
            leases = _read(database, pool)
            if leases is None:
                _forget_unused(database, now)
                leases = Leases(now)
            before = leases.members
            grant = leases.renew(member, request, now)
            _write(database, pool, leases, now)
            gone = before - leases.members
            database.executemany("DELETE FROM reports WHERE pool = ? AND member = ?", [(pool, name) for name in gone])
            database.execute("INSERT OR REPLACE INTO reports VALUES (?, ?, ?)", (pool, member, request.report))
            return grant

    def _leave(self, pool: str, member: str, report: str) -> None:
        with self._changing() as database:
            now = self._clock()
            leases = _read(database, pool)
            if leases is not None:
                leases.leave(member, now, report)
                _write(database, pool, leases, now)
                database.execute("DELETE FROM reports WHERE pool = ? AND member = ?", (pool, member))

    def _look(self, pool: str | None) -> dict[str, View]:
        with self._changing() as database:
            names = [name for (name,) in database.execute("SELECT pool FROM pools ORDER BY pool")]
            views = {}
            for name in names if pool is None else [pool]:
                leases = _read(database, name)
                if leases is not None:
                    rows = database.execute("SELECT member, report FROM reports WHERE pool = ?", (name,))
                    leases.reports.update(rows.fetchall())
                    views[name] = leases.look(self._clock())
            return views

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """Open the file for one change, as a transaction."""
        try:
            with self._file.changing() as database:
                yield database
        except TooNew as error:
            raise StoreUnusable(too_new(self.path, str(error))) from error


def _read(database: sqlite3.Connection, pool: str) -> Leases | None:
    row = database.execute("SELECT state FROM pools WHERE pool = ?", (pool,)).fetchone()
    if row is None:
        return None
    leases = Leases.of(json.loads(row[0]))
    leases.reports = _Reports(database, pool)
    return leases


class _Reports(dict[str, str]):
    """The reports of the members (processes) of a shared quota. Each report is read from the file only when it is
    needed.
    """

    def __init__(self, database: sqlite3.Connection, pool: str) -> None:
        self._database = database
        self._pool = pool

    def __missing__(self, member: str) -> str:
        where = "SELECT report FROM reports WHERE pool = ? AND member = ?"
        row = self._database.execute(where, (self._pool, member)).fetchone()
        return row[0] if row is not None and isinstance(row[0], str) else ""


def _write(database: sqlite3.Connection, pool: str, leases: Leases, now: float) -> None:
    state = json.dumps(leases.plain(), separators=(",", ":"))
    database.execute("INSERT OR REPLACE INTO pools VALUES (?, ?, ?)", (pool, now, state))


def _forget_unused(database: sqlite3.Connection, now: float) -> None:
    database.execute("DELETE FROM pools WHERE used < ?", (now - UNUSED,))
    database.execute("DELETE FROM reports WHERE pool NOT IN (SELECT pool FROM pools)")
