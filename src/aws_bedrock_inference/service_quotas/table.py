"""The quotas of an account as Service Quotas lists them, by model and pool."""

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
    """One quota as Service Quotas lists it. `applied` is the value for this account, `default` the value that AWS
    publishes; None means that it is not listed. A quota that is not `adjustable` cannot be raised through Service
    Quotas.
    """

    code: str
    name: str
    applied: float | None = None
    default: float | None = None
    adjustable: bool = False

    @property
    def value(self) -> float | None:
        """The effective value: the applied value, or the default if no applied value is listed."""
        return self.default if self.applied is None else self.applied

    @property
    def held(self) -> bool:
        """True if AWS has set the quota to 0. Waiting does not help; only a Support case does."""
        return self.applied == 0 and (self.default or 0) > 0


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one model in one pool: requests per minute, tokens per minute and tokens per day. None means that
    no such quota is listed; many models have no quota of requests.

    `tpd` is the account's daily quota for all models of the Region together, if AWS lists it. AWS weights tokens by
    their price against this quota, so for one model it is only an upper bound. `known` contains the listed quota
    behind each number.
    """

    rpm: float | None = None
    tpm: float | None = None
    tpd: float | None = None
    known: Mapping[str, Found] = field(default_factory=dict)

    @property
    def held(self) -> bool:
        """True if AWS has set one of the quotas to 0, as in new accounts. `explain_hold` returns what to do."""
        return any(found.held for found in self.known.values())


class Listed(NamedTuple):
    """One row of a table: the model as AWS writes it, a pool, and the limits in that pool."""

    model: str
    pool: str
    limits: Limits


@dataclass(frozen=True)
class QuotaTable:
    """The quotas of one account in one Region, as they were `age` seconds ago.

    `stale` is True if the quotas are older than requested, and `why` is the reason why they could not be read again.
    `account` is empty if the credentials do not contain it.
    """

    found: tuple[Found, ...]
    region: str = ""
    account: str = ""
    age: float = 0.0
    why: str = ""

    @property
    def stale(self) -> bool:
        """True if the table should have been read again but could not be."""
        return bool(self.why)

    def limits(self, base_model_id: str, pool: str = "on-demand") -> Limits | None:
        """Return the limits of a model in a pool. The arguments are written as in `Route.base` and `Route.pool`.

        None means that no quota of requests or tokens per minute is listed that certainly means this model. In that
        case the limits are unknown, not absent.
        """
        model = model_of_id(base_model_id)
        return self._limits(model, pool) if model is not None else None

    def models(self) -> Iterator[Listed]:
        """Yield each model in each pool, sorted by name."""
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
        """The account's tokens per day for all models of the Region together, weighted by price."""
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
    """Return an explanation of a quota that AWS has set to 0, and the only remedy."""
    return str(facts()["hold"]["text"]).strip()
