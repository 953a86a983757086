"""Print models, inference profiles and checks for `bedrock models`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from aws_bedrock_inference import clock
from aws_bedrock_inference.cli.quota_usage import aligned, print_lines
from aws_bedrock_inference.cli.terminal import ago
from aws_bedrock_inference.foundation.listing import InferenceProfile
from aws_bedrock_inference.foundation.residency import shown
from aws_bedrock_inference.pricing import source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aws_bedrock_inference.foundation.check import Check
    from aws_bedrock_inference.foundation.listing import FoundationModel, Listing
    from aws_bedrock_inference.pricing import Rates

_HEADS = ("model", "input", "output", "called by", "lifecycle")


def print_list(listing: Listing, found: Sequence[FoundationModel]) -> None:
    """Print the models of a Region as a table."""
    console = Console(highlight=False)
    whose = f", account {listing.account}" if listing.account else ""
    read = f"read {ago(clock.wall() - listing.at)}"
    print_lines(console, [(f"Amazon Bedrock in {listing.region}{whose}, {read}", "bold"), ("", "")])
    if found:
        print_lines(console, list(aligned([_HEADS, *(_row(each, listing) for each in found)], "<" * len(_HEADS))))


def _row(model: FoundationModel, listing: Listing) -> tuple[str, ...]:
    ways = ["its id"] if model.on_demand else []
    ways += [each.id.removesuffix(model.id) for each in listing.profiles_of(model.id)]
    end = f" until {model.end_of_life}" if model.end_of_life else ""
    return (
        model.id,
        _words(model.inputs),
        _words(model.outputs),
        ", ".join(ways) or "Provisioned Throughput",
        f"{model.lifecycle.lower()}{end}" or "-",
    )


def facts(
    found: FoundationModel | InferenceProfile | None, checked: Check, rates: Rates | None
) -> Iterator[tuple[str, str]]:
    """Yield the known facts about one id. Each fact has a name and a text."""
    yield (
        checked.id,
        "listed" if checked.known else "unknown" if checked.known is None else "does not exist in this Region",
    )
    if isinstance(found, InferenceProfile):
        yield "kind", f"{found.kind} inference profile, {found.pool or 'of several models'}"
        yield "model", found.base or "several"
    yield from _named("calls processed in", shown(checked.regions) if checked.regions else None)
    yield from _named("lifecycle", (checked.lifecycle or "").lower())
    yield from _named("end of life", checked.end_of_life)
    yield from _named("successor", checked.successor)
    yield from _named("input", _words(checked.inputs or ()))
    yield from _named("output", _words(checked.outputs or ()))
    yield from _named("longest context", checked.context)
    yield from _named("needs a profile", {True: "yes", False: "no", None: None}[checked.needs_profile])
    yield from _named("profiles", ", ".join(checked.profiles))
    for name in ("agreement", "authorization", "entitlement"):
        yield from _named(name, (getattr(checked, name) or "").lower().replace("_", " "))
    yield from _named("use-case form", {True: "submitted", False: "missing", None: None}[checked.use_case_form])
    yield from _named("data retention", checked.retention)
    yield "per million tokens", _price(rates) if rates is not None else f"unknown ({source()})"


def _price(rates: Rates) -> str:
    """Return the price of a model as text."""
    parts = (
        (rates.input, "in"),
        (rates.output, "out"),
        (rates.cache_read, "cache read"),
        (rates.cache_write, "cache write"),
        (rates.cache_write_1h, "cache write for an hour"),
    )
    long = f"; of prompts above {rates.long_from:,} tokens: {_price(rates.long)}" if rates.long is not None else ""
    return ", ".join(f"${price:g} {name}" for price, name in parts if price is not None) + long


def _named(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if value:
        yield name, str(value)


def _words(modalities: Sequence[str]) -> str:
    return ", ".join(modalities).lower()


def print_check(checked: Check, call: str | None) -> None:
    """Print the result of a check. `call` is the id to call, if it differs from the id that was checked."""
    click.echo(f"{checked.id}: {_verdict(checked)}")
    for sentence in checked.problems:
        click.echo(f"  problem: {sentence}")
    if call is not None and call != checked.id:
        click.echo(f"  call: {call}")
    for sentence in checked.notes:
        click.echo(f"  note: {sentence}")


def _verdict(checked: Check) -> str:
    if not checked.ok:
        return "calls will fail"
    return "no known problem" + ("" if checked.known else ", but nothing shows that the id exists in this Region")


def counted(found: Sequence[Any] | None, noun: str) -> str:
    """Return how many items were found, in words: `1 model` or `2 models` for the noun `model`. If `found` is None,
    return `unknown number of models`.
    """
    number = len(found or ())
    return f"{number} {noun}{'' if number == 1 else 's'}" if found is not None else f"unknown number of {noun}s"
