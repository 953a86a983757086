"""The lists of one Region: models and inference profiles, as values that go to disk and come back."""

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
"""The Region of a global profile's destination: any commercial one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundationModel:
    """A model that a Region offers. Modalities are AWS's words, such as `TEXT`; days are in UTC.

    `on_demand` is False for a model that is called through a profile or Provisioned Throughput only. `lifecycle` is
    `ACTIVE` or `LEGACY`, and empty where AWS does not say.
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
    """An inference profile that can be called from a Region. `models` are the ARNs of its destinations.

    `kind` is `system` for AWS's own, such as `us.amazon.nova-lite-v1:0`, and `application` for the account's. `base` is
    the model behind it and `pool` its quota: `geographic`, `global` or `on-demand`; both are empty when the
    destinations are of several models.
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
        """The Regions in which a call may be answered, sorted; `EVERYWHERE` stands for any."""
        return tuple(sorted({arn.split(":")[3] for arn in self.models}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A question that was not answered: the `permission` that it needs, whether that was `denied`, and the reason."""

    permission: str
    reason: str
    denied: bool


def told(missing: Iterable[Missing]) -> list[str]:
    """Return a sentence for each permission that would tell more, and one for all that failed for the same reason."""
    failed: dict[str, list[str]] = {}
    sentences = []
    for each in missing:
        if each.denied:
            sentences.append(f"Allow {each.permission} to know more ({each.reason}).")
        else:
            failed.setdefault(each.reason, []).append(each.permission.partition(":")[2])
    for reason, names in failed.items():
        were = "was" if len(names) == 1 else "were"
        sentences.append(f"{', '.join(names)} {were} not answered ({reason}).")
    return sentences


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The lists of one Region, read at `at`, in seconds since the epoch. A list that could not be read is None.

    `retention` is the account's data-retention mode there, asked for where a listed model takes only some.
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
        """True when neither list could be read."""
        return self.models is None and self.profiles is None

    def find(self, name: str) -> FoundationModel | InferenceProfile | None:
        """Return the model or profile of that id or ARN."""
        wanted = name.rpartition("foundation-model/")[2] if ":foundation-model/" in name else name
        for model in self.models or ():
            if model.id == wanted:
                return model
        for profile in self.profiles or ():
            if name in (profile.id, profile.arn):
                return profile
        return None

    def is_young(self, now: float) -> bool:
        """Return whether the lists are of the last 24 hours: what they lack is no model that was launched since."""
        return 0 <= now - self.at < A_DAY

    def lacks(self, name: str) -> bool:
        """Return whether whole lists say that the Region has no such id. Of an ARN they cannot: it may be of
        anything.
        """
        if self.models is None or self.profiles is None or name.startswith("arn:"):
            return False
        return self.find(name) is None and self.find(re.sub(r":\d+k$", "", name)) is None

    def profiles_of(self, base: str) -> Iterator[InferenceProfile]:
        """Yield AWS's own profiles of a base model: those of a geography first, the global one last."""
        found = [each for each in self.profiles or () if each.base == base and each.kind == "system"]
        yield from sorted(found, key=lambda each: (each.pool == "global", -len(each.regions), each.id))

    def ids(self) -> set[str]:
        """Return all ids of models and of AWS's own profiles."""
        own = (each.id for each in self.profiles or () if each.kind == "system")
        return {*(each.id for each in self.models or ()), *own}


def model_of(answer: Mapping[str, Any]) -> FoundationModel:
    """Return the model of a summary or of details, as AWS answers."""
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
    """Return the profile of a summary, as AWS answers in that Region."""
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
    """Return a listing as JSON holds it; days are written as 2026-12-31."""
    content = asdict(listing)
    for model in content["models"] or ():
        for name in ("legacy", "end_of_life"):
            model[name] = model[name] and str(model[name])
    return content


def from_json(content: Mapping[str, Any]) -> Listing:
    """Return the listing that `to_json` wrote. Raises `KeyError`, `TypeError` or `ValueError` for anything else."""
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
