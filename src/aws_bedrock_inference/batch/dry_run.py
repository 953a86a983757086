"""Simulate a run without sending its calls, to learn the number of records and tokens, the cost, and the time of the
real run.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.batch.bill import Bill
from aws_bedrock_inference.batch.deadline.weights import Weights
from aws_bedrock_inference.batch.fates import State
from aws_bedrock_inference.batch.records import BadLine
from aws_bedrock_inference.batch.work import records_of
from aws_bedrock_inference.call import Outcome, Usage
from aws_bedrock_inference.clients.aclient import AsyncBedrockClient
from aws_bedrock_inference.dialects.tier import tier_of
from aws_bedrock_inference.exceptions import BedrockError, InvalidRequest
from aws_bedrock_inference.fault import Category
from aws_bedrock_inference.flow import Pipeline
from aws_bedrock_inference.policies.refusals import refusal
from aws_bedrock_inference.pricing import rates_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from aws_bedrock_inference.batch.job import Job
    from aws_bedrock_inference.call import Call, Route
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.flow import Flow, Step

_NOT_SENT = refusal("DryRun", "a dry run sends nothing", Category.PERMANENT, "dry-run", "")


@dataclass
class Plan:
    """The totals of all requests that a run would send.

    `output_tokens` is an upper bound. `unbounded` is the number of records without `max_tokens`. For these records, the
    maximum of the model applies. `bill` is the cost in US dollars. `routes` are the routes of the calls. A route is a
    model in a Region. `weights` contains the tokens that the quota counts for the requests, and the cost of the
    requests at each tier.
    """

    records: int = 0
    answered: int = 0
    bad: int = 0
    refused: int = 0
    asked: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    unbounded: int = 0
    bill: Bill = field(default_factory=Bill)
    routes: set[Route] = field(default_factory=set)
    weights: Weights = field(default_factory=Weights)

    def hear(self, call: Call) -> None:
        """Add `call` to the totals. A real run would send this call."""
        guess = call.estimate
        self.asked += 1
        self.input_tokens += guess.input_tokens
        self.output_tokens += guess.output_tokens
        self.unbounded += guess.unbounded
        self.routes.add(call.route)
        self.weights.add(call.operation, call.params, call.route, guess)
        if guess.metered:
            rates = rates_on(call.route, tier_of(call.params))
            self.bill.add(None if rates is None else rates.cost(Usage(guess.input_tokens, guess.output_tokens)))


class _Unsent(Pipeline):
    """A pipeline that ends each call before the call is sent, so that a dry run costs nothing.

    A policy could also end each call. But the user can turn off all policies with an environment variable. A dry run
    would then send its calls. The variable does not turn off this pipeline.
    """

    def __init__(self, hear: Callable[[Call], None]) -> None:
        super().__init__()
        self._hear = hear

    def around(self, step: Step, clock: Clock) -> Step:  # noqa: ARG002 - a pipeline's signature
        def flow(call: Call) -> Flow:
            yield from ()
            self._hear(call)
            return Outcome(fault=_NOT_SENT)

        return flow


async def planned(job: Job, complain: Callable[[BadLine], None]) -> Plan:
    """Read the input, and return the totals of all requests that a run would send.

    The journal and the output file do not change.
    """
    plan = Plan()
    pipeline = _Unsent(plan.hear)
    client = AsyncBedrockClient(
        job.model, region_name=job.region, endpoint_url=job.endpoint_url, session=job.session, pipeline=pipeline
    )
    async with client:
        ask = job.asker(client)
        with _answers_in(job.journal) as is_answered:
            for item in records_of(job):
                if isinstance(item, BadLine):
                    plan.bad += 1
                    complain(item)
                    continue
                plan.records += 1
                if is_answered(item.key):
                    plan.answered += 1
                    continue
                try:
                    await ask(item)
                except InvalidRequest:
                    plan.refused += 1
                except BedrockError:
                    pass  # every call raises this exception, because no call is sent
    return plan


@contextmanager
def _answers_in(path: Path) -> Iterator[Callable[[str], bool]]:
    if not path.exists():
        yield lambda _: False
        return
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
        select = "SELECT 1 FROM records WHERE id = ? AND state = ?"

        def is_answered(key: str) -> bool:
            row: Any = database.execute(select, (key, State.ANSWERED)).fetchone()
            return row is not None

        yield is_answered
