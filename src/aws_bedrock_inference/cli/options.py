"""Options shared by several commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")


def _use_profile(_: click.Context, __: click.Parameter, name: str | None) -> None:
    """Make the session of a profile the default one, which all that makes a client uses unless it has its own."""
    if name is None:
        return
    import boto3  # noqa: PLC0415 - heavy, and only needed now
    from botocore.exceptions import ProfileNotFound  # noqa: PLC0415 - the same

    try:
        boto3.setup_default_session(profile_name=name)
    except ProfileNotFound:
        known = ", ".join(boto3.Session().available_profiles) or "none"
        raise click.BadParameter(
            f"There is no profile {name!r}. The profiles in ~/.aws/config and ~/.aws/credentials: {known}."
        ) from None


REGION_OPTION = click.option(
    "--region",
    metavar="NAME",
    help="AWS Region. [default: from AWS_DEFAULT_REGION or ~/.aws/config; AWS_REGION is not read]",
)
PROFILE_OPTION = click.option(
    "--profile",
    metavar="NAME",
    expose_value=False,
    callback=_use_profile,
    help="Profile of ~/.aws/config. [default: from AWS_PROFILE]",
)
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
    REGION_OPTION,
    PROFILE_OPTION,
)
_ENDPOINT_OPTION = click.option(
    "--endpoint-url", metavar="URL", help="URL to call instead of AWS, such as the URL of `bedrock simulate`."
)


def request_options(function: F) -> F:
    """Add the options that select the model, the account and the request settings."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def call_options(function: F) -> F:
    """Add the options that select the model, the endpoint and the request settings."""
    return request_options(_ENDPOINT_OPTION(function))


def chosen_model(model: str | None) -> str:
    """Return the model; raise `UsageError` without one."""
    if not model or not model.strip():
        raise click.UsageError(
            "No model is set. Give --model ID or set BEDROCK_MODEL_ID, for example to amazon.nova-lite-v1:0. "
            "`bedrock models list` lists the models."
        )
    return model
