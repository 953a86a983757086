"""The store of answers in a SQLite file, which all processes of one machine can share."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from aws_bedrock_inference.caches.key import FORMAT
from aws_bedrock_inference.clock import wall
from aws_bedrock_inference.stores.disk import Schema
from aws_bedrock_inference.stores.file import SharedFile
from aws_bedrock_inference.stores.request import STORE_TIMEOUT
from aws_bedrock_inference.stores.worker import Queued, Worker

if TYPE_CHECKING:
    from aws_bedrock_inference.clock import Clock

ANSWERS = Schema(
    application=0x62647261,  # "bdra" in ASCII
    version=FORMAT,
    newest=FORMAT,
    tables={"answers": "key TEXT PRIMARY KEY, until REAL NOT NULL, content BLOB NOT NULL, UNIQUE (until, key)"},
    noun="stored answers",
    use="keep answers",
    loss="lost answers can be requested again",
)


class SqliteAnswers:
    """A store of at most `max_entries` answers in the file at `path`. When the store is full, it removes the answer
    that expires first. Only the owner of the file can read the file.

    * `clock`: returns the time in seconds. The ages of answers are computed from this time. All processes that use the
      file must use the same clock. The default is the time of day, which all processes of a machine share.
    * `timeout`: the maximum number of seconds that reading or writing an answer waits for other processes. After
      that time, `StoreUnavailable` is raised.
    """

    def __init__(
        self, path: Path | str, max_entries: int, clock: Clock = wall, *, timeout: float = STORE_TIMEOUT
    ) -> None:
        self.clock = clock
        self.path = Path(path)
        self.place = str(path)
        self._most = max_entries
        self._timeout = timeout
        self._file = SharedFile(self.path, ANSWERS, timeout=timeout)
        self._worker = Worker(threads=1)

    def check(self) -> None:
        """Raise `StoreUnusable` if the file cannot be used until a person corrects the cause, such as a missing
        permission. If another process has merely locked the file for a short time, raise nothing.
        """
        self._file.check()

    def get(self, key: str) -> Queued[bytes | None]:
        """Return the content with this key, or None."""
        return Queued(partial(self._get, key), 2 * self._timeout, self.place, self._worker)

    def put(self, key: str, content: bytes, seconds: float) -> Queued[None]:
        """Store `content` with this key for `seconds`."""
        return Queued(partial(self._put, key, content, seconds), 2 * self._timeout, self.place, self._worker)

    def close(self) -> None:
        """Close the file. A later request opens it again."""
        self._file.close()

    def __len__(self) -> int:
        with self._file.reading() as database:
            (number,) = database.execute("SELECT count(*) FROM answers").fetchone()
        return int(number)

    def __repr__(self) -> str:
        return f"SqliteAnswers({self.place!r}, {self._most})"

    def _get(self, key: str) -> bytes | None:
        with self._file.reading() as database:
            row = database.execute("SELECT content FROM answers WHERE key = ?", (key,)).fetchone()
        return row[0] if row is not None and isinstance(row[0], bytes) else None

    def _put(self, key: str, content: bytes, seconds: float) -> None:
        now = self.clock()
        with self._file.changing() as database:
            database.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", (key, now + seconds, content))
            database.execute("DELETE FROM answers WHERE until <= ?", (now,))
            (number,) = database.execute("SELECT count(*) FROM answers").fetchone()
            if number > self._most:
                database.execute(
                    "DELETE FROM answers WHERE key IN (SELECT key FROM answers WHERE key != ? ORDER BY until LIMIT ?)",
                    (key, number - self._most),
                )
