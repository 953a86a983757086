"""The methods of a journal that only read it.

They read a limited number of rows at a time, because a large journal would not fit in memory. These rows are a *piece*.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

from aws_bedrock_inference.batch.fates import JournalBroken, State, failure_line, unwritable
from aws_bedrock_inference.batch.records import Record

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator
    from pathlib import Path

_ROWS = 1000
_PIECE = 4_000_000
_FEW = 4

_FAILED = (
    "SELECT number, coalesce(source, ''), id, error FROM records JOIN failures USING (number) "
    "WHERE state = ? AND number > ? ORDER BY number LIMIT ?"
)
_QUESTIONS = "SELECT number, source, id, asked, state FROM records"


class Question(NamedTuple):
    """A record of the journal: its number, the digest of its request, and its state."""

    number: int
    record: Record
    asked: bytes
    state: State


class JournalReads:
    """The read-only methods of the journal at `path`. Any thread can call them."""

    path: Path
    _database: sqlite3.Connection
    _lock: threading.Lock

    def facts(self) -> dict[str, Any]:
        """Return the values about the run as a whole that `note` stored, such as its cost or the time of its start."""
        return dict(self._rows("SELECT name, value FROM facts"))

    def counts(self) -> dict[State, int]:
        """Return the number of records in each state."""
        rows = dict(self._rows("SELECT state, count(*) FROM records GROUP BY state"))
        return {state: rows.get(state, 0) for state in State}

    def answers(self, *, after: int = 0, up_to: int | None = None) -> Iterator[list[tuple[int, bytes]]]:
        """Yield the answers in pieces (lists of a limited number of rows), each answer with its sequence number.

        Answers are numbered in the order of their arrival. Without `up_to`, yield the answers with a number above
        `after`, in this order. With `up_to`, yield all answers with a number up to `up_to`, in the order of the input.
        """
        place: tuple[int, ...]
        if up_to is None:
            select, place = "SELECT seq, line FROM answers WHERE seq > ? ORDER BY seq LIMIT ?", (after,)
        else:
            select = "SELECT seq, line, number FROM answers WHERE number > ? AND seq <= ? ORDER BY number LIMIT ?"
            place = (-1, up_to)
        while rows := self._piece(select, (*place, _ROWS)):
            place = (rows[-1][-1], up_to) if up_to is not None else (rows[-1][0],)
            yield [(row[0], row[1].encode()) for row in rows]

    def last_answer(self) -> int:
        """Return the sequence number of the last answer, or 0 if there is no answer."""
        return int(self._rows("SELECT coalesce(max(seq), 0) FROM answers")[0][0])

    def is_answered(self, number: int) -> bool:
        """Return whether the record with this number is answered."""
        return self._rows("SELECT state FROM records WHERE number = ?", (number,)) == [(State.ANSWERED,)]

    def failures(self) -> Iterator[list[bytes]]:
        """Yield the lines of the failures file, in lists of limited length.

        A line contains a failed record in its original form, and its error.
        """
        return ([failure_line(key, source, error).encode() for _, source, key, error in rows] for rows in self.failed())

    def failed(self) -> Iterator[list[tuple[int, str, str, str]]]:
        """Yield the failed records, in lists of limited length.

        Each item contains the record's number in the journal, its JSON text, its id and its error.
        """
        return self._by_number(_FAILED, State.FAILED)

    def waiting(self) -> Iterator[list[Question]]:
        """Yield the waiting records, in lists of limited length."""
        select = f"{_QUESTIONS} WHERE state = ? AND number > ? ORDER BY number LIMIT ?"
        return ([_question(row) for row in rows] for rows in self._by_number(select, State.WAITING))

    def question(self, number: int) -> Question | None:
        """Return the record with this number. Return None if the journal does not contain it or its request."""
        rows = self._rows(f"{_QUESTIONS} WHERE number = ? AND source IS NOT NULL", (number,))
        return _question(rows[0]) if rows else None

    def _by_number(self, select: str, state: State) -> Iterator[list[Any]]:
        place = -1
        while rows := self._piece(select, (state, place, _ROWS)):
            place = rows[-1][0]
            yield rows

    def knows_input(self, digest: bytes) -> bool:
        """Return True if `note_input` has stored this digest of an input.

        The journal then contains all records of that input, so the input need not be read again.
        """
        return bool(self._rows("SELECT 1 FROM inputs WHERE digest = ?", (digest,)))

    def _rows(self, select: str, values: tuple[Any, ...] = ()) -> list[Any]:
        try:
            with self._lock:
                return self._database.execute(select, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise JournalBroken(unwritable(self.path, error)) from error

    def _piece(self, select: str, values: tuple[Any, ...]) -> list[Any]:
        """Return the first rows of the query `select`, until they reach the maximum size of a piece.

        The second column of each row is a text, for example the line of an answer. The size of a piece is the total
        length of these texts.
        """
        rows: list[Any] = []
        left = _PIECE
        try:
            with self._lock, closing(self._database.execute(select, values)) as cursor:
                while left > 0 and (some := cursor.fetchmany(_FEW)):
                    rows += some
                    left -= sum([len(row[1]) for row in some])
        except sqlite3.DatabaseError as error:
            raise JournalBroken(unwritable(self.path, error)) from error
        return rows


def _question(row: tuple[int, str, str, bytes, int]) -> Question:
    number, source, key, asked, state = row
    return Question(number, Record(key, json.loads(source)), asked, State(state))
