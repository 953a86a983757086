"""Read the facts in `lifecycle.toml`.

The file contains these facts about models: the last day, the successors, the accepted data-retention modes, and the
providers that require a use-case form. It also contains the causes of errors that can end without an action of the
user.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.knowledge.data import text_of_file

if TYPE_CHECKING:
    from collections.abc import Container
    from datetime import date

_RETIRED = frozenset({"model-end-of-life", "legacy-model-access-lapsed"})
_UNKNOWN = "invalid-model-identifier"  # AWS also returns this for a model that it has removed


def end_of_life(base_model_id: str) -> date | None:
    """Return the day on which AWS ends the model in most Regions. The result is None if no source states a day."""
    day: date | None = _data()["dates"]["end_of_life"].get(base_model_id)
    return day


@lru_cache(maxsize=4096)
def successors(base_model_id: str) -> tuple[str, ...]:
    """Return the base models that can replace a model, the best first. The result is empty if no source names a
    successor.
    """
    for entry in _data()["successors"]:
        if any(re.fullmatch(pattern, base_model_id) for pattern in entry["patterns"]):
            ids = tuple(entry["ids"])
            return () if base_model_id == ids[0] else tuple(each for each in ids if each != base_model_id)
    return ()


def successor(base_model_id: str, offered: Container[str] | None = None) -> str | None:
    """Return the best successor of a model, or None if no successor is known.

    `offered` contains the models that the Region offers, or is None if they are unknown. If they are known, only a
    successor in `offered` is returned.
    """
    found = successors(base_model_id)
    return next((each for each in found if offered is None or each in offered), None)


def ending(base_model_id: str, offered: Container[str] | None = None) -> str:
    """Return a sentence that states the model's last day and its best successor. The result is empty if the day is
    unknown.
    """
    day, following = end_of_life(base_model_id), successor(base_model_id, offered)
    if day is None:
        return ""
    heir = f" Its successor is {following}." if following else ""
    return f"The last day of {base_model_id} is {day} in most Regions.{heir}"


def advice_on(cause: str, base_model_id: str) -> str:
    """Return a sentence that names the successor of a retired model, to be added to the advice for the error. The
    result is empty if `cause` does not mean that the model is retired.
    """
    if cause not in _RETIRED and cause != _UNKNOWN:
        return ""
    following = successor(base_model_id)
    if end_of_life(base_model_id) is not None or cause == _UNKNOWN or following is None:
        return ending(base_model_id)
    return f"The successor of {base_model_id} is {following}."


def asks_for_a_form(base_model_id: str) -> bool:
    """Return whether the provider of a model requires that each account submits a use-case form once."""
    return base_model_id.partition(".")[0] in _data()["use_case_form"]["providers"]


def retention_modes(base_model_id: str) -> tuple[str, ...]:
    """Return the data-retention modes that a model accepts. The result is empty if the model accepts all modes."""
    for entry in _data()["retention"]:
        if any(re.fullmatch(pattern, base_model_id) for pattern in entry["patterns"]):
            return tuple(entry["modes"])
    return ()


def heals_after(cause: str) -> float | None:
    """Return the seconds to wait before the next attempt, if a call failed for a cause that needs minutes to end.

    For the cause `use-case-form-missing`, the result is 900, because AWS enables a model about 15 minutes after the
    user submits the form. The result is None for causes that `lifecycle.toml` does not list, such as throttling.
    """
    found = _data()["heals"].get(cause)
    return None if found is None else float(found["seconds"])


@cache
def _data() -> dict[str, Any]:
    return tomllib.loads(text_of_file("lifecycle.toml"))
