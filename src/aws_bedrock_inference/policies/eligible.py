"""Calls that a route of a `Fallback` surely cannot answer, so that nothing is sent there for them."""

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
    """Return why a call for the route `asked`, with these needs, surely cannot be answered on `route`; None if it may.

    The same model needs no other look: it was asked for. Nothing is asked of AWS; the lists of the Region count if
    somebody has read them. `wall` is the time of day.
    """
    elsewhere = any(getattr(asked, name) != getattr(route, name) for name in _ELSEWHERE)
    reason = bound(needs, elsewhere=elsewhere)
    if reason is None and route.base != asked.base:
        reason = unable(route.base, needs)
    if reason is None and place is not None:
        listing = recall(None, place.whose, route.region, place.url)
        reason = None if listing is None else unlisted(listing, route.model, needs, now=wall)
    return None if reason is None else f"{route}: {reason}"
