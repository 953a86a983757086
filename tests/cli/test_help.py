"""`--help` fits a screen, and an option that several commands have is described with the same words in each of them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import click
import pytest

from aws_bedrock_inference.cli import main
from aws_bedrock_inference.cli.layout import without_range
from aws_bedrock_inference.cli.run import READING

if TYPE_CHECKING:
    from collections.abc import Iterator

COLUMNS = 80
LINES = 40
# `bedrock run` has 37 options. One line each, the headings and the text make 53 lines.
LONGER = {"bedrock run": 55}

# Options with the same name whose value is another thing in each command: they differ in words or default on purpose.
DIFFERENT = {
    "--timeout SECONDS": "one call, all checks, or the wait for a job",
    "-o, --output FILE": "answers or records; standard output is the default for records only",
    "--limit N": "a page of a list, or the letters of a redrive",
    "--concurrency N": "a redrive leaves room for other calls",
    "--stream": "`invoke` prints pieces; `run` writes complete answers",
    "--every SECONDS": "`watch` always repeats; `sync` repeats only with this option",
}


def commands(command: click.Command, context: click.Context) -> Iterator[tuple[str, click.Command]]:
    """Yield each command with its path."""
    yield context.command_path, command
    inner: dict[str, click.Command | None] = dict(READING) if context.info_name == "run" else {}
    if isinstance(command, click.Group):
        inner = {name: command.get_command(context, name) for name in command.list_commands(context)}
    for name, each in inner.items():
        assert each is not None
        yield from commands(each, click.Context(each, parent=context, info_name=name))


ALL = dict(commands(main, click.Context(main, info_name="bedrock")))


def help_of(path: str) -> str:
    """Return the help of a command on a wide terminal."""
    context = click.Context(ALL[path], info_name=path, **main.context_settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "200")
        return ALL[path].get_help(context)


@pytest.mark.parametrize("path", ALL)
def test_the_help_of_a_command_fits_a_screen(path: str) -> None:
    lines = help_of(path).splitlines()
    assert max(map(len, lines)) <= COLUMNS
    assert len(lines) <= LONGER.get(path, LINES)


@pytest.mark.parametrize("path", ALL)
def test_no_line_of_a_command_list_is_truncated(path: str) -> None:
    assert not [line for line in help_of(path).splitlines() if line.endswith("...") and "Usage" not in line]


@pytest.mark.parametrize("path", ALL)
def test_the_help_of_an_option_has_no_formula_for_its_range(path: str) -> None:
    assert not [line for line in help_of(path).splitlines() if "x>" in line or "<x" in line or "RANGE" in line]


def test_an_option_of_several_commands_has_the_same_help_and_default_in_each() -> None:
    seen: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for path, command in ALL.items():
        context = click.Context(command)
        for option in command.params:
            record = option.get_help_record(context) if isinstance(option, click.Option) else None
            if record is not None:
                seen[record[0]][without_range(record[1]).removesuffix(" [required]")].append(path)
    differ = {name: dict(texts) for name, texts in seen.items() if len(texts) > 1}
    assert {name: texts for name, texts in differ.items() if name not in DIFFERENT} == {}
    assert differ.keys() == DIFFERENT.keys()


def test_every_command_of_the_package_has_the_layout_for_help() -> None:
    other = [path for path, command in ALL.items() if not type(command).__module__.startswith("aws_bedrock_inference")]
    assert other == []


def test_every_option_of_a_run_has_a_heading() -> None:
    options = {option.opts[-1] for option in ALL["bedrock run"].params if isinstance(option, click.Option)}
    text = help_of("bedrock run")
    other = text[text.index("Other:") :]
    assert {name for name in options if f"{name} " in other} == {"--debug", "--dry-run", "--progress"}
