"""The `bedrock` command."""

from __future__ import annotations

import difflib
from importlib import import_module
from typing import Any

import click

from aws_bedrock_inference import __version__

# Name: what `bedrock --help` says. Each is a function in a module of the same name, loaded when it is used;
COMMANDS = {
    "explain": "Say what an AWS error means, what to do, and whether to retry it.",
    "scan": "Count the AWS errors of logs by cause.",
    "errors": "List the errors of the catalogue: code, what it may mean, whether to retry.",
    "run": "Ask every prompt of a file; write each answer as it comes.",
    "invoke": "Ask one prompt and print the answer.",
    "quota": "Show what the account may do and what is used of it, and ask for more.",
    "simulate": "Serve a Bedrock endpoint on this machine, with quotas and faults.",
    "demo": "Watch a bad day: plain boto3 beside this package, on one simulator.",
}

EPILOG = """\b
Exit codes
  0    all answered
  1    something failed; what is left can be run again
  2    the command, or lines of the input, need correction
  3    nothing can work: credentials, access, model or endpoint
  130  interrupted; the same command goes on"""


class Commands(click.Group):
    """Loads a command when it is used, and says every error in a line or two."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names, in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Load one command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"{__name__}.{cmd_name}"), cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one may have been meant."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            near = difflib.get_close_matches(name, COMMANDS, 1, 0.5)
            meant = f"Did you mean {near[0]}?" if near else f"There are {', '.join(COMMANDS)}."
            ctx.fail(f"There is no command {name!r}. {meant}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """List the commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the arguments as given, so that a command can say how to go on."""
        ctx.meta["arguments"] = list(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; turn what it raises into plain words and an exit code."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except KeyboardInterrupt:
            ctx.exit(130)
        except Exception as error:
            if ctx.params["debug"]:
                raise
            from aws_bedrock_inference.cli.failures import explained  # noqa: PLC0415 - heavy, and only needed now

            text, code = explained(error)
            click.echo(f"Error: {text}", err=True)
            ctx.exit(code)


@click.command(
    cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(__version__, message="bedrock %(version)s")
def main(*, debug: bool) -> None:
    """Use Amazon Bedrock without being hurt by its errors."""
