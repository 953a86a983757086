"""The edges of the command: what it reads as text, where it writes, and how an interruption ends it."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import threading
import warnings
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from aws_bedrock_inference.cli.exit_codes import INTERRUPTED, NOBODY_READS
from aws_bedrock_inference.knowledge.masking import masked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType


class _Output(io.FileIO):
    """Standard output that ends the process in one way when it cannot be written; each library has another."""

    def write(self, data: Any) -> int:
        """Write what can be written."""
        try:
            return super().write(data)
        except OSError as error:
            # Python fails at exit when it cannot write what is left: it goes nowhere.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            if isinstance(error, BrokenPipeError):
                raise SystemExit(NOBODY_READS) from None
            say(f"Error: standard output: {error.strerror}")
            raise SystemExit(1) from None


def prepare_outputs() -> None:
    """Let both outputs escape the characters that their encoding lacks, since `LC_ALL=C` would end the command, and let
    the command end when nobody reads its output.
    """
    out = sys.stdout
    if isinstance(out, io.TextIOWrapper) and out is sys.__stdout__ and not out.isatty():
        raw = _Output(out.fileno(), "w", closefd=False)
        sys.stdout = io.TextIOWrapper(io.BufferedWriter(raw), encoding=out.encoding)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if os.environ.get("COLUMNS") == "0":  # some terminals say so for "unknown"; rich would then print nothing
        del os.environ["COLUMNS"]


def say(text: str) -> None:
    """Print a message on standard error without its secrets. Nobody may listen there any more."""
    with contextlib.suppress(OSError, ValueError):
        click.echo(masked(text), err=True)


@contextlib.contextmanager
def warnings_shown(show: Callable[[str], None]) -> Iterator[None]:
    """Show the warnings for users in one line each, whatever Python was told to do with warnings."""

    def shown(message: Warning | str, *_: object) -> None:
        show(f"Warning: {message}")

    with warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = shown  # type: ignore[assignment]  # it takes anything
        yield


def given_text(argument: str) -> str:
    """Return an argument as UTF-8, whatever the locale made of it."""
    try:
        return os.fsencode(argument).decode()
    except UnicodeError:
        return argument


def standard_input() -> BinaryIO:
    """Return standard input; raise `UsageError` if it is closed."""
    if sys.stdin is None:
        raise click.UsageError("Standard input is closed. Give a file, or pipe the input in.")
    return sys.stdin.buffer


def read_text() -> str:
    """Return the text of standard input; raise `UsageError` if it is not UTF-8, or closed."""
    try:
        return standard_input().read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise click.UsageError(
            f"Standard input is not UTF-8 (byte {error.start:,}: {error.reason}). Convert it: iconv -f latin1 -t utf-8"
        ) from None


@contextlib.contextmanager
def leaving_at_once() -> Iterator[None]:
    """Let Ctrl-C end the process without a word meanwhile: Python loses interruptions while it imports modules."""

    def leave(_: int, __: FrameType | None) -> None:
        os._exit(INTERRUPTED)

    here = threading.current_thread() is threading.main_thread()
    if not here or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def ago(seconds: float) -> str:
    """Return how long ago something was, in its largest unit."""
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' * (count > 1)} ago"
    return "now"
