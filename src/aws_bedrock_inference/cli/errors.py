"""`bedrock errors`: the error catalogue as a list, and as the page docs/errors.md."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.text import Text

from aws_bedrock_inference.cli.explain import COLOURS, chosen_service
from aws_bedrock_inference.knowledge.catalogue import ANY, catalogue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_bedrock_inference.knowledge.catalogue import Cause


@click.command()
@click.argument("service", required=False)
@click.option("--markdown", is_flag=True, help="Print the documentation page, with remedies and links.")
def errors(*, service: str | None, markdown: bool) -> None:
    """List the known AWS errors: cause, codes, whether to retry.

    SERVICE is the service's name in the AWS CLI. Without SERVICE, all errors are listed, also those common to all
    services.
    """
    if markdown:
        click.echo("\n".join(page()))
        return
    wanted = chosen_service(service)
    console = Console(highlight=False)
    places = _by_place()
    if wanted is not None and wanted not in places:
        raise click.UsageError(
            f"The catalogue has no errors specific to {wanted}. `bedrock explain CODE --service {wanted}` "
            "explains the errors that AWS's service model lists."
        )
    for place, causes in places.items():
        if wanted in {None, place}:
            _print_place(console, place, causes)


def _print_place(console: Console, place: str, causes: dict[str, list[str]]) -> None:
    console.print(Text(_title(place), "bold"))
    for slug, names in causes.items():
        cause = catalogue().causes[slug]
        decision = (f"{cause.decision.value:<13} ", COLOURS[cause.decision])
        line = Text.assemble("  ", decision, f"{cause.title}  ", (f"{slug}  ", "dim"), ", ".join(names))
        crop = console.is_terminal
        console.print(line, no_wrap=True, overflow="ellipsis" if crop else "ignore", crop=crop)
    console.print()


def _by_place() -> dict[str, dict[str, list[str]]]:
    """Return for each service its causes, and for each cause the codes that may have it."""
    places: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for entry in catalogue().entries:
        for slug in dict.fromkeys((entry.template.cause, *(rule.template.cause for rule in entry.signatures))):
            known = places[entry.service][slug]
            known += [code for code in entry.codes if code not in known]
    return dict(sorted(places.items(), key=lambda place: (place[0] == ANY, place[0])))


def _title(place: str) -> str:
    return "All services, and errors on the client's side" if place == ANY else catalogue().services[place]["title"]


def page() -> Iterator[str]:
    """Yield the lines of docs/errors.md."""
    places = _by_place()
    causes = catalogue().causes
    yield "# Errors"
    yield ""
    yield "Every cause in the catalogue: its meaning, whether to retry, and what to do. `make index` writes this page."
    yield "`bedrock explain` finds the cause of an error; [Knowing errors](knowing.md) describes how."
    for place, known in places.items():
        yield ""
        yield f"## {_title(place)}"
        if place == ANY:
            yield ""
            yield "Codes that services share, and failures before any answer arrives."
        for slug in known:
            if next(other for other, its in places.items() if slug in its) == place:
                yield from _section(causes[slug], places)
        practice = catalogue().services[place]["practice"]
        if practice:
            yield ""
            yield f"### Preventing errors: {_title(place)}"
            yield ""
            yield from (f"* {text}" for text in practice.values())


def _section(cause: Cause, places: dict[str, dict[str, list[str]]]) -> Iterator[str]:
    yield ""
    yield f"### {cause.slug}"
    yield ""
    yield f"**{cause.title}.** {cause.meaning}"
    yield ""
    yield f"* Decision: {cause.decision.value}; what must recover or change: {cause.scope}"
    for place, known in places.items():
        names = known.get(cause.slug)
        if names:
            yield f"* {'every service' if place == ANY else place}: {', '.join(f'`{name}`' for name in names)}"
    yield ""
    for number, (remedy, services) in enumerate(cause.advice, 1):
        place = f"({', '.join(services)}) " if services else ""
        yield f"{number}. {place}{remedy.do}" + (f"<br>`{remedy.run}`" if remedy.run else "")
    if cause.note:
        yield ""
        yield f"Note: {cause.note}"
    if cause.link:
        yield ""
        yield f"[AWS's documentation]({cause.link})"
