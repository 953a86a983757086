"""`bedrock run status` and `bedrock run list`: show the state of runs from another terminal, or after the runs have
ended.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aws_bedrock_inference.batch.bill import in_words
from aws_bedrock_inference.batch.fates import State
from aws_bedrock_inference.batch.journal_file import journal_of
from aws_bedrock_inference.batch.status import SUFFIX, Status, status_of, statuses
from aws_bedrock_inference.cli.layout import Command
from aws_bedrock_inference.cli.options import JSON_OPTION
from aws_bedrock_inference.cli.run_deadline import noted_deadline
from aws_bedrock_inference.cli.terminal import say
from aws_bedrock_inference.clock import wall

if TYPE_CHECKING:
    from collections.abc import Iterator

_IN_WORDS = {"complete": "complete", "broken": "ended with an error"}


@click.command(cls=Command)
@click.argument("output", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@JSON_OPTION
def status(*, output: Path, as_json: bool) -> None:
    """Show the state of a run: answered, failed and missing records.

    FILE is the run's --output, or its journal.
    """
    path = output if output.name.endswith(SUFFIX) else journal_of(output)
    if not path.exists():
        raise click.UsageError(
            f"The journal {path}, the file with the state of a run, does not exist. Pass the FILE that `bedrock run "
            "--output FILE` wrote."
        )
    found = status_of(path)
    if as_json:
        click.echo(json.dumps(found.plain(), ensure_ascii=False))
        return
    for line in lines(found):
        click.echo(line)


@click.command("list", cls=Command)
@click.argument(
    "folder", metavar="[DIRECTORY]", default=".", type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@JSON_OPTION
def list_runs(*, folder: Path, as_json: bool) -> None:
    """Show the runs whose journals are in a directory."""
    none = True
    for found in statuses(folder):
        none = False
        if isinstance(found, ValueError):
            say(f"Error: {found}")
        elif as_json:
            click.echo(json.dumps(found.plain(), ensure_ascii=False))
        else:
            click.echo(next(lines(found)))
    if none:
        say(f"{folder} contains no journal of a run.")


def lines(found: Status) -> Iterator[str]:
    """Yield lines about the state of a run. The first line is the summary."""
    answered, failed = found.counts[State.ANSWERED], found.counts[State.FAILED]
    output = str(found.path).removesuffix(SUFFIX)
    state = _IN_WORDS.get(found.state, found.state)
    counts = f"{found.records:,} records: {answered:,} answered, {failed:,} failed, {found.missing:,} missing"
    yield f"{output}: {state}, {counts}"
    if found.state == "parked":
        yield f"  parked until this fault ends: {found.reason}"
    elif found.reason not in ("", found.state):
        yield f"  {found.reason}"
    if found.noted is not None:
        yield f"  {noted_deadline(found.noted, wall())}"
    if found.counts[State.CLAIMED]:
        when = (
            "in flight"
            if found.state in ("running", "parked")
            else "in flight when the run ended; the next run sends them again"
        )
        yield f"  {found.counts[State.CLAIMED]:,} {when}"
    if found.counts[State.DELAYED]:
        yield f"  {found.counts[State.DELAYED]:,} to retry later"
    if "cost" in found.facts:
        yield f"  {in_words(found.facts['cost'], found.facts['cost_unknown'])}"
    for number, reason in found.reasons:
        yield f"  {number:,} failed with {reason}"
    started = found.facts.get("started")
    if started is not None:
        at = datetime.fromtimestamp(float(started), UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        yield f"  started {at}, process {found.facts.get('pid')}, {found.facts.get('model', '')}".rstrip(", ")
