"""A failed request as it is kept: the request, why it failed, what was tried, and what has become of it since."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from aws_bedrock_inference.deadletters.encoding import decoded, encoded
from aws_bedrock_inference.fault import Category, Decision

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FORMAT = 1
"""The version of letters. Those of the next one are read too, as far as they say the same."""
NEWEST = FORMAT + 1

State: TypeAlias = Literal["dead", "claimed", "redriven", "discarded"]
STATES: tuple[State, ...] = ("dead", "claimed", "redriven", "discarded")
"""The states of a letter: it failed, a redrive holds it, it was answered, or somebody gave it up."""

# Entries of a letter's history that are kept, the newest ones.
_LONGEST_HISTORY = 20


class LetterTooNew(Exception):
    """A letter that a newer version of this package wrote."""


@dataclass(frozen=True, slots=True)
class Redriven:
    """One redrive of a letter. `result` is `success`, `failed`, or `unknown` where the redrive ended before it could
    say so: that request may have been sent. `error` is the message of a failure.
    """

    at: float
    result: str
    by: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The part of a letter that is searched, and that changes; it has nothing of the request's content.

    `first` and `last` are the times of the first and the last failure, in seconds since the epoch. `cause`, `code`,
    `decision` and `category` are those of the last one. `version` counts the changes. `owner` is the redrive that holds
    a claimed letter, for `lease` seconds, `until` a time of its clock. `sealed` and `redacted` say what was done to the
    content.
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
        """True if the same request fails again until somebody changes something."""
        return self.decision == Decision.FAIL.value and self.category != Category.TRANSIENT.value

    @property
    def sent_twice(self) -> bool:
        """True if it may have been sent by a redrive that was killed, and again by another one."""
        return any(entry.result == "unknown" for entry in self.history)

    @property
    def finished(self) -> bool:
        """True if nothing more is to be done about it."""
        return self.state in ("redriven", "discarded")

    def noted(self, entry: Redriven) -> tuple[Redriven, ...]:
        """Return the history with another entry."""
        return (*self.history, entry)[-_LONGEST_HISTORY:]

    def plain(self) -> dict[str, Any]:
        """Return the summary in JSON's types."""
        return {"format": FORMAT, **asdict(self), "tags": dict(self.tags)}


_SUMMARY = frozenset(each.name for each in fields(Summary))
_REDRIVEN = frozenset(each.name for each in fields(Redriven))


def summary_of(plain: dict[str, Any]) -> Summary:
    """Return the summary that `Summary.plain` wrote. Raises `LetterTooNew`, and `ValueError` for what is none."""
    check_format(plain)
    try:
        known = {name: value for name, value in plain.items() if name in _SUMMARY}
        known["history"] = tuple(
            Redriven(**{name: value for name, value in entry.items() if name in _REDRIVEN})
            for entry in known.get("history", ())
        )
        return Summary(**known)
    except (TypeError, AttributeError) as error:
        raise ValueError(f"this is not the summary of a letter: {error}") from None


def check_format(plain: Any) -> None:
    """Raise `LetterTooNew` for a letter of a newer format, and `ValueError` for what is no letter."""
    number = plain.get("format") if isinstance(plain, dict) else None
    if not isinstance(number, int):
        raise ValueError("this is not a letter")  # noqa: TRY004 - of a store's content
    if number > NEWEST:
        raise LetterTooNew(f"it has format {number}, and formats up to {NEWEST} are read here")


@dataclass(frozen=True, slots=True)
class Tried:
    """An attempt that failed before the last one: its error, and the wait after it in seconds."""

    code: str
    cause: str
    message: str
    request_id: str | None = None
    status: int | None = None
    wait: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The part of a letter that never changes. `operation` is the method of a client that `request` fits: `invoke`,
    `converse_stream` or `invoke_model`. `explanation` has cause, title, decision, meaning and remedies. `partial` is
    what had arrived of the answer, as Converse's message. `routes` are those that were tried, in order.
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
        """Return the content in JSON's types."""
        parts = {each.name: getattr(self, each.name) for each in fields(self)}
        parts["tried"] = [asdict(each) for each in self.tried]
        for name in ("request", "partial", "metadata"):
            parts[name] = encoded(parts[name])
        return {"format": FORMAT, **parts, "routes": list(self.routes)}


_CONTENT = frozenset(each.name for each in fields(Content))
_TRIED = frozenset(each.name for each in fields(Tried))


def content_of(plain: dict[str, Any]) -> Content:
    """Return the content that `Content.plain` wrote. Raises `LetterTooNew`, and `ValueError` for what is none."""
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
        raise ValueError(f"this is not the content of a letter: {error}") from None


# The members that AWS's documents give an item; the last two once it was retried.
_MEMBERS = ("id", "timestamp", "request", "error", "metadata")
_RETRIED = ("retried", "retry_result")


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter. `summary` has what is searched and what changes, `content` the request and its failure, `answer`
    what a redrive got. Its items are those of AWS's documents: `letter["id"]`, `timestamp`, `request`, `error`,
    `metadata`; `retried` and `retry_result` once it was redriven.
    """

    summary: Summary
    content: Content
    answer: Any = None

    @property
    def id(self) -> str:
        """The letter's id."""
        return self.summary.id

    @property
    def state(self) -> State:
        """`dead`, `claimed`, `redriven` or `discarded`."""
        return self.summary.state

    @property
    def cause(self) -> str:
        """The cause of the last failure."""
        return self.summary.cause

    @property
    def request(self) -> Any:
        """The arguments of the failed call, as its method takes them."""
        return self.content.request

    @property
    def received(self) -> str:
        """The text that had arrived when the stream broke."""
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
        """Return the names of the items, so that `dict(letter)` is the documents' item."""
        return (*_MEMBERS, *_RETRIED) if self.summary.history else _MEMBERS

    def get(self, name: str, default: Any = None) -> Any:
        """Return the item `name`, or `default`."""
        return self[name] if name in self.keys() else default

    def __contains__(self, name: object) -> bool:
        return name in self.keys()

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())


def timestamp(at: float) -> str:
    """Return a time as the documents write it: ISO 8601, in UTC."""
    return datetime.fromtimestamp(at, UTC).replace(tzinfo=None).isoformat()
