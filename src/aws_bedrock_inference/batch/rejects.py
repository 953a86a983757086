"""The rejects file of a run: which lines of its input are no records, and why."""

from __future__ import annotations

import json
import os
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from aws_bedrock_inference.batch.records import BadLine

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from aws_bedrock_inference.batch.records import Record

_NEW = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND
_OURS_ALONE = 0o600


def rejects_beside(output: Path) -> Path:
    """Return where the rejects of the answers file `output` are."""
    return output.with_name(output.name + ".rejects.jsonl")


def rejecting(items: Iterable[Record | BadLine], output: Path) -> Iterator[Record | BadLine]:
    """Yield the items; write those that are no records to the rejects file beside `output`, which only its owner can
    read.

    It holds the rejects of the last run alone: that of an earlier run is removed first, and without rejects there is
    none. Raises `OSError`.
    """
    rejects = _Rejects(rejects_beside(output))
    with closing(rejects):
        for item in items:
            if isinstance(item, BadLine):
                rejects.add(item)
            yield item


class _Rejects:
    """The rejects file, which comes to be with the first of them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        with self._named():
            path.unlink(missing_ok=True)

    def add(self, line: BadLine) -> None:
        written = {"file": line.file, "line": line.number or None, "reason": line.problem}
        left = (json.dumps(written, ensure_ascii=False) + "\n").encode(errors="backslashreplace")
        with self._named():
            if self._descriptor is None:
                self._descriptor = os.open(self._path, _NEW, _OURS_ALONE)
            while left:
                left = left[os.write(self._descriptor, left) :]

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OSError(f"{self._path}: {error.strerror or error}.") from error
