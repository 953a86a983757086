"""Compare a record of the input with the record in the journal that has the same id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_bedrock_inference.batch.fates import Changed, State

if TYPE_CHECKING:
    import sqlite3

    from aws_bedrock_inference.batch.spooled import Spooled


def compare(database: sqlite3.Connection, record: Spooled, on_change: str) -> bool:
    """Store the current request of the record in the journal. Return True if an outdated answer was removed.

    An answer is outdated if the record's request has changed since the answer arrived. `on_change` decides what happens
    to it: `refuse` raises `Changed`, `keep` keeps the answer, and `ask` removes it so that the record is sent again.
    """
    key, asked, source, _ = record
    number, before, state = database.execute("SELECT number, asked, state FROM records WHERE id = ?", (key,)).fetchone()
    if before == asked:
        return False
    if before is None:
        _place(database, number, asked, source)
        return False
    if state == State.ANSWERED and on_change == "refuse":
        raise Changed(key)
    kept = state == State.ANSWERED and on_change == "keep"
    removed = not kept and database.execute("DELETE FROM answers WHERE number = ?", (number,)).rowcount > 0
    update = "UPDATE records SET asked = ?, source = ?, state = ? WHERE number = ?"
    database.execute(update, (asked, source, state if kept else State.WAITING, number))
    return removed


def _place(database: sqlite3.Connection, number: int, asked: bytes, source: str) -> None:
    """Move a record and its answer to the next free number, so that the numbers follow the order of the input.

    The answer came from an output file without a journal. The lines of such a file can be in any order, so the position
    of the record in the input was unknown until now.
    """
    (last,) = database.execute("SELECT max(number) FROM records").fetchone()
    values = {"new": last + 1, "old": number, "asked": asked, "source": source}
    database.execute("UPDATE answers SET number = :new WHERE number = :old", values)
    update = "UPDATE records SET number = :new, asked = :asked, source = :source WHERE number = :old"
    database.execute(update, values)
