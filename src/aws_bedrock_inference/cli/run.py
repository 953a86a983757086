"""`bedrock run`: read a file of prompts, write a file of answers."""

from __future__ import annotations

import asyncio  # noqa: TID251 - the command starts the loop
import contextlib
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from aws_bedrock_inference import clock
from aws_bedrock_inference.batch.job import DASH, Job, carry_out
from aws_bedrock_inference.batch.tally import Tally
from aws_bedrock_inference.cli.options import call_options, chosen_model
from aws_bedrock_inference.cli.progress import Progress
from aws_bedrock_inference.cli.quota_usage import usable_store
from aws_bedrock_inference.cli.report import exit_code, summary
from aws_bedrock_inference.cli.simulated import MODEL, simulated

if TYPE_CHECKING:
    from aws_bedrock_inference.batch.records import BadLine
    from aws_bedrock_inference.batch.runner import Ending

_MOST_COMPLAINTS = 20
_INPUT = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
_OUTPUT = click.Path(dir_okay=False, path_type=Path)
_PER_MINUTE = click.FloatRange(min=0, min_open=True)
_CONCURRENCY = "Maximum number of calls in flight. [default: 64; 512 with --rpm or --tpm]"


@click.command()
@click.argument("source", metavar="INPUT", type=_INPUT)
@click.option("-o", "--output", required=True, metavar="FILE", type=_OUTPUT, help="File for the answers.")
@call_options
@click.option("--rpm", type=_PER_MINUTE, metavar="N", help="Quota in requests per minute.")
@click.option("--tpm", type=_PER_MINUTE, metavar="N", help="Quota in tokens per minute.")
@click.option(
    "--store",
    metavar="URL",
    callback=usable_store,
    help="Store that shares the quota with other processes: redis://HOST, sqlite:///FILE …",
)
@click.option("--concurrency", type=click.IntRange(min=1), metavar="N", help=_CONCURRENCY)
@click.option("--stream", is_flag=True, help="Receive the answers as streams; retry a stream that breaks.")
@click.option(
    "--simulate",
    is_flag=False,
    flag_value="calm",
    metavar="[SCENARIO]",
    help="Call the built-in simulator instead of AWS; needs no credentials.",
)
@click.pass_context
def run(ctx: click.Context, /, *, stream: bool, simulate: str | None, **options: Any) -> None:
    """Send every prompt of a file; write each answer as it arrives.

    INPUT is a file with one JSON object on each line: {"id": ..., "prompt": ...} or a record of Bedrock's batch
    inference. Use - for standard input. Records that already have an answer in FILE are skipped, so after an
    interruption run the same command again. Records that fail are written to FILE.failed.jsonl, which is valid input.
    """
    source, output = options["source"], options["output"]
    if output == DASH:
        raise click.UsageError(
            "--output must be a file, because the next run reads it to skip the records that have an answer."
        )
    if source.exists() and output.exists() and source.samefile(output):
        raise click.UsageError("INPUT and --output are the same file.")
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.showwarning = _warn  # type: ignore[assignment]  # it takes anything
        if simulate is not None:
            running, options["session"] = stack.enter_context(simulated(simulate))
            options["endpoint_url"] = running.url
            options["model"] = options["model"] or MODEL
        chosen_model(options["model"])
        job = Job(**options, streamed=lambda _: stream)
        tally = Tally(clock.monotonic)
        ending = asyncio.run(_watched(job, tally, Console(stderr=True, highlight=False)))
    for line in summary(job, tally, ending, ctx.meta["arguments"]):
        click.echo(line, err=True)
    ctx.exit(exit_code(tally, ending))


def _warn(message: Warning | str, *_: object) -> None:
    click.echo(f"Warning: {message}", err=True)


async def _watched(job: Job, tally: Tally, console: Console) -> Ending:
    progress = Progress(console, tally, rpm=job.rpm, tpm=job.tpm)
    if job.source.is_file():
        threading.Thread(target=_count, args=(job.source, progress), daemon=True).start()

    def complain(line: BadLine) -> None:
        if tally.bad <= _MOST_COMPLAINTS:
            more = " (further bad lines are counted, not shown)" if tally.bad == _MOST_COMPLAINTS else ""
            say(f"{line}{more}")

    def say(message: str) -> None:
        console.print(message, markup=False, soft_wrap=True)

    async with progress.shown():
        return await carry_out(job, tally, complain=complain, say=say)


def _count(source: Path, progress: Progress) -> None:
    with source.open("rb") as lines:
        progress.total = sum(1 for line in lines if not line.isspace())
