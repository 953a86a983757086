"""Choose the id with which to call a model, so that only allowed Regions can answer the call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_bedrock_inference.foundation.check import no_such_id
from aws_bedrock_inference.foundation.listing import InferenceProfile, told
from aws_bedrock_inference.foundation.residency import ANYWHERE, patterns, shown, stays
from aws_bedrock_inference.knowledge.models import UNKNOWN_MODEL, target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aws_bedrock_inference.foundation.listing import Listing


class NotResolvable(LookupError):
    """Raised if a model has no id that keeps all calls in the allowed Regions. The message states the reason. For
    example, the Region does not offer the model, or each of its ids also sends calls to other Regions.
    """


def resolved(name: str, within: str | Iterable[str] | None, listing: Listing) -> str:
    """Return an id with which to call the model `name`. All Regions that can answer a call with this id match the
    patterns in `within`. If several ids meet this condition, return the first in the order of `_candidates`. Raises
    `NotResolvable` if no id meets it.
    """
    allowed = (ANYWHERE,) if within is None else patterns(within)
    refused: list[str] = []
    for candidate, regions in _candidates(name, listing):
        if stays(regions, allowed):
            return candidate
        refused.append(f"calls to {candidate} can be answered in {shown(regions)}")
    if not refused:
        raise NotResolvable(_nothing(name, listing))
    raise NotResolvable(
        f"no id of {name} in {listing.region} keeps its calls within {' '.join(allowed)}: {'; '.join(refused)}. "
        "Allow more Regions with `within`, or use another model"
    )


def _candidates(name: str, listing: Listing) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the ids with which the model can be called, each with its destination Regions.

    The requested id comes first, and then the model's own id. The geographic profiles follow. Among them, the profile
    with the most Regions comes first.
    """
    found = listing.find(name)
    if isinstance(found, InferenceProfile):
        yield name, found.regions
        base = found.base
    else:
        base = target(name).base
    if not base or base == UNKNOWN_MODEL:
        return
    model = next((each for each in listing.models or () if each.id == base), None)
    if (model is None and listing.models is None and base == name) or (model is not None and model.on_demand):
        yield (name if found is model else base), (listing.region,)
    for profile in listing.profiles_of(base):
        if profile.pool != "global" and profile.id != name:
            yield profile.id, profile.regions


def _nothing(name: str, listing: Listing) -> str:
    globally = [each.id for each in listing.profiles_of(target(name).base)]
    if globally:
        return (
            f"in {listing.region} the model of {name} can be called only through {' or '.join(globally)}, and those "
            "calls can be answered in any commercial Region. If that is allowed, pass this id."
        )
    if listing.profiles is None or listing.models is None:
        reasons = " ".join(told(listing.missing))
        return f"the Regions that can answer calls to {name} are unknown in {listing.region}. {reasons}"
    if name.startswith("arn:"):
        return f"the Regions that can answer calls to {name} are unknown: {listing.region} lists no such profile."
    return no_such_id(name, listing)
