"""A file of lines that stays whole while others may cut it, replace it, delete it, or fill its disk."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections import deque
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import FileIO

# The newest lines are kept in memory, up to this many bytes: from them a file is restored that was cut short.
_HELD = 32_000_000
_BLOCK = 1 << 20
_COMPARED = 4096
_REFUGES = 100


class WriteError(OSError):
    """A file that can no longer be written, or is no longer the same; the message says what became of its lines."""


class LineFile:
    """A file open for appending, `path`, locked against other runs. Each line is written whole or not at all.

    With every line it checks that the path still leads to this file and that the file still ends as it was left. If
    not, it restores at the path all lines that it can, or, where the path leads to another file, in a file beside it,
    raises `WriteError`, and goes on there. A line that could not be written is kept for the next attempt.

    Raises `ValueError` if another run is writing the file.
    """

    def __init__(self, path: Path, *, empty: bool = False) -> None:
        self.path = path
        self._intended = path
        self._file: FileIO = path.open("a+b", buffering=0)
        try:
            _lock(self._file, path)
            self.cut(0 if empty else self._size())
        except BaseException:
            self._file.close()
            raise

    def cut(self, end: int) -> None:
        """Keep only the first `end` bytes."""
        if end < self._size():
            self._file.truncate(end)
        self._end = end
        self._torn = False  # part of a line stands after the end
        self._held: deque[tuple[int, bytes]] = deque()  # each with the place where it ends
        self._held_bytes = 0
        self._waiting: list[bytes] = []

    @property
    def empty(self) -> bool:
        """True if it has no lines, written or waiting."""
        return not self._end and not self._waiting

    @property
    def unwritten(self) -> int:
        """The number of lines that could not be written."""
        return len(self._waiting)

    def append(self, line: bytes) -> None:
        """Write a line, after those that are waiting. Raises `WriteError`; the line is then restored or waits."""
        self._waiting.append(line)
        self.settle()

    def settle(self) -> None:
        """Write what is waiting, and check that the file is the same. Raises `WriteError`."""
        problem = ""
        try:
            if problem := self._changed():
                problem += self._restore()
            while self._waiting:
                place, end = self._write(self._waiting[0])
                if place < self._end or self._size() < end or self._changed():  # meanwhile
                    self._file.truncate(min(place, self._size()))
                    problem += (self._changed() or f"{self.path} was cut short during the run. ") + self._restore()
                else:
                    self._end = end
                    self._hold(self._waiting.pop(0))
        except OSError as error:
            problem += f"{self.path}: {error.strerror or error}."
            raise WriteError(problem) from error
        if problem:
            raise WriteError(problem)

    def close(self) -> None:
        """Settle, see that the lines are on the disk, and close."""
        try:
            self.settle()
            try:
                os.fsync(self._file.fileno())
            except OSError as error:
                raise WriteError(f"{self.path}: {error.strerror or error}.") from error
        finally:
            self._file.close()

    def discard(self) -> None:
        """Close the file and delete it, if it is still this one."""
        if self._is_in_place():
            self.path.unlink()
        self.release()

    def release(self) -> None:
        """Close the file as it is."""
        self._file.close()

    def _size(self) -> int:
        return os.fstat(self._file.fileno()).st_size

    def _write(self, line: bytes) -> tuple[int, int]:
        """Write `line` at the end of the file, and return where it begins and ends."""
        if self._torn:
            self._file.truncate(self._end)
        start, left = self._size(), line
        if start > self._end and self._read(start - 1, 1) != b"\n":
            left = b"\n" + line  # another program has left half a line
        self._torn, length = True, len(left)
        try:
            while left:
                left = left[os.write(self._file.fileno(), left) :]
        except OSError:
            self._file.truncate(start)
            self._torn = False
            raise
        self._torn = False
        end = os.lseek(self._file.fileno(), 0, os.SEEK_CUR)
        return end - length, end

    def _hold(self, line: bytes) -> None:
        self._held.append((self._end, line))
        self._held_bytes += len(line)
        while self._held_bytes > _HELD:
            self._held_bytes -= len(self._held.popleft()[1])

    def _changed(self) -> str:
        """Return what has happened to the file, or nothing."""
        if not self._is_in_place():
            return f"{self.path} was deleted, renamed or replaced during the run. "
        # The last line, and the one before, since either may have been overwritten while the last was written.
        ends = [(end, line[-_COMPARED:]) for end, line in islice(reversed(self._held), 2)]
        same = all(self._read(end - len(line), len(line)) == line for end, line in ends)
        if self._size() < self._end:
            return f"{self.path} was cut short during the run. "
        if not same:
            return f"{self.path} was written by another program during the run. "
        return ""

    def _is_in_place(self) -> bool:
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self._file.fileno()))
        except OSError:
            return False

    def _restore(self) -> str:
        """Bring the lines back, and return where they are."""
        if not self._is_in_place():
            self._move(self._all())
            return f"All its lines are in {self.path}. "
        lines = [line for _, line in self._held]
        if self._size() >= self._end:
            self._move(iter(lines))
            return f"Its last {len(lines):,} lines are in {self.path}. "
        whole = self._end_of_last_line()
        end, last = self._held[-1] if self._held else (whole, b"")
        if end != whole and whole >= len(last) and self._read(whole - len(last), len(last)) == last:
            self._file.truncate(whole - len(last))  # it was written after the cut
            whole = self._end_of_last_line()
        self._file.truncate(whole)
        lines = [line for end, line in self._held if end > whole]
        self._end = whole
        self._held.clear()
        self._held_bytes = 0
        self._waiting[:0] = lines
        return f"Its last {len(lines):,} lines are written again. "

    def _move(self, content: Iterator[bytes]) -> None:
        """Write the content to a new file, at the intended path if that is free, and go on there."""
        path, file = _refuge(self._intended)
        end = 0
        try:
            for piece in content:
                left = piece
                while left:
                    left = left[os.write(file.fileno(), left) :]
                end += len(piece)
        except OSError:
            file.close()
            path.unlink()
            raise
        self._file.close()
        self.path, self._file, self._end = path, file, end
        self._held.clear()
        self._held_bytes = 0

    def _all(self) -> Iterator[bytes]:
        at = 0
        while piece := self._read(at, min(_BLOCK, self._end - at)):
            at += len(piece)
            yield piece

    def _read(self, at: int, length: int) -> bytes:
        self._file.seek(at)
        return self._file.read(length)

    def _end_of_last_line(self) -> int:
        end = self._size()
        while end:
            start = max(0, end - _BLOCK)
            found = self._read(start, end - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
        return 0


def _refuge(path: Path) -> tuple[Path, FileIO]:
    """Create a file at `path`; where that is not possible, beside it, and else for temporary files."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
    beside = [path.with_name(f"{path.name}.rescued-{number}.jsonl") for number in range(1, _REFUGES)]
    for candidate in (path, *beside):
        try:
            descriptor = os.open(candidate, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_APPEND, 0o666)
        except FileExistsError:
            continue
        except OSError:
            break
        file = os.fdopen(descriptor, "a+b", buffering=0)
        _lock(file, candidate)
        return candidate, file
    descriptor, name = tempfile.mkstemp(".jsonl", f"{path.name}.rescued-")
    return Path(name), os.fdopen(descriptor, "a+b", buffering=0)


def _lock(file: FileIO, path: Path) -> None:
    if sys.platform == "win32":
        return
    import fcntl  # noqa: PLC0415 - not on Windows

    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ValueError(f"{path} is being written by another run. Wait for it, or choose another file") from None
