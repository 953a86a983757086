"""Read a directory as input. Each file is a record, and a template builds the prompt from the text of the file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from aws_bedrock_inference.batch.pieces import BYTE_ORDER_MARK, LONGEST_LINE, Piece, ProblemError, text_of
from aws_bedrock_inference.bounds import encodable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_bedrock_inference.batch.template import Template

# The fields of a file that a template can use.
_FIELDS = frozenset({"text", "name"})


def files(folder: Path, template: Template | None) -> Iterator[Piece]:
    """Yield a record for each file. The id of the record is the path of the file within the directory. The template
    can use the fields `text` and `name`.

    Raises `ValueError` without a template, and `OSError` if the directory cannot be read.
    """
    if template is None:
        raise ValueError(
            f"{folder} is a directory. Each of its files becomes one record, so a template is needed. "
            "Pass --template 'Summarize: {text}'"
        )
    unknown = sorted(template.fields - _FIELDS)
    if unknown:
        raise ValueError(
            f'the template uses "{unknown[0]}". For a directory, use only "text" (the content of a file) and '
            '"name" (the name of the file)'
        )
    for path in _paths(folder):
        key = path.relative_to(folder).as_posix()
        shown = str(path).encode(errors="backslashreplace").decode()
        try:
            yield Piece(shown, 0, {"id": key, "name": path.name, "text": _text(path)})
        except ProblemError as problem:
            yield Piece(shown, 0, problem)


def _paths(folder: Path) -> Iterator[Path]:
    """Yield the files in `folder` and its subdirectories, in the order of their names, without hidden files."""
    for place, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place, name) for name in sorted(names) if not name.startswith("."))


def _text(path: Path) -> str:
    if not encodable(str(path)):
        raise ProblemError("the file name is not UTF-8. Rename the file")
    if not path.is_file():
        raise ProblemError("not a regular file, but for example a pipe or a broken link. Remove it from the directory")
    try:
        with path.open("rb") as file:
            content = file.read(LONGEST_LINE + 1)
    except OSError as error:
        raise ProblemError(
            f"the file cannot be read: {error.strerror}. Make it readable, or remove it from the directory"
        ) from None
    text = text_of(content.removeprefix(BYTE_ORDER_MARK))
    if not text.strip():
        raise ProblemError("the file contains no text. Write text into the file, or remove it from the directory")
    return text


def _raise(error: OSError) -> None:
    raise error
