"""`bedrock demo`: the same prompts in the same scenario, with plain boto3 and with this package."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from aws_bedrock_inference import clock
from aws_bedrock_inference.batch.records import Record, read_records
from aws_bedrock_inference.cli.demo.ours import run_ours
from aws_bedrock_inference.cli.demo.plain import run_plain
from aws_bedrock_inference.cli.demo.screen import footnotes, shown, table
from aws_bedrock_inference.cli.demo.side import Side, Task
from aws_bedrock_inference.cli.exit_codes import FAILED, INTERRUPTED
from aws_bedrock_inference.cli.simulated import MODEL, simulated
from aws_bedrock_inference.simulator import scenario

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_TOKENS = 400
_STREAMED = 3  # every third answer travels as a stream, on both sides the same ones


@click.command()
@click.pass_context
def demo(ctx: click.Context) -> None:
    """Compare plain boto3 with this package on a simulated bad day.

    Takes less than two minutes and needs no AWS account.
    """
    with as_file(files("aws_bedrock_inference.cli") / "prompts.jsonl") as source:
        ctx.exit(compare(source, scenario.tables("bad-day"), Console(highlight=False)))


def compare(source: Path, day: Mapping[str, Any], console: Console) -> int:
    """Send the prompts of `source` twice through the scenario `day`, once for each side; return the exit code."""
    with source.open("rb") as file:
        records = [record for record in read_records(file, source.name) if isinstance(record, Record)]
    streamed = {record.key for record in records[::_STREAMED]}
    reference, plain, ours = (Side(name, clock.monotonic) for name in ("reference", "plain boto3", "this package"))
    with simulated(_without_trouble(day)) as (running, session), TemporaryDirectory() as folder:
        task = Task(running.url, session, MODEL, _MAX_TOKENS, day["quota"], lambda record: record.key in streamed)
        run_plain(records, reference, task)
        console.print(
            f"{len(records)} prompts in the scenario bad-day, first with plain boto3, then with this package."
        )
        with shown(console, (plain, ours), len(records)):
            with plain.on(day, running):
                run_plain(records, plain, task)
            with ours.on(day, running):
                finished = run_ours(source, Path(folder, "answers.jsonl"), ours, task, console.print)
    if not finished:
        return INTERRUPTED
    console.print(table((plain, ours), reference.answers))
    for note in footnotes(day["quota"]):
        console.print(note)
    return 0 if ours.whole(reference.answers) == len(records) else FAILED


def _without_trouble(day: Mapping[str, Any]) -> dict[str, Any]:
    """Return the scenario with the same answers, but without quota and faults."""
    return {key: value for key, value in day.items() if key in ("seed", "answers")}
