"""Check one model or profile id: whether it can be called, until when, and which requirements are not met."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from aws_bedrock_inference.foundation.listing import told
from aws_bedrock_inference.knowledge import lifecycle
from aws_bedrock_inference.knowledge.models import split_profile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from aws_bedrock_inference.foundation.listing import FoundationModel, InferenceProfile, Listing, Missing

NEAR = timedelta(days=90)
"""A check reports the last day of a model if that day is at most this period away. It is half of the six months for
which AWS lists a model as Legacy.
"""

AGREEMENT_MINUTES = 15  # AWS's troubleshooting page: "wait 15 minutes; still pending, every 15 minutes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The state of one id in one Region. A field is None if its value is unknown.

    * `problems`: sentences with the reasons why calls fail now.
    * `notes`: other sentences, for example about a future end of life, or about a missing permission that leaves fields
      unknown.
    * `known`: True if the Region lists the id.
    * `base`: the model behind the id.
    * `nearest`: the most similar valid id, if the id is wrong.
    * `profiles`: the inference profiles of the model that can be called from this Region.
    * `regions`: the Regions that can answer a call.
    * `agreement`, `authorization`, `entitlement`, `region`: the values that AWS returns for the account's access.
    * `use_case_form`: whether the form that the provider requires was submitted. It is read only if the model
      requires it.
    * `retention`: the account's data-retention mode. It is read only if the model accepts only some modes.
    """

    id: str
    base: str
    known: bool | None
    nearest: str | None = None
    lifecycle: str | None = None
    end_of_life: date | None = None
    successor: str | None = None
    needs_profile: bool | None = None
    profiles: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    agreement: str | None = None
    authorization: str | None = None
    entitlement: str | None = None
    region: str | None = None
    use_case_form: bool | None = None
    retention: str | None = None
    inputs: tuple[str, ...] | None = None
    outputs: tuple[str, ...] | None = None
    context: str | None = None
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """True if `problems` is empty, that is, if no reason is known why calls would fail."""
        return not self.problems


def nearest(name: str, listing: Listing) -> str | None:
    """Return the listed id that is most similar to `name`, or None. Ids of the same model come before ids of other
    models.
    """
    base, _ = split_profile(name)
    if any(model.id == base and model.on_demand is not False for model in listing.models or ()):
        return base
    for profile in listing.profiles_of(base):
        return profile.id
    found = difflib.get_close_matches(name, sorted(listing.ids()), 1, 0.6)
    return found[0] if found else None


def offered(listing: Listing) -> frozenset[str] | None:
    """Return the ids of the models that the Region offers, or None if the list could not be read."""
    return frozenset(model.id for model in listing.models) if listing.models else None


def no_such_id(name: str, listing: Listing) -> str:
    """Return a sentence about an id that does not exist in the Region. The sentence names the most similar valid id."""
    near = nearest(name, listing)
    heir = lifecycle.ending(split_profile(name)[0], offered(listing))
    like = f" The most similar id is {near}." if near else ""
    return f"{listing.region} has no model or inference profile {name}.{like}{' ' if heir else ''}{heir}"


def refuses_retention(base: str, mode: str | None) -> bool:
    """Return True if the model refuses calls because of `mode`, the account's data-retention mode. Return False if the
    model accepts this mode. Also return False if the mode, or the modes that the model accepts, are unknown.
    """
    modes = lifecycle.retention_modes(base)
    return bool(modes) and mode not in (None, "inherit", *modes)


class Read(NamedTuple):
    """The facts that were read about one model id or profile id. The function `made` creates a `Check` from them."""

    name: str
    base: str
    known: bool | None
    model: FoundationModel | None
    profile: InferenceProfile | None
    access: dict[str, Any] | None
    use_case_form: bool | None
    retention: str | None
    missing: Sequence[Missing]

    @property
    def bare(self) -> bool:
        """True if the id is the model's own id, not the id of a profile."""
        return self.profile is None and self.name == self.base


def made(read: Read, listing: Listing, now: float) -> Check:
    """Return the `Check` of an id from the facts that could be read about the id."""
    base, model, profile, access = read.base, read.model, read.profile, read.access
    last = model.end_of_life if model and model.lifecycle else lifecycle.end_of_life(base)
    ending = last is not None or (model is not None and model.lifecycle == "LEGACY")
    heir = lifecycle.successor(base, offered(listing))
    here = tuple(each.id for each in listing.profiles_of(base))
    problems, notes = _access(access, bare=read.bare) if access else ([], [])
    problems += _conditions(read)
    if read.known is False:
        problems.append(no_such_id(read.name, listing))
    elif read.bare and model is not None and model.on_demand is False:
        problems.append(
            f"{base} can be called only through an inference profile: {', '.join(here) or 'none is listed'}."
        )
    if ending and read.known is not False:
        past = last is not None and last <= datetime.fromtimestamp(now, UTC).date()
        (problems if past and read.known is None else notes).append(_ending(base, last, heir))
    notes += told(read.missing)
    return Check(
        id=read.name,
        base=base,
        known=read.known,
        nearest=nearest(read.name, listing) if read.known is False else None,
        lifecycle=(model.lifecycle or None) if model else None,
        end_of_life=last,
        successor=heir if ending else None,
        needs_profile=None if model is None or model.on_demand is None else not model.on_demand,
        profiles=here,
        regions=profile.regions if profile else (listing.region,) if read.bare else (),
        agreement=access["agreementAvailability"]["status"] if access else None,
        authorization=access["authorizationStatus"] if access else None,
        entitlement=access["entitlementAvailability"] if access else None,
        region=access["regionAvailability"] if access else None,
        use_case_form=read.use_case_form,
        retention=read.retention,
        inputs=model.inputs if model else None,
        outputs=model.outputs if model else None,
        context=_context(base, listing),
        problems=tuple(problems),
        notes=tuple(notes),
    )


def _ending(base: str, last: date | None, heir: str | None) -> str:
    sentence = f"{base} is a legacy model." if last is None else f"The last day of {base} is {last}."
    return f"{sentence} Its successor is {heir}." if heir else sentence


def _access(access: dict[str, Any], *, bare: bool) -> tuple[list[str], list[str]]:
    problems: list[str] = []
    notes: list[str] = []
    agreement = access["agreementAvailability"]
    if agreement["status"] == "PENDING":
        problems.append(
            f"The agreement for the model is still pending. Check again every {AGREEMENT_MINUTES} minutes, "
            "or call client.wait_until_ready()."
        )
    elif agreement["status"] == "ERROR":
        problems.append(
            f"The agreement for the model failed: {agreement.get('errorMessage') or 'AWS states no reason'}."
        )
    elif agreement["status"] != "AVAILABLE":
        notes.append(
            "The account has no agreement for the model. The first call creates it if the caller has "
            "aws-marketplace:Subscribe and aws-marketplace:ViewSubscriptions."
        )
    if access["authorizationStatus"] != "AUTHORIZED":
        problems.append("The account is not authorized to use the model: request access in the Bedrock console.")
    if access["entitlementAvailability"] != "AVAILABLE":
        problems.append("The account has no entitlement to the model: request access in the console, or contact AWS.")
    if access["regionAvailability"] != "AVAILABLE" and bare:
        problems.append("The model is not available in this Region.")
    return problems, notes


def _conditions(read: Read) -> list[str]:
    """Return a sentence for each condition of the model that the account does not meet: the provider's use-case form,
    and the data-retention mode.
    """
    problems = []
    if read.use_case_form is False:
        problems.append(
            "The provider's use-case form is not submitted for this account. Submit it once in the Bedrock console; "
            f"access follows in about {AGREEMENT_MINUTES} minutes."
        )
    if refuses_retention(read.base, read.retention):
        modes = " or ".join(lifecycle.retention_modes(read.base))
        problems.append(
            f"The model accepts calls only with the data-retention mode {modes}; the account's mode in this "
            f"Region is {read.retention}."
        )
    return problems


def _context(base: str, listing: Listing) -> str | None:
    """Return the size of the model's longest context, such as `200k`. AWS lists each context size as a separate model
    id. Return None if AWS lists no size for this model.
    """
    sizes = [model.id.removeprefix(f"{base}:") for model in listing.models or () if model.id.startswith(f"{base}:")]
    counted = [(int(size[:-1]), size) for size in sizes if size.endswith("k") and size[:-1].isdecimal()]
    return max(counted)[1] if counted else None
