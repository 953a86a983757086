"""Show the use of quotas: the current use by the processes that share a quota, and the use by the whole account from
CloudWatch.
"""

from __future__ import annotations

import textwrap
from contextlib import contextmanager, suppress
from itertools import count, islice
from math import inf
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from aws_bedrock_inference import clock
from aws_bedrock_inference.call import PRIORITIES
from aws_bedrock_inference.cli.exit_codes import CANNOT_WORK
from aws_bedrock_inference.cli.layout import Command
from aws_bedrock_inference.cli.options import store_option
from aws_bedrock_inference.knowledge.models import split_profile
from aws_bedrock_inference.stores import SqliteStore, StoreUnavailable, open_store, try_store
from aws_bedrock_inference.stores.members import SharedQuota

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from aws_bedrock_inference.service_quotas.cloudwatch import Used
    from aws_bedrock_inference.service_quotas.table import QuotaTable
    from aws_bedrock_inference.stores import ShareStore
    from aws_bedrock_inference.stores.members import Member

Line = tuple[str, str]
"""A line of text and its style."""

_MOST_MEMBERS = 40
_MOST_REASONS = 3
_NAMES = {number: name for name, number in PRIORITIES.items()}


def opened_store(ctx: click.Context, param: click.Parameter, value: str | None) -> ShareStore | None:
    """Return the store for the value of an option, without connecting to it. The store is closed when the command
    ends.
    """
    if value is None:
        return None
    try:
        store = open_store(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}.", ctx, param) from error
    ctx.call_on_close(store.close)
    return store


def usable_store(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Test a store and return its URL. If the test fails, end the command.

    The test registers this process in the store, and then removes this registration.
    """
    store = opened_store(ctx, param, value)
    if store is not None:
        try:
            try_store(store)
        except StoreUnavailable as error:
            raise StoreFailed(str(error)) from error
        finally:
            store.close()
    return value


class StoreFailed(click.ClickException):
    """Raised if the store of a shared quota cannot be used."""

    exit_code = CANNOT_WORK


@click.command(cls=Command)
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@store_option(opened_store, required=True)
@click.option(
    "--every",
    type=click.FloatRange(min=0.1),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Seconds between two updates.",
)
@click.option("--count", "looks", type=click.IntRange(min=1), metavar="N", help="Stop after N updates.")
def watch(*, models: tuple[str, ...], store: ShareStore, every: float, looks: int | None) -> None:
    """Show live which processes use a shared quota, until Ctrl-C.

    For each process, the command shows its share of the quota, its calls per second, its tokens and its waiting calls.
    MODEL is the id or ARN of a model or inference profile. Without MODEL, the command shows all quotas in the store.
    The command requires no AWS credentials. If the first update cannot read the store, the command ends with exit code
    3. If a later update fails, the command continues. The exit code is 3 if the last update failed.
    """
    failed = ""
    console = Console(highlight=False)
    width = console.width if console.is_terminal else None
    with suppress(KeyboardInterrupt), _screen(console) as show:
        seen: list[Line] = []
        for number in count(1):
            try:
                seen = list(shared_lines(shared_quotas(store, models), width))
                show(seen or [(_nobody(models), "")], seen)
                failed = ""
            except StoreUnavailable as error:
                failed = "" if isinstance(error, _NotYet) else str(error)
                if number == 1 and failed:
                    break
                show([(str(error), "yellow")], seen)
            if number == looks:
                break
            clock.sleep(every)
    if failed:
        raise StoreFailed(failed)


def _nobody(models: Sequence[str]) -> str:
    quotas = f"the quota of {' or '.join(models)}" if models else "a quota"
    return f"No process shares {quotas} through this store now."


class _NotYet(StoreUnavailable):
    """Raised if the store is a file that no process has created yet."""


def shared_quotas(store: ShareStore, models: Sequence[str] = ()) -> list[SharedQuota]:
    """Return the quotas that processes share through `store`, or only those of `models` if it is not empty.

    Raises `StoreUnavailable` if the store cannot be read, or if it is a file that does not exist.
    """
    if isinstance(store, SqliteStore) and not store.path.exists() and store.path.parent.is_dir():
        raise _NotYet(
            f"{store.path} does not exist yet. The first process with Quota(store=...) creates it. Start such a "
            "process, or correct --store."
        )
    chosen = {split_profile(model) for model in models}
    quotas = (SharedQuota.of(key, view) for key, view in store.look().run().items())
    return [quota for quota in quotas if quota.members and (not models or _is_selected(quota, chosen))]


def _is_selected(quota: SharedQuota, chosen: set[tuple[str, str]]) -> bool:
    _, _, model, pool = quota.place
    return (model, pool) in chosen


def shared_lines(quotas: Iterable[SharedQuota], width: int | None = None) -> Iterator[Line]:
    """Yield a block of lines for each quota: first the totals, then each process that shares the quota. If the table of
    the processes is wider than `width` characters, its least important columns are omitted.
    """
    quotas = list(quotas)
    for number, quota in enumerate(quotas):
        account, region, model, pool = quota.place
        if number:
            yield "", ""
        yield f"{model} {pool}{region and f' in {region}'}{account and f', account {account}'}".strip(), "bold"
        reserved = f", {quota.reserved:,} of them reserved" if quota.reserved else ""
        yield (
            f"  used in the last minute: {_used_of(quota, 'tokens')}{reserved}; {_used_of(quota, 'requests')}",
            "",
        )
        yield f"  waiting: {_by_priority(quota.waiting)}; throttled: {quota.throttled:,}", ""
        if len(quota.consumers) > 1:
            yield f"  used by priority: {_by_priority(quota.consumers)} (tokens per minute)", ""
        yield f"  limited by: {quota.holding()}", ""
        yield from _estimated(quota)
        members = sorted(quota.members, key=lambda member: (-member.share, member.name))
        yield from _table([_HEAD, *map(_row, members[:_MOST_MEMBERS])], width)
        if len(members) > _MOST_MEMBERS:
            yield f"  and {len(members) - _MOST_MEMBERS:,} members with smaller shares", ""
        accounts = [other.place[0] for other in quotas if quota.is_apart_from(other)]
        if accounts:
            yield f"  The account of these members is unknown. {_APART.format(' or '.join(accounts))}", "yellow"
        for member in members:
            if member.unread:
                yield f"  {member.name} is not counted: {member.unread}.", "yellow"


def _estimated(quota: SharedQuota) -> Iterator[Line]:
    """Yield lines with the current value of each limit and the reason for this value.

    If the processes report different reasons, only the most frequent reasons are shown. The most frequent one comes
    first.
    """
    for name, limit in sorted(quota.limits.items()):
        reasons = quota.reasons(name) if limit < inf else {}
        for reason, members in islice(reasons.items(), _MOST_REASONS):
            by = f" ({len(members):,} of {len(quota.members):,} members)" if len(reasons) > 1 else ""
            yield f"  {name}: {limit:,.0f} per minute, {reason}{by}", ""


_APART = (
    "If it is {}, they do not share its quota with its other members, and all together exceed the quota. "
    "Set AWS_ACCOUNT_ID for them. For access keys in a file, set aws_account_id in their profile instead."
)
_HEAD = ("member", "share", "calls/s", "tokens", "reserved", "requests", "waiting", "throttled", "last seen")
_SIDES = "<>>>>><>>"


# The columns of a table that is too wide are omitted in this order.
_LEAST_IMPORTANT = ("requests", "reserved", "calls/s", "tokens")


def _table(rows: Sequence[Sequence[str]], width: int | None) -> list[Line]:
    left_out: set[int] = set()
    for name in ("", *_LEAST_IMPORTANT):
        left_out |= {column for column, head in enumerate(_HEAD) if head == name}
        kept = [column for column in range(len(_HEAD)) if column not in left_out]
        sides = "".join(_SIDES[column] for column in kept)
        lines = list(aligned([[row[column] for column in kept] for row in rows], sides, indent="  "))
        if width is None or max(len(line) for line, _ in lines) <= width:
            break
    return lines


def _row(member: Member) -> tuple[str, ...]:
    report = member.report
    return (
        member.name,
        f"{member.share:.1%}",
        f"{member.rate:,.1f}",
        f"{report.used.get('tokens', 0):,}",
        f"{report.reserved:,}",
        f"{report.used.get('requests', 0):,}",
        _by_priority(report.waiting),
        f"{report.throttled:,}",
        f"{member.age:.1f} s ago",
    )


def _used_of(quota: SharedQuota, dimension: str) -> str:
    used, limit = quota.used(dimension), quota.limits.get(dimension, inf)
    known = f" of {limit:,.0f} ({used / limit:.0%})" if limit < inf else ""
    return f"{used:,}{known} {dimension}"


def _by_priority(counts: Mapping[float, int]) -> str:
    return ", ".join(f"{n:,} {priority_name(priority)}" for priority, n in sorted(counts.items()) if n) or "0"


def priority_name(priority: float) -> str:
    """Return the name of a priority, or its number if it has no name."""
    return _NAMES.get(priority, f"priority {priority:g}")


def used_lines(table: QuotaTable, used: Sequence[Used]) -> Iterator[Line]:
    """Yield a table of the use that CloudWatch counted, with one line for each model id.

    The table has the tokens of the last minute and of the busiest minute in the last 24 hours. The percentages compare
    these tokens with the quota of tokens per minute.
    """
    head = ("model id", "tokens last minute", "", "busiest", "", "24 h", "calls", "24 h", "throttled", "24 h")
    yield from aligned([head, *(_used_row(table, each) for each in used)], "<><><>>>>>")


def _used_row(table: QuotaTable, used: Used) -> tuple[str, ...]:
    limits = table.limits(*split_profile(used.model))
    tpm = limits.tpm if limits is not None else None

    def part(tokens: int) -> str:
        return f"{tokens / tpm:.0%}" if tpm else ""

    minute, day = used.minute, used.day
    counts = (day.tokens, minute.calls, day.calls, minute.throttles, day.throttles)
    tokens = (f"{minute.tokens:,}", part(minute.tokens), f"{used.busiest:,}", part(used.busiest))
    return (used.model, *tokens, *(f"{number:,}" for number in counts))


def plain_shared(shared: Iterable[SharedQuota] | None, used: Iterable[Used] | None) -> dict[str, Any]:
    """Return the shared quotas and the use from CloudWatch as JSON values."""
    plain: dict[str, Any] = {}
    if shared is not None:
        plain["shared"] = [
            {
                "quota": quota.key,
                "limits": {name: limit for name, limit in quota.limits.items() if limit < inf},
                "holding": quota.holding(),
                "reasons": {name: quota.reasons(name) for name, limit in quota.limits.items() if limit < inf},
                "members": [_plain_member(member) for member in quota.members],
            }
            for quota in shared
        ]
    if used is not None:
        plain["usage"] = [
            {"model": each.model, "minute": each.minute._asdict(), "day": each.day._asdict(), "busiest": each.busiest}
            for each in used
        ]
    return plain


def _plain_member(member: Member) -> dict[str, Any]:
    report = member.report
    plain: dict[str, Any] = {name: getattr(member, name) for name in ("name", "share", "rate", "age")}
    plain |= {name: getattr(report, name) for name in ("used", "reserved", "throttled", "reasons")}
    for name, counts in (("waiting", report.waiting), ("consumers", report.consumers)):
        plain[name] = {priority_name(priority): number for priority, number in counts.items()}
    return plain | ({"unread": member.unread} if member.unread else {})


def aligned(cells: Sequence[Sequence[str]], sides: str, indent: str = "") -> Iterator[Line]:
    """Yield the rows of `cells` as aligned columns. The first row is the header. Columns without content are
    omitted.
    """
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for number, row in enumerate(cells):
        parts = [f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True) if width]
        yield (indent + "  ".join(parts)).rstrip(), "" if number else "dim"


def print_lines(console: Console, lines: Iterable[Line]) -> None:
    """Print lines without cropping them, whatever the width of the terminal."""
    for line, style in lines:
        console.print(Text(line, style), no_wrap=True, overflow="ignore", crop=False)


def _wrapped(line: str, width: int) -> list[str]:
    """Return the parts of a line that is too long for the terminal. The parts after the first are indented more."""
    if len(line) <= width:
        return [line]
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.wrap(line, width, subsequent_indent=indent, break_on_hyphens=False)


@contextmanager
def _screen(console: Console) -> Iterator[Callable[[list[Line], list[Line]], None]]:
    """Yield the function `show(new, last)`, which shows the result of an update.

    * `new`: the lines of this update, or an error message if the update failed.
    * `last`: the lines of the last successful update. If this update succeeded, `last` is the list `new`.

    A terminal shows an error message above the lines in `last`. An output that is not a terminal gets only `new`.
    """
    if not console.is_terminal:
        yield lambda new, _: print_lines(console, new)
        return
    with Live(console=console, auto_refresh=False) as live:

        def show(new: list[Line], last: list[Line]) -> None:
            lines = new if new is last else [*new, *last]
            texts = (Text(part, style) for line, style in lines for part in _wrapped(line, console.width))
            live.update(Group(*texts), refresh=True)

        yield show
