"""A SQLite file that threads, processes and forked children use at the same time. Each process has its own connection.

The file must be on a disk of this machine, because SQLite's write-ahead log does not work over a network
(https://www.sqlite.org/wal.html, section 1).
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from aws_bedrock_inference.stores.disk import claim, explained, identity, is_still, refuse_network, remove_emptied
from aws_bedrock_inference.stores.request import StoreUnavailable, StoreUnusable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_bedrock_inference.stores.disk import Identity, Schema


@dataclass(frozen=True, slots=True)
class _Opened:
    """An open connection of one process to `file`. The threads of the process use it one after the other."""

    connection: sqlite3.Connection
    file: Identity | None
    lock: threading.Lock = field(default_factory=threading.Lock)
    pid: int = field(default_factory=os.getpid)

    def __del__(self) -> None:
        """Close a connection that was never closed, if this process opened it. No lock is needed, because nothing uses
        the connection any more.
        """
        if self.pid == os.getpid():
            self.connection.close()


class SharedFile:
    """The SQLite file at `path` with the tables of `schema`. The file is created on first use; only its owner can read
    and write the file.

    If a change of the file waits longer than `timeout` seconds for other threads or processes, the change raises
    `StoreUnavailable`. If the file was deleted or replaced, the next use opens the file that is now at `path`, or
    creates a file.
    """

    def __init__(self, path: Path, schema: Schema, *, timeout: float) -> None:
        self.path = path
        self.opened: dict[int, _Opened] = {}
        self._schema = schema
        self._timeout = timeout
        # `opened` has one entry for each process. A forked child opens its own connection, because it must neither use
        # nor close the connection of its parent.

    def check(self) -> None:
        """Open the file once, and close it again. Raise `StoreUnusable` if a person must change something before the
        file can be used, such as a missing permission. If the file is only locked by another process, raise no error.
        """
        try:
            with self.reading():
                pass
        except StoreUnusable:
            raise
        except StoreUnavailable:
            pass  # another process may have locked it for a short time
        finally:
            self.close()  # the process may fork later

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Open the file for reading. Other processes can write at the same time. Raises `StoreUnavailable`."""
        with self._errors(), self._held() as opened:
            self._check(opened)
            yield opened.connection

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """Open the file for one change, as a transaction. Raises `StoreUnavailable`."""
        with self._errors(), self._held() as opened, opened.connection as database:
            database.execute("BEGIN IMMEDIATE")
            self._check(opened)
            yield database

    def close(self) -> None:
        """Close the file; the next use opens the file again."""
        opened = self.opened.pop(os.getpid(), None)
        if opened is not None:
            with opened.lock:
                opened.connection.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except StoreUnavailable:
            raise
        except (sqlite3.Error, OSError, LookupError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
            trouble = explained(self.path, error, self._timeout, self._schema)
            raise trouble from error

    @contextmanager
    def _held(self) -> Iterator[_Opened]:
        opened = self._current()
        if not opened.lock.acquire(timeout=self._timeout):
            raise StoreUnavailable(
                f"{self.path} was in use by other threads of this process for more than {self._timeout:g} s; check "
                "that the disk is fast enough"
            )
        try:
            yield opened
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_BUSY:
                self._drop(opened)
            raise
        finally:
            opened.lock.release()

    def _check(self, opened: _Opened) -> None:
        if not is_still(self.path, opened.file):
            raise StoreUnavailable(
                f"{self.path} was deleted or replaced while this process used it, so this request failed. The next "
                "request opens or creates the file at this path; before you replace the file, stop all its processes"
            )

    def _current(self) -> _Opened:
        """Return this process's connection to the file that is now at the path. The connection is opened if
        necessary.
        """
        opened = self.opened.get(os.getpid())
        if opened is not None and not is_still(self.path, opened.file):
            with opened.lock:
                remove_emptied(self.path)
                self._drop(opened)
            opened = None
        if opened is None:
            made = _Opened(*self._open())
            opened = self.opened.setdefault(os.getpid(), made)
            if opened is not made:
                made.connection.close()
        return opened

    def _drop(self, opened: _Opened) -> None:
        """Close a connection that can no longer be used. The caller holds the connection's lock. The next request opens
        another connection.
        """
        if self.opened.get(os.getpid()) is opened:
            del self.opened[os.getpid()]
        opened.connection.close()

    def _open(self) -> tuple[sqlite3.Connection, Identity | None]:
        refuse_network(self.path)
        if not self.path.exists():
            self._make()
        file = identity(self.path)  # before opening, so that a later replacement is noticed
        return self._connected(self.path), file

    def _make(self) -> None:
        """Create the file under a temporary name, and link it to its path when it is complete.

        A new SQLite file must first be changed to write-ahead logging. During this change, SQLite refuses all other
        processes. Under the temporary name, no other process opens the file during the change.
        """
        path = self.path
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".new")  # for its owner only
        os.close(descriptor)
        try:
            self._connected(Path(name)).close()
            with suppress(FileExistsError):
                os.link(name, path)
        finally:
            Path(name).unlink()

    def _connected(self, path: Path) -> sqlite3.Connection:
        connection = sqlite3.connect(path, timeout=self._timeout, isolation_level=None, check_same_thread=False)
        try:
            claim(path, connection, self._schema)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
        except BaseException:
            connection.close()
            raise
        return connection
