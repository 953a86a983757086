"""Quotas shared by the processes of one machine, in a file.

The file must be on a disk of this machine: SQLite's write-ahead log does not work over a network
(https://www.sqlite.org/wal.html, section 1).
"""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from aws_bedrock_inference.clock import wall
from aws_bedrock_inference.rules.quota.leases import Leases, TooNew
from aws_bedrock_inference.stores.disk import (
    claim,
    explained,
    identity,
    is_still,
    refuse_network,
    remove_emptied,
    too_new,
)
from aws_bedrock_inference.stores.request import STORE_TIMEOUT, Question, StoreUnavailable, StoreUnusable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.rules.quota.leases import Grant, LeaseRequest
    from aws_bedrock_inference.rules.quota.views import View
    from aws_bedrock_inference.stores.disk import Identity

T = TypeVar("T")

# Seconds until a pool that nobody uses is forgotten.
UNUSED = 3600.0


@dataclass(frozen=True, slots=True)
class _Opened:
    """A connection to `file`, which the threads of one process take turns to use."""

    connection: sqlite3.Connection
    file: Identity | None
    lock: threading.Lock = field(default_factory=threading.Lock)
    pid: int = field(default_factory=os.getpid)

    def __del__(self) -> None:
        """Close a connection that nobody closed, in the process that opened it. It takes no lock: nobody uses it."""
        if self.pid == os.getpid():
            self.connection.close()


class SqliteStore:
    """Keeps one row for each pool, and the members' reports beside it. `clock` must be the same for all processes.

    A request that waits longer than `timeout` seconds for other threads or processes raises `StoreUnavailable`. The
    file is made for its owner alone. Where it was deleted or replaced, the next request uses what is there now.
    """

    def __init__(self, path: Path | str, clock: Clock = wall, *, timeout: float = STORE_TIMEOUT) -> None:
        self.path = Path(path)
        self._clock = clock
        self._timeout = timeout
        # By process: a forked child must neither use nor close what its parent has opened, and opens its own.
        self._opened: dict[int, _Opened] = {}

    def renew(self, pool: str, member: str, request: LeaseRequest) -> Question[Grant]:
        """Say what `member` needs and get its new lease."""
        return self._question(partial(self._renew, pool, member, request))

    def leave(self, pool: str, member: str, report: str = "") -> Question[None]:
        """Free the lease of `member`; `report` is its last one."""
        return self._question(partial(self._leave, pool, member, report))

    def look(self, pool: str | None = None) -> Question[dict[str, View]]:
        """Return who leases `pool`, or every pool that is kept."""
        return self._question(partial(self._look, pool))

    def close(self) -> None:
        """Close the file; the next request opens it again."""
        opened = self._opened.pop(os.getpid(), None)
        if opened is not None:
            with opened.lock:
                opened.connection.close()

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
        """Hold the file for one change, whole or not at all."""
        try:
            with self._held() as database:
                yield database
        except StoreUnavailable:
            raise
        except TooNew as error:
            raise StoreUnusable(too_new(self.path, str(error))) from error
        except (sqlite3.Error, OSError, LookupError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
            trouble = explained(self.path, error, self._timeout)
            raise trouble from error

    @contextmanager
    def _held(self) -> Iterator[sqlite3.Connection]:
        opened = self._current()
        if not opened.lock.acquire(timeout=self._timeout):
            raise StoreUnavailable(f"{self.path}: locked by other threads for more than {self._timeout:g} s")
        try:
            with opened.connection as database:
                database.execute("BEGIN IMMEDIATE")
                if not is_still(self.path, opened.file):
                    raise StoreUnavailable(f"{self.path} was deleted or replaced; the next request opens it anew")
                yield database
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_BUSY:
                self._drop(opened)
            raise
        finally:
            opened.lock.release()

    def _current(self) -> _Opened:
        """Return this process's connection to the file that is at the path now."""
        opened = self._opened.get(os.getpid())
        if opened is not None and not is_still(self.path, opened.file):
            with opened.lock:
                remove_emptied(self.path)
                self._drop(opened)
            opened = None
        if opened is None:
            made = _Opened(*_open(self.path, self._timeout))
            opened = self._opened.setdefault(os.getpid(), made)
            if opened is not made:
                made.connection.close()
        return opened

    def _drop(self, opened: _Opened) -> None:
        """Close a connection that is no good any more, whose lock is held; the next request makes another."""
        if self._opened.get(os.getpid()) is opened:
            del self._opened[os.getpid()]
        opened.connection.close()


def _open(path: Path, timeout: float) -> tuple[sqlite3.Connection, Identity | None]:
    refuse_network(path)
    if not path.exists():
        _make(path, timeout)
    file = identity(path)  # before it is opened: if it is replaced in between, the next request notices
    return _connected(path, timeout), file


def _make(path: Path, timeout: float) -> None:
    """Make the file beside its place and put it there whole: while SQLite changes a file to write-ahead logging, others
    who open it are refused at once.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".new")  # readable by its owner only
    os.close(descriptor)
    try:
        _connected(Path(name), timeout).close()
        with suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink()


def _connected(path: Path, timeout: float) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)
    try:
        claim(path, connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        connection.close()
        raise
    return connection


def _read(database: sqlite3.Connection, pool: str) -> Leases | None:
    row = database.execute("SELECT state FROM pools WHERE pool = ?", (pool,)).fetchone()
    if row is None:
        return None
    leases = Leases.of(json.loads(row[0]))
    leases.reports = _Reports(database, pool)
    return leases


class _Reports(dict[str, str]):
    """The members' reports, read when they are asked for."""

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
