"""The lists of models and inference profiles in one Region. They can be written to disk as JSON and read back."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.knowledge.models import target_of_models

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import date

A_DAY = 86_400.0

EVERYWHERE = ""
"""The Region in the destination of a global profile. It means any commercial Region."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundationModel:
    """A model that a Region offers. Modalities are AWS's names, such as `TEXT`. Dates are in UTC.

    * `on_demand`: False if the model can be called only through an inference profile or Provisioned Throughput.
    * `lifecycle`: `ACTIVE` or `LEGACY`, or empty if AWS does not state it.
    """

    id: str
    name: str = ""
    provider: str = ""
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    streaming: bool | None = None
    on_demand: bool | None = None
    lifecycle: str = ""
    legacy: date | None = None
    end_of_life: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceProfile:
    """An inference profile that can be called from a Region.

    * `models`: the ARNs of the models to which the profile routes calls.
    * `kind`: `system` for a profile of AWS, such as `us.amazon.nova-lite-v1:0`, and `application` for a profile that
      the account has created.
    * `base`: the model behind the profile.
    * `pool`: the quota pool of the profile: `geographic`, `global` or `on-demand`.

    `base` and `pool` are empty if the profile routes calls to several models.
    """

    id: str
    arn: str
    name: str = ""
    kind: str = "system"
    models: tuple[str, ...] = ()
    base: str = ""
    pool: str = ""

    @property
    def regions(self) -> tuple[str, ...]:
        """The Regions that can answer a call to the profile, sorted. For a global profile, they include `EVERYWHERE`,
        because any commercial Region can answer.
        """
        return tuple(sorted({arn.split(":")[3] for arn in self.models}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A failed request to AWS for models, inference profiles or the account's access to a model.

    `permission` is the permission that the request needs. `denied` is True if AWS denied this permission. `reason`
    describes the failure in words.
    """

    permission: str
    reason: str
    denied: bool


def told(missing: Iterable[Missing]) -> list[str]:
    """Return sentences for users about failed requests. Each request with a denied permission gets its own sentence.
    The other requests are grouped by the reason of the failure, such as a timeout. Each group gets one sentence.
    """
    failed: dict[str, list[str]] = {}
    sentences = []
    for each in missing:
        if each.denied:
            sentences.append(f"Allow {each.permission} to see more ({each.reason}).")
        else:
            failed.setdefault(each.reason, []).append(each.permission.partition(":")[2])
    for reason, names in failed.items():
        were = "was" if len(names) == 1 else "were"
        sentences.append(f"{', '.join(names)} {were} not answered by AWS ({reason}).")
    return sentences


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The lists of models and profiles in one Region. A list that could not be read is None.

    * `at`: the time at which the lists were read, in seconds since the epoch.
    * `retention`: the account's data-retention mode in the Region. It is read only if a listed model accepts only
      some modes.
    * `missing`: the requests that AWS did not answer.
    """

    region: str
    at: float
    account: str = ""
    models: tuple[FoundationModel, ...] | None = None
    profiles: tuple[InferenceProfile, ...] | None = None
    retention: str | None = None
    missing: tuple[Missing, ...] = ()

    @property
    def empty(self) -> bool:
        """True if neither the list of models nor the list of profiles could be read."""
        return self.models is None and self.profiles is None

    def find(self, name: str) -> FoundationModel | InferenceProfile | None:
        """Return the model or profile with this id or ARN, or None."""
        wanted = name.rpartition("foundation-model/")[2] if ":foundation-model/" in name else name
        for model in self.models or ():
            if model.id == wanted:
                return model
        for profile in self.profiles or ():
            if name in (profile.id, profile.arn):
                return profile
        return None

    def is_young(self, now: float) -> bool:
        """Return whether the lists of models and profiles were read within the last 24 hours.

        If lists of this age do not contain a model, the model does not exist in the Region. If older lists do not
        contain a model, it can still exist, because AWS may have added the model after the lists were read.
        """
        return 0 <= now - self.at < A_DAY

    def lacks(self, name: str) -> bool:
        """Return True if neither the list of models nor the list of profiles contains the id. Return False if one of
        the two lists could not be read. Also return False for an ARN, because an ARN can name a resource that is in
        neither list.
        """
        if self.models is None or self.profiles is None or name.startswith("arn:"):
            return False
        return self.find(name) is None and self.find(re.sub(r":\d+k$", "", name)) is None

    def profiles_of(self, base: str) -> Iterator[InferenceProfile]:
        """Yield AWS's own profiles of a base model. Geographic profiles come first, the global profile last."""
        found = [each for each in self.profiles or () if each.base == base and each.kind == "system"]
        yield from sorted(found, key=lambda each: (each.pool == "global", -len(each.regions), each.id))

    def ids(self) -> set[str]:
        """Return all ids of models and of AWS's own profiles."""
        own = (each.id for each in self.profiles or () if each.kind == "system")
        return {*(each.id for each in self.models or ()), *own}


def model_of(answer: Mapping[str, Any]) -> FoundationModel:
    """Return the model that `answer` describes. `answer` is an entry of AWS's list of models, or AWS's response for one
    model.
    """
    kinds = answer.get("inferenceTypesSupported")
    life = answer.get("modelLifecycle") or {}
    return FoundationModel(
        id=answer["modelId"],
        name=answer.get("modelName", ""),
        provider=answer.get("providerName", ""),
        inputs=tuple(answer.get("inputModalities") or ()),
        outputs=tuple(answer.get("outputModalities") or ()),
        streaming=answer.get("responseStreamingSupported"),
        on_demand=None if kinds is None else "ON_DEMAND" in kinds,
        lifecycle=life.get("status", ""),
        legacy=_day(life.get("legacyTime")),
        end_of_life=_day(life.get("endOfLifeTime")),
    )


def profile_of(answer: Mapping[str, Any], region: str) -> InferenceProfile:
    """Return the inference profile that `answer` describes. `answer` is an entry of AWS's list of profiles, or AWS's
    response for one profile. `region` is the Region that answered.
    """
    arns = tuple(each["modelArn"] for each in answer.get("models", ()) if each.get("modelArn"))
    behind = target_of_models(region, arns)
    return InferenceProfile(
        id=answer["inferenceProfileId"],
        arn=answer["inferenceProfileArn"],
        name=answer.get("inferenceProfileName", ""),
        kind="application" if answer.get("type") == "APPLICATION" else "system",
        models=arns,
        base=behind.base if behind else "",
        pool=behind.pool if behind else "",
    )


def to_json(listing: Listing) -> dict[str, Any]:
    """Return the lists of models and profiles as values that JSON can represent. Dates are written as 2026-12-31."""
    content = asdict(listing)
    for model in content["models"] or ():
        for name in ("legacy", "end_of_life"):
            model[name] = model[name] and str(model[name])
    return content


def from_json(content: Mapping[str, Any]) -> Listing:
    """Return the lists of models and profiles that `to_json` wrote. Raises `KeyError`, `TypeError` or `ValueError` for
    any other content.
    """
    models, profiles = content["models"], content["profiles"]
    return Listing(
        region=str(content["region"]),
        at=float(content["at"]),
        account=str(content["account"]),
        models=None if models is None else tuple(FoundationModel(**_days(_tuples(each))) for each in models),
        profiles=None if profiles is None else tuple(InferenceProfile(**_tuples(each)) for each in profiles),
        retention=content.get("retention"),
        missing=tuple(Missing(**each) for each in content["missing"]),
    )


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def _days(values: dict[str, Any]) -> dict[str, Any]:
    return values | {name: _day(values[name]) for name in ("legacy", "end_of_life")}


def _day(given: Any) -> date | None:
    if given is None:
        return None
    moment: datetime = datetime.fromisoformat(given) if isinstance(given, str) else given
    return (moment.astimezone(UTC) if moment.tzinfo else moment).date()
