"""`bedrock errors`: print the error catalogue as a list, or as the page docs/errors.md."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.text import Text

from aws_bedrock_inference.cli.explain import COLOURS, chosen_service
from aws_bedrock_inference.cli.layout import Command
from aws_bedrock_inference.knowledge.catalogue import ANY, catalogue
from aws_bedrock_inference.knowledge.lookup import service_called, spelling

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_bedrock_inference.knowledge.entries import Cause


@click.command(cls=Command)
@click.argument("name", required=False, metavar="[SERVICE | CODE | CAUSE]")
@click.option("--practices", is_flag=True, help="List practices that prevent errors, not the errors.")
@click.option("--markdown", is_flag=True, help="Print the documentation page, with remedies and links.")
def errors(*, name: str | None, practices: bool, markdown: bool) -> None:
    """List the known AWS errors: cause, codes, whether to retry.

    SERVICE is the name of a service in the AWS CLI. With a CODE or CAUSE, the command lists the meaning of this code or
    cause in each service. Without an argument, the command lists all errors.
    """
    if markdown:
        click.echo("\n".join(page()))
        return
    console = Console(highlight=False)
    if practices:
        _print_practices(console, chosen_service(name))
        return
    places = _by_place()
    shown = _named(name, places) if name and not service_called(name) else _of_service(chosen_service(name), places)
    for place, causes in shown.items():
        _print_place(console, place, causes)
    if len(shown) and name and shown.keys() != places.keys():
        slugs = list(dict.fromkeys(slug for causes in shown.values() for slug in causes))
        about = slugs[0] if service_called(name) or len(slugs) == 1 else spelling(name)
        console.print(f"Remedies: bedrock explain {about}", soft_wrap=True)


_Places = dict[str, dict[str, list[str]]]


def _of_service(service: str | None, places: _Places) -> _Places:
    """Return the errors of a service, or all errors if `service` is None.

    If the catalogue has errors of this service, return these errors. Otherwise, return the common errors, which every
    service can return. For a few services, such as `iam` and `sts`, the catalogue selects some of the common errors.
    For these services, return only the selected errors.
    """
    if service is None:
        return places
    if service in places:
        return {service: places[service]}
    chapter = catalogue().services[ANY]["chapters"].get(service)
    common = places[ANY]
    return {ANY: {slug: common[slug] for slug in chapter if slug in common} if chapter else common}


def _named(name: str, places: _Places) -> _Places:
    """Return the causes with this name, or with this error code, grouped by service.

    For the name of a cause, the result contains all error codes of the cause. For an error code, it contains only this
    code.
    """
    code = spelling(name)
    found = {
        place: {
            slug: names if slug == name else [code] for slug, names in causes.items() if slug == name or code in names
        }
        for place, causes in places.items()
    }
    found = {place: causes for place, causes in found.items() if causes}
    if not found:
        raise click.UsageError(
            f"{name!r} is not a service, an error code or a cause in the catalogue of this command. "
            f"Run `bedrock explain {name}`, because it also knows the error codes in AWS's API descriptions."
        )
    return found


def _print_practices(console: Console, service: str | None) -> None:
    known = {place: about for place, about in catalogue().services.items() if about["practice"]}
    wanted = {service, *catalogue().services.get(service or "", {}).get("passes_on", ())}
    if service is not None and not wanted & known.keys():
        raise click.UsageError(
            f"The catalogue lists no practices (how to avoid errors) for {service}. "
            f"Pass one of: {', '.join(sorted(known))}."
        )
    for place, about in known.items():
        if service is None or place in wanted:
            console.print(Text(about["title"], "bold"))
            for slug, text in about["practice"].items():
                console.print(Text(f"  {text} ").append(slug, "dim"), soft_wrap=True)
            console.print()


def _print_place(console: Console, place: str, causes: dict[str, list[str]]) -> None:
    console.print(Text(_title(place), "bold"))
    for slug, names in causes.items():
        cause = catalogue().causes[slug]
        decision = (f"{cause.decision.value:<13} ", COLOURS[cause.decision])
        line = Text.assemble("  ", decision, f"{cause.title}  ", (f"{slug}  ", "dim"), ", ".join(names))
        crop = console.is_terminal
        console.print(line, no_wrap=True, overflow="ellipsis" if crop else "ignore", crop=crop)
    console.print()


def _by_place() -> _Places:
    """Return all errors in the catalogue: for each service its causes, and for each cause its error codes."""
    places: _Places = defaultdict(lambda: defaultdict(list))
    for entry in catalogue().entries:
        for slug in dict.fromkeys(each.cause.slug for each in entry.meanings()):
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
    yield "A word in braces, such as `{limit}`, stands for a value that `bedrock explain` reads from an error text."
    yield "`bedrock explain` finds the cause of an error; [Recognizing errors](knowing.md) describes how."
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


def _section(cause: Cause, places: _Places) -> Iterator[str]:
    yield ""
    yield f"### {cause.slug}"
    yield ""
    yield f"**{cause.title}.** {cause.meaning}"
    yield ""
    yield f"* Decision: {cause.decision.value}; what must recover or change: {cause.scope}"
    for place, known in places.items():
        names = known.get(cause.slug)
        if names:
            codes = ", ".join(f"`{name}`{_status(place, name)}" for name in names)
            yield f"* {'every service' if place == ANY else place}: {codes}"
    yield ""
    for number, (remedy, services, *_) in enumerate(cause.advice, 1):
        place = f"({', '.join(services)}) " if services else ""
        yield f"{number}. {place}{remedy.do}" + (f"<br>`{remedy.run}`" if remedy.run else "")
    if cause.note:
        yield ""
        yield f"Note: {cause.note}"
    if cause.link:
        yield ""
        yield f"[AWS's documentation]({cause.link})"


def _status(place: str, code: str) -> str:
    status = catalogue().services[place]["status"].get(code)
    return f" (HTTP {status})" if status else ""
