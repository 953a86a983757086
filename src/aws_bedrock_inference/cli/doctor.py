"""`bedrock doctor`: find the cause of an error or of failing calls, and prove the cause with checks."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from aws_bedrock_inference.cli.doctor_shown import Shown, summary
from aws_bedrock_inference.cli.exit_codes import FAILED
from aws_bedrock_inference.cli.layout import Command
from aws_bedrock_inference.cli.options import (
    ENDPOINT_OPTION,
    JSON_OPTION,
    MAX_TOKENS_OPTION,
    PROFILE_OPTION,
    REGION_OPTION,
    model_option,
    output_s3_option,
    role_option,
    store_option,
)
from aws_bedrock_inference.cli.terminal import standard_input
from aws_bedrock_inference.doctor.findings import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_bedrock_inference.doctor.findings import Check, Report

_CALL = "call"


@click.command(cls=Command)
@click.option("--for", "error", metavar="TEXT", help="Error to diagnose, text or cause; - is standard input.")
@model_option("model_id")
@MAX_TOKENS_OPTION
@role_option("role_arn")
@output_s3_option()
@click.option("--dead-letters", "table", metavar="TABLE", help="Also check this DynamoDB table of dead letters.")
@store_option()
@click.option("--call", is_flag=True, help="Also send one call, with max_tokens 1.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="Maximum time for all checks.",
)
@click.option("--summary", "short", is_flag=True, help="Print one line.")
@JSON_OPTION
@click.option("--ascii", "plain", is_flag=True, help="Print only ASCII characters.")
@click.option(
    "--bundle",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write a report for a bug, without secrets.",
)
@ENDPOINT_OPTION
@PROFILE_OPTION
@REGION_OPTION
def doctor(
    *,
    error: str | None,
    call: bool,
    timeout: float,
    short: bool,
    as_json: bool,
    plain: bool,
    bundle: Path | None,
    region: str | None,
    **settings: Any,
) -> None:
    """Find out why calls fail, and prove it.

    The command checks versions, settings, network, credentials, model, permissions and quotas, and changes nothing.
    Options such as --store and --role add checks. The exit code is 1 if a check fails; warnings do not change it.
    """
    from aws_bedrock_inference.doctor import diagnose  # noqa: PLC0415 - heavy; other commands do not need it
    from aws_bedrock_inference.doctor.bundle import write_bundle  # noqa: PLC0415 - the same

    text = standard_input().read().decode(errors="replace") if error == "-" else error
    if text is not None and not text.strip():
        raise click.UsageError("--for is empty. Pass the text of an error or the name of a cause, or omit --for.")
    shown = None if as_json or short else Shown(Console(highlight=False), ascii_only=plain)
    heard: Callable[[Check], object] = shown.check if shown is not None else lambda _: None
    asked = [_CALL] if call else []
    report: Report = diagnose(text, timeout=timeout, asked=asked, heard=heard, region_name=region, **settings)
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=2))
    elif shown is None:
        click.echo(summary(report))
    else:
        shown.end(report)
    if bundle is not None:
        write_bundle(bundle, report)
        click.echo(f"The report is in {bundle}. Secrets are removed; read the report before you send it.", err=True)
    if report.overall is Status.FAILED:
        sys.exit(FAILED)
