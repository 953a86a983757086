"""Split a file of records that exceeds the limits of one job, or of one file of a job.

Each part is a sequence of complete lines in the file. Parts are read from this file; no copy is written. If the last
part would have too few records for a job, it gets lines from the end of the previous part.
"""

from __future__ import annotations

import io
from collections import deque
from typing import IO, TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aws_bedrock_inference.jobs.limits import JobLimits


class Part(NamedTuple):
    """A sequence of lines in a file. It starts at byte `start`, has `size` bytes, and contains `records` lines."""

    start: int
    size: int
    records: int

    @property
    def end(self) -> int:
        """The position after the last byte."""
        return self.start + self.size


def fits(records: int, size: int, limits: JobLimits) -> bool:
    """Return whether this number of records and bytes fits into one job with one file."""
    most_records, most_bytes = min(limits.most_records, limits.file_records), min(limits.job_bytes, limits.file_bytes)
    return records <= most_records and size <= most_bytes


def jobs_of(lines: IO[bytes], limits: JobLimits) -> list[Part]:
    """Return the parts (sequences of lines) of the file, one for each job.

    The file is read once. The position of the file afterwards is undefined. Raises `ValueError` for a line that is
    larger than the maximum size of a file.
    """
    lines.seek(0)
    return _cut(_lengths(lines, limits.file_bytes), 0, limits.most_records, limits.job_bytes, limits.least_records)


def files_of(lines: IO[bytes], job: Part, limits: JobLimits) -> list[Part]:
    """Divide the lines of a job into parts (sequences of lines), one for each input file of the job. If one file can
    contain all lines, return one part.
    """
    if fits(job.records, job.size, limits):
        return [job]
    lines.seek(job.start)
    lengths = (length for _, length in zip(range(job.records), _lengths(lines, limits.file_bytes), strict=False))
    return _cut(lengths, job.start, limits.file_records, limits.file_bytes, least=1)


def _lengths(lines: Iterable[bytes], most: int) -> Iterator[int]:
    for number, line in enumerate(lines, 1):
        if len(line) > most:
            raise ValueError(
                f"record {number} has {len(line):,} bytes, but a file of a batch job has at most {most:,}. Shorten it, "
                "or put its media into S3 and refer to them with s3Location"
            )
        yield len(line)


def _cut(lengths: Iterable[int], start: int, most_records: int, most_bytes: int, least: int) -> list[Part]:
    """Divide lines into parts, each as large as allowed. `lengths` contains the number of bytes of each line.

    If the last part has fewer than `least` lines, lines from the end of the previous part are moved to the last part.
    They are not moved if the previous part would then have fewer than `least` lines, or if the last part would exceed
    `most_bytes`.
    """
    parts: list[Part] = []
    tail: deque[int] = deque(maxlen=least)  # the last lines of the current part
    tail_before = tail
    size = records = 0
    for length in lengths:
        if records == most_records or (records and size + length > most_bytes):
            parts.append(Part(start, size, records))
            start, size, records = start + size, 0, 0
            tail_before, tail = tail, deque(maxlen=least)
        size, records = size + length, records + 1
        tail.append(length)
    if not records:
        return parts
    last = Part(start, size, records)
    lacking = max(0, least - records)
    if parts and lacking and parts[-1].records - lacking >= least:
        moved = sum(list(tail_before)[-lacking:])
        if size + moved <= most_bytes:
            before = parts[-1]
            parts[-1] = before._replace(size=before.size - moved, records=before.records - lacking)
            last = Part(start - moved, size + moved, records + lacking)
    return [*parts, last]


class Slice(io.RawIOBase):
    """A part of a file, readable as a separate file. Reading a slice moves the position of the underlying file, so
    read only one slice at a time.
    """

    def __init__(self, file: IO[bytes], part: Part) -> None:
        self._file = file
        self._part = part
        self._at = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Set the position, and return it."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._part.size}[whence]
        self._at = max(0, origin + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Read into `buffer`, and return the number of bytes."""
        self._file.seek(self._part.start + self._at)
        content = self._file.read(max(0, min(len(buffer), self._part.size - self._at)))
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)
