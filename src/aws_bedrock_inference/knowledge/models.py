"""The facts that a model id states: the model's provider, the quota pool it draws on, and the cost of its tokens.

The facts are data with a date, in `models.toml`, read at the first question.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from aws_bedrock_inference.knowledge.data import text_of_file

if TYPE_CHECKING:
    from collections.abc import Sequence

UNKNOWN_MODEL = "unknown-model"
"""The base of an ARN whose model nobody has told."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The facts about one model that quota arithmetic needs.

    `burndown` multiplies output tokens when a request is settled; `max_output_tokens` is what a request without a
    maximum of its own reserves. `prefill` says that the model is known to continue a message of the assistant.
    `guessed` names the facts for which no source was read.
    """

    provider: str
    burndown: float
    max_output_tokens: int
    prefill: bool = False
    guessed: tuple[str, ...] = ()


@lru_cache(maxsize=4096)  # asked for every call; bounded, since ids may come from outside
def model_facts(base_model_id: str) -> ModelFacts:
    """Return the facts of a base model, as `split_profile` names it.

    Any id has an answer: a model newer than the table gets the guess of its family, and `guessed` says so.
    """
    data = _data()
    found = {name: _first_match(data[name], base_model_id) for name in ("burndown", "max_output_tokens")}
    return ModelFacts(
        provider=base_model_id.partition(".")[0],
        burndown=float(found["burndown"]["rate"]),
        max_output_tokens=int(found["max_output_tokens"]["tokens"]),
        prefill=bool(_first_match(data["prefill"], base_model_id)["supported"]),
        guessed=tuple(name for name, entry in found.items() if "unread" in entry),
    )


def cannot_count(message: str) -> bool:
    """Return whether `message`, of a refused CountTokens, says that it does not count for that id."""
    return str(_data()["count_tokens"]["refused"]) in message


@lru_cache(maxsize=4096)
def draws_nothing(base_model_id: str) -> bool:
    """Return whether a model computes its answer, as embeddings do, and draws nothing at random."""
    return any(re.fullmatch(pattern, base_model_id, re.DOTALL) for pattern in _data()["computing"]["patterns"])


def cache_writes_reported() -> float:
    """Return how many times too many cache writes a stream may report."""
    return float(_data()["cache_writes"]["reported"])


class Target(NamedTuple):
    """The target of a model id: the base model's id and the quota pool, `on-demand`, `geographic`, `global` or
    `provisioned`.
    """

    base: str
    pool: str


class ModelArn(str):
    """An ARN that does not name its model, with the id of the `model` that it stands for.

    The id says which quota the calls draw on: give the inference profile's id, such as `us.anthropic.claude-...`, if
    the ARN was made from one. Use it wherever a model id is expected.
    """

    __slots__ = ("model",)

    model: str

    def __new__(cls, arn: str, model: str) -> Self:
        """Return `arn`, with the `model` that it stands for."""
        if not arn.startswith("arn:"):
            raise ValueError(f"ModelArn({arn!r}): give an ARN; an id names its model itself")
        if not model.strip() or _split(model).base == UNKNOWN_MODEL:
            raise ValueError("ModelArn(model=...): give the id of a model or of a system-defined inference profile")
        self = super().__new__(cls, arn)
        self.model = model
        return self

    def __reduce__(self) -> tuple[type[Self], tuple[str, str]]:
        return type(self), (str(self), self.model)


def target(model_id: Any) -> Target:
    """Return the target of anything that the runtime accepts as a model id.

    The model of an ARN that does not tell it is `UNKNOWN_MODEL`: all of them share one quota, since they may stand for
    one model.
    """
    if isinstance(model_id, ModelArn):
        return _split(model_id.model)
    return _split(str(model_id))


def can_be_looked_up(arn: str) -> bool:
    """Return whether GetInferenceProfile can tell the model of `arn`."""
    return _kind_and_name(arn)[0] == "application-inference-profile"


def is_untold(model_id: str) -> bool:
    """Return whether an id is an ARN that tells neither its model nor where its calls are answered."""
    return model_id.startswith("arn:") and _kind_and_name(model_id)[0] in _data()["arns"]["untold"]


def target_of_models(region: str, model_arns: Sequence[str]) -> Target | None:
    """Return the target of an inference profile in `region` that routes to `model_arns`; None if these are of several
    models, or of none.

    A global profile has a destination without a Region; a geographic one has Regions besides its own.
    """
    targets = {_split(arn).base for arn in model_arns}
    if len(targets) != 1:
        return None
    regions = {arn.split(":")[3] for arn in model_arns}
    pool = "global" if "" in regions else "on-demand" if regions == {region} else "geographic"
    return Target(targets.pop(), pool)


def providers() -> tuple[str, ...]:
    """Return the providers that open the ids of models."""
    return tuple(_data()["profiles"]["providers"])


def split_profile(model_id: str) -> tuple[str, str]:
    """Return the base model id and the quota pool of `model_id`.

    An ARN that does not name its model is its own base.
    """
    base, pool = _split(model_id)
    return (model_id if base == UNKNOWN_MODEL else base), pool


@lru_cache(maxsize=4096)
def _split(model_id: str) -> Target:
    if not model_id.startswith("arn:"):
        return _split_id(model_id)
    kind, name = _kind_and_name(model_id)
    arns = _data()["arns"]
    if kind == "foundation-model":
        return Target(_without_context(name), "on-demand")
    if kind == "inference-profile":
        return _split_id(name)
    if kind in arns["untold"]:
        return Target(UNKNOWN_MODEL, "on-demand")
    return Target(model_id, "provisioned" if kind in arns["provisioned"] else "on-demand")


def _kind_and_name(arn: str) -> tuple[str, str]:
    kind, _, name = arn.split(":", 5)[-1].partition("/")
    return kind, name


def _split_id(name: str) -> Target:
    name = _without_context(name)
    scope, _, base = name.partition(".")
    profiles = _data()["profiles"]
    if base and scope in profiles["global"]:
        return Target(base, "global")
    newer = base.partition(".")[0] in profiles["providers"] and scope not in profiles["providers"]
    if base and (scope in profiles["geographic"] or newer):
        return Target(base, "geographic")
    return Target(name, "on-demand")


def _without_context(name: str) -> str:
    """Return an id without the length of its context: `...-v1:0:200k` is the model `...-v1:0`."""
    return re.sub(r"(:\d+):\d+k$", r"\1", name)


def _first_match(table: list[dict[str, Any]], model: str) -> dict[str, Any]:
    return next(
        entry for entry in table if any(re.fullmatch(pattern, model, re.DOTALL) for pattern in entry["patterns"])
    )


@cache
def _data() -> dict[str, Any]:
    return tomllib.loads(text_of_file("models.toml"))
