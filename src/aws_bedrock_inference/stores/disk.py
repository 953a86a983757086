"""Check a file that processes share: its identity, its format, and its file system."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from aws_bedrock_inference.stores.request import StoreUnavailable, StoreUnusable

_MOUNTS = Path("/proc/self/mountinfo")

# Types of file systems that several machines share (man 5 proc, /proc/filesystems). The type of a FUSE file system is
# "fuse." and the name of its program. 9p is not in the list, because WSL and sandboxes use it within one machine.
_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "ceph", "gfs2", "ocfs2", "lustre", "gpfs", "beegfs"}
)
_NETWORK |= {
    "glusterfs",
    *(f"fuse.{name}" for name in ("glusterfs", "sshfs", "ceph", "s3fs", "mountpoint-s3", "gcsfuse", "juicefs")),
}

Identity = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Schema:
    """The format of the SQLite files that this package uses for one purpose.

    * `tables`: the columns of each table.
    * `application` and `version`: numbers in the file's header that identify the format
      (https://www.sqlite.org/pragma.html#pragma_application_id).
    * `newest`: the highest version of a file that can be read.
    * `noun`, `use` and `loss`: texts for error messages. They name the content of the file, its purpose, and the
      consequence if the file is damaged.
    """

    application: int
    version: int
    newest: int
    tables: dict[str, str]
    noun: str
    use: str
    loss: str


def identity(path: Path) -> Identity | None:
    """Return the device and the inode of the file at `path`, or None if the file does not exist. The device or the
    inode changes if the file is replaced.
    """
    status = _status(path)
    return None if status is None else (status.st_dev, status.st_ino)


def is_still(path: Path, file: Identity | None) -> bool:
    """Return whether the file at `path` is the file with this identity (see `identity`), and is not empty."""
    return identity(path) == file and not _emptied(path)


def remove_emptied(path: Path) -> None:
    """Remove a SQLite file that was emptied while it was open, and its log.

    SQLite's log, next to the file, still contains changes of the earlier content. If the log stayed, SQLite would later
    write a part of these changes into the new file at this path.
    """
    if _emptied(path):
        for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
            path.with_name(name).unlink(missing_ok=True)


def _emptied(path: Path) -> bool:
    status = _status(path)
    return status is not None and status.st_size == 0


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def refuse_network(path: Path) -> None:
    """Raise `StoreUnusable` if the operating system reports that `path` is on a network file system."""
    kind = network_of(path)
    if kind:
        raise StoreUnusable(
            f"{path} is on {kind}, a network file system, where SQLite's write-ahead log does not work. Use a file on "
            "a disk of this machine, or a server (redis://HOST) that all machines can reach"
        )


def network_of(path: Path) -> str:
    """Return the type of the file system of `path` if it is a network file system; otherwise an empty string."""
    kind = _file_system(path.parent)
    return kind if kind in _NETWORK else ""


def _file_system(directory: Path) -> str:
    """Return the type of the file system of `directory`, or an empty string if the system is not Linux."""
    try:
        device = directory.stat().st_dev
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in mounts.splitlines():
        fields, _, rest = line.partition(" - ")
        if fields.split()[2:3] == [number] and rest:
            return rest.split()[0]
    return ""


def claim(path: Path, connection: sqlite3.Connection, schema: Schema) -> None:
    """Create the tables of `schema` in the file at `path` if they are missing.

    Raise `StoreUnusable` if another program wrote the file. Also raise it if a newer version of this package wrote the
    file in a format that this version cannot read.
    """
    if _stamps(connection) == (schema.application, schema.version):
        return
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        application, version = _stamps(connection)
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        # The first versions of this package wrote the same tables, but neither `application` nor `version`.
        if application not in (0, schema.application) or (not application and tables and tables != {*schema.tables}):
            raise StoreUnusable(
                f"{path} is a database of another program. The file was not changed. "
                f"Choose another file for {schema.noun}"
            )
        if version > schema.newest:
            raise StoreUnusable(
                too_new(path, f"it has format {version}, and this version reads formats up to {schema.newest}")
            )
        for table, columns in schema.tables.items():
            connection.execute(f"CREATE TABLE IF NOT EXISTS {table} ({columns})")
        connection.execute(f"PRAGMA application_id = {schema.application}")
        connection.execute(f"PRAGMA user_version = {max(version, schema.version)}")


def _stamps(connection: sqlite3.Connection) -> tuple[int, int]:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return application, version


def too_new(path: Path, why: str) -> str:
    """Return the error message about a file that a newer version of this package wrote."""
    return (
        f"{path} was written by a newer version of this package ({why}): "
        "update aws-bedrock-inference in this environment"
    )


def explained(path: Path, error: Exception, timeout: float, schema: Schema) -> StoreUnavailable:
    """Convert an error of SQLite or of the operating system into an exception that explains the error."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code, without its extension
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreUnavailable(
            f"{path} was locked by other processes for more than {timeout:g} s. Check that none of them hangs, and "
            "that the disk is fast enough"
        )
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR) or not isinstance(
        error, (sqlite3.Error, OSError)
    ):
        return StoreUnusable(
            f"{path} is damaged or is not a file of {schema.noun} ({str(error) or type(error).__name__}). Use "
            f"another file. If it was a file of {schema.noun}, {schema.loss}: stop the processes "
            f"that use it, then delete it, {path.name}-wal and {path.name}-shm"
        )
    if isinstance(error, OSError):
        error = OSError(error.strerror or str(error))
    kind = StoreUnavailable
    if path.is_dir():
        kind, advice = StoreUnusable, "it is a directory: write the path of a file in it"
    elif not path.parent.is_dir():
        kind, advice = StoreUnusable, f"No such file or directory: create {path.parent}, or use another path"
    elif code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH) or not os.access(
        path if path.exists() else path.parent, os.W_OK
    ):
        kind, advice = StoreUnusable, f"this user has no permission to write the file or its directory ({error})"
    elif code == sqlite3.SQLITE_FULL:
        advice = f"the disk is full ({error})"
    else:
        advice = str(error)
    return kind(f"{path} cannot be used to {schema.use}: {advice}")
