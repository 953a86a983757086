"""Add up the records of a run: their tokens, their cost at each tier, and the features that a batch job does not
support.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.call import PRIORITIES, Usage
from aws_bedrock_inference.clients.request import BadRequestError, Prompt
from aws_bedrock_inference.dialects.media_json import plain_json
from aws_bedrock_inference.dialects.needs import needs
from aws_bedrock_inference.dialects.tier import DEFAULT, tier_of
from aws_bedrock_inference.knowledge.abilities import Need
from aws_bedrock_inference.pricing import rates_on
from aws_bedrock_inference.tokens.estimate import BodyError, estimate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_bedrock_inference.batch.job import Job
    from aws_bedrock_inference.batch.records import Record
    from aws_bedrock_inference.call import Estimate, Route

BATCH, FLEX = "batch", "flex"
_TIERS = (BATCH, FLEX, DEFAULT)

# Features that a batch job does not support (as of 2026-11). A job might ignore a guardrail, so records with a
# guardrail are sent as calls. Media in S3 would have to be in the folder of the job's input.
_UNFIT = {
    Need.TOOLS: "tools",
    Need.SCHEMA: "a schema for the answer",
    Need.GUARDRAIL: "a guardrail",
    Need.S3: "media in S3",
    Need.PROMPT: "a managed prompt",
    Need.PROJECT: "a project",
}
_OF_A_CALL = ("modelId", "tenant", "priority", "timeout", "stream", "pin")
_OF_A_PROMPT = frozenset(Prompt._fields) - {"more"}


@dataclass
class Weights:
    """The totals of all requests of a run: their number, tokens and cost.

    `charge` is the number of tokens that the quota counts for the requests. `costs` contains the maximum cost in US
    dollars for each tier, or None if a price is unknown. `forms` counts the records for each operation (Converse or
    InvokeModel).

    A batch job does not support some records. `unfit` counts these records by reason, for example 3 for `tools` and 1
    for `a guardrail`.
    """

    records: int = 0
    output_tokens: int = 0
    charge: float = 0.0
    costs: dict[str, float | None] = field(default_factory=lambda: dict.fromkeys(_TIERS, 0.0))
    unfit: Counter[str] = field(default_factory=Counter)
    forms: Counter[str] = field(default_factory=Counter)

    def add(self, operation: str, params: Mapping[str, Any], route: Route, guess: Estimate) -> None:
        """Add one request to the totals. `guess` is the estimate of the request's tokens."""
        self.records += 1
        self.output_tokens += guess.output_tokens
        self.charge += guess.input_tokens + guess.output_tokens * guess.burndown
        self.forms["InvokeModel" if "body" in params else "Converse"] += 1
        asked = needs(operation, params, guess)
        reasons = [word for need, word in _UNFIT.items() if need in asked.uses]
        if (tier := tier_of(params)) != DEFAULT:
            reasons.append(f"the tier {tier}")
        self.unfit.update(reasons[:1])
        usage = Usage(guess.input_tokens, guess.output_tokens)
        for name, so_far in self.costs.items():
            rates = rates_on(route, tier if tier != DEFAULT and name != BATCH else name)
            cost = None if rates is None else rates.cost(usage)
            self.costs[name] = None if so_far is None or cost is None else so_far + cost

    def seconds(self, rpm: float | None, tpm: float | None) -> float | None:
        """Return the minimum seconds in which a quota of `rpm` and `tpm` admits all requests of the run.

        Every answer is assumed to have its maximum length. Return None if both limits are None.
        """
        times = [self.records / rpm] if rpm else []
        times += [self.charge / tpm] if tpm else []
        return max(times) * 60 if times else None


def weigh(record: Record, job: Job, route: Route, weights: Weights) -> dict[str, Any] | None:
    """Add the record to the totals `weights`. Return the record's `modelInput` for a batch job.

    Return None if the record's request is invalid. Such a record is not added.
    """
    request = job.request(record)
    try:
        if "body" in request:
            operation, params = "invoke_model", request
        else:
            operation, params = "converse", {"modelId": job.model, **_converse(request)}
        guess = estimate(operation, params, route.base)
    except (BadRequestError, BodyError):
        return None  # the reason is reported when the record is sent
    weights.add(operation, params, route, guess)
    if not record.is_prompt:
        return dict(record.source["modelInput"])
    body: dict[str, Any] = plain_json(params)
    del body["modelId"]
    return body


def _converse(request: Mapping[str, Any]) -> dict[str, Any]:
    """Convert `request` from arguments of `invoke` to parameters of Converse."""
    given = {name: value for name, value in request.items() if name not in _OF_A_CALL}
    ours = {name: given.pop(name) for name in _OF_A_PROMPT & given.keys()}
    return Prompt(**ours, more=given).params(PRIORITIES["batch"])
