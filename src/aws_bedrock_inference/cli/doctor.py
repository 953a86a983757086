"""`bedrock doctor`: find the cause of an error, or of calls that do not work, and prove it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from aws_bedrock_inference.cli.doctor_shown import Shown, summary
from aws_bedrock_inference.cli.exit_codes import FAILED
from aws_bedrock_inference.cli.options import PROFILE_OPTION, REGION_OPTION
from aws_bedrock_inference.cli.terminal import standard_input
from aws_bedrock_inference.doctor.findings import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_bedrock_inference.doctor.findings import Check, Report

_CALL = "call"


@click.command()
@click.option(
    "--for", "error", metavar="TEXT", help="Error text, or - for standard input: run what tells its causes apart."
)
@click.option("--model", "model_id", envvar="BEDROCK_MODEL_ID", metavar="ID", help="Model that is to be called.")
@click.option("--max-tokens", type=click.IntRange(min=1), metavar="N", help="Longest answer that is asked for.")
@click.option("--role", "role_arn", envvar="BEDROCK_BATCH_ROLE_ARN", metavar="ARN", help="Role of batch jobs.")
@click.option("--output-s3-uri", metavar="URI", help="Prefix for what batch jobs write.")
@click.option("--dead-letters", "table", metavar="TABLE", help="DynamoDB table of dead letters.")
@click.option("--store", metavar="URL", help="Store that shares a quota.")
@click.option("--call", is_flag=True, help="Also make one call, of one token.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="Longest time for all of it.",
)
@click.option("--summary", "short", is_flag=True, help="Print one line.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--ascii", "plain", is_flag=True, help="Print no other signs than those of ASCII.")
@click.option(
    "--bundle",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write a report for a bug, without secrets.",
)
@click.option("--endpoint-url", metavar="URL", help="URL of the runtime to look at instead of AWS's.")
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

    Looks at versions, settings, network, credentials, model, permissions and quotas, and changes nothing. The exit
    code is 1 if something fails, and 0 for warnings.
    """
    from aws_bedrock_inference.doctor import diagnose  # noqa: PLC0415 - heavy; other commands do not need it
    from aws_bedrock_inference.doctor.bundle import write_bundle  # noqa: PLC0415 - the same

    text = standard_input().read().decode(errors="replace") if error == "-" else error
    if text is not None and not text.strip():
        raise click.UsageError("The text is empty. Give an error's text or the name of a cause, or leave --for out.")
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
        click.echo(f"The report is in {bundle}. It holds no secrets; read it before you send it.", err=True)
    if report.overall is Status.FAILED:
        sys.exit(FAILED)
