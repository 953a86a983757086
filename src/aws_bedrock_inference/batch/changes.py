"""A record that is read, compared with the one that a journal has under the same id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_bedrock_inference.batch.fates import Changed, State

if TYPE_CHECKING:
    import sqlite3

    from aws_bedrock_inference.batch.spooled import Spooled


def compare(database: sqlite3.Connection, record: Spooled, on_change: str) -> bool:
    """Bring the journal to what is asked of the record now; return whether an answer was taken out of it.

    Raises `Changed` if the record was answered something else and `on_change` is `refuse`.
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
    taken_out = not kept and database.execute("DELETE FROM answers WHERE number = ?", (number,)).rowcount > 0
    update = "UPDATE records SET asked = ?, source = ?, state = ? WHERE number = ?"
    database.execute(update, (asked, source, state if kept else State.WAITING, number))
    return taken_out


def _place(database: sqlite3.Connection, number: int, asked: bytes, source: str) -> None:
    """Give an answer that was adopted its record, and its place in the input."""
    (last,) = database.execute("SELECT max(number) FROM records").fetchone()
    values = {"new": last + 1, "old": number, "asked": asked, "source": source}
    database.execute("UPDATE answers SET number = :new WHERE number = :old", values)
    update = "UPDATE records SET number = :new, asked = :asked, source = :source WHERE number = :old"
    database.execute(update, values)
