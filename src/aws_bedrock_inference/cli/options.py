"""Options that several commands have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")

_OPTIONS = (
    click.option(
        "--model",
        metavar="ID",
        envvar="BEDROCK_MODEL_ID",
        help="Model or inference profile, by id or ARN. [env: BEDROCK_MODEL_ID]",
    ),
    click.option("--system", metavar="TEXT", help="System prompt."),
    click.option(
        "--max-tokens",
        type=click.IntRange(min=1),
        metavar="N",
        help="Longest answer. Bedrock reserves it from the quota; unset is the model's maximum.",
    ),
    click.option("--region", metavar="NAME", help="AWS Region. [default: as for the AWS CLI]"),
    click.option("--endpoint-url", metavar="URL", help="Another endpoint, such as one of `bedrock simulate`."),
)


def call_options(function: F) -> F:
    """Add the options that say whom to call and how."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def chosen_model(model: str | None) -> str:
    """Return the model, or say how to name one."""
    if not model or not model.strip():
        raise click.UsageError(
            "No model. Give --model ID or set BEDROCK_MODEL_ID, for example to amazon.nova-lite-v1:0; "
            "`aws bedrock list-foundation-models` lists what there is."
        )
    return model
