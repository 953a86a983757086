"""Find out what a quota in Service Quotas limits. The name of the quota shows its model, its quota pools and its
dimension (requests per minute, tokens per minute or tokens per day).

Service Quotas contains no model ids, and AWS spells the names of models inconsistently. A quota's name and a model id
match only if they have the same provider and exactly the same words, including versions and sizes. In all other cases,
the quota's model is unknown. The file `quotas.toml` contains the spellings and the known quota codes.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_DIMENSIONS = {("requests", "minute"): "rpm", ("tokens", "minute"): "tpm", ("tokens", "day"): "tpd"}

# Parts of an id that are ignored: release dates and versions. `-1:0` is the version in ids of OpenAI's open models.
_RELEASE = re.compile(r"[-@]20\d{6}(?=$|[-:])|(?<=[a-z])-1:0$|:0$")

# Mistral's 25.02 is 2502 in ids; llama3 and llama 3 are the same; 4-5 in ids means 4.5.
_SPELLINGS = (
    (re.compile(r"\b(2\d)\.(0[1-9]|1[0-2])\b"), r"\1\2"),
    (re.compile(r"\b([a-z]{3,})(\d)"), r"\1-\2"),
    (re.compile(r"(?<![\w.])(v?\d{1,2})-(\d{1,2})(?![\w.])"), r"\1.\2"),
)


class Model(NamedTuple):
    """A model: its provider, and the words of its name in a uniform spelling.

    AWS spells the name of a model differently in model ids and in quota names. Because of the uniform spelling, all
    names of one model result in equal objects.
    """

    provider: str
    words: frozenset[str]


@dataclass(frozen=True, slots=True)
class Meaning:
    """The meaning of a quota: what it limits.

    * `dimension`: requests per minute (`rpm`), tokens per minute (`tpm`) or tokens per day (`tpd`).
    * `model`: None if the quota applies to all models together.
    * `pools`: the quota pools to which the quota applies. Each pool has a factor: the limit in the pool is the value of
      the quota multiplied by this factor.
    * `label`: the name of the model as AWS writes it.
    * `certain`: True if `quotas.toml` lists the code of the quota. False if only the name shows what the quota limits.
    """

    dimension: str
    model: Model | None = None
    pools: Mapping[str, float] | None = None
    label: str = ""
    certain: bool = False


def meaning(code: str, name: str) -> Meaning | None:
    """Return what a quota limits. Return None if it does not limit inference or if its model is unknown."""
    cross = facts()["cross_model"]
    if code == cross["code"] or re.fullmatch(cross["pattern"], name, re.IGNORECASE):
        return Meaning("tpd")
    named = _named(name)
    known = _codes().get(code)
    if known is None:
        return named
    model, pool, dimension = known
    label = named.label if named is not None else name.rpartition(" for ")[2]
    return Meaning(dimension, model, {pool: 1}, label, certain=True)


@lru_cache(maxsize=4096)  # used by every call; bounded, because users may choose the ids
def model_of_id(base_model_id: str) -> Model | None:
    """Return the model with this base id, which has no geography prefix. Return None if its provider is unknown."""
    label, _, rest = base_model_id.lower().partition(".")
    provider = facts()["words"]["same"].get(label, label)
    if provider not in facts()["providers"]:
        return None
    return _model(provider, _words(_RELEASE.sub("", rest).replace(":", ".")))


def model_of_name(name: str) -> Model | None:
    """Return the model in a quota's name. Return None if the provider or the model is unclear."""
    alias = _aliases().get(name.lower())
    if alias is not None:
        return model_of_id(alias)
    words = _words(name)
    providers = facts()["providers"].items()
    first = {provider for provider, about in providers if words and words[0] in about["words"]}
    possible = first or {provider for provider, about in providers if not {*about["families"]}.isdisjoint(words)}
    return _model(possible.pop(), words) if len(possible) == 1 else None


@cache
def facts() -> dict[str, Any]:
    """Return the content of `quotas.toml`: spellings, quota codes, and other facts about quotas."""
    return tomllib.loads(files(__package__).joinpath("quotas.toml").read_text(encoding="utf-8"))


def _named(name: str) -> Meaning | None:
    for entry in facts()["patterns"]:
        found = re.fullmatch(entry["pattern"], name, re.IGNORECASE)
        if found is not None:
            parts = found.groupdict()
            dimension = _DIMENSIONS.get((parts["unit"].lower(), (parts.get("period") or "minute").lower()))
            model = model_of_name(parts["model"])
            if dimension is None or model is None:
                return None
            return Meaning(dimension, model, entry["pools"], parts["model"])
    return None


def _model(provider: str, words: list[str]) -> Model | None:
    rest = frozenset(words) - {*facts()["providers"][provider]["words"]}
    return Model(provider, rest) if rest else None


def _words(text: str) -> list[str]:
    text = text.lower()
    for pattern, spelling in _SPELLINGS:
        text = pattern.sub(spelling, text)
    about = facts()["words"]
    words = [word.strip(".") for word in re.findall(r"[\w.]+", text)]
    return [about["same"].get(word, _version(word)) for word in words if word and word not in about["noise"]]


def _version(word: str) -> str:
    found = re.fullmatch(r"v?(\d+)\.(\d+)", word)
    if found is None:
        return word
    return found[1] if int(found[2]) == 0 else f"{found[1]}.{found[2]}"


@cache
def _codes() -> dict[str, tuple[Model, str, str]]:
    known: dict[str, tuple[Model, str, str]] = {}
    for model_id, pools in facts()["codes"].items():
        model = model_of_id(model_id)
        if model is not None and isinstance(pools, dict):
            for pool, dimensions in pools.items():
                known |= {code: (model, pool, dimension) for dimension, code in dimensions.items()}
    return known


@cache
def _aliases() -> dict[str, str]:
    return {name.lower(): model_id for name, model_id in facts()["aliases"].items()}
