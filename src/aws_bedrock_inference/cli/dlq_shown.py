"""Print dead letters as text, without their secrets. Lists of letters do not show the requests."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import click

from aws_bedrock_inference.cli.terminal import ago
from aws_bedrock_inference.deadletters.encoding import encoded
from aws_bedrock_inference.deadletters.letter import timestamp
from aws_bedrock_inference.deadletters.masks import without_secrets
from aws_bedrock_inference.knowledge.masking import masked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_bedrock_inference.deadletters.letter import Content, Letter, Summary
    from aws_bedrock_inference.deadletters.redrive import RedriveReport
    from aws_bedrock_inference.deadletters.stats import Stats

# Maximum bytes of a body that the command prints.
_SHOWN = 2000


def plain(letter: Letter) -> dict[str, Any]:
    """Return a complete dead letter as JSON values, without its secrets."""
    content = replace(
        letter.content,
        **{name: without_secrets(getattr(letter.content, name)) for name in ("request", "partial", "metadata")},
    )
    return {
        "id": letter.id,
        "summary": _summary(letter.summary),
        **without_secrets(
            {name: part for name, part in content.plain().items() if name not in ("request", "partial", "metadata")}
        ),
        **{name: encoded(getattr(content, name)) for name in ("request", "partial", "metadata")},
        "answer": encoded(without_secrets(letter.answer)),
    }


def export_line(letter: Letter) -> str:
    """Return a dead letter as one line of JSON."""
    return json.dumps(plain(letter), ensure_ascii=False)


def _line(text: str) -> str:
    """Return a text as one line, without its secrets. Line breaks and other control characters are escaped."""
    return _visible(masked(text).replace("\n", "\\n"))


def _visible(text: str) -> str:
    """Return a text with its control characters escaped, so that they cannot control the terminal."""
    return "".join(each if each.isprintable() or each == "\n" else repr(each)[1:-1] for each in text)


def print_summaries(summaries: list[Summary], *, as_json: bool, now: float) -> None:
    """Print one line for each dead letter, without its content."""
    for summary in summaries:
        if as_json:
            click.echo(json.dumps(_summary(summary), ensure_ascii=False))
            continue
        tags = "".join(f" {_line(name)}={_line(value)}" for name, value in summary.tags.items())
        state = "" if summary.state == "dead" else f" {summary.state}"
        needs = " needs a change" if summary.needs_change else ""
        twice = " may have been sent twice" if summary.sent_twice else ""
        where = _line(f"{summary.model or 'no model'}{' in ' + summary.region if summary.region else ''}")
        click.echo(f"{summary.id}  {ago(now - summary.first):>14}  {summary.cause}  {where}{state}{needs}{twice}{tags}")


def print_letter(letter: Letter) -> None:
    """Print one dead letter with all its parts."""
    for line in _lines(letter):
        click.echo(line)


def _lines(letter: Letter) -> Iterator[str]:
    yield from _fate(letter.summary, letter.content)
    content = letter.content
    for name, value in (("tags", letter.summary.tags), ("metadata", content.metadata)):
        if value:
            yield f"{name:<13} {_text(value)}"
    yield f"request       {content.operation}{' (redacted)' if letter.summary.redacted else ''}"
    for title, value in (("", content.request), ("arrived", content.partial), ("answer", letter.answer)):
        if value is not None:
            yield f"{title}\n{_text(value, indent=2)}".lstrip("\n")


def _fate(summary: Summary, content: Content) -> Iterator[str]:
    """Yield lines about one dead letter: the state, the error, the remedies, the attempts and the redrives."""
    yield f"{summary.id}: {summary.state}"
    yield f"first failed  {timestamp(summary.first)} UTC"
    if summary.last != summary.first:
        yield f"last failed   {timestamp(summary.last)} UTC"
    yield f"error         {_visible(masked(content.error))}"
    yield f"cause         {summary.cause}: {summary.decision}"
    yield f"              {content.explanation.get('meaning', '')}".rstrip()
    for do, run in content.explanation.get("remedies", ()):
        yield f"do            {_line(do)}" + (f"  ({_line(run)})" if run else "")
    for route in content.routes:
        yield f"route         {_line(route)}"
    for tried in content.tried:
        request = f" (request id {tried.request_id})" if tried.request_id else ""
        yield f"attempt       {_line(tried.code)}: {_line(tried.message)}{request}, waited {tried.wait:.2f} s"
    for entry in summary.history:
        text = "may have been sent by an interrupted redrive" if entry.result == "unknown" else entry.result
        yield f"redrive       {timestamp(entry.at)} UTC {text} {_line(entry.error)}".rstrip()


def _text(value: Any, indent: int | None = None) -> str:
    """Return a value as JSON. Bytes are shown as text if they are UTF-8, and otherwise as the number of bytes."""

    def shown(part: Any) -> Any:
        if isinstance(part, (bytes, bytearray)):
            text = bytes(part).decode(errors="replace")
            readable = "\ufffd" not in text and len(text) <= _SHOWN
            return text if readable else f"<{len(part):,} bytes>"
        return repr(part)

    return _visible(json.dumps(without_secrets(value), ensure_ascii=False, indent=indent, default=shown))


def print_stats(stats: Stats, *, as_json: bool, now: float) -> None:
    """Print the counts of dead letters."""
    if as_json:
        click.echo(json.dumps(asdict(stats)))
        return
    if not stats.states:
        click.echo("There are no letters.")
    for state, number in stats.states.items():
        click.echo(f"{number:7,} {state}")
    for title, numbers in (("cause", stats.causes), ("model", stats.models)):
        for name, number in numbers.items():
            click.echo(f"{number:7,} dead by {title} {_line(name) or 'unknown'}")
    if stats.need_change:
        click.echo(f"{stats.need_change:7,} dead letters need a change")
    if stats.sent_twice:
        click.echo(f"{stats.sent_twice:7,} may have been sent twice")
    if stats.oldest is not None:
        click.echo(f"The oldest dead letter failed {ago(now - stats.oldest)}.")


def print_report(report: RedriveReport, *, as_json: bool, dry_run: bool) -> None:
    """Print each dead letter that failed or was refused in a redrive, with the reason. Then print the counts."""
    if as_json:
        plain = {**asdict(report), "results": [each._asdict() for each in report.results], "dry_run": dry_run}
        click.echo(json.dumps(plain, ensure_ascii=False))
        return
    for each in report.results:
        if each.result != "sent" or each.reason:
            click.echo(f"{each.id} {each.result}: {_line(each.reason)}")
    sent = "would be sent" if dry_run else "answered"
    click.echo(f"{report.sent:,} {sent}, {report.failed:,} failed again, {report.refused:,} refused")
    if report.leased:
        click.echo(
            f"{report.leased:,} are claimed by other redrives. With --wait, the command sends the letters "
            "that those redrives do not finish"
        )
    if report.stopped:
        click.echo(f"Stopped: {_line(report.stopped)}")


def _summary(summary: Summary) -> dict[str, Any]:
    known = without_secrets(summary.plain())
    return {**known, "first": timestamp(summary.first), "last": timestamp(summary.last)}
