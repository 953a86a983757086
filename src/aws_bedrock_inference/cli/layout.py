"""Write the help of a command (`--help`) with at most 80 columns. The options of a large command are listed under
headings.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

OTHER = "Other"
"""The heading for the options that belong to no other heading."""

# Matches the range of numbers that click adds to the help of an option, such as `1<=x<=5`. An error message states the
# range, so the help omits it.
_RANGE = re.compile(r"(?:[\d.]+<=?)?x(?:[<>]=?[\d.]+)?")


class Command(click.Command):
    """A command with a shorter help. The help omits the range of numbers that an option accepts, such as `[x>=1]`.

    `headings` maps each heading of the help to the names of the options below it.
    """

    def __init__(self, *args: Any, headings: Mapping[str, str] | None = None, **extra: Any) -> None:
        super().__init__(*args, **extra)
        self._headings = {name: heading for heading, names in (headings or {}).items() for name in names.split()}

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options into the help. If the command has headings, write the options under their headings."""
        sections: dict[str, list[tuple[str, str]]] = {heading: [] for heading in self._headings.values()}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and not isinstance(param, click.Argument):
                heading = self._headings.get(param.opts[-1], OTHER) if self._headings else "Options"
                sections.setdefault(heading, []).append((record[0], without_range(record[1])))
        formatter.write_paragraph()
        for heading, rows in sections.items():
            formatter.write_heading(heading)
            with formatter.indentation():
                formatter.write_dl(rows)


class Group(click.Group):
    """A group of commands whose help has the layout of this module."""

    command_class = Command
    group_class = type


def without_range(text: str) -> str:
    """Return the help of an option without the range of numbers that click adds."""
    words, bracket, extra = text.rpartition("  [")
    if not bracket:
        return text
    kept = [part for part in extra.removesuffix("]").split("; ") if not _RANGE.fullmatch(part)]
    return f"{words} [{'; '.join(kept)}]" if kept else words
