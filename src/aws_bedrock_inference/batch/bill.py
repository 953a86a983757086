"""The cost of a run: the sum of its calls and of earlier runs, and the limit for this sum."""

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
    """The cost of a run, in US dollars. Its methods may be called from any thread.

    `unknown` counts the answers whose cost is unknown; the sums do not include them. `cost_before` and
    `unknown_before` are the values of earlier runs, from the journal.
    """

    def __init__(self) -> None:
        self.cost_before = 0.0
        self.unknown_before = 0
        self.unknown = 0
        self._units = 0
        self._lock = threading.Lock()

    @property
    def cost(self) -> float:
        """The cost of all calls of the run, including calls whose answers were discarded."""
        return self._units / DOLLAR

    @property
    def total(self) -> float:
        """The cost including earlier runs."""
        return (self._units + round(self.cost_before * DOLLAR)) / DOLLAR

    def begin(self, facts: Mapping[str, Any], answered: int) -> None:
        """Read the cost of earlier runs from the journal. If it has no costs, the cost of its answers is unknown."""
        self.cost_before = float(facts.get("cost", 0.0))
        self.unknown_before = facts.get("cost_unknown", 0 if "cost" in facts else answered)

    def hear(self, event: object) -> None:
        """Add the cost of a call that has ended."""
        if isinstance(event, CallEnded) and (event.fault is None or event.usage is not None):
            self.add(event.cost)

    def add(self, cost: float | None) -> None:
        """Add the cost of an answer; None means unknown."""
        with self._lock:
            if cost is None:
                self.unknown += 1
            else:
                self._units += round(cost * DOLLAR)

    def facts(self) -> dict[str, Any]:
        """Return the facts for the journal."""
        return {"cost": self.total, "cost_unknown": self.unknown_before + self.unknown}


def check_limit(limit: float | None) -> None:
    """Raise `ValueError` if `limit` is not a valid maximum in US dollars, or cannot be enforced."""
    if limit is not None:
        MaxCost(limit)  # raises for an invalid limit
        if policies_are_off():
            raise ValueError(
                f"max_cost cannot be enforced while {VARIABLE} turns off all policies. Unset one of the two"
            )


def billed(client: C, job: Job, bill: Bill) -> C:
    """Return the client of a run. It adds the cost of its calls to `bill`, and refuses calls when the total cost has
    reached the job's maximum.
    """
    pipeline = client.pipeline
    if job.max_cost is not None:
        pipeline = _limited(pipeline, MaxCost(job.max_cost, spent=bill.total))
    return sibling(client, pipeline, bill.hear)


def _limited(pipeline: Pipeline, limit: MaxCost) -> Pipeline:
    """Return `pipeline` with the limit for each attempt, where `standard` has it: directly inside the retries."""
    policies = pipeline.policies
    places = [number + 1 for number, policy in enumerate(policies) if isinstance(policy, Retry)]
    inner = (GeographicProfile, Breaker, Quota)
    places += [number for number, policy in enumerate(policies) if isinstance(policy, inner)]
    place = next(iter(places), len(policies))
    return Pipeline(*policies[:place], limit, *policies[place:])


def known(cost: float, unknown: int) -> float | None:
    """Return a sum for programs: None if no part of it is known."""
    return None if unknown and not cost else cost


def in_words(cost: float, unknown: int, limit: float | None = None) -> str:
    """Return a cost in words. An unknown cost appears as unknown, not as a sum of 0."""
    of = "" if limit is None else f" of {dollars(limit)}"
    parts = [f"{dollars(cost)}{of}"] if of or known(cost, unknown) is not None else []
    answers = "1 answer" if unknown == 1 else f"{unknown:,} answers"
    return "cost " + ", ".join(parts + ([f"unknown for {answers}"] if unknown else []))
