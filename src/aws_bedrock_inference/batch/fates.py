"""The values of a journal: the states of a record, its fate, and what is asked of all."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aws_bedrock_inference.batch.records import Record


encoded = json.JSONEncoder(ensure_ascii=False).encode
"""JSON as `json.dumps` writes it, without making an encoder for each line."""


class State(IntEnum):
    """The fate of a record. All but ANSWERED and FAILED are missing, and asked by the next run.

    CLAIMED is in flight; DELAYED waits to be asked again by the same run; PARKED met a fault that is not its own; HELD
    is not in the sample.
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
    """The fate of a record, with its answer's line or its error. `rounds` is how often it was delayed before."""

    number: int
    state: State
    content: str = ""
    rounds: int = 0


@dataclass(frozen=True, slots=True)
class Asking:
    """The part of the question that is common to all records. Answers to different questions are not mixed."""

    model: str
    system: str | None = None

    def digest(self, record: Record, text: str) -> bytes:
        """Return what tells the request for `record` from any other."""
        common = _common(self.model, self.system if record.is_prompt else None)
        return blake2b(common + text.encode(errors="surrogatepass"), digest_size=16).digest()


@lru_cache(maxsize=8)
def _common(model: str, system: str | None) -> bytes:
    return json.dumps([model, system]).encode()


class JournalBroken(OSError):
    """A journal that can no longer be written; the message says why."""


class Changed(ValueError):
    """A record that was answered would be asked something else now."""


def written(value: dict[str, Any]) -> str:
    """Return the line for `value`. Raises `ValueError`, `TypeError` or `RecursionError` for what JSON cannot hold."""
    # Half a surrogate pair is valid in JSON but not in UTF-8, so it stays an escape sequence.
    return (encoded(value) + "\n").encode(errors="backslashreplace").decode()


def failure_line(key: str, source: str, error: str) -> str:
    """Return the line of a failed record: as it was read, with its error."""
    record = json.loads(source) if source else {"id": key}
    return written({**record, "error": json.loads(error)})
