"""The command `bedrock`.

Each command, such as `bedrock run`, is a function in the module of this package with the same name. The module is
imported only when its command is used, so that the other commands start fast.
"""

from __future__ import annotations

import difflib
import io
import sys
import traceback
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from aws_bedrock_inference import __version__
from aws_bedrock_inference.cli.exit_codes import INTERRUPTED
from aws_bedrock_inference.cli.terminal import leaving_at_once, prepare_outputs, say

if TYPE_CHECKING:
    from collections.abc import Sequence

# Maps the name of each command to its line in `bedrock --help`. Each command is a function in a module of the same
# name, loaded on use.
COMMANDS = {
    "explain": "Explain an AWS error: meaning, what to do, whether to retry.",
    "doctor": "Find out why calls fail, and prove it.",
    "scan": "Count the AWS errors in logs, by cause.",
    "errors": "List the known AWS errors: cause, codes, whether to retry.",
    "run": "Send every prompt of a file; write each answer as it arrives.",
    "job": "Create batch jobs at half price, wait for them, read results.",
    "invoke": "Send one prompt and print the answer.",
    "dlq": "List dead letters, show them, and send them again.",
    "models": "List the models of a Region and check the access to them.",
    "quota": "Show the account's quotas and their use; request increases.",
    "simulate": "Run a local Bedrock endpoint with quotas and faults.",
    "demo": "Compare plain boto3 with this package on a simulated bad day.",
}

EPILOG = """\b
Exit codes
  0    success
  1    something failed; run the failed part again
  2    the command or the input contains errors
  3    no call can succeed: check credentials, access, model, endpoint, cost
  130  interrupted; run the same command again to continue
  141  the reader of the output has closed it, as in `bedrock errors | head`
  143  ended by SIGTERM; run the same command again to continue"""


class Commands(click.Group):
    """A group of commands. It imports a command only when the command is used, and prints each error in one or two
    lines.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of the commands, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import one command and return it."""
        if cmd_name not in COMMANDS:
            return None
        with leaving_at_once():
            command: click.Command = getattr(import_module(f"{__name__}.{cmd_name}"), cmd_name)
        _add_debug(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that `args` names. If it does not exist, suggest a command with a similar name."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            near = difflib.get_close_matches(name, COMMANDS, 1, 0.5)
            meant = f"Did you mean {near[0]}?" if near else f"The commands are {', '.join(COMMANDS)}."
            ctx.fail(f"Unknown command {name!r}. {meant}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the list of commands into the help, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Store the arguments of the command line, then parse them.

        When `bedrock run` stops early, it prints the command that continues the run. This command is built from the
        stored arguments.
        """
        ctx.meta["arguments"] = list(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Convert an exception into a short message and an exit code."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception as error:  # noqa: BLE001 - every error becomes one message
            from aws_bedrock_inference.cli.failures import explained  # noqa: PLC0415 - heavy, and only needed now

            text, code = explained(error)
            say("".join(traceback.format_exception(error)) if ctx.params["debug"] else f"Error: {text}")
            ctx.exit(code)

    def main(  # type: ignore[override]  # click overloads it by the value of `standalone_mode`
        self, args: Sequence[str] | None = None, *, standalone_mode: bool = True, **extra: Any
    ) -> Any:
        """Run the command line and end the process. With `standalone_mode=False`, return the result as click does."""
        if not standalone_mode:
            return super().main(args, standalone_mode=False, **extra)
        prepare_outputs()
        code = self._ended(args, **extra)
        if sys.stdout is not None:
            sys.stdout.flush()
        sys.exit(code)

    def _ended(self, args: Sequence[str] | None, **extra: Any) -> Any:
        try:
            return super().main(args, standalone_mode=False, **extra)
        except SystemExit as ended:
            return ended.code
        except click.ClickException as error:
            message = io.StringIO()
            error.show(message)
            say(message.getvalue().rstrip("\n"))
            return error.exit_code
        except (click.Abort, KeyboardInterrupt):
            return INTERRUPTED


def _add_debug(command: click.Command) -> None:
    """Add the option `--debug` to the command and its subcommands, so that the option can also be written after the
    name of a command.
    """

    def debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's signature
        if value:
            ctx.find_root().params["debug"] = True

    if not any(option.name == "debug" for option in command.params):
        command.params.append(
            click.Option(
                ["--debug"], is_flag=True, expose_value=False, callback=debug, help="Show the traceback of an error."
            )
        )
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        _add_debug(inner)


@click.command(
    cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80}
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(__version__, message="bedrock %(version)s")
def main(*, debug: bool) -> None:
    """Call Amazon Bedrock with retries and quota control, and explain AWS errors."""
