"""Checks of the model of a batch job, and of the bodies of its records, against what is known to fail.

AWS looks at no body before it runs a job. What is not known is not refused: AWS then says it.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.dialects.request import is_converse
from aws_bedrock_inference.knowledge.models import target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_bedrock_inference.foundation.models import Models


def model_problem(model_id: str, models: Models | None = None) -> str:
    """Return why the model surely takes no batch jobs, or nothing. `models` are those of the account and Region."""
    base = target(model_id).base
    for each in _facts()["unsupported"]:
        if re.fullmatch(each["pattern"], base) or re.fullmatch(each["pattern"], model_id):
            return f"{model_id} {each['why']}"
    if models is None:
        return ""
    check = models.check(model_id)
    return " ".join(check.problems).rstrip(".") if check.known is False else ""


def body_problem(body: Mapping[str, Any], model_id: str, invocation: str) -> str:
    """Return why a record with this body surely fails in a job of that type, or nothing."""
    if invocation == "Converse":
        if "toolConfig" in body:
            return "toolConfig: a batch job with bodies of Converse takes no tools. Give the model's own bodies"
        return (
            "" if is_converse(body) else "the body is not Converse's. Give messages, or only bodies of the model's own"
        )
    base = target(model_id).base
    for each in _facts()["bodies"]:
        if base.startswith(each["model"]) and not any(set(needed) <= body.keys() for needed in each["members"]):
            form = "a body of Converse" if is_converse(body) else "the body"
            return f"{form} is none that {model_id} takes: {each['hint']}"
    return ""


@cache
def _facts() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("batch_models.toml").read_text(encoding="utf-8"))
