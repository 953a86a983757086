"""Export the journal of a run to files: the answers while the run continues, and the failures at its end.

The journal, not the output file, determines which records are done. If another program changes the output file during
a run, nothing is lost, because the file is written again from the journal.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING

from aws_bedrock_inference.batch.answer_lines import key_of_answer
from aws_bedrock_inference.batch.fates import unwritable
from aws_bedrock_inference.batch.pieces import LONGEST_LINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from io import FileIO
    from pathlib import Path

    from aws_bedrock_inference.batch.journal import Journal

_REFUGES = 100
_STARTS = (b'{"id": ', b'{"recordId": ')


def failures_of(output: Path) -> Path:
    """Return the path of the failures file that belongs to the output file `output`."""
    return output.with_name(output.name + ".failed.jsonl")


class Output:
    """The output file at `path`. With `in_order`, the file is written only at the end of the run, in the order of the
    input. Otherwise, each answer is appended after it is stored in the journal, in the order of arrival.

    Open the file, then call `begin` with the journal. `say` receives messages about the file.

    Raises `ValueError` if `path` cannot be written.
    """

    def __init__(self, path: Path, say: Callable[[str], None] = lambda _: None, *, in_order: bool = False) -> None:
        self.path = path
        self._intended = path
        self._say = say
        self._in_order = in_order
        self._trouble = ""
        self._seq = self._end = 0
        self._torn = False
        try:
            if failures_of(path).exists() and not failures_of(path).is_file():
                raise ValueError(
                    f"{failures_of(path)}, where failed records are written, is not a regular file. Move it away, or "
                    "choose another output"
                )
            self._missing = not path.exists()
            self._file = _opened(path)
        except OSError as error:
            raise ValueError(
                f"the output {path} cannot be opened: {error.strerror or error}. Choose another output file"
            ) from error

    def begin(self, journal: Journal) -> None:
        """Compare the file with the journal, and add the answers that are missing in the file.

        Raises `ValueError` if a line of the file differs from the journal.
        """
        self._journal = journal
        ordered = journal.facts().get("ordered")
        if journal.stale:
            self._rewrite()
        elif not self._agrees(journal.answers()) and (
            ordered is None or not self._agrees(journal.answers(up_to=int(ordered)))
        ):
            raise ValueError(
                f"{self.path} does not match its journal {journal.path.name}: another program has changed the file. "
                "Move it away, so that the next run writes the answers again, or choose another output file"
            )
        if self._missing and journal.last_answer():
            self._say(
                f"{self.path} was missing and is written again from {journal.path.name}. To send every prompt again, "
                "remove both files."
            )
        if ordered is not None and not self._in_order:
            self._rewrite()
        self.follow()

    def release(self) -> None:
        """Close the file without further changes."""
        self._file.close()

    @property
    def trouble(self) -> str:
        """The reason why the file is incomplete, or why it was written to a different path. The text is empty if the
        file is complete and at its path.
        """
        if self._trouble or self.path == self._intended:
            return self._trouble
        return f"{self._intended} is now another file; all answers are in {self.path}."

    def follow(self) -> None:
        """Append the new answers of the journal to the file. If the file cannot be written, the next call of this
        method writes these answers. If another program has changed the file, write all answers again.
        """
        if not self._in_order:
            with self._noting_trouble():
                self._catch_up()

    def close(self, *, failures: bool = True) -> None:
        """Write the final content of the file, sync it to the disk, and close it. With `failures`, do the same for the
        failures file.
        """
        with self._noting_trouble():
            if failures:
                _export(failures_of(self._intended), self._journal.failures(), keep_empty=False)
            if self._in_order:
                self._restore()
                self._rewrite()
            else:
                self._catch_up()
            os.fsync(self._file.fileno())
        self._file.close()

    def _catch_up(self) -> None:
        self._restore()
        if self._journal.stale:
            self._rewrite()
        for rows in self._journal.answers(after=self._seq):
            self._append(b"".join(line for _, line in rows))
            self._seq = rows[-1][0]

    @contextlib.contextmanager
    def _noting_trouble(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._trouble = f"{unwritable(self.path, error)} All answers are in {self._journal.path.name}."
        else:
            self._trouble = ""

    def _agrees(self, answers: Iterator[list[tuple[int, bytes]]]) -> bool:
        """Return True if the lines of the file are these answers, in this order; otherwise return False.

        The last answers can be missing in the file, because `follow` appends them later. If the last line of the file
        is incomplete, it is removed from the file.
        """
        self._file.seek(0)
        self._seq = self._end = 0
        for rows in answers:
            found = self._file.read(sum(len(line) for _, line in rows))
            at = 0
            for seq, line in rows:
                if not found.startswith(line, at):
                    return self._cut(found[at:] + self._file.read(LONGEST_LINE), line)
                at += len(line)
                self._seq = seq
                self._end += len(line)
        return self._cut(self._file.read(LONGEST_LINE), b"")

    def _cut(self, rest: bytes, expected: bytes) -> bool:
        """If `rest` is an incomplete line, remove this line from the file and return True. If `rest` is empty, return
        True. If `rest` is anything else, change nothing and return False.

        `rest` is the content of the file after the last line that agrees with the journal. `expected` is the next line
        in the journal, or empty if the journal has no further line. After a power failure, an incomplete line can end
        with NUL bytes (bytes with the value 0).
        """
        torn = rest.rstrip(b"\0")
        if not expected.startswith(torn) and not _torn(rest):
            return False
        self._file.truncate(self._end)
        return True

    def _append(self, lines: bytes) -> None:
        self._torn, left = True, lines
        try:
            while left:
                left = left[os.write(self._file.fileno(), left) :]
        except OSError:
            self._file.truncate(self._end)
            self._torn = False
            raise
        self._torn = False
        self._end += len(lines)

    def _restore(self) -> None:
        """If another program has changed the file, write all answers again from the journal.

        If the file was deleted, renamed or truncated, the answers are written to the same path. If the file was
        extended or replaced, the file that is now at the path may contain data of another program. That file is not
        changed, and the answers are written to a new file next to it.
        """
        if self._torn:
            self._file.truncate(self._end)
            self._torn = False
        if what := self._changed():
            taken = self.path.exists() and what != "cut short"
            path = _refuge(self._intended) if taken else self.path
            path.parent.mkdir(parents=True, exist_ok=True)
            self.path = path
            self._rewrite()
            self._say(f"{self._intended} was {what} during the run. All answers are written again to {path}.")

    def _changed(self) -> str:
        """Return a description of how another program has changed the file, or an empty text if the file is
        unchanged.
        """
        try:
            there = os.path.samestat(self.path.stat(), os.fstat(self._file.fileno()))
        except OSError:
            there = False
        if not there:
            return "deleted, renamed or replaced"
        size = os.fstat(self._file.fileno()).st_size
        return "" if size == self._end else "cut short" if size < self._end else "written by another program"

    def _rewrite(self) -> None:
        """Replace the file with an export of the complete journal."""
        last = self._journal.last_answer()
        if self._in_order:
            self._journal.note(ordered=last)
        answers = self._journal.answers(up_to=last if self._in_order else None)
        _export(self.path, ([line for _, line in rows] for rows in answers))
        self._journal.exported(**({} if self._in_order else {"ordered": None}))
        self._file.close()
        self._file = _opened(self.path)
        self._seq, self._end = last, os.fstat(self._file.fileno()).st_size


def adopted(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the id and the line of each answer in the output file `path`, whose journal does not exist.

    An incomplete last line is omitted. Raises `ValueError` if another line is not an answer.
    """
    with contextlib.suppress(FileNotFoundError), path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            key = _answered(line)
            if key is not None:
                yield key, line.rstrip(b"\r\n").decode() + "\n"
            elif line.strip() and not _torn(line):
                raise ValueError(
                    f"{path}, line {number}, is not an answer of an earlier run; the file was not changed. "
                    "Choose another output file"
                )


def _answered(line: bytes) -> str | None:
    """Return the id of the record that this line answers, or None if the line is not an answer."""
    try:
        return key_of_answer(json.loads(line))
    except (ValueError, RecursionError):
        return None


def _torn(line: bytes) -> bool:
    """Return True if the line is an incomplete answer; otherwise return False.

    After a power failure, an incomplete answer can end with NUL bytes (bytes with the value 0). A line that contains
    only NUL bytes is an incomplete answer, too.
    """
    if line.endswith(b"\n"):
        return False
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return any(line.startswith(start) or start.startswith(line) for start in _STARTS) or not line.strip(b"\0")
    return False


def _opened(path: Path) -> FileIO:
    if path.exists() and not path.is_file():
        raise ValueError(
            f"{path} is not a regular file. Choose a regular file, because the next run reads the answers from it"
        )
    return path.open("a+b", buffering=0)


def _export(path: Path, pieces: Iterable[list[bytes]], *, keep_empty: bool = True) -> None:
    """Write the lines in `pieces` to a temporary file. When this file is complete, it replaces the file at `path`, and
    receives the permissions of that file.

    If there are no lines and `keep_empty` is False, delete the file at `path` instead.
    """
    part = path.with_name(f"{path.name}.part")
    empty = True
    try:
        with part.open("wb") as file:
            for lines in pieces:
                empty = False
                file.write(b"".join(lines))
            file.flush()
            os.fsync(file.fileno())
            if path.exists():
                part.chmod(path.stat().st_mode & 0o777)
        if empty and not keep_empty:
            path.unlink(missing_ok=True)
        else:
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _refuge(path: Path) -> Path:
    """Return a path next to `path` that no file uses."""
    beside = (path.with_name(f"{path.name}.rescued-{number}.jsonl") for number in range(1, _REFUGES))
    return next(candidate for candidate in beside if not candidate.exists())
