"""`bedrock quota`: show the account's quotas and their use, and request increases."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.text import Text

from aws_bedrock_inference import clock
from aws_bedrock_inference.cli.exit_codes import CANNOT_WORK, FAILED
from aws_bedrock_inference.cli.layout import Group
from aws_bedrock_inference.cli.options import (
    JSON_OPTION,
    REFRESH_OPTION,
    place_options,
    store_option,
)
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
from aws_bedrock_inference.cli.terminal import ago
from aws_bedrock_inference.knowledge.models import split_profile
from aws_bedrock_inference.service_quotas.cloudwatch import UsageUnknown, used_lately
from aws_bedrock_inference.service_quotas.cloudwatch import facts as usage_facts
from aws_bedrock_inference.service_quotas.discovery import A_DAY, QuotasUnknown, discover, service_quotas
from aws_bedrock_inference.service_quotas.increase import plan_increase
from aws_bedrock_inference.service_quotas.table import DIMENSIONS, POOLS, Listed, explain_hold
from aws_bedrock_inference.stores import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aws_bedrock_inference.service_quotas.cloudwatch import Used
    from aws_bedrock_inference.service_quotas.table import Found, QuotaTable
    from aws_bedrock_inference.stores import ShareStore
    from aws_bedrock_inference.stores.members import SharedQuota

_TITLES = {"rpm": "requests per minute", "tpm": "tokens per minute", "tpd": "tokens per day"}
_MOST_NAMED = 5
_WIDEST = 100


class Unknown(click.ClickException):
    """Raised if the quotas of the account, or their use, cannot be read."""

    exit_code = CANNOT_WORK


def known_quotas(region: str | None, endpoint_url: str | None, *, fresh: bool = False) -> QuotaTable:
    """Return the account's quotas. If they cannot be read, end the command with the reason."""
    try:
        return discover(region_name=region, endpoint_url=endpoint_url, max_age=0.0 if fresh else A_DAY)
    except QuotasUnknown as error:
        raise Unknown(str(error)) from error


@click.group(cls=Group)
def quota() -> None:
    """Show the account's quotas and their use; request increases.

    The command requires the permissions servicequotas:ListServiceQuotas and
    servicequotas:ListAWSDefaultServiceQuotas.
    """


quota.add_command(watch)
quota.add_command(advise)


@quota.command()
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@place_options
@store_option(opened_store)
@click.option("--usage", is_flag=True, help="Also show the use that CloudWatch counted.")
@REFRESH_OPTION
@JSON_OPTION
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
    """Show the current quotas by model and pool.

    A pool is one of the separate quotas of a model: on-demand, geographic or global. MODEL is the id or ARN of a model
    or inference profile. For the id of a profile, its prefix (us., global.) selects the pool. Without MODEL, the
    command lists all models.

    --store also shows the processes that share a quota through this store. --usage adds the use in the last minute and
    the last 24 hours. The quotas are cached for a day.
    """
    table = known_quotas(region, endpoint_url, fresh=refresh)
    rows, unknown = _chosen(table, models)
    shared, used, troubles = _shared_and_used(table, rows if models else None, store, usage=usage)
    if as_json:
        click.echo(json.dumps(_plain(table, rows) | plain_shared(shared, used)))
    else:
        _print(table, rows)
        _print_used(table, shared, used)
    for model in unknown:
        click.echo(
            f"Service Quotas lists no quota for {model} in {table.region}; an unlisted quota may exist.",
            err=True,
        )
    if not rows and not models:
        click.echo(f"Service Quotas lists no model in {table.region} that this package recognizes.", err=True)
    if troubles:
        raise Unknown("\n".join(troubles))
    if unknown or not rows:
        raise click.exceptions.Exit(FAILED)


@quota.command()
@click.argument("model", metavar="MODEL")
@click.option("--to", type=click.IntRange(min=1), required=True, metavar="N", help="New value of the quota.")
@click.option(
    "--pool",
    type=click.Choice(POOLS),
    metavar="POOL",
    help=f"Quota pool: {', '.join(POOLS)}. [default: from the prefix of MODEL]",
)
@click.option(
    "--dimension",
    type=click.Choice(["tokens", "requests"]),
    default="tokens",
    show_default=True,
    help="Quota to raise: tokens or requests per minute.",
)
@place_options
@click.option("--yes", is_flag=True, help="Submit the request; otherwise, only show it.")
def increase(
    *, model: str, to: int, pool: str | None, dimension: str, region: str | None, endpoint_url: str | None, yes: bool
) -> None:
    """Show a request for a quota increase; with --yes, submit it.

    Without --yes, the command submits nothing. The command refuses a request that AWS would refuse: the new value is
    not higher, the quota is not adjustable, or AWS has set the quota to 0.
    """
    base, its_pool = split_profile(model)
    table = known_quotas(region, endpoint_url, fresh=True)
    asked = plan_increase(table, base, pool or its_pool, {"tokens": "tpm", "requests": "rpm"}[dimension], to)
    click.echo(f"{asked.found.name}: {_number(asked.found.value)} to {to:,} in {table.region}")
    click.echo(f"  $ {asked.command}")
    if not yes:
        click.echo(f"{asked.advice(model)}\nNothing was submitted. Add --yes to submit the request.")
        return
    client, _ = service_quotas(region_name=region, endpoint_url=endpoint_url)
    record = asked.file(client)
    case = f", Support case {record['CaseId']}" if record.get("CaseId") else ""
    click.echo(f"Submitted: {record.get('Status', 'PENDING')}, request {record.get('Id', '?')}{case}.")
    click.echo(f"To see its status:\n  $ {asked.history}")


def _chosen(table: QuotaTable, models: Sequence[str]) -> tuple[list[Listed], list[str]]:
    """Return the rows of the table to show, and the models whose quota is unknown."""
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


def _shared_and_used(
    table: QuotaTable, rows: Sequence[Listed] | None, store: ShareStore | None, *, usage: bool
) -> tuple[list[SharedQuota] | None, list[Used] | None, list[str]]:
    """Return the shared quotas, the usage that CloudWatch counted, and the errors that occurred while these were read.

    The shared quotas are read if `store` is set, and the usage is read if `usage` is True. `rows` are the rows of
    `table` that the user selected, or None for all rows. The results contain only the models of these rows.
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
        lines = list(shared_lines(shared)) or [("No process shares these quotas through the store now.", "")]
        print_lines(console, [("", ""), *lines])
    if used is not None:
        lines = list(used_lines(table, used)) if used else [("CloudWatch counted no call in the last two weeks.", "")]
        text = textwrap.fill(" ".join(usage_facts()["cloudwatch"]["text"].split()), min(console.width, _WIDEST))
        print_lines(console, [("", ""), *lines, (text, "dim")])


def _print(table: QuotaTable, rows: Sequence[Listed]) -> None:
    console = Console(highlight=False)
    console.width = min(console.width, _WIDEST)
    held = _held(rows)
    if held:
        names = ", ".join(found.name for found in held[:_MOST_NAMED])
        more = f" and {len(held) - _MOST_NAMED} more" if len(held) > _MOST_NAMED else ""
        console.print(Text(f"Set to 0 by AWS: {names}{more}", "bold red"), soft_wrap=True)
        console.print(Text(textwrap.fill(explain_hold(), console.width)), end="\n\n")
    whose = f", account {table.account}" if table.account else ""
    console.print(Text(f"Amazon Bedrock in {table.region}{whose}, read {ago(table.age)}", "bold"))
    if table.stale:
        console.print(
            Text(f"These are cached values. The quotas could not be read again: {table.why}", "yellow"), soft_wrap=True
        )
    if table.cross_model is not None:
        number, default = _number_and_default(table.cross_model)
        console.print(f"All models together: {number} tokens per day, weighted by price{default and f' ({default})'}")
    if not rows:
        return
    console.print()
    print_lines(console, _lines(table, rows))


def _lines(table: QuotaTable, rows: Sequence[Listed]) -> Iterator[tuple[str, str]]:
    """Return the lines of the table, each with its style. If a value differs from AWS's default, the line also shows
    the default.
    """
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
