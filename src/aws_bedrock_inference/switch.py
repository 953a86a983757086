"""The switch that turns all policies off without a change of code: the environment variable `AWS_BEDROCK_INFERENCE`.

With `off`, every call is one plain attempt: no retries, no waiting for quota, no circuit breaker, no default deadline,
no store. The variable is read when a client or wrapper is created. It is not read again for each call, because the
environment of a process normally does not change while the process runs.
"""

from __future__ import annotations

import logging
import os
from functools import cache

from aws_bedrock_inference.bounds import shown_name

VARIABLE = "AWS_BEDROCK_INFERENCE"

_STATES = ("on", "off")


def policies_are_off() -> bool:
    """Return True if the environment turns the policies off; otherwise return False. Raises `ValueError` if the
    variable is neither `on` nor `off`.
    """
    value = os.environ.get(VARIABLE, "")
    state = value.strip().lower()
    if state and state not in _STATES:
        raise ValueError(
            f'{VARIABLE}={shown_name(value, _STATES)}: set "off" for plain calls without policies, or "on", or unset it'
        )
    if state == "off":
        _warn()
    return state == "off"


@cache
def _warn() -> None:
    logging.getLogger("aws_bedrock_inference").warning(
        "%s=off: each call is one attempt without retries, quota, circuit breaker and default deadline. Unset the "
        "variable to use these policies",
        VARIABLE,
    )
