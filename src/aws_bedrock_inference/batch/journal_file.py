"""Open the file of a journal: determine its path, check its format, and lock it."""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from aws_bedrock_inference.stores.disk import Identity, Schema, claim, explained, identity, network_of
from aws_bedrock_inference.stores.request import StoreUnavailable

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = Schema(
    application=0x6264726A,  # "bdrj" in ASCII
    version=1,
    newest=1,
    tables={
        # `asked` is a digest of the request, NULL for an answer that was adopted from a file.
        "records": "number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, asked BLOB, source TEXT, state INT NOT NULL",
        "answers": "seq INTEGER PRIMARY KEY, number INTEGER NOT NULL UNIQUE, line TEXT NOT NULL",
        "failures": "number INTEGER PRIMARY KEY, error TEXT NOT NULL",
        "inputs": "digest BLOB PRIMARY KEY",
        "facts": "name TEXT PRIMARY KEY, value",
    },
    noun="a journal of `bedrock run`",
    use="store the journal of a run",
    loss="the answers are still in the output file, and the next run continues from there",
)

_TIMEOUT = 5.0  # seconds to wait for a reader in another process
_PAGES = -32_000  # SQLite's cache, in units of -1 kB

_in_use: set[Identity] = set()


def journal_of(output: Path) -> Path:
    """Return the path of the journal for the output file `output`."""
    return output.with_name(output.name + ".journal")


class Held:
    """The locked file of a journal. No other run can use the file, not even in this process.

    If a process closes any of its descriptors of a file, the operating system releases all of SQLite's locks on the
    file (https://www.sqlite.org/howtocorrupt.html, section 2.2). Therefore a locked file must not be opened and closed
    again. The set `_in_use` contains the locked files of this process, and `held` opens none of them.
    """

    def __init__(self, path: Path, descriptor: int, file: Identity) -> None:
        self.path = path
        self._descriptor = descriptor
        self.file = file
        self.is_open = True

    def close(self) -> None:
        """Release the lock. Close SQLite's connection first."""
        if self.is_open:
            self.is_open = False
            _in_use.discard(self.file)
            os.close(self._descriptor)


def held(path: Path) -> Held:
    """Lock the file at `path`. If the file does not exist, create it, readable only by its owner.

    Raises `ValueError` if another run uses the file, or if the file cannot be used.
    """
    if kind := network_of(path):
        raise ValueError(
            f"the journal {path} would be on {kind}, a network file system. SQLite's write-ahead log does not work "
            "there, and two machines could write at the same time. Choose an output file on a disk of this machine"
        )
    busy = f"{path} is in use by another run. Wait for that run, or choose another output file"
    found = identity(path)
    if found in _in_use:
        raise ValueError(busy)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    except OSError as error:
        raise ValueError(
            f"the journal {path} cannot be opened: {error.strerror or error}. Choose another output file"
        ) from error
    status = os.fstat(descriptor)
    file = (status.st_dev, status.st_ino)
    if not _locked(descriptor):
        os.close(descriptor)
        raise ValueError(busy)
    _in_use.add(file)
    return Held(path, descriptor, file)


def is_held(path: Path) -> bool:
    """Return whether a run holds the lock of the journal at `path`."""
    if identity(path) in _in_use:
        return True
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            return not _locked(descriptor)
        finally:
            os.close(descriptor)
    return False


def _locked(descriptor: int) -> bool:
    if sys.platform == "win32":
        return True
    import fcntl  # noqa: PLC0415 - not on Windows

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def connected(path: Path) -> tuple[sqlite3.Connection, int]:
    """Return a connection to the journal at `path`, and the number of its records.

    Raises `ValueError` if the file is not a journal, is damaged, or has a newer format.
    """
    try:
        connection = sqlite3.connect(path, timeout=_TIMEOUT, isolation_level=None, check_same_thread=False)
        try:
            claim(path, connection, SCHEMA)
            connection.execute("CREATE INDEX IF NOT EXISTS states ON records (state)")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA cache_size = {_PAGES}")
            (size,) = connection.execute("SELECT count(*) FROM records").fetchone()
            connection.execute("SELECT * FROM facts").fetchall()
        except BaseException:
            connection.close()
            raise
    except StoreUnavailable as error:
        raise ValueError(str(error)) from error
    except (sqlite3.Error, OSError) as error:
        raise ValueError(str(explained(path, error, _TIMEOUT, SCHEMA))) from error
    return connection, size
