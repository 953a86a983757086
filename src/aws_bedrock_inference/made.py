"""The story of an answer that is not simply what the service answered to one request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Route, Usage
    from aws_bedrock_inference.fault import Fault

Joint: TypeAlias = Literal["prefill", "turn", "restart"]
"""The ways to ask for the part after a seam: the model went on from the text as its own, it was asked in a turn of the
user to go on, or the request was made anew."""

Source: TypeAlias = Literal["guardrail", "provider", "model"]
"""The sources of a filter: a guardrail of the account's, the filter of the model's provider, the model itself."""


@dataclass(frozen=True, slots=True)
class Seam:
    """A place where a stream broke and the answer goes on with another request.

    `at` is the number of characters of text before it. `verified` says that the second part is known to begin where the
    first one ended. `usage` is what the part before the seam used, and `fault` is what broke it.
    """

    at: int
    how: Joint
    verified: bool
    fault: Fault
    usage: Usage


@dataclass(frozen=True, slots=True)
class AppliedGuardrail:
    """A guardrail that stepped in. `origins` says who applied it: the `request`, or the `account` or the
    `organization`, which enforce it whatever the request says; it is empty where the trace does not tell.
    """

    id: str
    version: str = ""
    origins: tuple[str, ...] = ()

    def __str__(self) -> str:
        version = f" version {self.version}" if self.version else ""
        enforced = [origin for origin in self.origins if origin != "request"]
        return f"{self.id}{version}{', enforced by the ' + ' and the '.join(enforced) if enforced else ''}"


@dataclass(frozen=True, slots=True)
class FilteredContent:
    """The reason why an answer is not what the model would have said.

    `source` is who kept it back: a `guardrail`, the filter of the model's `provider`, or the `model`, which refused.
    `reason` is the service's own word: a stop reason, or the cause of an error. `categories` are the names in the
    guardrail's trace or in the refusal, as far as they were asked for. `enforced_by` are the guardrails that stepped
    in. `partial` says that words or pictures were taken out and the rest is the answer; a guardrail's trace tells that,
    and without one it counts as blocked.
    """

    source: Source
    reason: str
    categories: tuple[str, ...] = ()
    enforced_by: tuple[AppliedGuardrail, ...] = ()
    partial: bool = False

    def __str__(self) -> str:
        who = {
            "guardrail": "blocked by a guardrail" + "".join(f" ({each})" for each in self.enforced_by),
            "provider": "blocked by the content filter of the model's provider",
            "model": "refused by the model",
        }[self.source]
        return f"{who}: {', '.join(self.categories)}" if self.categories else who


@dataclass(frozen=True, slots=True, repr=False)
class Hop:
    """A route that a call left: the fault for which it did, how many requests were sent there, and what they used, if
    the service said so: an answer that was filtered is paid.
    """

    route: Route
    fault: Fault
    attempts: int
    usage: Usage | None = None

    def __str__(self) -> str:
        return f"{self.route}: {self.fault.code} ({self.fault.cause})"

    def __repr__(self) -> str:
        return f"Hop({self}, attempts={self.attempts})"


@dataclass(frozen=True, slots=True)
class Made:
    """The making of an answer, or of a failure. `cached` is its age in seconds if it was kept from an earlier request.
    `degraded_by` is the fault in whose place a substitute was answered. `replaced` says that a message of the caller's
    stands in the place of filtered content. `seams` are the places where its stream broke. `enlarged` is the limit of
    its answer, in tokens, with which the request was repeated because it had been cut. `route` is the one that
    answered, if not the one that was asked for, and `trail` are the routes that the call left before, in order.
    `letter_id` names the dead letter that keeps the failed call, also where a substitute was answered.
    """

    seams: tuple[Seam, ...] = ()
    cached: float | None = None
    degraded_by: Fault | None = field(default=None)
    replaced: bool = False
    enlarged: int | None = None
    route: Route | None = None
    trail: tuple[Hop, ...] = ()
    letter_id: str | None = None


class Interrupted(NamedTuple):
    """An item of a stream that says: it broke here because of `fault`, and the answer begins anew with the next item.

    What came before it is not part of the answer.
    """

    fault: Fault


class Replaced(NamedTuple):
    """An item of a stream that says: its content was filtered, and `message` stands in the place of what came before,
    which is not part of the answer. `shown` is the number of characters of text that were given already.
    """

    message: str
    filtered: FilteredContent
    shown: int


PLAIN = Made()
"""One request, one answer."""
