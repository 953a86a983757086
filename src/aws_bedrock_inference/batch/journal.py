"""The journal of a batch: every record with its one fate. It is the truth; the files of answers and failures are
exported from it.

It is a SQLite file beside the output. Each change is one transaction, written through to the disk before it counts
(write-ahead log, `synchronous = FULL`), so that a power cut loses nothing that was reported as answered.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self, TypeVar

from aws_bedrock_inference import clock
from aws_bedrock_inference.batch.changes import compare
from aws_bedrock_inference.batch.fates import Fate, JournalBroken, State
from aws_bedrock_inference.batch.journal_file import connected, held
from aws_bedrock_inference.batch.journal_reads import JournalReads
from aws_bedrock_inference.batch.records import Record
from aws_bedrock_inference.stores.disk import identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from aws_bedrock_inference.batch.spooled import Spooled

T = TypeVar("T")

_NOTHING: Mapping[str, Any] = {}

# A disk that is full, or a file that another program locks, for a moment, delays a run and does not end it.
_FULL_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
_PASSING = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


class Journal(JournalReads):
    """The journal at `path`. Its methods may be called from any thread; each is one transaction.

    What the disk refuses is tried again for 3 seconds, then `JournalBroken` is raised. `size` is the number of records;
    `stale` says that answers were taken out, so that the output must be exported anew.

    Raises `ValueError` if the file cannot be used or another run uses it.
    """

    def __init__(self, path: Path, *, sleep: Callable[[float], None] = clock.sleep) -> None:
        self.path = path
        self._sleep = sleep
        self._lock = threading.Lock()
        self._held = held(path)
        try:
            self._database, self.size = connected(path)
        except BaseException:
            self._held.close()
            raise
        self.stale = bool(self.facts().get("stale"))

    def note(self, **facts: Any) -> None:
        """Note facts about the batch as a whole."""
        self._patiently(lambda: self._note(facts))

    def begin(self, *, failed_too: bool = False, **facts: Any) -> int:
        """Begin a run: what is missing is asked again, and what failed if the last run came to its end, or if wanted.
        Return how many records were in flight when the last run was ended.
        """
        with self._changing() as database:
            (lost,) = database.execute("SELECT count(*) FROM records WHERE state = ?", (State.CLAIMED,)).fetchone()
            ended = database.execute("SELECT value FROM facts WHERE name = 'ended'").fetchone()
            again = [State.CLAIMED, State.PARKED, State.DELAYED, State.HELD]
            again += [State.FAILED] if failed_too or ended == ("complete",) else []
            for state in again:
                chosen = "SELECT number FROM records WHERE state = ?"
                database.execute(f"DELETE FROM failures WHERE number IN ({chosen})", (state,))  # noqa: S608 - a constant
                database.execute("UPDATE records SET state = ? WHERE state = ?", (State.WAITING, state))
            _note(database, {**facts, "ended": "", "reason": "", "parked": ""})
        return int(lost)

    def spool(self, records: Sequence[Spooled], on_change: str) -> None:
        """Take records in. One that is here already stays as it is if the same is asked of it; if not, `on_change` says
        what becomes of its answer: `refuse` raises `Changed`, `keep` keeps it, `ask` asks the record anew.
        """
        self._patiently(lambda: self._spool(records, on_change))

    def exported(self, **facts: Any) -> None:
        """Note that the output has all answers."""
        self.stale = False
        self.note(stale=None, **facts)

    def adopt(self, lines: Iterable[tuple[str, str]]) -> None:
        """Take in the answers of a file that has no journal: their ids and lines. What was asked is not known."""
        with self._changing() as database:
            for key, line in lines:
                cursor = database.execute(
                    "INSERT INTO records (id, state) VALUES (?, ?) ON CONFLICT (id) DO NOTHING", (key, State.ANSWERED)
                )
                if cursor.rowcount:
                    self.size += 1
                    database.execute("INSERT INTO answers (number, line) VALUES (?, ?)", (cursor.lastrowid, line))
            self.stale = self.size > 0
            _note(database, {"stale": self.stale})

    def turn(
        self, fates: Sequence[Fate], wanted: int, these: Sequence[int] = (), facts: Mapping[str, Any] = _NOTHING
    ) -> list[tuple[int, Record]]:
        """Write the fates of records, note `facts`, and claim `these` and up to `wanted` that wait, all at once; return
        the claimed ones with their numbers.
        """
        return self._patiently(lambda: self._turn(fates, wanted, these, facts))

    def release(self, state: State) -> None:
        """Let all records of `state` wait to be asked."""
        with self._changing() as database:
            database.execute("UPDATE records SET state = 0 WHERE state = ?", (state,))

    def hold_all_but(self, sample: int) -> None:
        """Let only a sample of all records wait. The same number gives the same sample: it goes by their digests."""
        with self._changing() as database:
            database.execute(
                "UPDATE records SET state = ? WHERE state = 0 AND number NOT IN "
                "(SELECT number FROM records ORDER BY asked LIMIT ?)",
                (State.HELD, sample),
            )

    def note_input(self, digest: bytes) -> None:
        """Note that the input with this digest was taken in to its end."""
        with self._changing() as database:
            database.execute("INSERT OR IGNORE INTO inputs VALUES (?)", (digest,))

    @property
    def is_in_place(self) -> bool:
        """True if the path still leads to the file."""
        return identity(self.path) == self._held.file

    def rescue(self) -> None:
        """Write a copy of a journal that was deleted or renamed to its path, unless another file is there."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock:
            if not self.path.exists():
                self.path.with_name(self.path.name + "-wal").unlink(missing_ok=True)
                self._database.execute("VACUUM INTO ?", (str(self.path),))
                self.path.chmod(0o600)

    def close(self) -> None:
        """Close the file; what stood beside it is in it then. One without any record is removed."""
        with self._lock:
            if not self._held.is_open:
                return
            self._database.close()
            if not self.size and self.is_in_place:
                self.path.unlink()
            self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _patiently(self, change: Callable[[], T]) -> T:
        pauses = iter(_FULL_PAUSES)
        while True:
            try:
                return change()
            except sqlite3.IntegrityError:
                raise
            except sqlite3.DatabaseError as error:
                pause = next(pauses, None)
                if pause is None or (error.sqlite_errorcode & 0xFF) not in _PASSING:
                    raise JournalBroken(f"{self.path}: {error}.") from error
            self._sleep(pause)

    def _note(self, facts: dict[str, Any]) -> None:
        with self._changing() as database:
            _note(database, facts)

    def _spool(self, records: Sequence[Spooled], on_change: str) -> None:
        with self._changing() as database:
            before = database.total_changes
            database.executemany(
                "INSERT INTO records (id, asked, source, state) VALUES (?, ?, ?, 0) ON CONFLICT (id) DO NOTHING",
                [record[:3] for record in records],
            )
            new = database.total_changes - before
            if new < len(records) and sum(compare(database, record, on_change) for record in records):
                self.stale = True
                _note(database, {"stale": 1})
            for record in records:
                if record.error:
                    select = "SELECT number FROM records WHERE id = ?"
                    (number,) = database.execute(select, (record.key,)).fetchone()
                    self._write([Fate(number, State.FAILED, record.error)])
        self.size += new

    def _turn(
        self, fates: Sequence[Fate], wanted: int, these: Sequence[int], facts: Mapping[str, Any]
    ) -> list[tuple[int, Record]]:
        with self._changing() as database:
            self._write(fates)
            _note(database, facts)
            claimed = [row for number in these for row in self._claimed("number = ?", number)]
            return claimed + (self._claimed("state = 0 ORDER BY number LIMIT ?", wanted) if wanted else [])

    def _write(self, fates: Sequence[Fate]) -> None:
        write = self._database.executemany
        write("UPDATE records SET state = ? WHERE number = ?", [(fate.state, fate.number) for fate in fates])
        answers = [(fate.number, fate.content) for fate in fates if fate.state is State.ANSWERED]
        write("INSERT INTO answers (number, line) VALUES (?, ?)", answers)
        errors = [(fate.number, fate.content) for fate in fates if fate.state in (State.FAILED, State.PARKED)]
        write("INSERT OR REPLACE INTO failures VALUES (?, ?)", errors)

    def _claimed(self, which: str, value: int) -> list[tuple[int, Record]]:
        rows = self._database.execute(f"SELECT number, id, source FROM records WHERE {which}", (value,)).fetchall()  # noqa: S608 - constants
        update = "UPDATE records SET state = 1 WHERE number = ?"
        self._database.executemany(update, [(number,) for number, _, _ in rows])
        return [(number, Record(key, json.loads(source))) for number, key, source in rows]

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._database as database:
            database.execute("BEGIN IMMEDIATE")
            yield database


def _note(database: sqlite3.Connection, facts: Mapping[str, Any]) -> None:
    database.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", list(facts.items()))
