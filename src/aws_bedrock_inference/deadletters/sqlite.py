"""Store dead letters in a SQLite file, for the processes of one machine."""

from __future__ import annotations

import json
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.clock import monotonic, wall
from aws_bedrock_inference.deadletters.letter import FORMAT, NEWEST, LetterTooNew, summary_of
from aws_bedrock_inference.deadletters.store import KEPT_SECONDS, Page, Place, Record
from aws_bedrock_inference.deadletters.watch import Watch
from aws_bedrock_inference.stores.disk import Schema, too_new
from aws_bedrock_inference.stores.file import SharedFile
from aws_bedrock_inference.stores.request import StoreUnusable

if TYPE_CHECKING:
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.deadletters.filters import Wanted
    from aws_bedrock_inference.deadletters.letter import State, Summary

# Seconds to wait for other processes. This wait may be longer than that of a quota request, because a letter that is
# not stored is lost.
TIMEOUT = 5.0

LETTERS = Schema(
    application=0x62647264,  # "bdrd" in ASCII
    version=FORMAT,
    newest=NEWEST,
    tables={
        "letters": (
            "id TEXT PRIMARY KEY, state TEXT NOT NULL, first REAL NOT NULL, version INTEGER NOT NULL,"
            " cause TEXT NOT NULL, model TEXT NOT NULL, region TEXT NOT NULL, expires REAL, summary TEXT NOT NULL,"
            " content BLOB NOT NULL, answer BLOB,"
            " UNIQUE (state, first, id, cause, model, region), UNIQUE (expires, id)"
        )
    },
    noun="dead letters",
    use="store dead letters",
    loss="its letters are lost",
)

_LETTER = "SELECT summary, content, answer FROM letters"
_SUMMARY = "SELECT summary, x'', NULL FROM letters"


class SqliteLetters:
    """Stores each dead letter as a row of the file at `path`. Only the owner of the file can read it.

    The expiry of leases is measured with `clock`, the clock of the machine. If a request to the file waits longer than
    `timeout` seconds for other processes, the request raises `StoreUnavailable`.
    """

    def __init__(
        self, path: Path | str, clock: Clock = wall, *, timeout: float = TIMEOUT, since_start: Clock = monotonic
    ) -> None:
        self.path = Path(path)
        self.place = str(path)
        self.limit = 2 * timeout
        self._clock = clock
        self._watch = Watch(since_start)
        # Through a dangling link, SQLite would create the file itself, and other users could read it.
        self._file = SharedFile(self.path.resolve() if self.path.is_symlink() else self.path, LETTERS, timeout=timeout)

    def check(self) -> None:
        """Raise `StoreUnusable` if the file cannot be used until a person changes something."""
        self._file.check()

    def put(self, record: Record) -> None:
        """Store a new dead letter. Also delete the letters that were redriven or discarded more than 30 days ago."""
        summary = record.summary
        with self._file.changing() as database:
            database.execute(
                "INSERT INTO letters VALUES (?, ?, ?, ?, ?, ?, ?, NULL, ?, ?, NULL)",
                (
                    *(summary.id, summary.state, summary.first, summary.version),
                    *(summary.cause, summary.model, summary.region, json.dumps(summary.plain()), record.content),
                ),
            )
            database.execute("DELETE FROM letters WHERE expires < ?", (self._clock(),))

    def get(self, id: str) -> Record | None:  # noqa: A002 - its name in AWS's documentation
        """Return the complete dead letter with this id, or None."""
        with self._file.reading() as database:
            row = database.execute(f"{_LETTER} WHERE id = ?", (id,)).fetchone()
        return None if row is None else self._record(row)

    def page(self, state: State, wanted: Wanted, limit: int, after: Place | None, *, newest: bool, whole: bool) -> Page:
        """Return at most `limit` selected dead letters in this state, ordered by the time of their first failure.

        `LetterStore.page` explains the parameters.
        """
        conditions, values = _conditions(wanted)
        if after is not None:
            conditions.append(f"(first, id) {'<' if newest else '>'} (?, ?)")
            values += after
        where = " AND ".join(["state = ?", *conditions])
        way = "DESC" if newest else "ASC"
        query = f"{_LETTER if whole else _SUMMARY} WHERE {where} ORDER BY first {way}, id {way} LIMIT ?"
        with self._file.reading() as database:
            rows = database.execute(query, (state, *values, limit)).fetchall()
        records = [self._record(row) for row in rows]
        last = records[-1].summary if len(records) == limit else None
        return Page(records, None if last is None else Place(last.first, last.id))

    def update(self, summary: Summary, version: int, answer: bytes | None = None) -> bool:
        """Replace the summary of a dead letter, and its answer if `answer` is not None. Return True.

        If the version of the letter is no longer `version`, change nothing and return False.
        """
        expires = self._clock() + KEPT_SECONDS if summary.finished else None
        with self._file.changing() as database:
            changed = database.execute(
                "UPDATE letters SET state = ?, version = ?, cause = ?, expires = ?, summary = ?,"
                " answer = coalesce(?, answer) WHERE id = ? AND version = ?",
                (
                    *(summary.state, summary.version, summary.cause, expires, json.dumps(summary.plain())),
                    *(answer, summary.id, version),
                ),
            )
            return changed.rowcount == 1

    def has_lapsed(self, summary: Summary) -> bool:
        """Return whether the lease of a claimed dead letter has expired.

        Usually, the lease expires when the clock of the machine reaches the time `summary.until`.

        But the clock can be set back during the lease. Example: immediately after the start of a lease of 1,000 s, the
        clock is set back by 3,600 s, so 4,600 s remain until `summary.until`. In such a case, this process measures the
        time with a monotonic clock. The first call of this method returns False. A later call returns True if the claim
        has not changed for 1,000 s since the first call.
        """
        left = summary.until - self._clock()
        return left <= 0 or (left > summary.lease and self._watch.has_lapsed(summary))

    def now(self) -> float:
        """Return the current time in seconds since the epoch."""
        return self._clock()

    def create(self) -> list[str]:
        """Create the file if it does not exist."""
        made = not self.path.exists()
        with self._file.reading():
            return [f"{self.place} was created"] if made else []

    def close(self) -> None:
        """Close the file. A later request opens it again."""
        self._file.close()

    def __repr__(self) -> str:
        return f"SqliteLetters({self.place!r})"

    def _record(self, row: tuple[Any, ...]) -> Record:
        summary, content, answer = row
        try:
            return Record(summary_of(json.loads(summary)), bytes(content), answer)
        except LetterTooNew as error:
            raise StoreUnusable(too_new(self.path, str(error))) from error
        except ValueError as error:
            raise StoreUnusable(
                f"{self.place}: a dead letter in this file is damaged ({error}). Restore the file from a copy"
            ) from error


def _conditions(wanted: Wanted) -> tuple[list[str], list[Any]]:
    conditions: list[str] = []
    values: list[Any] = []
    for column, pattern in (("cause", wanted.cause), ("model", wanted.model)):
        if pattern:
            conditions.append(f"{column} GLOB ?")
            values.append(pattern)
    if wanted.region:
        conditions.append("region = ?")
        values.append(wanted.region)
    if wanted.since > -inf:
        conditions.append("first >= ?")
        values.append(wanted.since)
    if wanted.until < inf:
        conditions.append("first < ?")
        values.append(wanted.until)
    for name, value in wanted.tags:
        tag = "(SELECT 1 FROM json_each(summary, '$.tags') WHERE key = ?"
        conditions.append(f"EXISTS {tag})" if value is None else f"EXISTS {tag} AND value = ?)")
        values += [name] if value is None else [name, value]
    return conditions, values
