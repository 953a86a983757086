"""The retry policy. It is the only part of the package that retries calls: no layer below it retries anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.bounds import is_number, shown, shown_name
from aws_bedrock_inference.call import Attempt, Call, Outcome
from aws_bedrock_inference.events import RetryScheduled
from aws_bedrock_inference.flow import emit, sleep
from aws_bedrock_inference.policies.order import Ordered
from aws_bedrock_inference.rules.backoff import JITTERS
from aws_bedrock_inference.rules.retry import Again, Budget, Stop, decide

if TYPE_CHECKING:
    from aws_bedrock_inference.clock import Chance, Clock
    from aws_bedrock_inference.fault import Fault
    from aws_bedrock_inference.flow import Flow, Step

_MOVES = Stop("the next attempt goes to another route")


class Retry(Ordered):
    """A policy that retries a failed call. The fault determines the backoff and the number of attempts.

    * `attempts`, default 15: the maximum number of attempts of one call, whatever its faults are. With 1, nothing is
      retried.
    * `jitter`, default `full`: how waits are randomized. AWS's SDKs also use `full`, because it spreads simultaneous
      retries best. The others are `equal`, `decorrelated` and `near`.
    * `budget`: a `Budget` that limits the retries of all calls together. Several policies can share a `Budget`. By
      default, each policy has its own.
    * `chance`: the random source of the waits.

    Refuses no call. Emits `RetryScheduled` before each wait. Raises `ValueError` for invalid options.
    """

    def __init__(
        self,
        *,
        attempts: int = 15,
        jitter: str = "full",
        budget: Budget | None = None,
        chance: Chance = clocks.chance,
    ) -> None:
        if not is_number(attempts, least=1, whole=True):
            raise ValueError(f"Retry(attempts={shown(attempts)}): pass 1 for no retries, or a larger whole number")
        if jitter not in JITTERS:
            raise ValueError(f"Retry(jitter={shown_name(jitter, JITTERS)}): choose one of {', '.join(JITTERS)}")
        self.attempts = attempts
        self.jitter = jitter
        self.budget = budget if budget is not None else Budget()
        self._chance = chance

    def around(self, step: Step, clock: Clock) -> Step:
        """Return a step that runs `step` (the rest of the pipeline), and retries the calls that fail in it."""
        budget = self.budget

        def flow(call: Call) -> Flow:
            outcome = yield from step(call)
            if outcome.fault is not None:
                return (yield from self._again(step, call, outcome, clock))
            budget.give(1)
            return outcome

        return flow

    def _again(self, step: Step, call: Call, outcome: Outcome, clock: Clock) -> Flow:
        earlier: list[Attempt] = []
        cost = 0
        while (fault := outcome.fault) is not None:
            moves = call.moves is not None and call.moves(fault, len(earlier) + 1)
            verdict = _MOVES if moves else self._decide(call, outcome, fault, earlier, clock)
            if isinstance(verdict, Stop):
                return outcome._replace(earlier=tuple(earlier), gave_up=verdict.reason)
            cost = verdict.cost or cost  # a retry that cost nothing returns nothing
            tokens = _at_stake(call, fault)
            earlier.append(Attempt(fault, verdict.wait, tokens))
            try:
                yield from emit(RetryScheduled(call.route, fault, len(earlier), verdict.wait, tokens))
                if verdict.wait > 0.0:
                    yield from sleep(verdict.wait)
            except BaseException:
                self.budget.give(verdict.cost)  # the call was cancelled; no repeat is sent
                raise
            outcome = yield from step(call)
        self.budget.give(cost or 1)
        return outcome._replace(earlier=tuple(earlier))

    def _decide(self, call: Call, outcome: Outcome, fault: Fault, earlier: list[Attempt], clock: Clock) -> Again | Stop:
        return decide(
            outcome,
            fault,
            earlier,
            now=clock(),
            deadline=call.deadline,
            most=self.attempts,
            budget=self.budget,
            jitter=JITTERS[self.jitter],
            chance=self._chance,
        )

    def __repr__(self) -> str:
        return f"Retry(attempts={self.attempts}, jitter={self.jitter!r})"


def _at_stake(call: Call, fault: Fault) -> int:
    """Return the number of tokens that AWS may have charged for a failed attempt.

    If the service received the request and sent no error status, it may have generated the whole answer. In this case,
    return the number of tokens that the call reserved for its input and `max_tokens`. Otherwise return 0.
    """
    return call.estimate.reservation if fault.reached and fault.status is None else 0
