"""The policy that limits the time of a whole call, including all its attempts and waits."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from aws_bedrock_inference.bounds import is_number, shown
from aws_bedrock_inference.call import Call, Outcome
from aws_bedrock_inference.policies.order import Ordered
from aws_bedrock_inference.policies.refusals import too_close

if TYPE_CHECKING:
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.flow import Flow, Step


class Deadline(Ordered):
    """A limit for the total time of a call. A call without its own deadline must end at most `seconds` after its
    arrival. If a call has its own deadline, that deadline applies instead.

    * `seconds`, default 900. In 15 minutes, a model can generate many thousand tokens, even after a wait of a minute or
      two for quota. The limit also ends calls whose callers no longer wait. `math.inf` removes the limit.

    If the deadline of a call has already passed, the call is refused with `DeadlineTooClose`. Emits nothing. Raises
    `ValueError` for an invalid number.
    """

    def __init__(self, seconds: float = 900.0) -> None:
        if not is_number(seconds, above=0, infinite=True):
            raise ValueError(f"Deadline({shown(seconds)}): pass a number of seconds above 0, or math.inf for no limit")
        self.seconds = seconds

    def around(self, step: Step, clock: Clock) -> Step:
        """Return a step that sets the deadline of each call that has none, and then runs `step` (the rest of the
        pipeline).
        """

        def flow(call: Call) -> Flow:
            if call.deadline == inf:
                call = call.until(call.arrived + self.seconds)
            if clock() >= call.deadline:
                return _refused()
            return step(
                call
            )  # return the flow of the step: a generator around it would cost every call 0.2 microseconds

        return flow

    def __repr__(self) -> str:
        return f"Deadline({self.seconds:g})"


def _refused() -> Flow:
    yield from ()
    return Outcome(fault=too_close("the call's deadline passed before the call could be sent"))
