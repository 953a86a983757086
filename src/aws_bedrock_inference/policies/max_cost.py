"""The policy that limits the total cost of all calls. It refuses calls without sending them when the limit is
reached.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_bedrock_inference.bounds import is_number, shown
from aws_bedrock_inference.call import Outcome, Usage
from aws_bedrock_inference.dialects.tier import tier_of
from aws_bedrock_inference.flow import wait
from aws_bedrock_inference.policies.order import Ordered
from aws_bedrock_inference.policies.refusals import budget_exhausted, price_unknown, too_close
from aws_bedrock_inference.pricing import rates_on
from aws_bedrock_inference.pricing.spend import Spend

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Call
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.flow import Flow, Step
    from aws_bedrock_inference.pricing import Rates


class MaxCost(Ordered):
    """A policy that refuses calls as soon as all calls together have cost `limit` US dollars.

    * `limit`: the limit for the cost of all calls together, in US dollars.
    * `spent`, default 0: an amount in US dollars that was already spent, for example in an earlier part of the work.

    Before an attempt is sent, its expected cost is reserved. An attempt whose expected cost does not fit into the rest
    of the limit waits until calls in flight have ended. If no call is in flight, one more attempt is sent, even if its
    expected cost does not fit.

    The maximum cost of an attempt is the price of its input and of max_tokens. Until one attempt has ended, each
    attempt reserves this maximum. Most attempts cost less than their maximum. Therefore later attempts reserve only a
    fraction of their maximum. For example, if the ended attempts could have cost 10 dollars and have cost 2 dollars,
    each new attempt reserves a fifth of its maximum.

    The total cost can exceed the limit in two cases: the last attempt costs more than the rest of the limit, or the
    attempts in flight cost more than they reserved. If it is unknown whether the service processed an attempt, its
    maximum cost is counted.

    Clients that use the same `MaxCost` object share the limit. Other processes do not.

    Refuses with `BudgetExhausted`, with `PriceUnknown` if the price of a call is unknown, and with `DeadlineTooClose`
    if a call cannot be sent before its deadline. Emits nothing. Raises `ValueError` for invalid amounts.
    """

    def __init__(self, limit: float, *, spent: float = 0.0) -> None:
        for name, value, sane in (
            ("", limit, is_number(limit, above=0)),
            ("spent=", spent, is_number(spent, least=0)),
        ):
            if not sane:
                raise ValueError(
                    f"MaxCost({name}{shown(value)}): pass a number of US dollars: limit above 0, spent 0 or more"
                )
        self._spend = Spend(float(limit), float(spent))

    @property
    def limit(self) -> float:
        """The limit in US dollars."""
        return self._spend.limit

    @property
    def spent(self) -> float:
        """The cost of all finished calls in US dollars, including the amount passed as `spent`. Calls in flight are not
        included.
        """
        return self._spend.spent

    @property
    def exhausted(self) -> bool:
        """True if the limit is reached, so that every further call is refused; otherwise False."""
        return self._spend.exhausted

    def around(self, step: Step, clock: Clock) -> Step:
        """Return a step that runs `step` (the rest of the pipeline) until the limit is reached, and then refuses all
        calls.
        """
        spend = self._spend

        def flow(call: Call) -> Flow:
            estimate = call.estimate
            if not estimate.metered:
                return (yield from step(call))
            tier = tier_of(call.params)
            rates = rates_on(call.route, tier)
            most = rates.cost(Usage(estimate.input_tokens, estimate.output_tokens)) if rates is not None else None
            if rates is None or most is None:
                return Outcome(fault=price_unknown(str(call.route)))
            hold, cost = spend.enter(most), None
            try:
                while hold.admitted is None:
                    if clock() >= call.deadline:
                        return Outcome(fault=too_close("calls in flight may use up the rest of the limit of MaxCost"))
                    yield from wait(hold, call.deadline)
                if not hold.admitted:
                    return Outcome(fault=budget_exhausted(spend.spent, spend.limit))
                outcome = yield from step(call)
                answered = tier_of(call.params, outcome.value)
                cost = _cost(outcome, rates if answered == tier else rates_on(call.route, answered), most)
            finally:
                spend.leave(hold, cost)
            return outcome

        return flow

    def __repr__(self) -> str:
        return f"MaxCost({self.limit:g})"


def _cost(outcome: Outcome, rates: Rates | None, most: float) -> float:
    """Return the cost of an attempt in US dollars. If there is no answer but the service may have processed the
    attempt, return the highest possible cost, `most`.
    """
    if outcome.usage is not None:
        cost = rates.cost(outcome.usage) if rates is not None else None
        return most if cost is None else cost
    fault = outcome.fault
    return most if fault is None or (fault.reached and fault.status is None) else 0.0
