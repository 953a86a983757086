"""The argument INPUT of `bedrock run`, and its option `--template`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aws_bedrock_inference.batch.template import Template
from aws_bedrock_inference.cli.terminal import given_text
from aws_bedrock_inference.s3 import S3Location

if TYPE_CHECKING:
    from aws_bedrock_inference.batch.inputs import Source


class Input(click.ParamType):  # type: ignore[type-arg] # click's class has no type parameter at run time
    """The type of the argument INPUT: a file, a directory, `-` for standard input, or an S3 URL."""

    name = "input"
    _path = click.Path(exists=True, allow_dash=True, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Source:
        """Return the source of records for the value of the argument."""
        try:
            location = S3Location.parse(value)
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)
        source: Source = location or self._path.convert(value, param, ctx)
        return source


def template(_: click.Context, __: click.Parameter, value: str | None) -> Template | None:
    """Return the template for the value of `--template`. The value is the text of the template, or `@` and the name of
    a file with the text.
    """
    if value is None:
        return None
    try:
        text = Path(value[1:]).read_text("utf-8") if value.startswith("@") else given_text(value)
        return Template(text)
    except OSError as error:
        raise click.BadParameter(
            f"The template file {value[1:]} cannot be read: {error.strerror}. Pass @ and the path of a readable text "
            "file."
        ) from None
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None
