"""Find the route of a call: the entries for the model id in the Region's model lists, and the Regions in which the call
can be processed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from aws_bedrock_inference.foundation.check import Check, Read, made
from aws_bedrock_inference.foundation.listing import (
    EVERYWHERE,
    FoundationModel,
    InferenceProfile,
    Listing,
    Missing,
    model_of,
    profile_of,
)
from aws_bedrock_inference.knowledge.masking import masked
from aws_bedrock_inference.knowledge.models import UNKNOWN_MODEL, can_be_looked_up, is_untold, target

if TYPE_CHECKING:
    from aws_bedrock_inference.doctor.world import Answer, World

# The most profiles that one ListInferenceProfiles call returns: botocore 1.44.8, bedrock 2023-04-20.
_ALL = 1000

# The pools of profiles, whose calls may be answered in other Regions.
_POOLS = ("geographic", "global")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The route of a call to the model id `name`. `base` is the base model of this id, or empty if it is unknown.

    `known` is True if the Region offers the id, and False if it does not. `known` is None if the Region's lists of
    models and inference profiles do not show this. An example is the ARN of a custom model. `check` contains the
    problems with the id that these lists show.
    """

    name: str
    base: str
    listing: Listing
    model: FoundationModel | None
    profile: InferenceProfile | None
    known: bool | None
    check: Check

    @property
    def regions(self) -> tuple[str, ...]:
        """The Regions in which the call is known to be processed. For an inference profile with known destinations,
        these are the destinations. Otherwise, the only Region is the one that receives the call.
        """
        own = (self.listing.region,)
        return tuple(each for each in self.profile.regions if each != EVERYWHERE) or own if self.profile else own

    @property
    def bare(self) -> bool:
        """True if `name` is the id or ARN of a model, not of an inference profile. A context length at the end of the
        id, such as `:200k`, is ignored.
        """
        return target(self.name) == (self.base, "on-demand")

    @property
    def open_end(self) -> str:
        """A sentence for a message, if Regions outside `regions` can also process the call. For example, a global
        profile can use any commercial Region. Otherwise, an empty text.
        """
        if self.profile is None and (target(self.name).pool in _POOLS or can_be_looked_up(self.name)):
            return "The other Regions that can answer the call are unknown."
        return "Any other commercial Region can also answer the call." if self.everywhere else ""

    @property
    def shown(self) -> str:
        """The model id as messages show it: an ARN is shown without its account id."""
        return masked(self.name, accounts=True)

    @property
    def everywhere(self) -> bool:
        """True if the call can be processed in any commercial Region."""
        return self.profile is not None and EVERYWHERE in self.profile.regions


def find_route(world: World) -> Route:
    """Return the route (base model and Regions) of calls to `world.model_id`. The requests that find the route are sent
    concurrently.
    """
    name = world.model_id or ""
    questions = {
        "ListFoundationModels": partial(world.ask, "bedrock", "list_foundation_models"),
        "ListInferenceProfiles": partial(
            world.ask, "bedrock", "list_inference_profiles", typeEquals="SYSTEM_DEFINED", maxResults=_ALL
        ),
    }
    base, pool = target(name)
    if pool != "on-demand" or "." not in name or base == UNKNOWN_MODEL:  # the id may be that of a profile
        questions["GetInferenceProfile"] = partial(
            world.ask, "bedrock", "get_inference_profile", inferenceProfileIdentifier=name
        )
    answers = dict(zip(questions, world.ask_all(questions.values()), strict=True))
    listing, asked = _listing(world, answers), answers.get("GetInferenceProfile")
    profile = _profile(name, listing, asked)
    base = profile.base if profile is not None else base
    base = "" if base == UNKNOWN_MODEL or base.startswith("arn:") else base
    model = next((each for each in listing.models or () if each.id == base), None)
    known = _known(name, listing, profile, asked)
    read = Read(name, base, known, model, profile, None, None, None, listing.missing)
    check = made(read, listing, world.wall())
    return Route(name=name, base=base, listing=listing, model=model, profile=profile, known=known, check=check)


def _listing(world: World, answers: dict[str, Answer]) -> Listing:
    models, profiles = answers["ListFoundationModels"], answers["ListInferenceProfiles"]
    summaries, profile_summaries = models.value.get("modelSummaries"), profiles.value.get("inferenceProfileSummaries")
    return Listing(
        region=world.region,
        at=world.wall(),
        models=None if summaries is None else tuple(map(model_of, summaries)),
        profiles=None if profile_summaries is None else tuple(profile_of(e, world.region) for e in profile_summaries),
        missing=tuple(
            Missing(permission=f"bedrock:{operation}", reason=answer.reason, denied=answer.denied)
            for operation, answer in answers.items()
            if answer.why is not None and (operation.startswith("List") or answer.denied)
        ),
    )


def _profile(name: str, listing: Listing, answer: Answer | None) -> InferenceProfile | None:
    if answer is not None and answer.why is None:
        return profile_of(answer.value, listing.region)
    found = listing.find(name)
    return found if isinstance(found, InferenceProfile) else None


def _known(name: str, listing: Listing, profile: InferenceProfile | None, asked: Answer | None) -> bool | None:
    """Return True if the Region offers the model id `name`, False if it does not, and None if this is unknown.

    The result is None for the account's own resources, such as custom models, because the Region's lists do not contain
    them.
    """
    if profile is not None or listing.find(name) is not None:
        return True
    if asked is not None and asked.code == "ResourceNotFoundException" and "inference-profile/" in name:
        return False
    return False if listing.lacks(name) and not is_untold(name) and "." in name else None
