"""Add up the cost of a run, including earlier runs of the same output file, and enforce the limit on this cost."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, TypeVar

from aws_bedrock_inference.clients.base import BaseClient, sibling
from aws_bedrock_inference.events import CallEnded
from aws_bedrock_inference.flow import Pipeline
from aws_bedrock_inference.policies import Breaker, GeographicProfile, MaxCost, Quota, Retry
from aws_bedrock_inference.pricing import dollars
from aws_bedrock_inference.pricing.rates import DOLLAR
from aws_bedrock_inference.switch import VARIABLE, policies_are_off

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_bedrock_inference.batch.job import Job

C = TypeVar("C", bound=BaseClient)


class Bill:
    """The cost of a run, in US dollars. Any thread can call its methods.

    `cost` is the sum of the known costs of this run. `unknown` is the number of this run's answers whose cost is
    unknown.

    `cost_before` and `unknown_before` are the same two values for all earlier runs. They are read from the journal.
    `total` is the sum of `cost` and `cost_before`.
    """

    def __init__(self) -> None:
        self.cost_before = 0.0
        self.unknown_before = 0
        self.unknown = 0
        self._units = 0
        self._lock = threading.Lock()

    @property
    def cost(self) -> float:
        """The cost of all calls of this run, including calls whose answers were discarded."""
        return self._units / DOLLAR

    @property
    def total(self) -> float:
        """The cost of all calls of this run and of earlier runs."""
        return (self._units + round(self.cost_before * DOLLAR)) / DOLLAR

    def begin(self, facts: Mapping[str, Any], answered: int) -> None:
        """Read the cost of earlier runs from `facts`, the values that the journal stores about the run.

        If the journal contains no cost, the cost of each of the `answered` records is unknown.
        """
        self.cost_before = float(facts.get("cost", 0.0))
        self.unknown_before = facts.get("cost_unknown", 0 if "cost" in facts else answered)

    def hear(self, event: object) -> None:
        """Add the cost of a call that has ended."""
        if isinstance(event, CallEnded) and (event.fault is None or event.usage is not None):
            self.add(event.cost)

    def add(self, cost: float | None) -> None:
        """Add the cost of an answer. None means that the cost is unknown."""
        with self._lock:
            if cost is None:
                self.unknown += 1
            else:
                self._units += round(cost * DOLLAR)

    def facts(self) -> dict[str, Any]:
        """Return the values for the journal: the total cost, and the number of answers whose cost is unknown."""
        return {"cost": self.total, "cost_unknown": self.unknown_before + self.unknown}


def check_limit(limit: float | None) -> None:
    """Raise `ValueError` if `limit` is not a valid maximum cost in US dollars.

    Also raise `ValueError` if an environment variable turns off all policies, because a policy enforces the limit.
    """
    if limit is not None:
        MaxCost(limit)  # raises for an invalid limit
        if policies_are_off():
            raise ValueError(
                f"max_cost cannot be enforced, because the environment variable {VARIABLE} turns off all policies. "
                "Unset the variable, or omit max_cost"
            )


def billed(client: C, job: Job, bill: Bill) -> C:
    """Return the client of a run. The client adds the cost of its calls to `bill`. When the total cost has reached the
    job's maximum, the client refuses further calls.
    """
    pipeline = client.pipeline
    if job.max_cost is not None:
        pipeline = _limited(pipeline, MaxCost(job.max_cost, spent=bill.total))
    return sibling(client, pipeline, bill.hear)


def _limited(pipeline: Pipeline, limit: MaxCost) -> Pipeline:
    """Return a copy of `pipeline` that also contains the policy `limit`.

    The place of `limit` depends on the other policies:

    * If `pipeline` contains `Retry`, `limit` is added directly after it. `Retry` repeats the policies after it, so
      `limit` checks each attempt.
    * Otherwise, `limit` is added before the first `GeographicProfile`, `Breaker` or `Quota`.
    * If `pipeline` contains none of these policies, `limit` is added at the end.
    """
    policies = pipeline.policies
    places = [number + 1 for number, policy in enumerate(policies) if isinstance(policy, Retry)]
    inner = (GeographicProfile, Breaker, Quota)
    places += [number for number, policy in enumerate(policies) if isinstance(policy, inner)]
    place = next(iter(places), len(policies))
    return Pipeline(*policies[:place], limit, *policies[place:])


def known(cost: float, unknown: int) -> float | None:
    """Return `cost`, or None if no cost is known.

    `cost` is the sum of the known costs of answers. `unknown` is the number of answers whose cost is unknown. If `cost`
    is 0 and `unknown` is 3, the result is None. A result of 0 would be wrong, because the 3 answers also cost money.
    """
    return None if unknown and not cost else cost


def in_words(cost: float, unknown: int, limit: float | None = None) -> str:
    """Return a cost as text. The text states for how many answers the cost is unknown."""
    of = "" if limit is None else f" of {dollars(limit)}"
    parts = [f"{dollars(cost)}{of}"] if of or known(cost, unknown) is not None else []
    answers = "1 answer" if unknown == 1 else f"{unknown:,} answers"
    return "cost " + ", ".join(parts + ([f"unknown for {answers}"] if unknown else []))
