"""`bedrock run`: read a file of prompts, write a file of answers."""

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
from aws_bedrock_inference.cli.options import call_options, chosen_model
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
_PER_MINUTE = click.FloatRange(min=0, min_open=True)
_SECONDS = click.FloatRange(min=0, min_open=True, max=86_400)
_CONCURRENCY = "Maximum number of calls in flight. [default: 64; 512 with --rpm or --tpm]"


class _Run(click.Command):
    """`run INPUT`, and beside it the commands that only look: `run status FILE` and `run list`."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Make the context of the command that the first argument names."""
        command = _LOOKING.get(args[0]) if args else None
        if command is None:
            return super().make_context(info_name, args, parent, **extra)
        return command.make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)


_LOOKING = {"status": status, "list": list_runs}


@click.command(cls=_Run)
@click.argument("source", metavar="INPUT", type=Input())
@click.option("-o", "--output", required=True, metavar="FILE", type=_OUTPUT, help="File for the answers.")
@click.option(
    "--template",
    metavar="TEXT|@FILE",
    callback=template,
    help="Make each prompt of a record's members or a file's text, such as 'Summarise: {text}'.",
)
@call_options
@click.option("--temperature", type=click.FloatRange(0, 1), metavar="N", help="Temperature, from 0 to 1.")
@click.option("--rpm", type=_PER_MINUTE, metavar="N", help="Quota in requests per minute.")
@click.option("--tpm", type=_PER_MINUTE, metavar="N", help="Quota in tokens per minute.")
@click.option(
    "--store",
    metavar="URL",
    callback=usable_store,
    help="Store that shares the quota with other processes: redis://HOST, sqlite:///FILE …",
)
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="File with the policies, as `load` reads it: quota, cache, retries …; in place of --rpm, --tpm and --store.",
)
@click.option(
    "--dead-letters",
    callback=lambda _, __, store: store and DeadLetter(store),
    metavar="STORE",
    help="Keep what has failed at the end as dead letters: a DynamoDB table, or sqlite:///FILE; see `bedrock dlq`.",
)
@click.option(
    "--timeout",
    type=_SECONDS,
    metavar="SECONDS",
    help="Maximum time for one prompt, with its waits and retries. [default: 900]",
)
@click.option("--concurrency", type=click.IntRange(min=1), metavar="N", help=_CONCURRENCY)
@click.option(
    "--order",
    type=click.Choice(["arrival", "input"]),
    default="arrival",
    show_default=True,
    help="Order of the answers: as they arrive, each at once; or as in INPUT, all at the end.",
)
@click.option(
    "--on-change",
    type=click.Choice(["refuse", "keep", "ask"]),
    default="refuse",
    show_default=True,
    help="What to do with answers of another model, or whose prompt has changed: refuse the run, keep them, ask anew.",
)
@click.option(
    "--schema",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    callback=lambda _, __, path: path and Schema(path),
    metavar="FILE",
    help="JSON schema that each answer must fit. One that does not is asked again, 3 times in all, then has failed.",
)
@click.option("--sample", type=click.IntRange(min=1), metavar="N", help="Ask only N prompts, spread over INPUT.")
@click.option("--max-failures", type=click.IntRange(min=1), metavar="N", help="Stop when N prompts have failed.")
@click.option(
    "--max-cost",
    type=click.FloatRange(min=0, min_open=True),
    metavar="DOLLARS",
    help="Stop when all answers in FILE, those of earlier runs too, have cost so many US dollars.",
)
@click.option(
    "--give-up-after",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Maximum time to wait while no call can succeed: expired credentials, no access, no network, the day's tokens "
    "spent. [default: 86400 for a run that had answers before, else 0]",
)
@deadline_options
@click.option(
    "--dry-run",
    is_flag=True,
    help="Send nothing: show the tokens, their cost, and the time at --rpm and --tpm; with --by, what would be chosen.",
)
@click.option(
    "--progress",
    "shown_as",
    type=click.Choice(["auto", "json"]),
    default="auto",
    help="Progress on standard error: a block or lines for people, or a JSON object every 5 seconds.",
)
@click.option("--stream", is_flag=True, help="Receive the answers as streams; retry a stream that breaks.")
@click.option(
    "--simulate",
    is_flag=False,
    flag_value="calm",
    metavar="[SCENARIO]",
    help="Call the built-in simulator instead of AWS; needs no credentials.",
)
@click.pass_context
def run(
    ctx: click.Context, /, *, stream: bool, simulate: str | None, shown_as: str, dry_run: bool, **options: Any
) -> None:
    """Send every prompt of a file; write each answer as it arrives.

    The journal FILE.journal knows what became of each prompt; `bedrock run status FILE` and `bedrock run list` show it,
    also while the run goes on.

    INPUT is a file with one JSON object on each line: {"id": ..., "prompt": ...}, or a record of Bedrock's or OpenAI's
    batches. It can also be a CSV file, a directory of texts (with --template), s3://BUCKET/KEY or a prefix, and - for
    standard input. Records that already have an answer in FILE are skipped, so after an interruption run the same
    command again. Records that fail are written to FILE.failed.jsonl, which is valid input; lines that are no records,
    with the reason, to FILE.rejects.jsonl.
    """
    source, output = options["source"], options["output"]
    if output == DASH:
        raise click.UsageError(
            "--output must be a file, because the next run reads it to skip the records that have an answer."
        )
    if holds_output(source, output):
        raise click.UsageError("INPUT and --output are the same file, or --output is in the directory INPUT.")
    console = Console(file=cast("IO[str]", Stderr()), highlight=False)
    options = with_service(options, is_simulated=simulate is not None)
    job = Job(**_configured(options), streamed=lambda _: stream)
    tally = Tally(clock.monotonic)
    with contextlib.ExitStack() as stack:
        terminated = stack.enter_context(_terminable())
        stack.enter_context(warnings_shown(lambda text: _say(console, text)))
        try:
            if simulate is not None:
                running, session = stack.enter_context(simulated(simulate))
                job = replace(job, session=session, endpoint_url=running.url, model=job.model or MODEL)
            chosen_model(job.model)
            if dry_run:
                plan = asyncio.run(planned(job, _complaining(console)))
                by = (
                    planned_choice(job, plan.weights, concurrency=concurrency_of(job), now=clock.wall())
                    if job.by
                    else []
                )
                for line in [*planned_summary(job, plan), *by]:
                    _say(console, line)
                ctx.exit(NEEDS_CORRECTION if plan.bad or plan.refused else 0)
            ending = asyncio.run(_watched(job, tally, console, as_json=shown_as == "json"))
        except KeyboardInterrupt:  # before the run could take it as a signal, or after
            ending = Ending(interrupted=True, terminated=bool(terminated))
        if shown_as == "json":
            _say(console, _progress(job, tally, console).json(ended=ending.name))
        for line in summary(job, tally, ending, ctx.meta["arguments"]):
            _say(console, line)
    ctx.exit(exit_code(tally, ending))


def _configured(options: dict[str, Any]) -> dict[str, Any]:
    """Return the job's options, with the policies of the file that one of them may name."""
    config = options.pop("config")
    if config is None:
        return options
    twice = [f"--{name}" for name in ("rpm", "tpm", "store") if options[name] is not None]
    if twice:
        raise click.UsageError(f"{', '.join(twice)} and --config both say what the quota is. Write it into {config}.")
    pipeline = load(config)
    quota = next(policy for policy in pipeline.policies if isinstance(policy, Quota))
    return {**options, "pipeline": pipeline, "rpm": quota.rpm, "tpm": quota.tpm}


@contextlib.contextmanager
def _terminable() -> Iterator[list[int]]:
    """Let SIGTERM do what Ctrl-C does; the list tells that it came."""
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


def _complaining(console: Console) -> Callable[[BadLine], None]:
    """Return a function that shows the first invalid lines."""
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
        return await carry_out(job, tally, complain=_complaining(console), say=say)
