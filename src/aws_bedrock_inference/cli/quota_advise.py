"""`bedrock quota advise`: recommend a value for max_tokens from the lengths of past answers.

The command also names the pools of the model that have a larger quota. A pool is one of the separate quotas of a model:
on-demand, geographic or global.
"""

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
from aws_bedrock_inference.cli.exit_codes import CANNOT_WORK, FAILED, NEEDS_CORRECTION
from aws_bedrock_inference.cli.layout import Command
from aws_bedrock_inference.cli.options import (
    MAX_TOKENS_OPTION,
    chosen_model,
    model_option,
    place_options,
    store_option,
)
from aws_bedrock_inference.cli.quota_usage import opened_store, shared_quotas
from aws_bedrock_inference.knowledge.models import model_facts, split_profile
from aws_bedrock_inference.service_quotas.cloudwatch import facts
from aws_bedrock_inference.service_quotas.discovery import QuotasUnknown, discover
from aws_bedrock_inference.service_quotas.names import facts as quota_facts
from aws_bedrock_inference.stores import StoreUnavailable
from aws_bedrock_inference.tokens.answer_sizes import AnswerSizes, advise_max_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aws_bedrock_inference.service_quotas.table import QuotaTable
    from aws_bedrock_inference.stores import ShareStore
    from aws_bedrock_inference.stores.members import SharedQuota

_MOST_COMPLAINTS = 20

# The name of each pool's inference profile; the geographic prefix depends on the Region.
_CALLED = {"geographic": "a us., eu. or other geographic profile", "global": "its global. profile"}


@dataclass(kw_only=True)
class _Experience:
    """Statistics of past calls to one model, from which the advice is calculated.

    * `where` names the files or the store with the statistics.
    * `account` and `region` are empty if the calls were made in the user's own account and Region.
    * `sizes` contains the lengths of the answers. `inputs` is the mean number of input tokens per call, or None if it
      is unknown.
    * `learned` is the burndown rate that was measured, or None if none was measured.
    """

    where: str
    model: str
    pool: str
    account: str = ""
    region: str = ""
    sizes: AnswerSizes = field(default_factory=AnswerSizes)
    inputs: float | None = None
    learned: float | None = None
    remarks: list[str] = field(default_factory=list)

    @property
    def burndown(self) -> float:
        """The number of quota tokens that one output token costs: the measured rate, or otherwise the rate in
        `models.toml`.
        """
        return self.learned or model_facts(self.model).burndown


@click.command(cls=Command)
@click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@store_option(opened_store)
@model_option()
@MAX_TOKENS_OPTION
@place_options
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
    """Recommend a max_tokens, or a profile with more quota.

    The command compares the lengths of past answers with the max_tokens of their calls. The answers come from each FILE
    that `bedrock run` wrote, or from the processes that share a quota through --store. For a FILE, pass the --model of
    the run. If the run had --max-tokens, pass the same value here. If the command can read the account's quotas, it
    also names the inference profiles of the model that have a larger quota.
    """
    if not files and store is None:
        raise click.UsageError("No answers to read. Pass output files of `bedrock run`, or --store URL.")
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
        click.echo("No answers were found.", err=True)
        ctx.exit(NEEDS_CORRECTION if bad else FAILED)
    tables: dict[str, QuotaTable | str] = {}
    for number, each in enumerate(known):
        where = region or each.region
        if where not in tables:
            tables[where] = _listed(where or None, endpoint_url)
        click.echo("\n" * bool(number) + "\n".join(_advice(each, tables[where])))
    ctx.exit(NEEDS_CORRECTION if bad else 0)


def _of_files(files: Sequence[Path], model: str, max_tokens: int | None) -> tuple[int, _Experience]:
    """Return the number of lines in these files that are not answers, and the statistics of the answers."""
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
            f"{seen['unsaid']:,} records have no max_tokens; the model's maximum, {unsaid:,}, is assumed. "
            "If the run had --max-tokens, pass the same value here."
        )
    if seen["cached"]:
        known.remarks.append(
            "Tokens read from the prompt cache are counted as input here; Bedrock does not charge them to the quota."
        )
    return seen["bad"], known


def _complain(line: BadLine, number: int) -> None:
    if number <= _MOST_COMPLAINTS:
        click.echo(f"{line}{' (further bad lines are counted, not shown)' * (number == _MOST_COMPLAINTS)}", err=True)


def _of_store(quota: SharedQuota) -> _Experience:
    account, region, model, pool = quota.place
    where = f"{len(quota.members)} processes{region and f' in {region}'}"
    known = _Experience(where=where, model=model, pool=pool, account=account, region=region, sizes=quota.answers)
    known.learned = quota.burndown
    calls = quota.used("requests")
    if calls and known.sizes.count:
        # The mean number of input tokens is the mean charge of a call, minus the charge for the mean answer. The mean
        # charge is the tokens of the last minute, without reserved tokens, divided by the number of calls.
        charge = (quota.used("tokens") - quota.reserved) / calls
        known.inputs = charge - known.burndown * known.sizes.output / known.sizes.count
    if known.inputs is None or known.inputs < 0:
        known.inputs = None
        known.remarks.append("The length of the prompts is unknown now and counts as 0, so the real gain is smaller.")
    return known


def _listed(region: str | None, endpoint_url: str | None) -> QuotaTable | str:
    """Return the account's quotas, or the reason why they are unknown. The advice about max_tokens needs no quotas."""
    try:
        return discover(region_name=region, endpoint_url=endpoint_url)
    except (QuotasUnknown, BotoCoreError) as error:
        return str(error)


def _advice(known: _Experience, table: QuotaTable | str) -> Iterator[str]:
    yield f"{known.model} {known.pool}, {known.sizes.count:,} answers ({known.where})"
    yield f"  {advise_max_tokens(known.sizes, burndown=known.burndown, mean_input=known.inputs or 0.0)}"
    yield from (f"  {remark}" for remark in known.remarks)
    if isinstance(table, str):
        yield f"  Other pools were not compared: {table}"
    elif known.account and table.account and known.account != table.account:
        yield f"  Other pools were not compared: the credentials belong to account {table.account}."
    else:
        yield from (f"  {line}" for line in (*_pools(known, table), *_beyond_pools(table)))
    yield f"  {' '.join(facts()['tiers']['text'].split())}"


def _beyond_pools(table: QuotaTable) -> Iterator[str]:
    """Yield a line about the quota of tokens per day, and a line about how to request an increase.

    All models in the Region share the quota of tokens per day. The first line is omitted if its value is unknown.
    """
    daily = table.cross_model
    if daily is not None and daily.value is not None:
        yield f"Tokens per day: {daily.value:,.0f}, weighted by price. {quota_facts()['cross_model']['text']}"
    yield f"`bedrock quota increase` requests more. {quota_facts()['increase']['text'].strip()}"


def _pools(known: _Experience, table: QuotaTable) -> Iterator[str]:
    """Yield a line for each other pool of the model that has a larger quota than the pool `known.pool`.

    A pool is one of the separate quotas of a model: on-demand, geographic or global. A client that uses two pools can
    use the sum of their quotas.
    """
    mine = table.limits(known.model, known.pool)
    for pool, called in _CALLED.items():
        other = table.limits(known.model, pool)
        if pool == known.pool or other is None or not other.tpm:
            continue
        if mine is not None and mine.tpm and other.tpm > mine.tpm:
            yield (
                f"Pool {pool}: {other.tpm:,.0f} tokens per minute, {other.tpm / mine.tpm:.3g} times the "
                f"{mine.tpm:,.0f} of {known.pool}. Call the model through {called}; "
                "other Regions may then process the prompts."
            )
