"""`bedrock quota advise`: from answers that came, which max_tokens they need, and whether another pool has more."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click
from botocore.exceptions import BotoCoreError

from aws_bedrock_inference.batch.records import BadLine
from aws_bedrock_inference.batch.spent import read_spent
from aws_bedrock_inference.cli.failures import CANNOT_WORK, FAILED, NEEDS_CORRECTION
from aws_bedrock_inference.cli.options import chosen_model
from aws_bedrock_inference.cli.quota_usage import opened_store, shared_quotas
from aws_bedrock_inference.knowledge.models import model_facts, split_profile
from aws_bedrock_inference.service_quotas.cloudwatch import facts
from aws_bedrock_inference.service_quotas.discovery import QuotasUnknown, discover
from aws_bedrock_inference.stores import StoreUnavailable
from aws_bedrock_inference.tokens.answer_sizes import AnswerSizes, advise_max_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aws_bedrock_inference.service_quotas.table import QuotaTable
    from aws_bedrock_inference.stores import ShareStore
    from aws_bedrock_inference.stores.members import SharedQuota

_MOST_COMPLAINTS = 20

# What a profile of each pool is called with; which prefix of a part of the world it is depends on the Region.
_CALLED = {"geographic": "a us., eu. or other geographic profile", "global": "its global. profile"}


@dataclass(kw_only=True)
class _Experience:
    """What is known of one model's calls. `inputs` are tokens a call, None when that cannot be told; `account` and
    `region` are empty where they are the caller's.
    """

    where: str
    model: str
    pool: str
    account: str = ""
    region: str = ""
    sizes: AnswerSizes = field(default_factory=AnswerSizes)
    inputs: float | None = None
    remarks: list[str] = field(default_factory=list)


@click.command()
@click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--store", metavar="URL", callback=opened_store, help="Advise on the quotas that processes share there.")
@click.option(
    "--model",
    metavar="ID",
    envvar="BEDROCK_MODEL_ID",
    help="Which model answered in FILE; with --store, advise on this one only. [env: BEDROCK_MODEL_ID]",
)
@click.option(
    "--max-tokens",
    type=click.IntRange(min=1),
    metavar="N",
    help="What --max-tokens was, for answers whose records do not say it. [default: the model's maximum]",
)
@click.option("--region", metavar="NAME", help="AWS Region, for the account's quotas. [default: as for the AWS CLI]")
@click.option("--endpoint-url", metavar="URL", help="Another endpoint of Service Quotas.")
@click.pass_context
def advise(
    ctx: click.Context,
    /,
    *,
    files: tuple[Path, ...],
    store: ShareStore | None,
    model: str | None,
    max_tokens: int | None,
    region: str | None,
    endpoint_url: str | None,
) -> None:
    """Say how the same quota would carry more.

    Reads what answers really needed, in the answers files of `bedrock run` or from the processes that share a quota
    through a store. Where the account's quotas can be read, it says which pool of the model has more.
    """
    if not files and store is None:
        raise click.UsageError("Nothing to learn from. Give answers files of `bedrock run`, or --store URL.")
    bad, known = 0, []
    if files:
        bad, of_files = _of_files(files, chosen_model(model), max_tokens)
        known.append(of_files)
    if store is not None:
        try:
            known += map(_of_store, shared_quotas(store, [model] if model else []))
        except StoreUnavailable as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(CANNOT_WORK)
    known = [each for each in known if each.sizes.count]
    if not known:
        click.echo("No answer was found to learn from.", err=True)
        ctx.exit(NEEDS_CORRECTION if bad else FAILED)
    tables: dict[str, QuotaTable | str] = {}
    for number, each in enumerate(known):
        where = region or each.region
        if where not in tables:
            tables[where] = _listed(where or None, endpoint_url)
        click.echo("\n" * bool(number) + "\n".join(_advice(each, tables[where])))
    ctx.exit(NEEDS_CORRECTION if bad else 0)


def _of_files(files: Sequence[Path], model: str, max_tokens: int | None) -> tuple[int, _Experience]:
    """Return how many lines are no answers, and what the others tell."""
    base, pool = split_profile(model)
    known = _Experience(where=", ".join(map(str, files)), model=base, pool=pool)
    unsaid = model_facts(base).max_output_tokens
    seen: Counter[str] = Counter()
    with ExitStack() as opened:
        for path in files:
            for each in read_spent(opened.enter_context(path.open("rb")), str(path)):
                if isinstance(each, BadLine):
                    seen["bad"] += 1
                    _complain(each, seen["bad"])
                    continue
                usage = each.usage
                known.sizes.add(usage.output_tokens, each.max_tokens or max_tokens or unsaid)
                seen["unsaid"] += each.max_tokens is None and max_tokens is None
                seen["input"] += usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
                seen["cached"] += usage.cache_read_tokens
    known.inputs = seen["input"] / max(1, known.sizes.count)
    if seen["unsaid"]:
        known.remarks.append(
            f"{seen['unsaid']:,} records do not say their max_tokens: the model's maximum, {unsaid:,}, is taken. "
            "If the run had --max-tokens, give the same here."
        )
    if seen["cached"]:
        known.remarks.append("Reads from the prompt cache count in the input; they are free when a call ends.")
    return seen["bad"], known


def _complain(line: BadLine, number: int) -> None:
    if number <= _MOST_COMPLAINTS:
        click.echo(f"{line}{' (more such lines are only counted)' * (number == _MOST_COMPLAINTS)}", err=True)


def _of_store(quota: SharedQuota) -> _Experience:
    account, region, model, pool = quota.place
    where = f"{len(quota.members)} processes{region and f' in {region}'}"
    known = _Experience(where=where, model=model, pool=pool, account=account, region=region, sizes=quota.answers)
    calls = quota.used("requests")
    if calls and known.sizes.count:
        # What the last minute took, less what is only set aside and less the mean answer, was input.
        charge = (quota.used("tokens") - quota.reserved) / calls
        known.inputs = charge - model_facts(model).burndown * known.sizes.output / known.sizes.count
    if known.inputs is None or known.inputs < 0:
        known.inputs = None
        known.remarks.append(
            "How long prompts are cannot be told now: they are left out, so the gain is less than said."
        )
    return known


def _listed(region: str | None, endpoint_url: str | None) -> QuotaTable | str:
    """Return the account's quotas, or why they are unknown: advice goes on without them."""
    try:
        return discover(region_name=region, endpoint_url=endpoint_url)
    except (QuotasUnknown, BotoCoreError) as error:
        return str(error)


def _advice(known: _Experience, table: QuotaTable | str) -> Iterator[str]:
    burndown = model_facts(known.model).burndown
    yield f"{known.model} {known.pool}, {known.sizes.count:,} answers ({known.where})"
    yield f"  {advise_max_tokens(known.sizes, burndown=burndown, mean_input=known.inputs or 0.0)}"
    yield from (f"  {remark}" for remark in known.remarks)
    if isinstance(table, str):
        yield f"  Other pools are not compared: {table}"
    elif known.account and table.account and known.account != table.account:
        yield f"  Other pools are not compared: the credentials are of account {table.account}."
    else:
        yield from (f"  {line}" for line in _pools(known, table))
    yield f"  {' '.join(facts()['tiers']['text'].split())}"


def _pools(known: _Experience, table: QuotaTable) -> Iterator[str]:
    """Yield which pools of the model carry more. Each is a quota of its own: using both adds them up."""
    mine = table.limits(known.model, known.pool)
    for pool, called in _CALLED.items():
        other = table.limits(known.model, pool)
        if pool == known.pool or other is None or not other.tpm:
            continue
        if mine is not None and mine.tpm and other.tpm > mine.tpm:
            yield (
                f"Pool {pool}: {other.tpm:,.0f} tokens a minute, {other.tpm / mine.tpm:.3g} times the {mine.tpm:,.0f} "
                f"of {known.pool}. Call the model through {called}; prompts may then be answered in other Regions."
            )
