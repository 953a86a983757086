"""The journal of a run. It contains every record and the fate of each record (answered, failed, or to be sent again).
The output file and the failures file are exported from it.

The journal is a SQLite file next to the output file. Each change is one transaction. An answer is reported only after
it is stored on the disk (write-ahead log, `synchronous = FULL`). A power failure therefore loses no reported answer.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self, TypeVar

from aws_bedrock_inference import clock
from aws_bedrock_inference.batch.changes import compare
from aws_bedrock_inference.batch.fates import Fate, JournalBroken, State, unwritable
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

# A disk that is full for a moment, or a file that another program locks, delays a run but does not end it.
_FULL_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
_PASSING = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


class Journal(JournalReads):
    """The journal at `path`. Any thread can call its methods. Each method is one transaction.

    If the disk refuses a change, the change is retried for 3 seconds; then `JournalBroken` is raised. `size` is the
    number of records. `stale` is True if answers were removed, so that the output must be exported again.

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
        """Store values about the run as a whole, such as its cost or the time of its start."""
        self._with_retries(lambda: self._note(facts))

    def begin(self, *, failed_too: bool = False, **facts: Any) -> int:
        """Start a run. Return the number of records that were in flight when the previous run ended.

        Every record that is neither answered nor failed is set to waiting. Failed records are also set to waiting if
        the previous run was complete, or if `failed_too` is True.
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
        """Add records of the input to the journal.

        If the journal already contains a record with the same id, both requests are compared. If the requests are
        equal, the stored record does not change. If they differ, the new request replaces the stored request.

        If the requests differ and the stored record has an answer, `on_change` decides: `refuse` raises `Changed`,
        `keep` keeps the answer, and `ask` removes the answer so that the record is sent again.
        """
        self._with_retries(lambda: self._spool(records, on_change))

    def exported(self, **facts: Any) -> None:
        """Store in the journal that the output file contains all answers. Also store `facts`, as `note` does."""
        self.stale = False
        self.note(stale=None, **facts)

    def adopt(self, lines: Iterable[tuple[str, str]]) -> None:
        """Store the answers of an output file whose journal is missing, so that their records are not sent again.

        Each item is the id of a record and a line of the file. The requests of these answers are unknown. Therefore the
        journal cannot detect that a request has changed, and keeps the answers in any case.
        """
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
        """Store the fates of records and `facts`, and claim further records, all in one transaction.

        A claimed record is one that the run sends next. The method claims the records with the numbers `these`, and in
        addition at most `wanted` waiting records. It returns the claimed records with their numbers.
        """
        return self._with_retries(lambda: self._turn(fates, wanted, these, facts))

    def release(self, state: State) -> None:
        """Set all records in `state` to waiting."""
        with self._changing() as database:
            database.execute("UPDATE records SET state = 0 WHERE state = ?", (state,))

    def hold_all_but(self, sample: int) -> None:
        """Limit the run to a sample of `sample` records. Set the other waiting records to HELD, so they are not sent.

        The records with the lowest request digests are the sample. Therefore the same input and the
        same size of the sample always select the same records.
        """
        with self._changing() as database:
            database.execute(
                "UPDATE records SET state = ? WHERE state = 0 AND number NOT IN "
                "(SELECT number FROM records ORDER BY asked LIMIT ?)",
                (State.HELD, sample),
            )

    def note_input(self, digest: bytes) -> None:
        """Store that the journal contains all records of the input with this digest.

        If the next run has the same input, it need not read the input again.
        """
        with self._changing() as database:
            database.execute("INSERT OR IGNORE INTO inputs VALUES (?)", (digest,))

    @property
    def is_in_place(self) -> bool:
        """False if the file was deleted, renamed or replaced since the journal was opened."""
        return identity(self.path) == self._held.file

    def rescue(self) -> None:
        """If the journal was deleted or renamed, write a copy of it to its path.

        The copy is possible because the run still has the file open. If another file is now at the path, do nothing.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock:
            if not self.path.exists():
                self.path.with_name(self.path.name + "-wal").unlink(missing_ok=True)
                self._database.execute("VACUUM INTO ?", (str(self.path),))
                self.path.chmod(0o600)

    def close(self) -> None:
        """Close the file, and merge the write-ahead log into it. A journal without records is removed."""
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

    def _with_retries(self, change: Callable[[], T]) -> T:
        pauses = iter(_FULL_PAUSES)
        while True:
            try:
                return change()
            except sqlite3.IntegrityError:
                raise
            except sqlite3.DatabaseError as error:
                pause = next(pauses, None)
                if pause is None or (error.sqlite_errorcode & 0xFF) not in _PASSING:
                    raise JournalBroken(unwritable(self.path, error)) from error
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
