"""`bedrock quota`: what the account may do, and how to ask for more."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console
from rich.text import Text

from aws_bedrock_inference import clock
from aws_bedrock_inference.cli.failures import CANNOT_WORK, FAILED
from aws_bedrock_inference.cli.quota_advise import advise
from aws_bedrock_inference.cli.quota_usage import (
    aligned,
    opened_store,
    plain_shared,
    print_lines,
    shared_lines,
    shared_quotas,
    used_lines,
    watch,
)
from aws_bedrock_inference.knowledge.models import split_profile
from aws_bedrock_inference.service_quotas.cloudwatch import UsageUnknown, used_lately
from aws_bedrock_inference.service_quotas.cloudwatch import facts as usage_facts
from aws_bedrock_inference.service_quotas.discovery import A_DAY, QuotasUnknown, discover, service_quotas
from aws_bedrock_inference.service_quotas.increase import plan_increase
from aws_bedrock_inference.service_quotas.names import facts
from aws_bedrock_inference.service_quotas.table import DIMENSIONS, POOLS, Listed, explain_hold
from aws_bedrock_inference.stores import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from aws_bedrock_inference.service_quotas.cloudwatch import Used
    from aws_bedrock_inference.service_quotas.table import Found, QuotaTable
    from aws_bedrock_inference.stores import ShareStore
    from aws_bedrock_inference.stores.members import SharedQuota

F = TypeVar("F", bound="Callable[..., Any]")

_TITLES = {"rpm": "requests a minute", "tpm": "tokens a minute", "tpd": "tokens a day"}
_MOST_NAMED = 5
_WIDEST = 100


class Unknown(click.ClickException):
    """The quotas, or what was used of them, could not be read."""

    exit_code = CANNOT_WORK


def quota_options(function: F) -> F:
    """Add the options that say whose quotas."""
    for option in (
        click.option("--endpoint-url", metavar="URL", help="Another endpoint of Service Quotas."),
        click.option("--region", metavar="NAME", help="AWS Region. [default: as for the AWS CLI]"),
    ):
        function = option(function)
    return function


def known_quotas(region: str | None, endpoint_url: str | None, *, fresh: bool = False) -> QuotaTable:
    """Return the account's quotas, or end the command and say what kept them from being read."""
    try:
        return discover(region_name=region, endpoint_url=endpoint_url, max_age=0.0 if fresh else A_DAY)
    except QuotasUnknown as error:
        raise Unknown(str(error)) from error


@click.group()
def quota() -> None:
    """Show what the account may do and what is used of it, and ask for more.

    Reads Service Quotas, which needs servicequotas:ListServiceQuotas and servicequotas:ListAWSDefaultServiceQuotas.
    """


quota.add_command(watch)
quota.add_command(advise)


@quota.command()
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@quota_options
@click.option(
    "--store", metavar="URL", callback=opened_store, help="Also who uses them, where processes share a quota."
)
@click.option("--usage", is_flag=True, help="Also what was used in the last minute and day, as CloudWatch counted it.")
@click.option("--refresh", is_flag=True, help="Read them now, even if they were read today.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show(
    *,
    models: tuple[str, ...],
    region: str | None,
    endpoint_url: str | None,
    store: ShareStore | None,
    usage: bool,
    refresh: bool,
    as_json: bool,
) -> None:
    """Show what holds now, by model and pool.

    MODEL is a model or inference profile, by id or ARN; a profile's prefix (us., global.) selects its pool. Without
    one, all models are listed. A reading serves for a day.
    """
    table = known_quotas(region, endpoint_url, fresh=refresh)
    rows, unknown = _chosen(table, models)
    shared, used, troubles = _looked(table, rows if models else None, store, usage=usage)
    if as_json:
        click.echo(json.dumps(_plain(table, rows) | plain_shared(shared, used)))
    else:
        _print(table, rows)
        _print_used(table, shared, used)
    for model in unknown:
        click.echo(f"No quota of {model} is known in {table.region}; that does not mean that it has none.", err=True)
    if not rows and not models:
        click.echo(f"Service Quotas lists no model in {table.region} that this package knows.", err=True)
    if troubles:
        raise Unknown("\n".join(troubles))
    if unknown or not rows:
        raise click.exceptions.Exit(FAILED)


@quota.command()
@click.argument("model", metavar="MODEL")
@click.option("--to", type=click.IntRange(min=1), required=True, metavar="N", help="The new value.")
@click.option("--pool", type=click.Choice(POOLS), help="Which of the model's quotas. [default: as MODEL's prefix says]")
@click.option(
    "--dimension",
    type=click.Choice(["tokens", "requests"]),
    default="tokens",
    show_default=True,
    help="What a minute.",
)
@quota_options
@click.option("--yes", is_flag=True, help="File the request; without it nothing is sent.")
def increase(
    *, model: str, to: int, pool: str | None, dimension: str, region: str | None, endpoint_url: str | None, yes: bool
) -> None:
    """Show a request for more; with --yes, file it.

    What AWS would refuse is refused here: a value that is not higher, a quota that is not adjustable or held at 0.
    """
    base, its_pool = split_profile(model)
    table = known_quotas(region, endpoint_url, fresh=True)
    asked = plan_increase(table, base, pool or its_pool, {"tokens": "tpm", "requests": "rpm"}[dimension], to)
    click.echo(f"{asked.found.name}: {_number(asked.found.value)} to {to:,} in {table.region}")
    click.echo(f"  $ {asked.command}")
    if not yes:
        click.echo(f"{facts()['increase']['text'].strip()}\nNothing was filed: --yes does it.")
        return
    client, _ = service_quotas(region_name=region, endpoint_url=endpoint_url)
    record = asked.file(client)
    case = f", Support case {record['CaseId']}" if record.get("CaseId") else ""
    click.echo(f"Filed: {record.get('Status', 'PENDING')}, request {record.get('Id', '?')}{case}.")
    click.echo(f"What becomes of it:\n  $ {asked.history}")


def _chosen(table: QuotaTable, models: Sequence[str]) -> tuple[list[Listed], list[str]]:
    """Return the rows to show, and of which models nothing is known."""
    if not models:
        return list(table.models()), []
    rows, unknown = [], []
    for model in models:
        base, pool = split_profile(model)
        pools = POOLS if base == model else (pool,)
        found = [Listed(base, each, limits) for each in pools if (limits := table.limits(base, each)) is not None]
        rows += found
        unknown += [] if found else [model]
    return rows, unknown


def _looked(
    table: QuotaTable, rows: Sequence[Listed] | None, store: ShareStore | None, *, usage: bool
) -> tuple[list[SharedQuota] | None, list[Used] | None, list[str]]:
    """Return who shares the quotas and what was used, as far as wanted, and what kept either from being read. `rows`
    are the chosen ones, None for all.
    """
    shared, used, troubles = None, None, []

    def wanted(base: str, pool: str) -> bool:
        limits = table.limits(base, pool)
        return rows is None or (limits is not None and any(row.limits == limits for row in rows))

    if store is not None:
        try:
            shared = [each for each in shared_quotas(store) if wanted(each.place[2], each.place[3])]
        except StoreUnavailable as error:
            troubles.append(str(error))
    if usage:
        try:
            used = [
                each
                for each in used_lately(region_name=table.region, now=clock.wall)
                if wanted(*split_profile(each.model))
            ]
        except UsageUnknown as error:
            troubles.append(str(error))
    return shared, used, troubles


def _print_used(table: QuotaTable, shared: Sequence[SharedQuota] | None, used: Sequence[Used] | None) -> None:
    console = Console(highlight=False)
    if shared is not None:
        lines = list(shared_lines(shared)) or [("Nobody shares these quotas through the store now.", "")]
        print_lines(console, [("", ""), *lines])
    if used is not None:
        lines = list(used_lines(table, used)) if used else [("CloudWatch has counted no call in two weeks.", "")]
        text = textwrap.fill(" ".join(usage_facts()["cloudwatch"]["text"].split()), min(console.width, _WIDEST))
        print_lines(console, [("", ""), *lines, (text, "dim")])


def _print(table: QuotaTable, rows: Sequence[Listed]) -> None:
    console = Console(highlight=False)
    console.width = min(console.width, _WIDEST)
    held = _held(rows)
    if held:
        names = ", ".join(found.name for found in held[:_MOST_NAMED])
        more = f" and {len(held) - _MOST_NAMED} more" if len(held) > _MOST_NAMED else ""
        console.print(Text(f"Held at 0: {names}{more}", "bold red"), soft_wrap=True)
        console.print(Text(textwrap.fill(explain_hold(), console.width)), end="\n\n")
    whose = f", account {table.account}" if table.account else ""
    console.print(Text(f"Amazon Bedrock in {table.region}{whose}, read {_ago(table.age)}", "bold"))
    if table.stale:
        console.print(Text(f"They could not be read anew: {table.why}", "yellow"), soft_wrap=True)
    if table.cross_model is not None:
        number, default = _number_and_default(table.cross_model)
        console.print(f"All models together: {number} tokens a day, weighted by price{default and f' ({default})'}")
    if not rows:
        return
    console.print()
    print_lines(console, _lines(table, rows))


def _lines(table: QuotaTable, rows: Sequence[Listed]) -> Iterator[tuple[str, str]]:
    """Return the table's lines, each with its style. Behind a number that is not AWS's default stands the default."""
    columns = ["rpm", "tpm", *(["tpd"] if table.cross_model is None and any(row.limits.tpd for row in rows) else [])]
    cells = [("model", "pool", *(cell for column in columns for cell in (_TITLES[column], "")))]
    for row in rows:
        numbers = (cell for column in columns for cell in _number_and_default(row.limits.known.get(column)))
        cells.append((row.model, row.pool, *numbers))
    return aligned(cells, "<<" + "><" * len(columns))


def _number_and_default(found: Found | None) -> tuple[str, str]:
    if found is None:
        return "-", ""
    return _number(found.value), "" if found.applied in {None, found.default} else f"default {_number(found.default)}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.15g}"


def _held(rows: Sequence[Listed]) -> list[Found]:
    held = {found.code: found for row in rows for found in row.limits.known.values() if found.held}
    return list(held.values())


def _ago(seconds: float) -> str:
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' * (count > 1)} ago"
    return "now"


def _plain(table: QuotaTable, rows: Sequence[Listed]) -> dict[str, Any]:
    def facts_of(found: Found | None) -> dict[str, Any] | None:
        if found is None:
            return None
        return {name: getattr(found, name) for name in ("applied", "default", "code", "adjustable", "held")}

    return {
        "region": table.region,
        "account": table.account,
        "age": round(table.age, 1),
        "stale": table.stale,
        "why": table.why,
        "hold": explain_hold() if _held(rows) else "",
        "models": [
            {"model": row.model, "pool": row.pool}
            | {dimension: facts_of(row.limits.known.get(dimension)) for dimension in DIMENSIONS}
            for row in rows
        ],
    }
