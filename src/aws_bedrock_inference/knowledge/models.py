"""Find the facts about a model from its model id: the model's provider, the quota that its calls use, and how its
tokens count against that quota.

A "pool" is one of the separate quotas of a model: on-demand, geographic, global or provisioned. The facts are in
`models.toml`, each with the date on which its source was read. The file is read at the first use.
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
"""The model name that is used for an ARN whose model is unknown."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The facts about one model that are needed to calculate its use of a quota.

    * `burndown`: after the answer, each output token counts as this many tokens of the quota. With 5, an answer of 100
      output tokens uses 500 tokens of the quota.
    * `max_output_tokens`: the number of output tokens that is reserved for a request without its own maximum.
    * `guessed`: the names of the facts that are guesses, because no source was found.
    * `prefill`: True if the model is known to support prefill. With prefill, if the last message of a conversation is
      from the assistant, the model continues this message.
    """

    provider: str
    burndown: float
    max_output_tokens: int
    prefill: bool = False
    guessed: tuple[str, ...] = ()


@lru_cache(maxsize=4096)  # needed for every call; bounded, because ids may come from outside the program
def model_facts(base_model_id: str) -> ModelFacts:
    """Return the facts about a base model. The model's id has the form that `split_profile` returns.

    A model that is not in the table gets the values of its family, and `guessed` names these values. The function
    therefore accepts every id.
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
    """Return whether `message`, from a refused CountTokens call, states that CountTokens does not support the model."""
    return str(_data()["count_tokens"]["refused"]) in message


@lru_cache(maxsize=4096)
def draws_nothing(base_model_id: str) -> bool:
    """Return True if a model computes its answers without random sampling, as embedding models do."""
    return any(re.fullmatch(pattern, base_model_id, re.DOTALL) for pattern in _data()["computing"]["patterns"])


def cache_writes_reported() -> float:
    """Return the highest known ratio between the cache writes that a stream reports and the real cache writes.

    Some streams report too many: the value 2 means that a stream reported twice the real number.
    """
    return float(_data()["cache_writes"]["reported"])


class Target(NamedTuple):
    """The target of a model id: the id of the base model, and the quota pool (`on-demand`, `geographic`, `global` or
    `provisioned`).
    """

    base: str
    pool: str


class ModelArn(str):
    """An ARN that does not contain its model, together with the id of its model (`model`).

    The model id also determines which quota the calls use. If the ARN was created from an inference profile, pass the
    profile's id, such as `us.anthropic.claude-...`. A `ModelArn` is accepted wherever a model id is expected.
    """

    __slots__ = ("model",)

    model: str

    def __new__(cls, arn: str, model: str) -> Self:
        """Create a `ModelArn` from an ARN and the id of its model."""
        if not arn.startswith("arn:"):
            raise ValueError(f"ModelArn({arn!r}): pass an ARN as the first argument. Use a model id without ModelArn")
        if not model.strip() or _split(model).base == UNKNOWN_MODEL:
            raise ValueError(
                f"ModelArn(model={model!r:.80}): the value is empty, or is an ARN that does not contain its model. "
                "Pass the id of a model or of a system-defined inference profile"
            )
        self = super().__new__(cls, arn)
        self.model = model
        return self

    def __reduce__(self) -> tuple[type[Self], tuple[str, str]]:
        return type(self), (str(self), self.model)


def target(model_id: Any) -> Target:
    """Return the target of any model id that the runtime accepts.

    If the id is an ARN that does not show the model, such as the ARN of a prompt, the model is `UNKNOWN_MODEL`. Two
    such ARNs can stand for the same model, which has only one quota. Therefore all such ARNs share one quota.
    """
    if isinstance(model_id, ModelArn):
        return _split(model_id.model)
    return _split(str(model_id))


def can_be_looked_up(arn: str) -> bool:
    """Return whether GetInferenceProfile can return the model of `arn`."""
    return _kind_and_name(arn)[0] == "application-inference-profile"


def is_untold(model_id: str) -> bool:
    """Return True if a model id is an ARN that shows neither the model nor the Regions in which calls are answered."""
    return model_id.startswith("arn:") and _kind_and_name(model_id)[0] in _data()["arns"]["untold"]


def target_of_models(region: str, model_arns: Sequence[str]) -> Target | None:
    """Return the target (base model and quota pool) of an inference profile. `region` is the profile's Region, and
    `model_arns` are the ARNs of the models to which the profile sends calls. The result is None if these ARNs do not
    all belong to the same model.

    The pool is `global` if an ARN has no Region. Otherwise, it is `geographic` if an ARN has a Region other than
    `region`. If all ARNs have the Region `region`, it is `on-demand`.
    """
    targets = {_split(arn).base for arn in model_arns}
    if len(targets) != 1:
        return None
    regions = {arn.split(":")[3] for arn in model_arns}
    pool = "global" if "" in regions else "on-demand" if regions == {region} else "geographic"
    return Target(targets.pop(), pool)


def providers() -> tuple[str, ...]:
    """Return the names of the model providers, such as `anthropic`. A base model id begins with such a name."""
    return tuple(_data()["profiles"]["providers"])


def split_profile(model_id: str) -> tuple[str, str]:
    """Return the base model id and the quota pool of `model_id`. If `model_id` is an ARN that does not show the model,
    such as the ARN of a prompt, the base is the ARN itself.
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
    """Return a model id without the length of its context window. For example, `...-v1:0:200k` is the model
    `...-v1:0`.
    """
    return re.sub(r"(:\d+):\d+k$", r"\1", name)


def _first_match(table: list[dict[str, Any]], model: str) -> dict[str, Any]:
    return next(
        entry for entry in table if any(re.fullmatch(pattern, model, re.DOTALL) for pattern in entry["patterns"])
    )


@cache
def _data() -> dict[str, Any]:
    return tomllib.loads(text_of_file("models.toml"))
