"""The files that a run writes: the answers, each as soon as it arrives, and the failures of the last run.

The answers file is also the journal: the next run skips the records that it contains. If a run is killed, the last line
may be incomplete; the next run removes it and sends its record again.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, Self

from aws_bedrock_inference.batch.keys import Keys

if TYPE_CHECKING:
    from pathlib import Path

    from aws_bedrock_inference.batch.records import Record

_STARTS = (b'{"id": ', b'{"recordId": ')


class Journal:
    """The answers file, open for appending, and its failures file `<answers>.failed.jsonl`.

    New failures are written to a temporary file that replaces the old failures file at the end, so that the old file
    can be the input of the same run.

    Raises `ValueError` if the file contains anything but answers, or if another run is writing it.
    """

    def __init__(self, path: Path) -> None:
        if path.exists() and not path.is_file():
            raise ValueError(f"{path} is not a regular file; the next run must be able to read the answers from it")
        self.path = path
        self.failed_path = self.failed_beside(path)
        self._gathering = path.with_name(path.name + ".failed.jsonl.part")
        self._file = path.open("a+b", buffering=0)
        try:
            _lock(self._file.fileno(), path)
            self.answered = self._read()
            self._failures = self._gathering.open("wb", buffering=0)
        except BaseException:
            self._file.close()
            raise

    @staticmethod
    def failed_beside(path: Path) -> Path:
        """Return where the failures of the answers file `path` are."""
        return path.with_name(path.name + ".failed.jsonl")

    def answer(self, answer: dict[str, Any]) -> None:
        """Append an answer."""
        _write(self._file.fileno(), answer)

    def fail(self, record: Record, error: dict[str, Any]) -> None:
        """Append a failed record, as it was read, with its error."""
        _write(self._failures.fileno(), {**record.source, "error": error})

    def close(self, *, publish: bool) -> None:
        """Close both files. With `publish`, this run's failures replace those of the last run; otherwise these stay."""
        failed = self._failures.tell() > 0
        self._failures.close()
        if publish and failed:
            self._gathering.replace(self.failed_path)
        else:
            self._gathering.unlink()
            if publish:
                self.failed_path.unlink(missing_ok=True)
        os.fsync(self._file.fileno())
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._file.closed:
            self.close(publish=False)

    def _read(self) -> Keys:
        keys = Keys()
        end = 0
        open_ended = False
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                key = _answered(line)
                if key is not None:
                    keys.add(key)
                    open_ended = not line.endswith(b"\n")
                elif _torn(line):
                    break
                elif line.strip():
                    raise ValueError(
                        f"{self.path}, line {number}, is not an answer of an earlier run; the file was not changed. "
                        "Choose another file for the answers"
                    )
                end += len(line)
        self._file.truncate(end)
        if open_ended:
            self._file.write(b"\n")
        return keys


def _answered(line: bytes) -> str | None:
    """Return the id of an answer, None for any other line."""
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(answer, dict) or not ("text" in answer or "modelOutput" in answer):
        return None
    key = answer.get("id", answer.get("recordId"))
    return None if key is None else str(key)


def _torn(line: bytes) -> bool:
    """Return whether the line is an incomplete answer; after a power failure, zeros may fill the rest."""
    if line.endswith(b"\n"):
        return False
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return any(line.startswith(start) or start.startswith(line) for start in _STARTS) or not line.strip(b"\0")
    return False


def _write(file: int, value: dict[str, Any]) -> None:
    # Half a surrogate pair is valid in JSON but not in UTF-8, so it stays an escape sequence.
    line = (json.dumps(value, ensure_ascii=False) + "\n").encode(errors="backslashreplace")
    while line:
        line = line[os.write(file, line) :]


def _lock(file: int, path: Path) -> None:
    if sys.platform == "win32":
        return
    import fcntl  # noqa: PLC0415 - not on Windows

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ValueError(f"{path} is being written by another run. Wait for it, or choose another file") from None
