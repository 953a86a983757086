"""The files that a run writes: the answers, each as soon as it arrives, and the failures of the last run.

The answers file is also the journal: the next run skips the records that it contains. If a run is killed, the last line
may be incomplete; the next run removes it and sends its record again.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, Self

from aws_bedrock_inference.batch.answer_lines import key_of_answer
from aws_bedrock_inference.batch.keys import Keys
from aws_bedrock_inference.batch.lines import LineFile

if TYPE_CHECKING:
    from pathlib import Path

    from aws_bedrock_inference.batch.records import Record

_STARTS = (b'{"id": ', b'{"recordId": ')


class Journal:
    """The answers file, open for appending, and its failures file `<answers>.failed.jsonl`.

    New failures are written to a temporary file that replaces the old failures file at the end, so that the old file
    can be the input of the same run.

    Raises `ValueError` if the file contains anything but answers, cannot be opened, or if another run is writing it.
    """

    def __init__(self, path: Path) -> None:
        self.failed_path = self.failed_beside(path)
        gathering = path.with_name(path.name + ".failed.jsonl.part")
        with contextlib.ExitStack() as opened:
            try:
                for file, use in ((path, "answers"), (self.failed_path, "failures")):
                    if file.exists() and not file.is_file():
                        raise ValueError(
                            f"{file} is not a regular file; the next run must be able to read the {use} from it"
                        )
                self._answers = LineFile(path)
                opened.callback(self._answers.release)
                self.answered = self._read()
                self._failures = LineFile(gathering, empty=True)
            except OSError as error:
                raise ValueError(
                    f"{error.filename or path}: {error.strerror or error}. Choose another file for the answers"
                ) from error
            opened.pop_all()
        self._closed = False

    @staticmethod
    def failed_beside(path: Path) -> Path:
        """Return where the failures of the answers file `path` are."""
        return path.with_name(path.name + ".failed.jsonl")

    @property
    def path(self) -> Path:
        """The path of the answers file."""
        return self._answers.path

    @property
    def unwritten(self) -> int:
        """The number of answers that could not be written."""
        return self._answers.unwritten

    def answer(self, answer: dict[str, Any]) -> None:
        """Append an answer. Raises `WriteError`, and `ValueError` or `TypeError` for one that JSON cannot hold."""
        self._answers.append(_line(answer))

    def fail(self, record: Record, error: dict[str, Any]) -> None:
        """Append a failed record, as it was read, with its error. Raises `WriteError`."""
        try:
            line = _line({**record.source, "error": error})
        except (RecursionError, TypeError, ValueError):  # it cannot be written as it was read
            line = _line({"id": record.key, "error": error})
        self._failures.append(line)

    def close(self, *, publish: bool) -> None:
        """Close both files. With `publish`, this run's failures replace those of the last run; otherwise these stay.

        Raises `WriteError`.
        """
        if self._closed:
            return
        self._closed = True
        with contextlib.ExitStack() as both:
            both.callback(self._close_failures, publish=publish)
            self._answers.close()

    def _close_failures(self, *, publish: bool) -> None:
        if publish and not self._failures.empty:
            self._failures.close()
            self._failures.path.replace(self.failed_path)
        else:
            self._failures.discard()
            if publish:
                self.failed_path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
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
        self._answers.cut(end)
        if open_ended:
            self._answers.append(b"\n")
        return keys


def _answered(line: bytes) -> str | None:
    """Return the id of an answer, None for any other line."""
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return key_of_answer(answer)


def _torn(line: bytes) -> bool:
    """Return whether the line is an incomplete answer; after a power failure, zeros may fill the rest."""
    if line.endswith(b"\n"):
        return False
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return any(line.startswith(start) or start.startswith(line) for start in _STARTS) or not line.strip(b"\0")
    return False


def _line(value: dict[str, Any]) -> bytes:
    # Half a surrogate pair is valid in JSON but not in UTF-8, so it stays an escape sequence.
    return (json.dumps(value, ensure_ascii=False) + "\n").encode(errors="backslashreplace")
