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
    """An answer. Its attributes are the common values; `reply["output"]` and so on give the members of boto3's
    `converse` response.

    `stop_reason` says whether the answer is complete (`end_turn`), truncated at max_tokens (`max_tokens`), blocked
    (`guardrail_intervened`, `content_filtered`), or refused by the model (`refusal`); it is whatever the service says,
    also a word that boto3 does not list. `text` has the text of all blocks, with and without citations. What
    the service left out is empty: no text is `""`, and a usage that was not reported has zeros. So has the usage of an
    answer from a cache, which cost nothing; what the model once used for it stays in `reply["usage"]`.
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
        """The number of requests that were sent for this answer: none if it was kept from an earlier one. What the
        circuit or the quota refused was not sent.
        """
        instead_of, cached = self.made.degraded_by, self.made.cached
        return sent(self.earlier) + (cached is None if instead_of is None else instead_of.kind is not Kind.REFUSED)

    @property
    def output(self) -> dict[str, Any]:
        """Converse's `output`, with the message; empty if the answer has none."""
        output: dict[str, Any] = self.response.get("output", {})
        return output

    @property
    def request_id(self) -> str | None:
        """The request id of the answer."""
        request_id: str | None = self.response.get("ResponseMetadata", {}).get("RequestId")
        return request_id

    @property
    def trail(self) -> tuple[Hop, ...]:
        """The routes that the call left before `route` answered, in order; see `Fallback`."""
        return self.made.trail

    @property
    def seams(self) -> tuple[Seam, ...]:
        """The places where the stream broke and the answer goes on with another request."""
        return self.made.seams

    @property
    def cached(self) -> float | None:
        """The age of the answer in seconds if it was kept from an earlier request; None if it is new."""
        return self.made.cached

    @property
    def filtered(self) -> FilteredContent | None:
        """The reason why the content was filtered, wholly or in part; None for an answer as the model gave it. Where a
        message of yours stands in its place (`made.replaced`), this still says why.
        """
        return filtered_of(self.response)

    @property
    def degraded_by(self) -> Fault | None:
        """The fault in whose place this substitute was answered; None for an answer of the model."""
        return self.made.degraded_by

    @property
    def cost(self) -> float | None:
        """The cost of the usage in US dollars, of all parts of the answer together; None if the usage or the price is
        not known, and 0 for an answer from a cache. Attempts that failed are not in it: what AWS charges for them, if
        anything, nobody reports.
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
    """Return the reply of a successful outcome."""
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
