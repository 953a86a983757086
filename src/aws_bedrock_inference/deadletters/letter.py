"""A dead letter: a failed request, with its error, its attempts, and its redrives. A redrive is an attempt to send the
request again.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from aws_bedrock_inference.deadletters.encoding import decoded, encoded
from aws_bedrock_inference.fault import Category, Decision

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FORMAT = 1
"""The version of the format of letters. Letters of the next version can also be read; their unknown fields are
ignored.
"""
NEWEST = FORMAT + 1

State: TypeAlias = Literal["dead", "claimed", "redriven", "discarded"]
STATES: tuple[State, ...] = ("dead", "claimed", "redriven", "discarded")
"""The states of a letter. `dead`: its request failed. `claimed`: a redrive is sending it. `redriven`: a redrive got an
answer. `discarded`: a person discarded it.
"""

# The maximum number of entries in a letter's history. Only the newest entries are kept.
_LONGEST_HISTORY = 20


class LetterTooNew(Exception):
    """Raised for a dead letter that a newer version of this package has written, in a format that this version
    cannot read.
    """


@dataclass(frozen=True, slots=True)
class Redriven:
    """One redrive of a dead letter.

    `result` is `success` or `failed`. It is `unknown` if the redrive ended before it recorded a result; the request
    was then possibly sent. `error` is the message of a failure.
    """

    at: float
    result: str
    by: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The part of a dead letter that can be searched and that changes. It does not contain the request.

    `first` and `last` are the times of the first and the last failure, in seconds since the epoch. `cause`, `code`,
    `decision` and `category` describe the last failure. `version` counts the changes. `owner` is the redrive that has
    claimed the letter for `lease` seconds. The claim ends at the time `until`, by the clock of the owner. `sealed` is
    True if the content was encrypted. `redacted` is True if the function `redact` changed the request.
    """

    id: str
    first: float
    last: float
    state: State = "dead"
    version: int = 1
    cause: str = "unknown"
    code: str = ""
    decision: str = Decision.RETRY_LIMITED.value
    category: str = Category.UNKNOWN.value
    model: str = ""
    region: str = ""
    attempts: int = 0
    tags: Mapping[str, str] = field(default_factory=dict)
    sealed: bool = False
    redacted: bool = False
    owner: str = ""
    lease: float = 0.0
    until: float = 0.0
    history: tuple[Redriven, ...] = ()

    @property
    def needs_change(self) -> bool:
        """True if the same request will fail again until a person fixes the cause."""
        return self.decision == Decision.FAIL.value and self.category != Category.TRANSIENT.value

    @property
    def sent_twice(self) -> bool:
        """True if a redrive of this dead letter ended without recording a result. That redrive possibly sent the
        request. If another redrive also sends the request, the service possibly receives it twice.
        """
        return any(entry.result == "unknown" for entry in self.history)

    @property
    def finished(self) -> bool:
        """True if the dead letter was redriven or discarded, so that no further action is needed."""
        return self.state in ("redriven", "discarded")

    def noted(self, entry: Redriven) -> tuple[Redriven, ...]:
        """Return the history of the dead letter with `entry` added. A long history loses its oldest entries."""
        return (*self.history, entry)[-_LONGEST_HISTORY:]

    def plain(self) -> dict[str, Any]:
        """Return the summary as a dictionary of JSON values."""
        return {"format": FORMAT, **asdict(self), "tags": dict(self.tags)}


_SUMMARY = frozenset(each.name for each in fields(Summary))
_REDRIVEN = frozenset(each.name for each in fields(Redriven))


def summary_of(plain: dict[str, Any]) -> Summary:
    """Return the summary from a dictionary that `Summary.plain` returned. Raises `LetterTooNew` for a newer format,
    and `ValueError` for other invalid values.
    """
    check_format(plain)
    try:
        known = {name: value for name, value in plain.items() if name in _SUMMARY}
        known["history"] = tuple(
            Redriven(**{name: value for name, value in entry.items() if name in _REDRIVEN})
            for entry in known.get("history", ())
        )
        return Summary(**known)
    except (TypeError, AttributeError) as error:
        raise ValueError(f"the stored data are not the summary of a dead letter: {error}") from None


def check_format(plain: Any) -> None:
    """Raise `LetterTooNew` for a dead letter in a newer format, and `ValueError` for values that are not a letter."""
    number = plain.get("format") if isinstance(plain, dict) else None
    if not isinstance(number, int):
        raise ValueError("the stored data are not a dead letter, because they have no `format`")  # noqa: TRY004 - the content of a store is wrong
    if number > NEWEST:
        raise LetterTooNew(f"the letter has format {number}; this version reads formats up to {NEWEST}")


@dataclass(frozen=True, slots=True)
class Tried:
    """A failed attempt that was followed by another attempt. `wait` is the time in seconds that the client waited
    between these two attempts. The other fields describe the error.
    """

    code: str
    cause: str
    message: str
    request_id: str | None = None
    status: int | None = None
    wait: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The part of a dead letter that never changes.

    `operation` is the client method for `request`, such as `invoke`, `converse_stream` or `invoke_model`. `explanation`
    explains the error of the call: its cause, its meaning, whether a retry is useful, and what to do. `partial` is the
    part of the answer that arrived, as a Converse message. `routes` lists the routes (a model in a Region) that the
    call tried, the first tried route first.
    """

    operation: str
    request: Any
    error: str
    explanation: Mapping[str, Any] = field(default_factory=dict)
    tried: tuple[Tried, ...] = ()
    routes: tuple[str, ...] = ()
    request_id: str | None = None
    tenant: str = ""
    partial: Any = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """Return the content as a dictionary of JSON values."""
        parts = {each.name: getattr(self, each.name) for each in fields(self)}
        parts["tried"] = [asdict(each) for each in self.tried]
        for name in ("request", "partial", "metadata"):
            parts[name] = encoded(parts[name])
        return {"format": FORMAT, **parts, "routes": list(self.routes)}


_CONTENT = frozenset(each.name for each in fields(Content))
_TRIED = frozenset(each.name for each in fields(Tried))


def content_of(plain: dict[str, Any]) -> Content:
    """Return the content from a dictionary that `Content.plain` returned. Raises `LetterTooNew` for a newer format,
    and `ValueError` for other invalid values.
    """
    check_format(plain)
    try:
        known = {name: value for name, value in plain.items() if name in _CONTENT}
        known["tried"] = tuple(
            Tried(**{name: value for name, value in each.items() if name in _TRIED}) for each in known["tried"]
        )
        known["routes"] = tuple(known["routes"])
        for name in ("request", "partial", "metadata"):
            known[name] = decoded(known[name])
        return Content(**known)
    except (TypeError, AttributeError, LookupError) as error:
        problem = f"the stored data are not the content of a dead letter: {error}. Restore or discard the letter"
        raise ValueError(problem) from None


# The fields of an item in AWS's documentation. The last two exist only after a retry.
_MEMBERS = ("id", "timestamp", "request", "error", "metadata")
_RETRIED = ("retried", "retry_result")


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter. `summary` is the part that can be searched and that changes. `content` is the request and its
    failure, and `answer` is the answer to a redrive.

    A letter is also a mapping with the keys of AWS's documentation: `letter["id"]`, `timestamp`, `request`, `error`
    and `metadata`. After a redrive, it also has `retried` and `retry_result`.
    """

    summary: Summary
    content: Content
    answer: Any = None

    @property
    def id(self) -> str:
        """The id of the dead letter."""
        return self.summary.id

    @property
    def state(self) -> State:
        """The state of the dead letter: `dead`, `claimed`, `redriven` or `discarded`."""
        return self.summary.state

    @property
    def cause(self) -> str:
        """The cause of the last failure, as a name in the error catalogue."""
        return self.summary.cause

    @property
    def request(self) -> Any:
        """The arguments of the failed call, as the client's method accepts them."""
        return self.content.request

    @property
    def received(self) -> str:
        """The text that had arrived before the stream failed."""
        message = self.content.partial
        blocks = message.get("content") if isinstance(message, dict) else None
        texts = [block.get("text") for block in blocks or () if isinstance(block, dict)]
        return "".join(text for text in texts if isinstance(text, str))

    def __getitem__(self, name: str) -> Any:
        if name not in self.keys():
            raise KeyError(name)
        last = self.summary.history[-1:]
        return {
            "id": self.id,
            "timestamp": timestamp(self.summary.first),
            "request": self.content.request,
            "error": self.content.error,
            "metadata": dict(self.content.metadata),
            "retried": timestamp(last[0].at) if last else "",
            "retry_result": last[0].result if last else "",
        }[name]

    def keys(self) -> tuple[str, ...]:
        """Return the names of the fields of the dead letter, such as `id` and `request`. `dict(letter)` calls this
        method, and returns a dictionary with the same fields as in AWS's documentation.
        """
        return (*_MEMBERS, *_RETRIED) if self.summary.history else _MEMBERS

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of the key `name`, or `default`."""
        return self[name] if name in self.keys() else default

    def __contains__(self, name: object) -> bool:
        return name in self.keys()

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())


def timestamp(at: float) -> str:
    """Return a time in the format of AWS's documentation: ISO 8601 in UTC, without a zone."""
    return datetime.fromtimestamp(at, UTC).replace(tzinfo=None).isoformat()
