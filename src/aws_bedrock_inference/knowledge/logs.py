"""Read logs of any size, compressed or not. Also read times in many formats."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import re
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import TYPE_CHECKING, BinaryIO, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK = 1 << 18
"""The number of bytes of a log that are examined together. Larger blocks are not faster."""

_GZIP, _ZSTD, _BZIP2, _XZ, _ZIP = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ", b"PK\x03\x04"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class LogError(Exception):
    """Raised if a log cannot be read, or can be read only in part. The message states the reason."""


def blocks(file: BinaryIO) -> Iterator[bytes]:
    """Yield the content of a log, decompressed and in UTF-8. If the log is damaged, yield everything that can be
    read, then raise LogError.
    """
    plain = file if isinstance(file, io.BufferedReader) else io.BufferedReader(cast("io.RawIOBase", file))
    head = plain.peek(8)[:8]
    if head.startswith(_GZIP):
        yield from _unpacked(gzip.GzipFile(fileobj=plain))
    elif head.startswith(_ZSTD):
        yield from _unpacked(_zstd(plain))
    elif head.startswith(_BZIP2):
        yield from _unpacked(bz2.BZ2File(plain))
    elif head.startswith(_XZ):
        yield from _unpacked(lzma.LZMAFile(plain))  # noqa: SIM115 - the caller closes the file
    elif head.startswith(_ZIP):
        raise LogError("the file is a zip archive: pipe it through `unzip -p`")
    elif head.startswith(_UTF16) or head[1:4:2] == b"\0\0":
        decoder = codecs.getincrementaldecoder("utf-16" if head.startswith(_UTF16) else "utf-16-le")("replace")
        while block := plain.read1(BLOCK):
            yield decoder.decode(block).encode()
    else:
        while block := plain.read1(BLOCK):
            yield block


def _unpacked(file: io.BufferedIOBase) -> Iterator[bytes]:
    """Yield the decompressed data in blocks. If the data is damaged, first yield the data before the damage, then raise
    LogError.
    """
    block = bytearray()
    try:
        while piece := file.read1(BLOCK):
            block += piece
            if len(block) >= BLOCK:
                yield bytes(block)
                block.clear()
    except Exception as error:  # each library has its own errors for invalid data
        yield bytes(block)
        raise LogError(
            f"the compressed data is truncated or damaged ({error}). Create or copy the compressed file again"
        ) from error
    yield bytes(block)


def _zstd(file: io.BufferedReader) -> io.BufferedIOBase:
    try:
        opened: io.BufferedIOBase = import_module("compression.zstd").ZstdFile(file)
    except ImportError:
        try:
            packer = import_module("zstandard").ZstdDecompressor()
        except ImportError:
            raise LogError(
                "the file is compressed with zstd: run `pip install zstandard`, or pipe the file through `zstd -dc`"
            ) from None
        opened = packer.stream_reader(file, read_across_frames=True)
    return opened


_MONTHS = {name: number for number, name in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}
_TIME = re.compile(
    rb"(?P<year>\d{4})[-/](?P<month>\d\d)[-/](?P<day>\d\d)[T _](?P<clock>\d\d:\d\d:\d\d)(?:[.,]\d{1,9})? ?"
    rb"(?P<zone>Z|[+-]\d\d:?\d\d)?"
    rb"|(?P<day2>\d{1,2})[/ -](?P<name2>[A-Z][a-z]{2})[/ -](?P<year2>\d{4})[: ](?P<clock2>\d\d:\d\d:\d\d)"
    rb"(?:[.,]\d{1,9})? ?(?P<zone2>[+-]\d{4})?"
    rb"|\b(?P<name3>[A-Z][a-z]{2}) {1,2}(?P<day3>\d{1,2}) (?P<clock3>\d\d:\d\d:\d\d)"
    rb"|^[IWEF](?P<month4>\d\d)(?P<day4>\d\d) (?P<clock4>\d\d:\d\d:\d\d)"
    rb"|(?<![\w.])(?P<epoch>1\d{9})(?:\d{3}|\d{6}|\d{9}|\.\d{1,9})?(?![\w.])"
)
_HEAD_LENGTH = 400


def time_of(text: bytes, now: datetime) -> datetime | None:
    """Return the first time in a text. A time without a zone is in UTC. A date without a year gets
    the year of `now`. If this date is more than one day after `now`, it gets the previous year.
    """
    found = _TIME.search(text, 0, _HEAD_LENGTH) or _TIME.search(text, _HEAD_LENGTH, 8 * _HEAD_LENGTH)
    if found is None:
        return None
    try:
        return _moment({name.rstrip("234"): part for name, part in found.groupdict().items() if part}, now)
    except (ValueError, OverflowError):
        return None


def last_time(text: bytes, now: datetime) -> datetime | None:
    """Return the last time in a text."""
    last = None
    for last in _TIME.finditer(text):  # noqa: B007 - only the last is wanted
        pass
    return time_of(last.group(), now) if last else None


def _moment(parts: dict[str, bytes], now: datetime) -> datetime:
    if "epoch" in parts:
        return datetime.fromtimestamp(int(parts["epoch"]), UTC)
    month = _MONTHS.get(parts["name"], 0) if "name" in parts else int(parts["month"])
    hour, minute, second = map(int, parts["clock"].split(b":"))
    day = int(parts["day"])
    if "year" in parts:
        at = datetime(int(parts["year"]), month, day, hour, minute, min(second, 59), tzinfo=UTC)
        return at - _offset(parts.get("zone", b"Z"))
    at = datetime(now.year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    return at if at <= now + timedelta(days=1) else at.replace(year=now.year - 1)


def _offset(zone: bytes) -> timedelta:
    if zone == b"Z":
        return timedelta()
    digits = zone[1:].replace(b":", b"")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return -offset if zone.startswith(b"-") else offset
