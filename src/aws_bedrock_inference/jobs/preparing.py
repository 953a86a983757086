"""Records written as a job takes them: one line of JSON each, in a temporary file, whatever their number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Prepared:
    """The lines of a job: `{"recordId": ..., "modelInput": {...}}`, each with its line end.

    `file` holds them and is at its start; who has it closes it. `digest` is of all lines, `invocation` is `Converse` or
    `InvokeModel`.
    """

    file: IO[bytes]
    records: int
    size: int
    digest: str
    invocation: str


def prepared(records: Iterable[Mapping[str, Any]], defaults: Mapping[str, Any]) -> Prepared:
    """Write the records to a temporary file. `defaults` are arguments of `invoke` for the records that are prompts."""
    raise NotImplementedError
