"""`bedrock demo`: send the same prompts in the same simulated scenario with three clients. Two clients use boto3, with
different retry settings, and one uses this package.
"""

from __future__ import annotations

import json
import threading
from contextlib import ExitStack
from dataclasses import replace
from importlib.resources import as_file, files
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from aws_bedrock_inference import clock
from aws_bedrock_inference.batch.inputs import read_records
from aws_bedrock_inference.batch.records import Record
from aws_bedrock_inference.cli.demo.ours import run_ours
from aws_bedrock_inference.cli.demo.plain import ADAPTIVE, DEFAULT, run_plain
from aws_bedrock_inference.cli.demo.screen import footnotes, introduction, shown, table
from aws_bedrock_inference.cli.demo.side import Side, Task
from aws_bedrock_inference.cli.exit_codes import FAILED, INTERRUPTED
from aws_bedrock_inference.cli.layout import Command
from aws_bedrock_inference.cli.simulated import MODEL, simulated
from aws_bedrock_inference.simulator import scenario

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MAX_TOKENS = 400
_STREAMED = 3  # every third answer is a stream, for all clients
_PROMPTS = 500  # the prompts of the file are repeated, so that the burst at the start has little weight
_MOST_SECONDS = 100.0  # a prompt that has no answer after this time counts as unanswered


@click.command(cls=Command)
@click.pass_context
def demo(ctx: click.Context) -> None:
    """Compare plain boto3 with this package on a simulated bad day.

    The comparison lasts less than two minutes and requires no AWS account.
    """
    with as_file(files("aws_bedrock_inference.cli") / "prompts.jsonl") as source:
        ctx.exit(compare(source, scenario.tables("bad-day"), Console(highlight=False), prompts=_PROMPTS))


def compare(
    source: Path,
    day: Mapping[str, Any],
    console: Console,
    *,
    prompts: int | None = None,
    most_seconds: float = _MOST_SECONDS,
) -> int:
    """Send the same prompts with all clients at the same time, print the table of results, and return the exit code.

    Each client has its own simulator with the scenario `day`. `prompts` is the number of prompts to send, by default
    all prompts in the file `source`. If the file contains fewer, its prompts are sent several times.

    The comparison waits until this package's client has finished, even if this takes longer than `most_seconds`. The
    comparison waits for the boto3 clients only until `most_seconds` seconds after the start. If a boto3 client has not
    finished by then, its remaining prompts count as not answered.
    """
    records = _records(source, prompts)
    streamed = {record.key for record in records[::_STREAMED]}
    reference, default, adaptive, ours = (
        Side(name, clock.monotonic) for name in ("reference", "boto3 default", "boto3 adaptive", "this package")
    )
    sides = (default, adaptive, ours)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        running, session = stack.enter_context(simulated(_without_trouble(day)))
        console.print(introduction(len(records), day["quota"]))
        task = Task(running.url, session, MODEL, _MAX_TOKENS, day["quota"], lambda record: record.key in streamed)
        simulators = (running, *(stack.enter_context(simulated(dict(day)))[0] for _ in sides[1:]))
        run_plain(records, reference, task, DEFAULT)
        tasks = [replace(task, url=simulator.url) for simulator in simulators]
        for side, simulator in zip(sides, simulators, strict=True):
            side.begin(day, simulator)
        threads = [
            threading.Thread(target=run_plain, args=(records, side, task, retries), daemon=True)
            for side, task, retries in zip(sides, tasks, (DEFAULT, ADAPTIVE), strict=False)
        ]
        with shown(console, sides, len(records)):
            for thread in threads:
                thread.start()
            finished = run_ours(_written(records, folder), folder / "answers.jsonl", ours, tasks[-1], console.print)
            for thread in threads if finished else ():
                thread.join(max(0.0, most_seconds - ours.seconds))
        for side, simulator in zip(sides, simulators, strict=True):
            side.end(simulator)
    if not finished:
        return INTERRUPTED
    console.print(table(sides, reference.answers, day["quota"]["tpm"]))
    for note in footnotes():
        console.print(note)
    return 0 if ours.complete(reference.answers) == len(records) else FAILED


def _records(source: Path, prompts: int | None) -> Sequence[Record]:
    with source.open("rb") as file:
        once = [record for record in read_records(file, source.name) if isinstance(record, Record)]
    return [
        replace(record, key=f"{number} {record.key}")
        for number, record in zip(range(prompts or len(once)), cycle(once), strict=False)
    ]


def _written(records: Sequence[Record], folder: Path) -> Path:
    """Write the records to a file for `bedrock run`, and return its path."""
    path = folder / "prompts.jsonl"
    lines = (json.dumps({**record.source, "id": record.key}) for record in records)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def _without_trouble(day: Mapping[str, Any]) -> dict[str, Any]:
    """Return the scenario `day` without its quota and its faults. The models' answers do not change."""
    return {key: value for key, value in day.items() if key in ("seed", "answers")}
