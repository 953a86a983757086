"""The screen of the demo: both sides while they run, and the table at the end."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

import boto3
from rich import box
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from aws_bedrock_inference.cli.demo.plain import WORKERS
from aws_bedrock_inference.cli.progress import clock_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console

    from aws_bedrock_inference.cli.demo.side import Side

_LINE_EVERY = 5.0


@contextlib.contextmanager
def shown(console: Console, sides: Sequence[Side], total: int) -> Iterator[None]:
    """Show both sides during the block: bars on a terminal, elsewhere a line every five seconds."""
    if console.is_terminal:
        with Live(get_renderable=lambda: _bars(sides, total), console=console, refresh_per_second=8):
            yield
        return
    over = threading.Event()

    def lines() -> None:
        while not over.wait(_LINE_EVERY):
            console.print(_line(sides, total), soft_wrap=True)

    thread = threading.Thread(target=lines, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        console.print(_line(sides, total), soft_wrap=True)


def _bars(sides: Sequence[Side], total: int) -> Table:
    grid = Table.grid(padding=(0, 2))
    for side in sides:
        answered, lost = side.done
        grid.add_row(
            Text(side.name, style="bold" if side.started is not None else "dim"),
            ProgressBar(total=total, completed=answered + lost, width=30),
            Text(f"answered {answered:3}", style="green"),
            Text(f"failed {lost:3}", style="red" if lost else "dim"),
            Text(clock_time(side.seconds) if side.started is not None else "next", style="dim"),
        )
    return grid


def _line(sides: Sequence[Side], total: int) -> str:
    running = [side for side in sides if side.started is not None][-1:]
    return "".join(
        f"{clock_time(side.seconds)} {side.name}: {side.done[0]} of {total} answered, {side.done[1]} failed"
        for side in running
    )


def table(sides: Sequence[Side], reference: Mapping[str, str]) -> Table:
    """Return the comparison. `reference` has the complete answer to every prompt."""
    result = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    result.add_column("")
    for side in sides:
        result.add_column(side.name, justify="right")
    whole = [side.whole(reference) for side in sides]
    arrived = [side.stats["arrived"] for side in sides]
    cut = [len(side.answers) - count for side, count in zip(sides, whole, strict=True)]
    each = [f"{number / count:.2f}" if count else "-" for number, count in zip(arrived, whole, strict=True)]
    rows: dict[str, list[Any]] = {
        "complete answers [1]": [f"{count} of {len(reference)}" for count in whole],
        "failed with an error": [side.lost.total() for side in sides],
        "truncated, returned as complete [2]": cut,
        "requests to the service": arrived,
        "requests per complete answer": each,
        "throttled requests [3]": [side.throttled for side in sides],
        "time": [clock_time(side.seconds) for side in sides],
    }
    for name, values in rows.items():
        result.add_row(name, *map(str, values))
    return result


def footnotes(quota: Mapping[str, float]) -> Iterator[str]:
    """Yield the notes that explain the table, one line each."""
    limits = " and ".join(f"{name} {limit:,.0f}" for name, limit in quota.items())
    yield "[1] the text equals the model's answer in a run without faults"
    yield "[2] the stream ended without its closing event; boto3 returns the partial text"
    yield f"[3] this package was configured with the quota: {limits}"
    yield f"Both sides ran the same scenario. boto3 {boto3.__version__}: {WORKERS} threads, default retries."
