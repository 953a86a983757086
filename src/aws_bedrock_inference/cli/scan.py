"""`bedrock scan`: count the AWS errors in logs, by cause."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn
from rich.text import Text

from aws_bedrock_inference import clock
from aws_bedrock_inference.cli.exit_codes import FAILED, INTERRUPTED
from aws_bedrock_inference.cli.explain import COLOURS
from aws_bedrock_inference.cli.layout import Command
from aws_bedrock_inference.cli.options import JSON_OPTION, SINCE_HELP
from aws_bedrock_inference.cli.terminal import standard_input
from aws_bedrock_inference.knowledge.catalogue import catalogue
from aws_bedrock_inference.knowledge.logs import LogError, blocks
from aws_bedrock_inference.knowledge.scan import LogScan

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from aws_bedrock_inference.knowledge.findings import Finding, Part

_BARS = "▁▂▃▄▅▆▇█"
_SPARKS = 24
_TIMES = len("2026-11-20 03:30 to 2026-11-20 07:30")
_WIDTHS = {"hour": 3_600, "day": 86_400}
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_MOST_NAMED = 4
_LOG = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)


class Since(click.ParamType):  # type: ignore[type-arg] # click's class has no type parameter at run time
    """The type of the option `--since`: a point in time, or a duration before now."""

    name = "since"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the time for the value of the option. A time without a zone is in UTC."""
        ago = re.fullmatch(r"(\d{1,6})([mhdw])", value)
        try:
            if ago:
                return _now() - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
            at = datetime.fromisoformat(value)
        except (ValueError, OverflowError):
            self.fail(
                f"{value!r} is not a time. Write a duration such as 30m, 2h or 7d, or a time such as 2026-11-20T14:00.",
                param,
                ctx,
            )
        return at if at.tzinfo else at.replace(tzinfo=UTC)


@click.command(cls=Command)
@click.argument("logs", nargs=-1, metavar="[LOG...]", type=_LOG)
@click.option("--since", type=Since(), metavar="TIME", help=SINCE_HELP)
@click.option(
    "--by",
    type=click.Choice(["cause", "service", "hour", "day"]),
    default="cause",
    show_default=True,
    help="Count by this property.",
)
@JSON_OPTION
def scan(*, logs: tuple[Path, ...], since: datetime | None, by: str, as_json: bool) -> None:
    """Count the AWS errors in logs, by cause.

    LOG is a file of any size (plain text, gzip, bzip2, xz or zstd), or - for standard input. Ctrl-C prints the results
    so far.
    """
    if not logs:
        if sys.stdin is not None and sys.stdin.isatty():
            raise click.UsageError("No log. Pass a LOG file, or pipe a log to standard input.")
        logs = (Path("-"),)
    found = LogScan(now=_now(), since=since)
    code = 0
    try:
        code = _read(found, logs)
    except KeyboardInterrupt:
        click.echo("Interrupted. Results so far:", err=True)
        code = INTERRUPTED
    if as_json:
        click.echo(json.dumps(_as_dict(found)))
    else:
        console = Console(highlight=False)
        _print(console, found, by)
    sys.exit(code)


def _now() -> datetime:
    return datetime.fromtimestamp(clock.wall(), UTC)


def _read(found: LogScan, logs: Sequence[Path]) -> int:
    code = 0
    console = Console(stderr=True)
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    bar = Progress("{task.description}", *columns, console=console, transient=True, disable=not console.is_terminal)
    with bar if console.is_terminal else nullcontext():  # some releases of rich write a line for a disabled bar
        for path in logs:
            try:
                if str(path) == "-":
                    found.read(_shown(bar, standard_input(), "standard input", None))
                else:
                    with path.open("rb") as file:
                        found.read(_shown(bar, file, path.name, path.stat().st_size))
            except (LogError, OSError) as error:
                click.echo(f"{path}: {error}. The lines before this error are counted.", err=True)
                code = FAILED
    return code


def _shown(bar: Progress, file: BinaryIO, name: str, total: int | None) -> Iterator[bytes]:
    """Yield the blocks of a file, and update the progress bar."""
    task = bar.add_task(name, total=total)
    for block in blocks(file):
        yield block
        if not bar.disable:
            bar.update(task, completed=file.tell()) if total else bar.advance(task, len(block))
    bar.remove_task(task)


def _print(console: Console, found: LogScan, by: str) -> None:
    findings = found.by_cause()
    errors = sum(finding.count for finding in findings)
    span = _span([*findings, *found.possible()])
    when = f", {_time(*span)} UTC" if span else ""
    size = f"{found.bytes / 1e6:,.1f} MB"
    console.print(
        f"{_number(errors, 'AWS error')} with {_number(len(findings), 'cause')} in {size}{when}\n", soft_wrap=True
    )
    _print_findings(console, findings, by, span)
    possible = found.possible()
    if possible:
        count = sum(finding.count for finding in possible)
        console.print(
            f"{_number(count, 'error')} more may come from AWS or from another program; the log does not show which. "
            "If AWS sent them, they mean:\n",
            soft_wrap=True,
        )
        _print_findings(console, possible, by, span)
    if found.other:
        lines = "error line matches" if found.other == 1 else "error lines match"
        console.print(f"{found.other:,} more {lines} no known AWS error.", soft_wrap=True)
    if found.undated:
        console.print(f"{_number(found.undated, 'error')} without a time, ignored because of --since.", soft_wrap=True)
    if findings and by == "cause":
        known = findings[0].cause in catalogue().causes
        name = findings[0].cause if known else next(iter(findings[0].codes), findings[0].cause)
        console.print(f"For advice on an error, run: bedrock explain {name}", soft_wrap=True)


def _print_findings(
    console: Console, findings: Sequence[Finding], by: str, span: tuple[datetime, datetime] | None
) -> None:
    if by == "cause":
        for finding, part in _rows(findings):
            _print_part(console, finding, part, span)
    elif by == "service":
        _print_rows(console, _services(findings))
    else:
        _print_rows(console, _times(findings, _WIDTHS[by]))


def _rows(findings: Sequence[Finding]) -> list[tuple[Finding, Part]]:
    rows = [(finding, part) for finding in findings for part in finding.by_subject()]
    return sorted(rows, key=lambda row: -row[1].count)


def _number(count: int, of: str) -> str:
    return f"{count:,} {of}" if count == 1 else f"{count:,} {of}s"


def _print_part(console: Console, finding: Finding, part: Part, span: tuple[datetime, datetime] | None) -> None:
    colour = COLOURS[finding.decision]
    head = Text.assemble(
        (f"{part.count:>9,}  ", "bold"),
        (f"{finding.decision.value:<13} ", colour),
        finding.title,
        "  ",
        (f"{finding.cause}, confidence {part.confidence}", "dim"),
    )
    _line(console, head)
    about = " on ".join(filter(None, part.subject)) or ("other actions" if len(finding.parts) > 1 else "")
    facts = [about, _names(part.services), _names(part.codes)]
    if part.first and part.last and span:
        facts = [f"{_time(part.first, part.last):<{_TIMES}}", sparkline(part.timeline.buckets, *span), *facts]
    _line(console, Text(" " * 11 + "  ".join(fact for fact in facts if fact)))
    _line(console, Text(" " * 11 + part.example, "dim"))
    console.print()


def _line(console: Console, text: Text) -> None:
    """Print one line. On a terminal, a long line is cropped; otherwise, it is printed completely."""
    console.print(
        text, no_wrap=True, overflow="ellipsis" if console.is_terminal else "ignore", crop=console.is_terminal
    )


def _print_rows(console: Console, rows: dict[str, Counter[str]]) -> None:
    most = max((causes.total() for causes in rows.values()), default=1)
    for name, causes in rows.items():
        bar = "█" * max(1, round(causes.total() * _SPARKS / most))
        _line(console, Text(f"{name:<17} {causes.total():>9,}  {bar:<{_SPARKS}}  {_names(causes)}"))
    console.print()


def _names(names: Counter[str]) -> str:
    shown = [f"{name} {count:,}" if len(names) > 1 else name for name, count in names.most_common(_MOST_NAMED)]
    return ", ".join([*shown, f"{len(names) - _MOST_NAMED} more"] if len(names) > _MOST_NAMED else shown)


def _services(findings: Iterable[Finding]) -> dict[str, Counter[str]]:
    rows: dict[str, Counter[str]] = {}
    for finding in findings:
        unnamed = finding.count - finding.services.total()
        for service, count in (*finding.services.items(), ("(not named)", unnamed)):
            if count:
                rows.setdefault(service, Counter())[finding.cause] += count
    return dict(sorted(rows.items(), key=lambda row: -row[1].total()))


def _times(findings: Iterable[Finding], width: int) -> dict[str, Counter[str]]:
    rows: dict[int, Counter[str]] = {}
    undated: Counter[str] = Counter()
    for finding in findings:
        for start, count in finding.timeline.by(width).items():
            rows.setdefault(start, Counter())[finding.cause] += count
        undated[finding.cause] += finding.count - finding.timeline.buckets.total()
    shown = {_time(datetime.fromtimestamp(start, UTC)): causes for start, causes in sorted(rows.items())}
    return shown | ({"(no time)": +undated} if +undated else {})


def _span(findings: Iterable[Finding]) -> tuple[datetime, datetime] | None:
    times = [at for finding in findings for at in (finding.first, finding.last) if at is not None]
    return (min(times), max(times)) if times else None


def sparkline(counts: Counter[int], first: datetime, last: datetime) -> str:
    """Return a row of bars that shows how the counts change from `first` to `last`."""
    start = first.timestamp()
    step = max(1.0, (last.timestamp() - start + 1) / _SPARKS)
    cells = [0] * _SPARKS
    for at, count in counts.items():
        cells[min(_SPARKS - 1, max(0, int((at - start) / step)))] += count
    most = max(cells)
    return "".join(_BARS[-(-count * (len(_BARS) - 1) // most)] if count else " " for count in cells)


def _time(*times: datetime) -> str:
    """Return the first and the last time as text, or one time if they are equal."""
    return " to ".join(dict.fromkeys(f"{at:%Y-%m-%d %H:%M}" for at in times))


def _as_dict(found: LogScan) -> dict[str, Any]:
    return {
        "bytes": found.bytes,
        "other": found.other,
        "undated": found.undated,
        "causes": [_cause_as_dict(finding) for finding in found.by_cause()],
        "possible": [_cause_as_dict(finding) for finding in found.possible()],
    }


def _cause_as_dict(finding: Finding) -> dict[str, Any]:
    return {
        "cause": finding.cause,
        "title": finding.title,
        "decision": finding.decision.value,
        **_counts(finding),
        "services": dict(finding.services),
        "codes": dict(finding.codes),
        "example": finding.example,
        "timeline": {
            "seconds": finding.timeline.width,
            "counts": {
                datetime.fromtimestamp(start, UTC).isoformat(): count
                for start, count in sorted(finding.timeline.buckets.items())
            },
        },
        "parts": [
            {**part.subject._asdict(), "confidence": part.confidence, **_counts(part), "example": part.example}
            for part in finding.by_subject()
        ],
    }


def _counts(tally: Finding | Part) -> dict[str, Any]:
    first, last = tally.first, tally.last
    return {"count": tally.count, "first": first and first.isoformat(), "last": last and last.isoformat()}
