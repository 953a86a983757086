"""`bedrock doctor`: find the cause of an error, or of calls that do not work, and prove it."""

from __future__ import annotations

import json
import sys
from typing import Any

import click
from rich.console import Console

from aws_bedrock_inference.cli.doctor_shown import Shown, summary
from aws_bedrock_inference.cli.exit_codes import FAILED
from aws_bedrock_inference.cli.options import PROFILE_OPTION, REGION_OPTION
from aws_bedrock_inference.doctor.findings import Status


@click.command()
@click.option(
    "--for",
    "error",
    metavar="TEXT",
    help="Error text, or the name of a cause: only what tells its causes apart is looked at.",
)
@click.option("--model", "model_id", envvar="BEDROCK_MODEL_ID", metavar="ID", help="Model that is to be called.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--summary", "short", is_flag=True, help="Print one line.")
@click.option("--ascii", "plain", is_flag=True, help="Print no other signs than those of ASCII.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="Longest time for all of it.",
)
@click.option("--endpoint-url", metavar="URL", help="URL of the runtime to look at instead of AWS's.")
@PROFILE_OPTION
@REGION_OPTION
def doctor(
    *,
    error: str | None,
    model_id: str | None,
    as_json: bool,
    short: bool,
    plain: bool,
    timeout: float,
    endpoint_url: str | None,
    region: str | None,
) -> None:
    """Find out why calls fail, and prove it.

    Looks at versions, settings, network, credentials, model and access, and changes nothing. The exit code is 1 if
    something fails.
    """
    from aws_bedrock_inference.doctor import diagnose  # noqa: PLC0415 - heavy; other commands do not need it

    shown = None if as_json or short else Shown(Console(highlight=False), ascii_only=plain)
    settings: dict[str, Any] = {"model_id": model_id, "region_name": region, "endpoint_url": endpoint_url}
    report = diagnose(error, timeout=timeout, heard=shown.check if shown is not None else lambda _: None, **settings)
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=2))
    elif shown is None:
        click.echo(summary(report))
    else:
        shown.end(report)
    if report.overall is Status.FAILED:
        sys.exit(FAILED)
