"""Find calls that a route of a `Fallback` certainly cannot answer, so that they are not sent on that route. A route
is a model in one Region and account.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_bedrock_inference.foundation.remembered import recall
from aws_bedrock_inference.foundation.unlisted import unlisted
from aws_bedrock_inference.knowledge.abilities import bound, unable

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Route
    from aws_bedrock_inference.knowledge.abilities import Needs
    from aws_bedrock_inference.place import Place

_ELSEWHERE = ("region", "account", "endpoint", "principal")


def unfit(needs: Needs, asked: Route, route: Route, place: Place | None, wall: float) -> str | None:
    """Return the reason why `route` certainly cannot answer a call, or None if no such reason is known. `needs` are the
    abilities that the call requires of a model, such as images or tools.

    `asked` is the route that the caller requested. If `route` has the same model as `asked`, the abilities of the model
    are not checked, because the caller chose this model. `place` is the endpoint and session of `route`. With it, the
    function also looks for the model in the stored lists of the Region's models and profiles, but sends no request to
    AWS. `wall` is the time of day, in seconds since the epoch.
    """
    elsewhere = any(getattr(asked, name) != getattr(route, name) for name in _ELSEWHERE)
    reason = bound(needs, elsewhere=elsewhere)
    if reason is None and route.base != asked.base:
        reason = unable(route.base, needs)
    if reason is None and place is not None:
        listing = recall(None, place.whose, route.region, place.url)
        reason = None if listing is None else unlisted(listing, route.model, needs, now=wall)
    return None if reason is None else f"{route}: {reason}"
