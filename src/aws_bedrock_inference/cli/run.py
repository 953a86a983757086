"""`bedrock run`: read a file of prompts, and write a file of answers."""

from __future__ import annotations

import asyncio  # noqa: TID251 - the command starts the loop
import contextlib
import signal
import threading
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import click
from rich.console import Console

from aws_bedrock_inference import clock
from aws_bedrock_inference.batch.carry_out import carry_out, concurrency_of
from aws_bedrock_inference.batch.deadline.night import planned_choice
from aws_bedrock_inference.batch.dry_run import planned
from aws_bedrock_inference.batch.ending import Ending
from aws_bedrock_inference.batch.inputs import DASH, holds_output
from aws_bedrock_inference.batch.job import Job
from aws_bedrock_inference.batch.schema import Schema
from aws_bedrock_inference.batch.tally import Tally
from aws_bedrock_inference.cli.exit_codes import NEEDS_CORRECTION
from aws_bedrock_inference.cli.layout import Command
from aws_bedrock_inference.cli.options import (
    CONFIG_OPTION,
    DRY_RUN_OPTION,
    SIMULATE_OPTION,
    TIMEOUT_OPTION,
    call_options,
    chosen_model,
    rate_options,
    store_option,
)
from aws_bedrock_inference.cli.progress import Progress
from aws_bedrock_inference.cli.quota_usage import usable_store
from aws_bedrock_inference.cli.report import exit_code, planned_summary, summary
from aws_bedrock_inference.cli.run_deadline import deadline_options, with_service
from aws_bedrock_inference.cli.run_input import Input, template
from aws_bedrock_inference.cli.run_status import list_runs, status
from aws_bedrock_inference.cli.simulated import MODEL, simulated
from aws_bedrock_inference.cli.stderr import Stderr
from aws_bedrock_inference.cli.terminal import warnings_shown
from aws_bedrock_inference.policies import DeadLetter, Quota
from aws_bedrock_inference.policies.config import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aws_bedrock_inference.batch.records import BadLine

_MOST_COMPLAINTS = 20
_OUTPUT = click.Path(dir_okay=False, path_type=Path)
_CONCURRENCY = "Maximum calls in flight. [default: 64; 512 with a quota]"


class _Run(Command):
    """The command `run INPUT`, and the commands that only read journals: `run status FILE` and `run list`."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Create click's context. If the first argument is `status` or `list`, the context is for this command.
        Otherwise, the context is for a run.
        """
        command = READING.get(args[0]) if args else None
        if command is None:
            return super().make_context(info_name, args, parent, **extra)
        return command.make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)


READING = {"status": status, "list": list_runs}


# The headings of `bedrock run --help`, each with its options.
_HEADINGS = {
    "Input and answers": "--output --template --schema --order --on-change --sample --dead-letters",
    "Request": "--model --system --max-tokens --temperature --stream",
    "Account and endpoint": "--region --profile --endpoint-url --simulate",
    "Quota and policies": "--rpm --tpm --store --config --concurrency",
    "Limits": "--timeout --give-up-after --max-failures --max-cost",
    "Deadline": "--by --output-s3-uri --role",
}


@click.command(cls=_Run, headings=_HEADINGS)
@click.argument("source", metavar="INPUT", type=Input())
@click.option("-o", "--output", required=True, metavar="FILE", type=_OUTPUT, help="File for the answers.")
@click.option(
    "--template",
    metavar="TEXT|@FILE",
    callback=template,
    help="Prompt with fields of a record: 'Sum up: {text}'.",
)
@call_options
@rate_options(click.FloatRange(min=0, min_open=True))
@store_option(usable_store)
@CONFIG_OPTION
@click.option(
    "--dead-letters",
    callback=lambda _, __, store: store and DeadLetter(store),
    metavar="STORE",
    help="Dead letters: DynamoDB table or sqlite:///FILE.",
)
@TIMEOUT_OPTION
@click.option("--concurrency", type=click.IntRange(min=1), metavar="N", help=_CONCURRENCY)
@click.option(
    "--order",
    type=click.Choice(["arrival", "input"]),
    default="arrival",
    show_default=True,
    metavar="ORDER",
    help="Order of answers in FILE: arrival, input.",
)
@click.option(
    "--on-change",
    type=click.Choice(["refuse", "keep", "ask"]),
    default="refuse",
    show_default=True,
    metavar="ACTION",
    help="If a prompt or the model changed: refuse (stop), keep (the old answers) or ask (the model again).",
)
@click.option(
    "--schema",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    callback=lambda _, __, path: path and Schema(path),
    metavar="FILE",
    help="JSON schema of each answer; at most 3 attempts.",
)
@click.option("--sample", type=click.IntRange(min=1), metavar="N", help="Send only N prompts, spread over INPUT.")
@click.option("--max-failures", type=click.IntRange(min=1), metavar="N", help="Stop after N failed prompts.")
@click.option(
    "--max-cost",
    type=click.FloatRange(min=0, min_open=True),
    metavar="DOLLARS",
    help="Stop when the answers in FILE cost this much.",
)
@click.option(
    "--give-up-after",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Maximum wait while no call can succeed. [default: 86400 after a success, otherwise 0]",
)
@deadline_options
@DRY_RUN_OPTION
@click.option(
    "--progress",
    "shown_as",
    type=click.Choice(["auto", "json"]),
    default="auto",
    help="Format of the progress on standard error.",
)
@click.option("--stream", is_flag=True, help="Receive the answers as streams.")
@SIMULATE_OPTION
@click.pass_context
def run(
    ctx: click.Context, /, *, stream: bool, simulate: str | None, shown_as: str, dry_run: bool, **options: Any
) -> None:
    """Send every prompt of a file; write each answer as it arrives.

    INPUT is a file with one JSON object per line, such as {"id": "1", "prompt": "Hi"}, a CSV file, a directory of
    texts, s3://BUCKET/KEY, or - for standard input. After an interruption, run the same command again: it continues.
    `bedrock run status FILE` shows one run; `bedrock run list` lists all runs of a directory.
    """
    source, output = options["source"], options["output"]
    if output == DASH:
        raise click.UsageError(
            "--output must be a file, not - (standard output): the run also writes a journal file next to the output. "
            "Pass the path of a file."
        )
    if holds_output(source, output):
        raise click.UsageError(
            "INPUT and --output are the same file, or --output is in the directory INPUT. Choose another --output."
        )
    console = Console(file=cast("IO[str]", Stderr()), highlight=False)
    options = with_service(options, is_simulated=simulate is not None)
    job = Job(**_configured(options), streamed=lambda _: stream)
    tally = Tally(clock.monotonic)
    with contextlib.ExitStack() as stack:
        terminated = stack.enter_context(_interrupted_by_sigterm())
        stack.enter_context(warnings_shown(lambda text: _say(console, text)))
        try:
            if simulate is not None:
                running, session = stack.enter_context(simulated(simulate))
                job = replace(job, session=session, endpoint_url=running.url, model=job.model or MODEL)
            chosen_model(job.model)
            if dry_run:
                plan = asyncio.run(planned(job, _bad_line_printer(console)))
                by = (
                    planned_choice(job, plan.weights, concurrency=concurrency_of(job), now=clock.wall())
                    if job.by
                    else []
                )
                for line in [*planned_summary(job, plan), *by]:
                    _say(console, line)
                ctx.exit(NEEDS_CORRECTION if plan.bad or plan.refused else 0)
            ending = asyncio.run(_watched(job, tally, console, as_json=shown_as == "json"))
        except KeyboardInterrupt:  # the run handles its signals itself, so this one came before or after the run
            ending = Ending(interrupted=True, terminated=bool(terminated))
        if shown_as == "json":
            _say(console, _progress(job, tally, console).json(ended=ending.name))
        for line in summary(job, tally, ending, ctx.meta["arguments"]):
            _say(console, line)
    ctx.exit(exit_code(tally, ending))


def _configured(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a run without the option `--config`. If this option names a file, the returned options
    contain the policies in the file.
    """
    config = options.pop("config")
    if config is None:
        return options
    twice = [f"--{name}" for name in ("rpm", "tpm", "store") if options[name] is not None]
    if twice:
        raise click.UsageError(
            f"{', '.join(twice)} and --config both set the quota. Set the quota only in the file {config}."
        )
    pipeline = load(config)
    quota = next(policy for policy in pipeline.policies if isinstance(policy, Quota))
    return {**options, "pipeline": pipeline, "rpm": quota.rpm, "tpm": quota.tpm}


@contextlib.contextmanager
def _interrupted_by_sigterm() -> Iterator[list[int]]:
    """Handle SIGTERM like Ctrl-C in the block. Yield a list; when SIGTERM arrives, the signal is added to the list."""
    came: list[int] = []

    def interrupt(number: int, _: object) -> None:
        came.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield came
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield came
    finally:
        signal.signal(signal.SIGTERM, before)


def _say(console: Console, message: str) -> None:
    console.print(message, markup=False, highlight=False, soft_wrap=True)


def _bad_line_printer(console: Console) -> Callable[[BadLine], None]:
    """Return a function that prints the first few invalid lines of the input, and no further lines."""
    shown = count(1)

    def complain(line: BadLine) -> None:
        number = next(shown)
        if number <= _MOST_COMPLAINTS:
            more = " (further bad lines are counted, not shown)" if number == _MOST_COMPLAINTS else ""
            _say(console, f"{line}{more}")

    return complain


def _progress(job: Job, tally: Tally, console: Console, *, as_json: bool = False) -> Progress:
    return Progress(console, tally, rpm=job.rpm, tpm=job.tpm, max_cost=job.max_cost, as_json=as_json)


async def _watched(job: Job, tally: Tally, console: Console, *, as_json: bool) -> Ending:
    progress = _progress(job, tally, console, as_json=as_json)

    def say(message: str) -> None:
        _say(console, message)

    async with progress.shown():
        return await carry_out(job, tally, complain=_bad_line_printer(console), say=say)
