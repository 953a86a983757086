"""The values that a journal stores for a record: its state, its fate and its request.

The fate of a record is the result of sending it: the record is answered, has failed, or must be sent again.
"""

from __future__ import annotations

import errno
import json
import sqlite3
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from aws_bedrock_inference.batch.records import Record


encoded = json.JSONEncoder(ensure_ascii=False).encode
"""Encode JSON as `json.dumps` does, but without a new encoder for each line."""

_FULL = (errno.ENOSPC, errno.EDQUOT)  # no space left on the disk, or in the user's share of the disk


class State(IntEnum):
    """The state of a record in the journal.

    The next run sends every record that is neither ANSWERED nor FAILED. A CLAIMED record is in flight. A DELAYED record
    waits for another attempt of the same run. The call of a PARKED record failed with a fault that affects every
    record. A HELD record does not belong to the sample to which the user limited the run.
    """

    WAITING = 0
    CLAIMED = 1
    ANSWERED = 2
    FAILED = 3
    PARKED = 4
    DELAYED = 5
    HELD = 6


@dataclass(frozen=True, slots=True)
class Fate:
    """The new state of a record, with its output line or its error. `rounds` is the number of delays so far."""

    number: int
    state: State
    content: str = ""
    rounds: int = 0


@dataclass(frozen=True, slots=True)
class Asking:
    """The settings of a run that are part of each request: the model and the system prompt.

    The digest of a request includes them. With the digest, a run recognizes that a request has changed. The system
    prompt does not apply to records in Bedrock's batch format.
    """

    model: str
    system: str | None = None

    def digest(self, record: Record, text: str) -> bytes:
        """Return a digest of the request for `record`."""
        common = _common(self.model, self.system if record.is_prompt else None)
        return blake2b(common + text.encode(errors="surrogatepass"), digest_size=16).digest()


@lru_cache(maxsize=8)
def _common(model: str, system: str | None) -> bytes:
    return json.dumps([model, system]).encode()


class JournalBroken(OSError):
    """Raised if the journal can no longer be written. The message contains the reason."""


def unwritable(path: Path, error: OSError | sqlite3.Error) -> str:
    """Return the message for a file that cannot be read or written. If its disk is full, also state what to do."""
    reason = getattr(error, "strerror", None) or error
    full = getattr(error, "errno", None) in _FULL or getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    advice = f" Free space on the disk of {path.parent.absolute()}." if full else ""
    return f"{path}: {reason}.{advice}"


class Changed(ValueError):
    """Raised if the request of an answered record has changed since the answer arrived."""


def written(value: dict[str, Any]) -> str:
    """Return a line of JSON for `value`. Raises `ValueError`, `TypeError` or `RecursionError` if JSON cannot represent
    it.
    """
    # Half a surrogate pair is valid in JSON but not in UTF-8, so it stays an escape sequence.
    return (encoded(value) + "\n").encode(errors="backslashreplace").decode()


def failure_line(key: str, source: str, error: str) -> str:
    """Return the line for a failed record in the failures file: its original fields, with its error."""
    record = json.loads(source) if source else {"id": key}
    return written({**record, "error": json.loads(error)})
