"""Define the interface of the stores of dead letters, and open a store by its name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from aws_bedrock_inference.bounds import shown, shown_name
from aws_bedrock_inference.stores import path_in

if TYPE_CHECKING:
    from aws_bedrock_inference.deadletters.filters import Wanted
    from aws_bedrock_inference.deadletters.letter import State, Summary

KEPT_SECONDS = 30 * 86_400.0
"""The seconds after which redriven and discarded letters are deleted: 30 days. Dead letters are never deleted."""

_FILES = (".db", ".sqlite", ".sqlite3")
_SCHEMES = ("sqlite", "dynamodb")


class Record(NamedTuple):
    """A dead letter in the form in which stores receive and return it.

    `content` is the request and its failure, as bytes. A page with `whole=False` contains only summaries, so `content`
    is empty in its records.
    """

    summary: Summary
    content: bytes = b""
    answer: bytes | None = None


class Place(NamedTuple):
    """The position of a dead letter in the ordered list of all letters with the same state. The list is ordered by the
    time of the first failure, then by the id of the letter.
    """

    first: float
    id: str


class Page(NamedTuple):
    """A page of dead letters that have the same state. The next page starts after the position `after`. On the last
    page, `after` is None.
    """

    records: list[Record]
    after: Place | None


class LetterStore(Protocol):
    """A store of dead letters. Threads and processes can use it at the same time. All methods block. They raise
    `StoreUnavailable` if the store cannot be used.

    `place` is the name of the store in messages. A failed call waits at most `limit` seconds until its dead letter is
    stored.
    """

    place: str
    limit: float

    def put(self, record: Record) -> None:
        """Store a new dead letter."""

    def get(self, id: str) -> Record | None:  # noqa: A002 - its name in AWS's documentation
        """Return the complete dead letter with this id, or None."""

    def page(self, state: State, wanted: Wanted, limit: int, after: Place | None, *, newest: bool, whole: bool) -> Page:
        """Return at most `limit` selected dead letters of a state, ordered by the time of their first failure.

        `wanted` selects the letters. The page starts after the position `after`. With `newest`, the newest letter comes
        first, otherwise the oldest. With `whole`, the letters include their content.
        """

    def update(self, summary: Summary, version: int, answer: bytes | None = None) -> bool:
        """Replace the summary of a dead letter, and its answer if `answer` is not None. Return True.

        If the version of the letter is no longer `version`, change nothing and return False.
        """

    def has_lapsed(self, summary: Summary) -> bool:
        """Return whether the lease of a claimed dead letter has expired, by the clock of this store."""

    def now(self) -> float:
        """Return the current time in seconds since the epoch."""

    def create(self) -> list[str]:
        """Create the table or the file. Return texts that describe the changes."""

    def close(self) -> None:
        """Close connections and files. A later request opens them again."""


def open_letters(named: Any) -> LetterStore:
    """Open the store with the name `named`: the name of a DynamoDB table, a URL, or a `Path` to a file. If `named` is
    already a store, return it.

    Raises `ValueError` for any other value, and `StoreUnusable` for a file that cannot be used.
    """
    if isinstance(named, Path):
        return _file(named)
    if isinstance(named, str) and "://" not in named:
        return _table(named)
    if isinstance(named, str):
        return _at_url(named)
    if isinstance(named, type) or not all(callable(getattr(named, name, None)) for name in ("put", "get", "update")):
        raise ValueError(
            f"A store of dead letters cannot be {shown(named)}: pass the name of a DynamoDB table, a URL such as "
            "sqlite:///path/dead.db, or a Path"
        )
    store: LetterStore = named
    return store


def without_password(named: str) -> str:
    """Return the name of a store in a form that is safe to show. If the name is a URL with a password, only the part
    after the password is returned.
    """
    return named.rpartition("@")[2]


def _file(path: Path) -> LetterStore:
    from aws_bedrock_inference.deadletters.sqlite import SqliteLetters  # noqa: PLC0415 - only needed for a file

    if path.name == ":memory:":
        raise ValueError(
            ":memory: would lose its letters at the end of the program. Pass a file, such as sqlite:///path/dead.db"
        )
    store = SqliteLetters(path)
    store.check()
    return store


def _table(name: str) -> LetterStore:
    if name.lower().endswith(_FILES) or "/" in name or "\\" in name:
        name = without_password(name)
        file = name.removeprefix("sqlite:").removeprefix("file:")
        raise ValueError(
            f"{name!r:.80} may be a file or a DynamoDB table. Write sqlite://{file} or Path({file!r}) for the file, or "
            "dynamodb://NAME for the table"
        )
    return _table_at(name)


def _table_at(rest: str) -> LetterStore:
    from aws_bedrock_inference.deadletters.dynamodb import table_at  # noqa: PLC0415 - only a table needs boto3

    return table_at(rest)


def _at_url(url: str) -> LetterStore:
    scheme, _, rest = url.partition("://")
    if scheme == "dynamodb":
        return _table_at(rest)
    if scheme == "sqlite":
        return _file(path_in(url, "dead.db"))
    raise ValueError(
        f"Dead letters cannot be stored at {shown_name(scheme, _SCHEMES)}://. Write sqlite:///path/dead.db for a file "
        "of this machine, or dynamodb://TABLE for any number of machines"
    )
