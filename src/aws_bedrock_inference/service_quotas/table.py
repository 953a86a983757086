"""The table of an account's quotas as Service Quotas lists them, by model and quota pool."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from aws_bedrock_inference.service_quotas.names import Meaning, Model, facts, meaning, model_of_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

POOLS = ("on-demand", "geographic", "global", "latency-optimized")
DIMENSIONS = ("rpm", "tpm", "tpd")


@dataclass(frozen=True, slots=True)
class Found:
    """One quota as Service Quotas lists it.

    * `applied`: the account's own value, or None if Service Quotas does not list it.
    * `default`: AWS's value for all accounts, or None if Service Quotas does not list it.
    * `adjustable`: False if the quota cannot be raised through Service Quotas.
    """

    code: str
    name: str
    applied: float | None = None
    default: float | None = None
    adjustable: bool = False

    @property
    def value(self) -> float | None:
        """The value that is in effect: the account's own value, or AWS's default if the account's value is not
        listed.
        """
        return self.default if self.applied is None else self.applied

    @property
    def held(self) -> bool:
        """True if AWS has set the quota to 0. Waiting does not help; only a Support case does."""
        return self.applied == 0 and (self.default or 0) > 0


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one model in one quota pool: requests per minute (`rpm`), tokens per minute (`tpm`) and tokens per
    day (`tpd`). A limit is None if Service Quotas lists no quota for it. Many models have no quota for requests.

    Some accounts have one daily quota for all models of the Region together. `tpd` is then this shared quota. One model
    can then get fewer tokens per day than `tpd`, because other models also use the quota. In addition, AWS weights the
    tokens of each model by their price.

    `known` contains the quotas from which the limits were read. Its keys are `rpm`, `tpm` and `tpd`.
    """

    rpm: float | None = None
    tpm: float | None = None
    tpd: float | None = None
    known: Mapping[str, Found] = field(default_factory=dict)

    @property
    def held(self) -> bool:
        """True if AWS has set one of the quotas to 0. AWS often does this in new accounts. `explain_hold` returns a
        text with the remedy.
        """
        return any(found.held for found in self.known.values())


class Listed(NamedTuple):
    """One row of the table: a model as AWS writes its name, a quota pool, and the model's limits in that pool."""

    model: str
    pool: str
    limits: Limits


@dataclass(frozen=True)
class QuotaTable:
    """The quotas of one account in one Region.

    * `age`: the seconds since the quotas were read.
    * `stale`: True if the quotas are older than the caller allowed, because a new reading failed.
    * `why`: the reason why the new reading failed.
    * `account`: the account id, or empty if the credentials do not contain it.
    """

    found: tuple[Found, ...]
    region: str = ""
    account: str = ""
    age: float = 0.0
    why: str = ""

    @property
    def stale(self) -> bool:
        """True if the quotas are older than the caller allowed, because a new reading failed."""
        return bool(self.why)

    def limits(self, base_model_id: str, pool: str = "on-demand") -> Limits | None:
        """Return the limits of a model in a quota pool. The arguments are values such as `Route.base` and `Route.pool`.

        Return None if the table contains no quota of requests or tokens per minute for this model and pool. Also return
        None if two quotas match, because they cannot be distinguished. None does not mean that the model has no limit.
        """
        model = model_of_id(base_model_id)
        return self._limits(model, pool) if model is not None else None

    def models(self) -> Iterator[Listed]:
        """Yield a row for each model in each quota pool, sorted by the model's name."""
        for model, label in sorted(self._labels.items(), key=lambda item: item[1].lower()):
            for pool in POOLS:
                limits = self._limits(model, pool)
                if limits is not None:
                    yield Listed(label, pool, limits)

    @property
    def held(self) -> tuple[Found, ...]:
        """The quotas for inference that AWS has set to 0 although their default is higher."""
        return tuple(found for found, _ in self._meant if found.held)

    @cached_property
    def cross_model(self) -> Found | None:
        """The account's quota of tokens per day for all models of the Region together, or None. For this quota, AWS
        weights the tokens of each model by their price.
        """
        return next((found for found, what in self._meant if what.model is None), None)

    @cached_property
    def _meant(self) -> list[tuple[Found, Meaning]]:
        meant = ((found, meaning(found.code, found.name)) for found in self.found)
        return [(found, what) for found, what in meant if what is not None]

    @cached_property
    def _labels(self) -> dict[Model, str]:
        labels: dict[Model, str] = {}
        for _, what in self._meant:
            if what.model is not None:
                labels[what.model] = min(
                    labels.get(what.model, what.label), what.label, key=lambda text: (len(text), text)
                )
        return labels

    @cached_property
    def _index(self) -> dict[tuple[Model, str], dict[str, list[_Entry]]]:
        index: dict[tuple[Model, str], dict[str, list[_Entry]]] = defaultdict(lambda: defaultdict(list))
        for found, what in self._meant:
            for pool, factor in (what.pools or {}).items():
                if what.model is not None:
                    index[what.model, pool][what.dimension].append(_Entry(found, factor, what.certain))
        return index

    def _limits(self, model: Model, pool: str) -> Limits | None:
        known: dict[str, Found] = {}
        values: dict[str, float | None] = {}
        for dimension, entries in self._index.get((model, pool), {}).items():
            certain = [entry for entry in entries if entry.certain] or entries
            if len(certain) > 1:
                return None  # two quotas with the same name cannot be distinguished
            found, factor, _ = certain[0]
            known[dimension] = found
            values[dimension] = None if found.value is None else found.value * factor
        if not known.keys() & {"rpm", "tpm"}:
            return None
        if self.cross_model is not None:
            known["tpd"], values["tpd"] = self.cross_model, self.cross_model.value
        return Limits(**values, known=known)


class _Entry(NamedTuple):
    found: Found
    factor: float
    certain: bool


def explain_hold() -> str:
    """Return a text for the user of an account in which AWS has set a quota to 0. The text contains the remedy."""
    return str(facts()["hold"]["text"]).strip()
