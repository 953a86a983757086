"""Options shared by several commands."""

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
        help="Model or inference profile: id or ARN. [env: BEDROCK_MODEL_ID]",
    ),
    click.option("--system", metavar="TEXT", help="System prompt."),
    click.option(
        "--max-tokens",
        type=click.IntRange(min=1),
        metavar="N",
        help="Maximum length of an answer. Bedrock reserves it from the quota. [default: the model's maximum]",
    ),
    click.option("--region", metavar="NAME", help="AWS Region. [default: from AWS_DEFAULT_REGION or ~/.aws/config]"),
    click.option(
        "--endpoint-url", metavar="URL", help="URL to call instead of AWS, such as the URL of `bedrock simulate`."
    ),
)


def call_options(function: F) -> F:
    """Add the options that select the model, the endpoint and the request settings."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def chosen_model(model: str | None) -> str:
    """Return the model; raise `UsageError` without one."""
    if not model or not model.strip():
        raise click.UsageError(
            "No model is set. Give --model ID or set BEDROCK_MODEL_ID, for example to amazon.nova-lite-v1:0. "
            "`aws bedrock list-foundation-models` lists the models."
        )
    return model
