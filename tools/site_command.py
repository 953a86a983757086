"""Write the site's page about the command `bedrock`: its subcommands and options, read from the command itself."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING

import click

from aws_bedrock_inference.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator


def command_reference() -> str:
    """Return a section for each command, with its usage, its arguments and a table of its options."""
    context = click.Context(main, info_name="bedrock")
    return "\n".join(line for command, inner in commands(main, context) for line in section(command, inner))


def commands(command: click.Command, context: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    """Yield a command and its subcommands, each with its context."""
    yield command, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None and not inner.hidden:
                yield from commands(inner, click.Context(inner, parent=context, info_name=name))


def section(command: click.Command, context: click.Context) -> Iterator[str]:
    """Yield the lines of the section about one command."""
    yield f"## {context.command_path}"
    yield ""
    yield from paragraphs(inspect.cleandoc(command.help or ""))
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield from ("```text", usage, "```", "")
    records = (parameter.get_help_record(context) for parameter in command.get_params(context))
    rows = [record for record in records if record is not None and record[1]]
    if rows:
        yield "| Option | Meaning |"
        yield "|---|---|"
        yield from (f"| {names(option)} | {cell(text)} |" for option, text in rows)
        yield ""


def paragraphs(text: str) -> Iterator[str]:
    """Yield the help text as Markdown. A paragraph that is marked as not to be wrapped retains its line breaks."""
    for paragraph in text.split("\n\n"):
        if paragraph.startswith("\b"):
            yield from ("```text", paragraph.removeprefix("\b").strip("\n"), "```", "")
        else:
            yield from (prose(" ".join(paragraph.split())), "")


def names(option: str) -> str:
    """Return the names of an option, formatted as code."""
    return ", ".join(f"`{name}`" for name in option.split(", "))


def prose(text: str) -> str:
    """Return a line of help as Markdown. Text between angle brackets is escaped, so that it is not read as HTML."""
    return re.sub(r"(?<![`\w])(<[^>`]+>)", r"`\1`", text)


def cell(text: str) -> str:
    """Return a line of help for a table cell. A vertical bar in code is not escaped."""
    parts = re.split(r"(`[^`]*`)", prose(text))
    return "".join(part if number % 2 else part.replace("|", "\\|") for number, part in enumerate(parts))
