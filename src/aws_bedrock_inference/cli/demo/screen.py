"""The output of `bedrock demo`: the progress of all clients while they run, and the table at the end. A *side* is one
client with its results.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING, Any

import boto3
from rich import box
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from aws_bedrock_inference.cli.demo.plain import ATTEMPTS, WORKERS
from aws_bedrock_inference.cli.progress import BAR, clock_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console

    from aws_bedrock_inference.cli.demo.side import Side

_LINE_EVERY = 10.0


def introduction(prompts: int, quota: Mapping[str, float]) -> str:
    """Return a description of the comparison, in lines that fit a narrow terminal."""
    limits = f"{quota['rpm']:,.0f} requests and {quota['tpm']:,.0f} tokens per minute"
    return (
        f"{prompts} prompts, every third answered as a stream, on a simulated bad day:\n"
        f"a quota of {limits}, a burst of 5 s,\n"
        "unexpected throttles, 500s and 503s, resets, broken streams, an outage.\n"
        "Three clients run at the same time, each with a separate service.\n"
    )


@contextlib.contextmanager
def shown(console: Console, sides: Sequence[Side], total: int) -> Iterator[None]:
    """Show the progress of all sides (the compared clients) while the body of the `with` statement runs. On a terminal,
    show bars. Otherwise, print a line every ten seconds.
    """
    if console.is_terminal:
        with Live(get_renderable=lambda: _bars(sides, total), console=console, refresh_per_second=8):
            yield
        return
    over = threading.Event()
    unread: list[SystemExit] = []
    main = threading.get_ident()

    def lines() -> None:
        try:
            while not over.wait(_LINE_EVERY):
                console.print(_line(sides), soft_wrap=True)
        except SystemExit as error:  # the output was closed, which ends the command, not only this thread
            unread.append(error)
            signal.pthread_kill(main, signal.SIGINT)

    thread = threading.Thread(target=lines, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        if unread:
            raise unread[0]
        console.print(_line(sides), soft_wrap=True)


def _bars(sides: Sequence[Side], total: int) -> Table:
    """Return a bar for each side (one of the compared clients). The bar counts only answers, so that fast failures do
    not look like progress.
    """
    grid = Table.grid(padding=(0, 2))
    for side in sides:
        answered, failed = side.counts
        grid.add_row(
            Text(side.name, style="bold"),
            ProgressBar(total=total, completed=answered, width=22, **BAR),
            Text(f"answered {answered:3}", style="green"),
            Text(f"failed {failed:3}", style="red" if failed else "dim"),
            Text(clock_time(side.seconds), style="dim"),
        )
    return grid


def _line(sides: Sequence[Side]) -> str:
    counts = ((side.name, *side.counts) for side in sides)
    sums = "; ".join(f"{name}: {answered} answered, {failed} failed" for name, answered, failed in counts)
    return f"{clock_time(max(side.seconds for side in sides))} {sums}"


def table(sides: Sequence[Side], reference: Mapping[str, str], tpm: float) -> Table:
    """Return the table that compares the sides (the clients with their results). `reference` contains the complete
    answer to every prompt.
    """
    result = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    result.add_column("")
    for side in sides:
        result.add_column(side.name, justify="right")
    complete = [side.complete(reference) for side in sides]
    late = [len(reference) - sum(side.counts) for side in sides]
    rows: dict[str, list[Any]] = {
        "complete answers [1]": [f"{count} of {len(reference)}" for count in complete],
        "truncated without an error [2]": [
            len(side.answers) - count for side, count in zip(sides, complete, strict=True)
        ],
        "failed with an error": [len(side.failures) for side in sides],
        **({"not answered in time": late} if any(late) else {}),
        "requests to the service": [side.stats["arrived"] for side in sides],
        "throttled requests": [side.throttled for side in sides],
        "time": [clock_time(side.seconds) for side in sides],
        "quota used [3]": [f"{side.used(tpm):.0%}" for side in sides],
    }
    for name, values in rows.items():
        result.add_row(name, *map(str, values))
    return result


def footnotes() -> Iterator[str]:
    """Yield the notes that explain the table, one line each."""
    yield "[1] the text equals the model's answer in a run without faults"
    yield "[2] the stream ended without its closing event; boto3 returns the partial text"
    yield "[3] share of the tokens that the service allowed, including the burst"
    yield f"boto3 {boto3.__version__} runs with {WORKERS} threads: once with its default retries, once with the"
    yield f"best retries for this scenario (mode adaptive, {ATTEMPTS} attempts). This package knows"
    yield "the quota, and counts failed requests against it."
