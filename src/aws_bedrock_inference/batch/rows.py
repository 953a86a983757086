"""Read tables as input. Each row of a CSV file is a record, and each column is a field of the record."""

from __future__ import annotations

import csv
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from aws_bedrock_inference.batch.members import PROMPT_MEMBERS, check_names, check_unused
from aws_bedrock_inference.batch.pieces import BYTE_ORDER_MARK, LONGEST_LINE, Piece, ProblemError, text_of
from aws_bedrock_inference.batch.records import parsed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aws_bedrock_inference.batch.template import Template

_DELIMITERS = (",", ";", "\t")

_MOST_NAMED = 10

# Fields whose cells are JSON, because their values are not texts.
_JSON = frozenset(PROMPT_MEMBERS) - {"id", "prompt", "system", "tier", "priority", "tenant"}


def is_table(line: bytes, template: Template | None) -> bool:
    """Return True if the first line of a file contains the column names of a table, such as `id,prompt`. Return False
    for any other line, such as a line of JSON.
    """
    if line.startswith(b"{"):
        return False
    try:
        columns = _columns(text_of(line.removeprefix(BYTE_ORDER_MARK)))[1]
    except ProblemError:
        return False
    asking = template.fields if template else {"prompt"}
    return "id" in columns and (asking <= set(columns) or "messages" in columns)


def rows(lines: Iterable[bytes], name: str, template: Template | None) -> Iterator[Piece]:
    """Yield the rows of the table `name` (RFC 4180, with commas, semicolons or tabs). The first line of the table
    names the columns.

    If a cell is empty and the template uses its column, the field is an empty text. If a cell is empty and the template
    does not use its column, the field is omitted.

    Raises `ValueError` if a column is missing or wrong (see `_check`), or if a quote is not closed.
    """
    texts = _Texts(lines)
    try:
        delimiter, columns = _columns(next(texts, ""))
        _check(columns, template)
    except ProblemError as problem:
        raise ValueError(f"{name}, line 1: {problem}") from None
    # The csv module has one maximum cell size for the whole process, by default 128 kB. This line never lowers it.
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_LINE))
    reader = csv.reader(texts, delimiter=delimiter, strict=True)
    data = template.fields if template else frozenset[str]()
    while True:
        number = texts.number + 1
        try:
            cells = next(reader)
            if any(cells):
                yield Piece(name, number, _members(columns, cells, data))
        except StopIteration:
            return
        except ProblemError as problem:
            yield Piece(name, number, problem)
        except csv.Error as error:
            if texts.number > number:  # after this row, open and closed quotes cannot be distinguished
                raise ValueError(f"{name}, line {number}: a quote is opened but not closed. Close it") from None
            yield Piece(name, number, ProblemError(f"not CSV: {error}. Inside quotes, write a quote twice"))


class _Texts:
    """Iterates over the lines of a table as texts. An invalid line raises `ProblemError`; the caller can then
    continue with the next line.
    """

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = iter(lines)
        self.number = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number += 1
        return text_of(line.removeprefix(BYTE_ORDER_MARK) if self.number == 1 else line) + "\n"


def _columns(text: str) -> tuple[str, list[str]]:
    """Return the delimiter and the column names from the first line of a table.

    The line is split with each possible delimiter. The delimiter that yields a column `id` is used. If several
    delimiters yield this column, or none does, the delimiter that yields the most columns is used.
    """
    made = []
    for delimiter in _DELIMITERS:
        with suppress(csv.Error):
            names = next(csv.reader([text], delimiter=delimiter, strict=True), [])
            made.append((delimiter, [name.strip() for name in names]))
    if not made:
        raise ProblemError(
            "the first line is not CSV: a quote in the column names is not closed, or is inside a name. Correct the "
            "quotes"
        )
    return max(made, key=lambda one: ("id" in one[1], len(one[1])))


def _check(columns: list[str], template: Template | None) -> None:
    """Raise `ProblemError` if a column is missing, if two columns have the same name, or if a column has no effect.

    Without a template, an unknown column has no effect. With a template, a column `prompt` has no effect, because the
    template builds the prompt.
    """
    shown = ", ".join(f'"{column:.40}"' for column in columns[:_MOST_NAMED])
    if "id" not in columns:
        raise ProblemError(
            f'the table has no column "id", only {shown}. Rename a column to id: a second run finds answers by id'
        )
    twice = [column for column, number in Counter(columns).items() if number > 1]
    if twice:
        raise ProblemError(f'two columns have the name "{twice[0]:.80}". Rename one of them')
    if template is None:
        if not {"prompt", "messages"} & set(columns):
            raise ProblemError(
                f'the table has no column "prompt", only {shown}. Rename a column to prompt, or pass --template'
            )
        check_names(columns, PROMPT_MEMBERS)
        return
    missing = sorted(template.fields - set(columns))
    if missing:
        raise ProblemError(
            f'the template uses the column "{missing[0]}", but the table has only {shown}. Correct the template'
        )
    if "prompt" in columns or "messages" in columns:
        raise ProblemError(
            'the table has a column "prompt" or "messages", but --template builds the prompt. Rename the column, or '
            "omit --template"
        )
    check_unused(columns, template)


def _members(columns: list[str], cells: list[str], data: frozenset[str]) -> dict[str, Any]:
    """Return the fields of the record in one row.

    `data` contains the names of the columns that the template uses. A cell of such a column becomes a text, even if the
    cell is empty or contains JSON. In any other column, an empty cell adds no field. A cell for an argument that is
    not a text, such as `max_tokens`, is parsed as JSON.
    """
    if len(cells) != len(columns):
        raise ProblemError(
            f"the row has {len(cells)} cells for {len(columns)} columns. Quote a cell that "
            "contains a delimiter or a line break"
        )
    given = {column: cell for column, cell in zip(columns, cells, strict=True) if cell or column in data}
    for column in _JSON & given.keys() - data:
        given[column] = parsed(given[column], f'Write JSON in the column "{column}", such as 400 or ["end"]')
    return given
