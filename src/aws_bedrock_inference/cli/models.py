"""`bedrock models`: list the models that the account can call in a Region, and check the access to one model."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console

from aws_bedrock_inference import clock
from aws_bedrock_inference.cli.exit_codes import CANNOT_WORK, FAILED
from aws_bedrock_inference.cli.layout import Group
from aws_bedrock_inference.cli.models_shown import counted, facts, print_check, print_list
from aws_bedrock_inference.cli.options import (
    JSON_OPTION,
    REFRESH_OPTION,
    place_options,
)
from aws_bedrock_inference.cli.quota_usage import aligned, print_lines
from aws_bedrock_inference.cli.terminal import ago
from aws_bedrock_inference.foundation.listing import told
from aws_bedrock_inference.foundation.models import Models
from aws_bedrock_inference.foundation.residency import patterns
from aws_bedrock_inference.foundation.resolving import NotResolvable
from aws_bedrock_inference.pricing import rates_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_bedrock_inference.foundation.check import Check
    from aws_bedrock_inference.foundation.listing import FoundationModel, Listing

F = TypeVar("F", bound="Callable[..., Any]")


class Unlisted(click.ClickException):
    """Raised if the lists of models cannot be read from AWS and no cached lists exist."""

    exit_code = CANNOT_WORK


def _options(function: F) -> F:
    return place_options(JSON_OPTION(function))


@click.group(cls=Group)
def models() -> None:
    """List the models of a Region and check the access to them.

    The commands use these permissions: bedrock:ListFoundationModels, bedrock:ListInferenceProfiles,
    bedrock:GetFoundationModel, bedrock:GetInferenceProfile and bedrock:GetFoundationModelAvailability. If a permission
    is missing, a command shows what it can read without the permission.
    """


@models.command("list")
@click.option("--provider", metavar="NAME", help="Only models of this provider, such as anthropic.")
@click.option("--modality", metavar="NAME", help="Only this input or output: text, image, embedding.")
@click.option(
    "--lifecycle", type=click.Choice(["ACTIVE", "LEGACY"], case_sensitive=False), help="Models in this state."
)
@REFRESH_OPTION
@_options
def list_models(
    *,
    provider: str | None,
    modality: str | None,
    lifecycle: str | None,
    region: str | None,
    endpoint_url: str | None,
    refresh: bool,
    as_json: bool,
) -> None:
    """List the models of a Region, each with its inference profiles.

    The lists are cached for a day.
    """
    listing = _listing(_models(region, endpoint_url, refresh=refresh))
    found = [each for each in listing.models or () if _fits(each, provider, modality, lifecycle)]
    if as_json:
        click.echo(json.dumps(_plain(listing) | {"models": [asdict(each) for each in found]}, default=str))
    else:
        print_list(listing, found)
    _print_missing(listing)
    if not found:
        click.echo(f"No model in {listing.region} matches the options.", err=True)
        raise click.exceptions.Exit(FAILED)


@models.command()
@click.argument("model", metavar="MODEL")
@REFRESH_OPTION
@_options
def show(*, model: str, region: str | None, endpoint_url: str | None, refresh: bool, as_json: bool) -> None:
    """Show the facts about one model or inference profile.

    MODEL is an id or ARN.
    """
    source = _models(region, endpoint_url, refresh=refresh)
    found, checked, rates = source.get(model), source.check(model), rates_of(model, source.region_name)
    if as_json:
        plain = {"listed": found and asdict(found), "check": _check_plain(checked), "price": rates and asdict(rates)}
        click.echo(json.dumps(plain, default=str))
    else:
        print_lines(Console(highlight=False), list(aligned([*facts(found, checked, rates)], "<<")))
    for sentence in (*checked.problems, *checked.notes):
        click.echo(sentence, err=True)
    if checked.known is False:
        raise click.exceptions.Exit(CANNOT_WORK)


@models.command()
@click.option("--every", type=click.FloatRange(min=1), metavar="SECONDS", help="Repeat at this interval, until Ctrl-C.")
@_options
def sync(*, every: float | None, region: str | None, endpoint_url: str | None, as_json: bool) -> None:
    """Read the models of a Region now, and store them for use offline.

    For one day after that, clients of this account and Region refuse calls with a wrong model id before sending them.
    """
    source = Models(region_name=region, endpoint_url=endpoint_url)
    while True:
        listing = source.sync()
        failed = listing.empty
        if as_json:
            click.echo(json.dumps(_plain(listing), default=str))
        elif not failed:
            both = f"{counted(listing.models, 'model')}, {counted(listing.profiles, 'inference profile')}"
            click.echo(f"{listing.region}: {both}, read {ago(clock.wall() - listing.at)}.")
        _print_missing(listing)
        if every is None:
            raise click.exceptions.Exit(CANNOT_WORK if failed or _is_old(listing) else 0)
        clock.sleep(every)


@models.command()
@click.argument("ids", nargs=-1, required=True, metavar="MODEL...")
@click.option(
    "--within",
    multiple=True,
    metavar="PATTERN",
    help="Regions that may process calls, such as 'eu-*'. Repeatable.",
)
@REFRESH_OPTION
@_options
def check(
    *,
    ids: tuple[str, ...],
    within: tuple[str, ...],
    region: str | None,
    endpoint_url: str | None,
    refresh: bool,
    as_json: bool,
) -> None:
    """Check whether the account can call each MODEL.

    The command checks whether the id exists, when AWS removes the model, and whether the account has access. Some
    models must be called with another id, such as the id of an inference profile. The command then prints this id.
    --within names the Regions that may process the calls: the printed id uses only these Regions. The exit code is 0 if
    every MODEL can be called, 1 if some cannot, 3 if none can.
    """
    source = _models(region, endpoint_url, refresh=refresh)
    allowed = patterns(within) if within else None
    results = [_checked(source, each, allowed) for each in ids]
    if as_json:
        plain = [_check_plain(each) | {"call": call} for each, call in results]
        click.echo(json.dumps({"region": source.region_name, "checks": plain}, default=str))
    else:
        for each, call in results:
            print_check(each, call)
    bad = sum(not each.ok for each, _ in results)
    if bad:
        raise click.exceptions.Exit(CANNOT_WORK if bad == len(results) else FAILED)


def _checked(source: Models, name: str, within: tuple[str, ...] | None) -> tuple[Check, str | None]:
    checked = source.check(name)
    try:
        return checked, source.resolve(name, within)
    except NotResolvable as error:
        if within is None or checked.known is False:
            return checked, None
        return replace(checked, problems=(*checked.problems, str(error))), None


def _models(region: str | None, endpoint_url: str | None, *, refresh: bool) -> Models:
    source = Models(region_name=region, endpoint_url=endpoint_url)
    if refresh:
        source.sync()
    return source


def _listing(source: Models) -> Listing:
    listing = source.listing()
    if listing.empty:
        reasons = " ".join(told(listing.missing))
        raise Unlisted(f"the models of {listing.region} are unknown. {reasons}")
    return listing


def _fits(model: FoundationModel, provider: str | None, modality: str | None, lifecycle: str | None) -> bool:
    makers = (model.provider.lower(), model.id.partition(".")[0])
    return (
        (provider is None or provider.lower() in makers)
        and (modality is None or modality.upper() in (*model.inputs, *model.outputs))
        and (lifecycle is None or lifecycle.upper() == model.lifecycle)
    )


def _plain(listing: Listing) -> dict[str, Any]:
    return asdict(listing) | {"age": round(max(0.0, clock.wall() - listing.at), 1)}


def _check_plain(checked: Check) -> dict[str, Any]:
    return asdict(checked) | {"ok": checked.ok}


def _print_missing(listing: Listing) -> None:
    for sentence in told(listing.missing):
        click.echo(sentence, err=True)


def _is_old(listing: Listing) -> bool:
    """Return True if AWS returned neither the list of models nor the list of inference profiles.

    `listing` then contains older lists from the cache, or no lists.
    """
    return len(listing.missing) == 2  # noqa: PLR2004 - both lists
