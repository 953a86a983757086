"""The story of an answer that is not simply what the service answered to one request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Usage
    from aws_bedrock_inference.fault import Fault

Joint: TypeAlias = Literal["prefill", "turn", "restart"]
"""The ways to ask for the part after a seam: the model went on from the text as its own, it was asked in a turn of the
user to go on, or the request was made anew."""


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
class Made:
    """The making of an answer. `cached` is its age in seconds if it was kept from an earlier request. `degraded_by` is
    the fault in whose place a substitute was answered. `replaced` says that a message of the caller's stands in the
    place of filtered content. `seams` are the places where its stream broke.
    """

    seams: tuple[Seam, ...] = ()
    cached: float | None = None
    degraded_by: Fault | None = field(default=None)
    replaced: bool = False


class Interrupted(NamedTuple):
    """An item of a stream that says: it broke here because of `fault`, and the answer begins anew with the next item.

    What came before it is not part of the answer.
    """

    fault: Fault


PLAIN = Made()
"""One request, one answer."""
