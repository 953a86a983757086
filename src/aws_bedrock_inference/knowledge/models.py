"""The facts that a model id states: the model's provider, the quota pool it draws on, and the cost of its tokens.

The facts are data with a date, in `models.toml`, read at the first question.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The facts about one model that quota arithmetic needs.

    `burndown` multiplies output tokens when a request is settled; `max_output_tokens` is what a request without a
    maximum of its own reserves.
    """

    provider: str
    burndown: float
    max_output_tokens: int


@lru_cache(maxsize=4096)  # asked for every call; bounded, since ids may come from outside
def model_facts(base_model_id: str) -> ModelFacts:
    """Return the facts of a base model, as `split_profile` names it.

    Any id has an answer: an Anthropic model newer than the table counts at the highest Anthropic rate, any other
    unknown model at 1.
    """
    data = _data()
    return ModelFacts(
        provider=base_model_id.partition(".")[0],
        burndown=float(_first_match(data["burndown"], base_model_id)["rate"]),
        max_output_tokens=int(_first_match(data["max_output_tokens"], base_model_id)["tokens"]),
    )


@lru_cache(maxsize=4096)
def split_profile(model_id: str) -> tuple[str, str]:
    """Return the base model id and the quota pool: `on-demand`, `geographic`, `global` or `provisioned`.

    `model_id` is anything the runtime accepts: a model or inference profile, by id or by ARN. An ARN that does not
    name its model (an application inference profile, provisioned throughput) is its own base.
    """
    if not model_id.startswith("arn:"):
        return _split_id(model_id)
    kind, _, name = model_id.split(":", 5)[-1].partition("/")
    if kind == "foundation-model":
        return name, "on-demand"
    if kind == "inference-profile":
        return _split_id(name)
    return model_id, "provisioned" if kind in _data()["arns"]["provisioned"] else "on-demand"


def _split_id(name: str) -> tuple[str, str]:
    scope, _, base = name.partition(".")
    profiles = _data()["profiles"]
    if base and scope in profiles["global"]:
        return base, "global"
    if base and scope in profiles["geographic"]:
        return base, "geographic"
    return name, "on-demand"


def _first_match(table: list[dict[str, Any]], model: str) -> dict[str, Any]:
    return next(entry for entry in table if any(re.fullmatch(pattern, model) for pattern in entry["patterns"]))


@cache
def _data() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("models.toml").read_text(encoding="utf-8"))
