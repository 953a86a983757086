"""Read the input of a run: the records of a file, standard input, a directory or S3, in any supported form."""

from __future__ import annotations

import sys
from contextlib import closing, contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from aws_bedrock_inference import s3
from aws_bedrock_inference.batch import folder
from aws_bedrock_inference.batch.pieces import bounded_lines
from aws_bedrock_inference.batch.records import BadLine, Record, json_lines, records_from
from aws_bedrock_inference.batch.rows import is_table, rows
from aws_bedrock_inference.knowledge.logs import LogError, blocks
from aws_bedrock_inference.s3 import S3Location
from aws_bedrock_inference.sessions import make_client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_bedrock_inference.batch.pieces import Piece
    from aws_bedrock_inference.batch.template import Template

DASH = Path("-")
"""The name that means standard input."""

Source = Path | S3Location

_TABLES = (".csv", ".tsv")
_PACKED = (".gz", ".zst", ".bz2", ".xz")


def source_of(given: str | Path) -> Source:
    """Return the source for a path or an S3 URL. Raises `ValueError` for an S3 URL without a bucket."""
    return S3Location.parse(str(given)) or Path(given)


def holds_output(source: Source, output: Path) -> bool:
    """Return whether the output file is the input file, or is inside the input directory.

    Return False for a path that cannot be examined. The caller opens the path later and then gets the error.
    """
    if isinstance(source, S3Location):
        return False
    try:
        if source.is_dir():
            return output.resolve().is_relative_to(source.resolve())
        return source.samefile(output)
    except OSError:
        return False


def source_name(source: Source) -> str:
    """Return the name of the source for messages."""
    return "standard input" if source == DASH else str(source)


def open_input(
    source: Source, *, template: Template | None = None, session: Any = None, region: str | None = None
) -> Iterator[Record | BadLine]:
    """Yield the records of a source, and a `BadLine` with the reason for each invalid line.

    The content determines the form: JSON in one of three forms, or a table whose first line names the columns.
    `session` and `region` are used for S3. Raises `ValueError` if the source cannot be used at all, and `OSError` if
    reading it fails.
    """
    return records_from(_pieces(source, template, session, region), template)


def read_records(file: BinaryIO, name: str) -> Iterator[Record | BadLine]:
    """Yield the records of an open file, and a `BadLine` for each invalid line, in the same way as `open_input`."""
    return records_from(_lines(file, name, None))


def is_at_hand(source: Source) -> bool:
    """Return whether the source can be read to its end without waiting for another program. False for a pipe."""
    return isinstance(source, S3Location) or source.is_file() or source.is_dir()


def _pieces(source: Source, template: Template | None, session: Any, region: str | None) -> Iterator[Piece]:
    if isinstance(source, S3Location):
        yield from _objects(source, template, session, region)
    elif source != DASH and source.is_dir():
        yield from folder.files(source, template)
    else:
        with _opened(source) as file:
            yield from _lines(file, source_name(source), template)


def _objects(source: S3Location, template: Template | None, session: Any, region: str | None) -> Iterator[Piece]:
    client, _, _ = make_client("s3", session, region_name=region)
    with closing(client):
        objects = s3.listed(client, source)
        first = next(objects, None)
        if first is None:
            raise ValueError(
                f"{source} contains no object with content. Pass s3://BUCKET/KEY, or a prefix that ends with /"
            )
        for item in chain([first], objects):
            with s3.opened(client, item) as file:
                yield from _lines(file, str(item.location), template)


def _lines(file: BinaryIO, name: str, template: Template | None) -> Iterator[Piece]:
    """Yield the lines or the table rows of a file. The file can be compressed."""
    lines = bounded_lines(_unpacked(file, name))
    first = next(lines, None)
    if first is None:
        return
    every = chain([first], lines)
    if _suffix(name) in _TABLES or is_table(first, template):
        yield from rows(every, name, template)
    else:
        yield from json_lines(every, name)


def _unpacked(file: BinaryIO, name: str) -> Iterator[bytes]:
    try:
        yield from blocks(file)
    except LogError as error:
        raise OSError(f"{name}: {error}.") from error


def _suffix(name: str) -> str:
    """Return the extension of a file name, in lower case. For a compressed file such as `a.csv.gz`, return `.csv`."""
    path = Path(name.lower())
    return Path(path.stem).suffix if path.suffix in _PACKED else path.suffix


@contextmanager
def _opened(source: Path) -> Iterator[BinaryIO]:
    if source == DASH:
        if sys.stdin is None:
            raise ValueError("standard input is closed. Pass an input file, or pipe the input to the command")
        yield sys.stdin.buffer
        return
    try:
        file = source.open("rb")
    except OSError as error:
        raise ValueError(f"{source}: {error.strerror}. Pass an input file that can be read") from error
    with file:
        yield file
