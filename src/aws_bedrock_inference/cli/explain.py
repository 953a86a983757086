"""`bedrock explain`: explain an AWS error. The command prints the meaning of the error, what to do, and whether to
retry.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.text import Text

from aws_bedrock_inference.cli.exit_codes import FAILED
from aws_bedrock_inference.cli.layout import Command
from aws_bedrock_inference.cli.options import JSON_OPTION
from aws_bedrock_inference.cli.terminal import given_text, standard_input
from aws_bedrock_inference.fault import Decision
from aws_bedrock_inference.knowledge.catalogue import catalogue
from aws_bedrock_inference.knowledge.lookup import meanings, names_error, near, other_program, service_called
from aws_bedrock_inference.knowledge.masking import masked
from aws_bedrock_inference.knowledge.modelled import modelled
from aws_bedrock_inference.knowledge.services import part

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

    from aws_bedrock_inference.knowledge.explain import Explanation

COLOURS = {Decision.RETRY: "green", Decision.RETRY_LIMITED: "yellow", Decision.FAIL: "red"}

_WIDEST = 100
_HALF = 1 << 19  # bytes of a long text that are read at its start, and again at its end
_MOST_SERVICES = 8

# Matches a path, or a file name whose suffix is common for files with errors.
_FILE = re.compile(
    r"\.{0,2}/[^\s:]*|[A-Za-z]:\\[^\s]*|~[^\s:]*|[^\s:=()]+\.(?:txt|log|out|err|jsonl?|xml|csv|md|py|gz|zst)",
    re.IGNORECASE,
)
_LONGEST_NAME = 4096


def chosen_service(name: str | None) -> str | None:
    """Return the service with this name. Raise `UsageError` for an unknown name."""
    if name is None:
        return None
    service = service_called(name)
    if service is None:
        known = ", ".join(sorted(set(catalogue().services) - {"any"}))
        raise click.UsageError(
            f"Service {name!r} is unknown. Pass the name of the service in the AWS CLI, or one of: {known}."
        )
    return service


@click.command(cls=Command, context_settings={"ignore_unknown_options": True})
@click.argument("words", nargs=-1, metavar="[CODE | TEXT... | FILE | -]", type=click.UNPROCESSED)
@click.option("--service", metavar="NAME", help="Service of the error, if the text does not name it.")
@click.option("--short", is_flag=True, help="Print one line: decision, cause, first remedy.")
@JSON_OPTION
def explain(*, words: tuple[str, ...], service: str | None, short: bool, as_json: bool) -> None:
    """Explain an AWS error: meaning, what to do, whether to retry.

    Pass an error code, a text or a file, or pipe the text: `python app.py 2>&1 | bedrock explain`. The text can be a
    traceback, output of the AWS CLI, JSON or a Lambda log. With --json, each possible meaning is one line of JSON. The
    exit code is 1 if the error is unknown.
    """
    text = _text(words)
    if not text.strip():
        raise click.UsageError(
            "The text to explain is empty. Pass an error code, the text of an error, a FILE, or - for standard input."
        )
    service = chosen_service(service)
    found = meanings(text, service)
    is_name = len(words) == 1 and _looks_like_a_file(words[0])
    if not found and is_name and not (_is_file(words[0]) and names_error(text)):
        raise click.UsageError(_file_without_error(words[0]))
    if as_json:
        _print_json(found, text)
    elif short:
        _print_short(found, text)
    else:
        console = Console(highlight=False)
        console.width = min(console.width, _WIDEST)
        _print(console, found, text, service)
    if not found:
        sys.exit(FAILED)


def _text(words: tuple[str, ...]) -> str:
    if not words:
        if sys.stdin is not None and sys.stdin.isatty():
            raise click.UsageError(
                "There is no error to explain. Pass an error code, the text of an error or a FILE, or pipe the text to "
                "standard input."
            )
        words = ("-",)
    if words == ("-",):
        return _head_and_tail(standard_input())
    if len(words) == 1 and _is_file(words[0]):
        with Path(words[0]).open("rb") as file:
            return _head_and_tail(file)
    return " ".join(map(given_text, words))


def _looks_like_a_file(word: str) -> bool:
    return _FILE.fullmatch(word) is not None and len(word) < _LONGEST_NAME


def _file_without_error(word: str) -> str:
    path = Path(word)
    if path.is_dir():
        return f"The file {word} is a directory; as a text, it names no known error."
    if not path.exists():
        return f"The file {word} does not exist; as a text, it names no known error."
    return f"The file {word} contains no AWS error. `bedrock scan` searches long and compressed files."


def _is_file(word: str) -> bool:
    """Return whether the word is the path of a file or of a pipe, such as the shell's `<(command)`."""
    try:
        path = Path(word)
        return path.is_file() or path.is_fifo()
    except (OSError, ValueError):
        return False


def _head_and_tail(file: BinaryIO) -> str:
    """Return the text of a file. If the file is long, return only its start and its end, so that memory stays small."""
    head, tail = file.read(_HALF), b""
    left_out = False
    while block := file.read(_HALF):
        left_out = left_out or len(tail) + len(block) > _HALF
        tail = (tail + block)[-_HALF:]
    if left_out:
        click.echo(
            "The text is long: only its first and last 512 KiB were read. `bedrock scan` counts all errors in a file.",
            err=True,
        )
        head += b"\n"
    content = head + tail
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    return content.decode(errors="replace")


def _print_json(found: Sequence[Explanation], text: str) -> None:
    if not found:
        click.echo(json.dumps({"cause": "unknown", "near": near(text), "other": other_program(text)}))
    for each in found:
        facts = asdict(each) | {"remedies": [remedy._asdict() for remedy in each.remedies], "prevent": each.prevent}
        click.echo(json.dumps(facts, default=lambda value: value.value if isinstance(value, Enum) else str(value)))


def _print_short(found: Sequence[Explanation], text: str) -> None:
    if not found:
        other = other_program(text)
        click.echo(f"unknown; not an AWS error: it comes from {other}" if other else f"unknown{_near_words(text)}")
    for each in found:
        place = f"{_places(each)}: " if len(found) > 1 else ""
        place = f"if this came from AWS: {place}" if each.conditional else place
        click.echo(f"{each.decision.value}  {each.cause}  {place}{each.title}. {each.remedies[0].alone}")


def _near_words(text: str) -> str:
    close = near(text)
    return f"; similar: {', '.join(close)}" if close else ""


def _print(console: Console, found: Sequence[Explanation], text: str, service: str | None) -> None:
    if not found:
        shown = masked(" ".join(text.split()), accounts=True)
        console.print(Text.assemble(("Unknown: ", "bold"), shown[:_WIDEST]))
        other, close = other_program(text), near(text)
        if other:
            console.print(f"This is not an AWS error: it comes from {other}.")
        elif close:
            console.print(f"Similar codes: {', '.join(close)}.")
        else:
            console.print("Paste the complete message, with the lines before and after it.")
        return
    if len(found) == 1:
        _print_one(console, found[0], text, service)
        return
    console.print(Text.assemble((found[0].code, "bold"), f" has {len(found)} meanings; select yours with --service.\n"))
    for each in found:
        console.print(Text(each.title, "bold"), Text(each.cause, "dim"))
        _wrapped(console, "  ", Text.assemble(f"{_places(each)}: ", _verdict(each, text)))
        _wrapped(console, "  ", Text(each.remedies[0].alone))
        console.print()


def _print_one(console: Console, known: Explanation, text: str, service: str | None) -> None:
    facts = [
        known.code,
        part(known.service or service or "", text),
        known.operation,
        f"HTTP {known.status}" if known.status else "",
    ]
    console.print(Text(known.title, "bold"))
    console.print(Text(" · ".join(fact for fact in (known.cause, *facts) if fact), "dim"))
    console.print()
    _wrapped(console, "", _verdict(known, text))
    _wrapped(console, "", Text(_aws_description(known) or known.meaning))
    console.print()
    console.print(Text("Do this", "bold"))
    for number, remedy in enumerate(known.remedies, 1):
        _wrapped(console, f"  {number}. ", Text(remedy.do))
        if remedy.run:
            console.print(Text(f"     $ {remedy.run}", "cyan"), soft_wrap=True)
    console.print()
    for name, value in _reasons(known):
        _wrapped(console, f"{name:<8}", Text(value))
    if known.link:
        console.print(Text.assemble(("More    ", "dim"), known.link), soft_wrap=True)


def _places(known: Explanation) -> str:
    names: list[str] = known.fields.get("services", [])
    if len(names) > _MOST_SERVICES:
        return f"{len(names)} services"
    return known.service or ", ".join(names) or "any service"


def _wrapped(console: Console, head: str, text: Text) -> None:
    """Print `head` and then the text in wrapped lines. Further lines are indented by the width of `head`."""
    for number, line in enumerate(text.wrap(console, max(20, console.width - len(head)))):
        line.rstrip()
        console.print(Text.assemble((" " * len(head) if number else head, "dim"), line))


def _verdict(known: Explanation, text: str) -> Text:
    wait = f"{known.wait:g} s" if known.wait and known.wait >= 1 else f"{(known.wait or 0) * 1000:.0f} ms"
    after = f"after {wait}" if known.wait and known.wait >= 1 else "after a moment"
    words = {
        Decision.RETRY: f"retry with exponential backoff from {wait}, at most {known.attempts} attempts in total.",
        Decision.RETRY_LIMITED: f"another attempt {after} may help; at most {known.attempts} attempts in total."
        if known.attempts > 1
        else "not now; the fault may end by itself, but not within minutes.",
        Decision.FAIL: f"do not retry; {_same_request(known, text)}",
    }[known.decision]
    return Text.assemble((known.decision.value, f"bold {COLOURS[known.decision]}"), f": {words}")


def _same_request(known: Explanation, text: str) -> str:
    """Return a sentence that states what happens if the same request is sent again."""
    cause = catalogue().causes.get(known.cause)
    if not cause or not cause.again or (cause.again_unless and re.search(cause.again_unless, text, re.IGNORECASE)):
        return "the same request fails again."
    return cause.again


def _reasons(known: Explanation) -> Iterator[tuple[str, str]]:
    yield "Why", f"matched by “{known.decided_by}”; confidence {known.confidence}"
    if known.cause == "modelled":
        yield "", known.meaning
    for slug in known.alternatives if known.confidence != "high" else ():
        yield "Or", f"{catalogue().causes[slug].title} ({slug})"
    for name, value in known.fields.items():
        if name == "request_id" and "request_ids" in known.fields:
            continue
        shown = [*value[:_MOST_SERVICES], "…"] if isinstance(value, list) and len(value) > _MOST_SERVICES else value
        yield "Found", f"{name.replace('_', ' ')}: {', '.join(map(str, shown)) if isinstance(shown, list) else shown}"
    if known.prevent:
        yield "Prevent", known.prevent
    if known.note:
        yield "Note", known.note


def _aws_description(known: Explanation) -> str:
    """Return the description of an error from AWS's API descriptions, or an empty text.

    The result is empty if the catalogue of this package describes the error, or if AWS has no description of it.
    """
    if known.cause != "modelled":
        return ""
    facts = modelled(known.code, known.service or None, fresh=False)
    return facts[0].description if facts else ""
