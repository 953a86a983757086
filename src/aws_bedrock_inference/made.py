"""Values that describe how an answer was produced, if it is not simply the service's answer to one request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Route, Usage
    from aws_bedrock_inference.fault import Fault

Joint: TypeAlias = Literal["prefill", "turn", "restart"]
"""The ways in which a request asks for the rest of a broken answer. `prefill`: the model continues the text as its
own. `turn`: a user message asks the model to continue. `restart`: the whole request is sent again.
"""

Source: TypeAlias = Literal["guardrail", "provider", "model"]
"""The values of `source`, the party that filtered content: a guardrail of the account, the content filter of the
model's provider, or the model itself.
"""


@dataclass(frozen=True, slots=True)
class Seam:
    """A place where a stream broke and another request continued the answer.

    `at` is the number of characters of text before the break. `verified` is True if the second part is known to start
    exactly where the first part ended. `usage` is the usage of the part before the break, and `fault` is the fault
    that broke the stream.
    """

    at: int
    how: Joint
    verified: bool
    fault: Fault
    usage: Usage


@dataclass(frozen=True, slots=True)
class AppliedGuardrail:
    """A guardrail that was applied (see `FilteredContent.enforced_by`). `origins` lists why it was applied: the
    `request` names it, or the `account` or the `organization` enforces it for every request. `origins` is empty if the
    guardrail's trace does not state this.
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
    """The reason why content was filtered.

    * `source`: the filter: a `guardrail`, the content filter of the model's `provider`, or the `model` itself, which
      refused.
    * `reason`: the service's own term: a stop reason, or the cause of an error.
    * `categories`: the names of what was filtered. They come from the guardrail's trace, from the model's refusal, or
      from the reason that the service states for a blocked picture. `categories` can be empty, because the service
      sends the trace only if the request enables it.
    * `enforced_by`: the guardrails that intervened, according to the trace. If the trace does not show which guardrails
      intervened, `enforced_by` contains all applied guardrails. Without a trace, `enforced_by` is empty.
    * `partial`: True if only some words or pictures were removed, and the answer contains the rest. Only the
      guardrail's trace shows that words were removed. Without this trace, `partial` is False for words.
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
    """A route on which a call failed, before the call continued on another route.

    `attempts` is the number of requests that were sent on this route. `usage` is their usage if the service reported
    it. For example, a filtered answer has a usage, and AWS charges for it.
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
    """The history of an answer or of a failed call.

    * `cached`: the age of the answer in seconds, if it comes from a cache.
    * `degraded_by`: the fault after which a substitute was returned.
    * `replaced`: True if the caller's own message replaces filtered content.
    * `seams`: the places where the stream broke and another request continued the answer.
    * `enlarged`: the maximum of output tokens with which the request was repeated, because the first answer was
      truncated.
    * `route`: the route that answered, if it is not the requested one.
    * `trail`: the routes on which the call failed before it continued on another route, in the order of the attempts.
    * `letter_id`: the id of the dead letter that stores the failed call. It is also set if a substitute was returned.
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
    """An item of a stream. It reports that the stream broke because of `fault`. The next item is the first item of the
    new answer. The items before this item are not part of the answer.
    """

    fault: Fault


class Replaced(NamedTuple):
    """An item of a stream. It reports that the content was filtered, and that `message` is now the answer. The earlier
    items of the stream are not part of the answer. They contained `shown` characters of text.
    """

    message: str
    filtered: FilteredContent
    shown: int


PLAIN = Made()
"""The history of a plain answer, which one request produced."""
