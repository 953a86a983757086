"""Define the options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")


def _use_profile(_: click.Context, __: click.Parameter, name: str | None) -> None:
    """Make the session of a profile the default session. Clients without their own session use the default session."""
    if name is None:
        return
    import boto3  # noqa: PLC0415 - heavy, and only needed now
    from botocore.exceptions import ProfileNotFound  # noqa: PLC0415 - the same

    try:
        boto3.setup_default_session(profile_name=name)
    except ProfileNotFound:
        known = ", ".join(boto3.Session().available_profiles) or "none"
        raise click.BadParameter(
            f"Profile {name!r} does not exist. The profiles in ~/.aws/config and ~/.aws/credentials are: {known}."
        ) from None


REGION_OPTION = click.option(
    "--region",
    metavar="NAME",
    help="AWS Region. [default: AWS_DEFAULT_REGION or ~/.aws/config; AWS_REGION is not read]",
)
PROFILE_OPTION = click.option(
    "--profile",
    metavar="NAME",
    expose_value=False,
    callback=_use_profile,
    help="Profile in ~/.aws/config. [default: AWS_PROFILE]",
)
ENDPOINT_OPTION = click.option("--endpoint-url", metavar="URL", help="URL to call instead of the AWS endpoint.")
JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
CONFIG_OPTION = click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="TOML file with policies, such as quota and retry.",
)
TEMPERATURE_OPTION = click.option(
    "--temperature", type=click.FloatRange(0, 1), metavar="N", help="Temperature, from 0 to 1."
)
TIMEOUT_OPTION = click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True, max=86_400),
    metavar="SECONDS",
    help="Total timeout of a prompt. [default: 900]",
)
SIMULATE_OPTION = click.option(
    "--simulate",
    is_flag=False,
    flag_value="calm",
    metavar="[SCENARIO]",
    help="Call the built-in simulator instead of AWS.",
)
SINCE_HELP = "Start time: 30m, 2h or 7d ago, or 2026-11-29T14:00 (UTC)."
DRY_RUN_OPTION = click.option("--dry-run", is_flag=True, help="Send nothing; print what would be sent.")
REFRESH_OPTION = click.option("--refresh", is_flag=True, help="Read from AWS again, not from the 24-hour cache.")


def place_options(function: F) -> F:
    """Add the options that select the Region, the profile and the endpoint."""
    for option in (ENDPOINT_OPTION, PROFILE_OPTION, REGION_OPTION):
        function = option(function)
    return function


def model_option(name: str = "model") -> Callable[[F], F]:
    """Return the option for a model. `name` is the name of the command's parameter."""
    return click.option(
        "--model",
        name,
        metavar="ID|ARN",
        envvar="BEDROCK_MODEL_ID",
        help="Model or inference profile. [env: BEDROCK_MODEL_ID]",
    )


def store_option(callback: Callable[..., Any] | None = None, *, required: bool = False) -> Callable[[F], F]:
    """Return the option for the store through which processes share a quota."""
    return click.option(
        "--store",
        metavar="URL",
        required=required,
        callback=callback,
        help="Store to share the quota: redis://HOST, sqlite:///FILE.",
    )


def role_option(name: str = "role") -> Callable[[F], F]:
    """Return the option for the IAM role that Bedrock assumes in batch jobs. `name` is the name of the command's
    parameter.
    """
    return click.option(
        "--role",
        name,
        metavar="ARN",
        envvar="BEDROCK_BATCH_ROLE_ARN",
        help="Role for batch jobs. [env: BEDROCK_BATCH_ROLE_ARN]",
    )


def limit_option(default: int) -> Callable[[F], F]:
    """Return the option for the maximum number of results."""
    return click.option(
        "--limit",
        type=click.IntRange(min=1),
        default=default,
        show_default=True,
        metavar="N",
        help="Maximum number of results.",
    )


def output_s3_option(*, required: bool = False) -> Callable[[F], F]:
    """Return the option for the S3 prefix of the files of batch jobs."""
    return click.option(
        "--output-s3-uri", required=required, metavar="URI", help="Prefix for batch files: s3://BUCKET/PREFIX/."
    )


def rate_options(least: click.FloatRange) -> Callable[[F], F]:
    """Return the options `--rpm` and `--tpm` for the quota. `least` is a click type that refuses values below its
    minimum.
    """

    def add(function: F) -> F:
        for name, unit in (("--tpm", "tokens"), ("--rpm", "requests")):
            function = click.option(name, type=least, metavar="N", help=f"Quota in {unit} per minute.")(function)
        return function

    return add


MAX_TOKENS_OPTION = click.option(
    "--max-tokens",
    type=click.IntRange(min=1),
    metavar="N",
    help="Maximum output tokens. [default: the model's maximum]",
)
_OPTIONS = (
    model_option(),
    click.option("--system", metavar="TEXT", help="System prompt."),
    MAX_TOKENS_OPTION,
    TEMPERATURE_OPTION,
    REGION_OPTION,
    PROFILE_OPTION,
)


def request_options(function: F) -> F:
    """Add the options for the model, the request parameters (such as `--temperature`), the Region and the profile."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def call_options(function: F) -> F:
    """Add the options of `request_options`, and in addition the option for the endpoint."""
    return request_options(ENDPOINT_OPTION(function))


def chosen_model(model: str | None) -> str:
    """Return the model. Raise `UsageError` if no model is set."""
    if not model or not model.strip():
        raise click.UsageError(
            "No model is set. Pass --model ID or set BEDROCK_MODEL_ID, for example to amazon.nova-lite-v1:0. "
            "`bedrock models list` lists the models."
        )
    return model
