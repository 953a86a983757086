"""A time limit for the whole call, with all attempts and waits."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from aws_bedrock_inference.bounds import is_number, shown
from aws_bedrock_inference.call import Call, Outcome
from aws_bedrock_inference.policies.refusals import too_close

if TYPE_CHECKING:
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.flow import Flow, Step


class Deadline:
    """A total timeout: a call without its own deadline gets the deadline `seconds` after its arrival.

    The default of `seconds`, 900, is long enough to generate many thousand tokens and to wait a minute or two for
    quota, and short enough that a forgotten call ends by itself. A call's own deadline takes precedence. A call whose
    deadline has passed is refused.

    Refuses with `DeadlineTooClose`. Emits nothing.
    """

    def __init__(self, seconds: float = 900.0) -> None:
        if not is_number(seconds, above=0, infinite=True):
            raise ValueError(f"Deadline({shown(seconds)}): pass a number of seconds above 0, or math.inf for no limit")
        self.seconds = seconds

    def around(self, step: Step, clock: Clock) -> Step:
        """Return `step`, with this deadline for calls that have none."""

        def flow(call: Call) -> Flow:
            if call.deadline == inf:
                call = call.until(call.arrived + self.seconds)
            if clock() >= call.deadline:
                return _refused()
            return step(
                call
            )  # the step's own flow: a generator around it would cost every call a fifth of a microsecond

        return flow

    def __repr__(self) -> str:
        return f"Deadline({self.seconds:g})"


def _refused() -> Flow:
    yield from ()
    return Outcome(fault=too_close("the call's deadline passed before the call could be sent"))
