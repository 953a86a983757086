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
    """Return the reason why `route` certainly cannot answer a call that needs the abilities `needs` of a model. Return
    None if no such reason is known.

    `asked` is the route that the caller requested. If `route` has the same model as `asked`, the abilities of the
    model are not checked, because the caller chose it. `place` is the endpoint of `route`. This function sends no
    request to AWS. It uses the lists of the Region only if they were already read. `wall` is the time of day, in
    seconds since the epoch.
    """
    elsewhere = any(getattr(asked, name) != getattr(route, name) for name in _ELSEWHERE)
    reason = bound(needs, elsewhere=elsewhere)
    if reason is None and route.base != asked.base:
        reason = unable(route.base, needs)
    if reason is None and place is not None:
        listing = recall(None, place.whose, route.region, place.url)
        reason = None if listing is None else unlisted(listing, route.model, needs, now=wall)
    return None if reason is None else f"{route}: {reason}"
