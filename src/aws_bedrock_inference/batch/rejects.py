"""Write the rejects file of a run. For each invalid line of the input, it contains the file, the line number and the
reason.
"""

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
_OWNER_ONLY = 0o600


def rejects_beside(output: Path) -> Path:
    """Return the path of the rejects file that belongs to the output file `output`."""
    return output.with_name(output.name + ".rejects.jsonl")


def rejecting(items: Iterable[Record | BadLine], output: Path) -> Iterator[Record | BadLine]:
    """Yield the items. For each invalid line, write its number and the reason to the rejects file next to `output`.

    The rejects file contains only the invalid lines of this run; the file of an earlier run is removed first. If no
    line is invalid, no file is created. Only the owner of the rejects file can read it.

    Raises `OSError` if the rejects file cannot be written.
    """
    rejects = _Rejects(rejects_beside(output))
    with closing(rejects):
        for item in items:
            if isinstance(item, BadLine):
                rejects.add(item)
            yield item


class _Rejects:
    """The rejects file. It is created when the first invalid line is written."""

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
                self._descriptor = os.open(self._path, _NEW, _OWNER_ONLY)
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
            raise OSError(
                f"{self._path}: {error.strerror or error}. This file cannot be written; correct its path or its disk."
            ) from error
