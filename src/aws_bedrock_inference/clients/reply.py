"""The result of `invoke`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.call import Usage, sent
from aws_bedrock_inference.dialects.content import text_of
from aws_bedrock_inference.dialects.filtered import filtered_of
from aws_bedrock_inference.dialects.tier import tier_of
from aws_bedrock_inference.dialects.usage import stop_reason
from aws_bedrock_inference.fault import Kind
from aws_bedrock_inference.made import PLAIN
from aws_bedrock_inference.pricing import cost_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_bedrock_inference.call import Attempt, Outcome, Route
    from aws_bedrock_inference.fault import Fault
    from aws_bedrock_inference.made import FilteredContent, Hop, Made, Seam


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. Its attributes contain the values that are used most. Subscripts such as `reply["output"]` return the
    members of boto3's `converse` response.

    `stop_reason` shows whether the answer is complete (`end_turn`), truncated at max_tokens (`max_tokens`), blocked
    (`guardrail_intervened`, `content_filtered`), or refused by the model (`refusal`). `stop_reason` can be a new value
    of the service that boto3 does not document yet.

    `text` joins the texts of all blocks, without the sources that they cite. It is `""` if no block contains text.

    The numbers in `usage` are 0 if the service reported no usage. They are also 0 for an answer from a cache, because
    this answer cost nothing. The usage of the original answer is then in `reply["usage"]`.
    """

    text: str
    stop_reason: str
    usage: Usage
    route: Route
    earlier: tuple[Attempt, ...] = field(repr=False)
    response: dict[str, Any] = field(repr=False)
    made: Made = field(default=PLAIN, repr=False)

    @property
    def attempts(self) -> int:
        """The number of requests that were sent for this answer; 0 for an answer from a cache. Attempts that the
        circuit breaker or the quota refused were not sent.
        """
        instead_of, cached = self.made.degraded_by, self.made.cached
        return sent(self.earlier) + (cached is None if instead_of is None else instead_of.kind is not Kind.REFUSED)

    @property
    def output(self) -> dict[str, Any]:
        """The `output` of Converse, which contains the message. It is empty if the answer contains no `output`."""
        output: dict[str, Any] = self.response.get("output", {})
        return output

    @property
    def request_id(self) -> str | None:
        """The request id of the answer."""
        request_id: str | None = self.response.get("ResponseMetadata", {}).get("RequestId")
        return request_id

    @property
    def trail(self) -> tuple[Hop, ...]:
        """The routes on which the call failed before `route` answered, in order; see `Fallback`."""
        return self.made.trail

    @property
    def seams(self) -> tuple[Seam, ...]:
        """One `Seam` for each place in the answer where the stream broke and another request continued the answer."""
        return self.made.seams

    @property
    def cached(self) -> float | None:
        """The age of the answer in seconds if it comes from a cache, or None if it is new."""
        return self.made.cached

    @property
    def filtered(self) -> FilteredContent | None:
        """The reason why the content was filtered, completely or in part. It is None if nothing was filtered. With the
        policy `Filtered`, your own message can replace the filtered content. The reason is then still set, and
        `reply.made.replaced` is True.
        """
        return filtered_of(self.response)

    @property
    def degraded_by(self) -> Fault | None:
        """The fault of the call if this answer is a substitute. The policy `Degrade` returns a substitute when a call
        fails. The result is None if the answer comes from the model.
        """
        return self.made.degraded_by

    @property
    def cost(self) -> float | None:
        """The cost of the answer in US dollars. The cost is None if the usage or the price is unknown, and 0 for an
        answer from a cache.

        If a guardrail or the model's filter blocks an answer, the policy `Fallback` can continue on another route. AWS
        also charges for the blocked answer. The cost therefore includes each blocked answer whose usage the service
        reported. Other failed attempts are not included, because AWS does not report what it charges for them.
        """
        if self.cached is not None or not self.attempts:
            return 0.0
        usage = self.usage if self.usage != Usage() else None
        cost = cost_of(usage, self.route, tier_of({}, self.response))
        for hop in self.trail:
            before = 0.0 if hop.usage is None else cost_of(hop.usage, hop.route)
            cost = None if cost is None or before is None else cost + before
        return cost

    def __getitem__(self, key: str) -> Any:
        return self.response[key]

    def __contains__(self, key: object) -> bool:
        return key in self.response

    def __iter__(self) -> Iterator[str]:
        return iter(self.response)

    def keys(self) -> Any:
        """Return the keys of boto3's response, so that `dict(reply)` is that response."""
        return self.response.keys()

    def get(self, key: str, default: Any = None) -> Any:
        """Return the member `key` of boto3's response, or `default`."""
        return self.response.get(key, default)


def reply_of(outcome: Outcome, route: Route) -> Reply:
    """Return the reply (what `invoke` returns) of a successful outcome."""
    response: dict[str, Any] = outcome.value
    return Reply(
        text=text_of(response.get("output", {}).get("message", {}).get("content")),
        stop_reason=stop_reason(response),
        usage=outcome.usage if outcome.usage is not None else Usage(),
        route=outcome.made.route or route,
        earlier=outcome.earlier,
        response=response,
        made=outcome.made,
    )
