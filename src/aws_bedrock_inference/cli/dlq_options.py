"""The options of `bedrock dlq` that select the store and the letters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from aws_bedrock_inference.cli.options import SINCE_HELP
from aws_bedrock_inference.deadletters import TABLE
from aws_bedrock_inference.deadletters.letter import STATES

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")

STORE_OPTION = click.option(
    "--store",
    metavar="STORE",
    envvar="BEDROCK_DEAD_LETTERS",
    default=TABLE,
    help=f"DynamoDB table or sqlite:///FILE. [env: BEDROCK_DEAD_LETTERS; default: {TABLE}]",
)
_FILTERS = (
    click.option("--cause", metavar="NAME", help="Only this cause; * matches any text: 'throttled-*'."),
    click.option("--model", metavar="PATTERN", help="Only this model; * matches any text."),
    click.option("--in-region", metavar="NAME", help="Only requests that failed in this Region."),
    click.option("--since", metavar="TIME", help=SINCE_HELP),
    click.option("--until", metavar="TIME", help="End time, in the same forms as --since."),
    click.option("--tag", multiple=True, metavar="NAME[=VALUE]", help="Only letters with this tag. Repeatable."),
)
STATE_OPTION = click.option(
    "--state",
    type=click.Choice([*STATES, "all"]),
    default="dead",
    show_default=True,
    metavar="STATE",
    help=f"State of the letters: {', '.join(STATES)} or all.",
)


def selecting(function: F) -> F:
    """Add the options that select dead letters."""
    for option in reversed(_FILTERS):
        function = option(function)
    return function


def selection(
    *, cause: str | None, model: str | None, in_region: str | None, since: Any, until: Any, tag: tuple[str, ...]
) -> dict[str, Any]:
    """Return the filters of `DeadLetterQueue.page` that correspond to these options."""
    return {"cause": cause, "model": model, "region": in_region, "since": since, "until": until, "tag": tag}
