"""Find models and bodies that are known to fail in a batch job, before the job is created.

AWS does not check the bodies before it runs a job. The file `batch_models.toml` contains the known facts about models.
Without a known fact, this module reports no problem. If the job then fails, AWS reports the error.
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
    """Return a sentence that states why the model cannot be used for batch jobs. Return an empty text if no reason is
    known.

    `models` are the models of the account in the Region.
    """
    base = target(model_id).base
    for each in _facts()["unsupported"]:
        if re.fullmatch(each["pattern"], base) or re.fullmatch(each["pattern"], model_id):
            return f"{model_id} {each['why']}"
    if models is None:
        return ""
    check = models.check(model_id)
    return " ".join(check.problems).rstrip(".") if check.known is False else ""


def body_problem(body: Mapping[str, Any], model_id: str, invocation: str) -> str:
    """Return a sentence that states why a record with this body fails in a batch job. Return an empty text if no reason
    is known.

    `invocation` is the operation of the job: `Converse` or `InvokeModel`.
    """
    if invocation == "Converse":
        if "toolConfig" in body:
            return (
                "toolConfig: a batch job with Converse bodies does not support tools. Pass native bodies of the model"
            )
        return (
            ""
            if is_converse(body)
            else "the body is not a Converse body. Pass messages, or use only native bodies of the model"
        )
    base = target(model_id).base
    for each in _facts()["bodies"]:
        if base.startswith(each["model"]) and not any(set(needed) <= body.keys() for needed in each["members"]):
            form = "a Converse body" if is_converse(body) else "this body"
            return f"{model_id} does not accept {form}: {each['hint']}"
    return ""


@cache
def _facts() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("batch_models.toml").read_text(encoding="utf-8"))
