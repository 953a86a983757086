"""Find requests that a Region certainly cannot serve, from the stored list of the Region's models. No request is sent
to AWS.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.foundation.check import refuses_retention
from aws_bedrock_inference.foundation.listing import InferenceProfile
from aws_bedrock_inference.knowledge.abilities import Need
from aws_bedrock_inference.knowledge.lifecycle import retention_modes
from aws_bedrock_inference.knowledge.models import target

if TYPE_CHECKING:
    from aws_bedrock_inference.foundation.listing import FoundationModel, Listing
    from aws_bedrock_inference.knowledge.abilities import Needs

# For each kind of content in a request: the names of this kind in the list of models, and the reason to report if a
# model does not support this kind.
_INPUTS = {
    Need.IMAGE: ({"IMAGE"}, "does not support images"),
    Need.VIDEO: ({"VIDEO"}, "does not support videos"),
    Need.AUDIO: ({"AUDIO", "SPEECH"}, "does not support audio"),
}


def unlisted(listing: Listing, model_id: Any, needs: Needs, *, now: float | None = None) -> str | None:
    """Return the reason why the Region of `listing` certainly cannot serve a request with these needs (the abilities
    that the request requires of a model). Return None if `listing` shows no reason. The reason is a clause without a
    full stop, such as `MODEL does not support images in REGION`.

    If the lists of models and profiles do not contain the model, this is a reason only if the lists are less than 24
    hours old. If they are older, AWS may have added the model after they were read. `now` is the current time in
    seconds since the epoch. Without `now`, the age of the lists is unknown, so this reason is never returned.
    """
    name = str(model_id)
    if now is not None and listing.is_young(now) and listing.lacks(name):
        return f"{listing.region} lists no {name} for this account"
    found = listing.find(name)
    base = found.base if isinstance(found, InferenceProfile) else target(model_id).base
    if refuses_retention(base, listing.retention):
        modes = " or ".join(retention_modes(base))
        only = f"{base} accepts calls only with the data-retention mode {modes}"
        return f"{only}, and the account has another mode in {listing.region}"
    model = next((each for each in listing.models or () if each.id == base), None)
    return None if model is None else _cannot(model, needs, listing, listing.at if now is None else now)


def _cannot(model: FoundationModel, needs: Needs, listing: Listing, now: float) -> str | None:
    last = model.end_of_life
    if last is not None and last <= datetime.fromtimestamp(now, UTC).date():
        return f"the last day of {model.id} in {listing.region} was {last}"
    if Need.STREAM in needs.uses and model.streaming is False:
        return f"{model.id} does not support streaming in {listing.region}"
    if Need.CONVERSE in needs.uses and model.outputs and "TEXT" not in model.outputs:
        return f"{model.id} does not answer with text"
    for need, (words, says) in _INPUTS.items():
        if need in needs.uses and model.inputs and words.isdisjoint(model.inputs):
            return f"{model.id} {says} in {listing.region}"
    return None
