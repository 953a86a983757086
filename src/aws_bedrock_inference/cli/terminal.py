"""Read standard input, write standard output and standard error, and handle Ctrl-C."""

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
    """Standard output. A write that fails ends the process, also if another library made the write."""

    def write(self, data: Any) -> int:
        """Write `data`. If standard output cannot be written, end the process."""
        try:
            return super().write(data)
        except OSError as error:
            # Python fails at exit if it cannot write its buffer, so the buffer goes to the null device.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            if isinstance(error, BrokenPipeError):
                raise SystemExit(NOBODY_READS) from None
            say(f"Error: standard output: {error.strerror}")
            raise SystemExit(1) from None


def prepare_outputs() -> None:
    """Prepare standard output and standard error. If standard output is closed later, the command ends.

    If an output cannot encode a character, a backslash escape of the character is written, because the command would
    otherwise fail. With `PYTHONIOENCODING=ascii`, for example, an output cannot encode characters outside ASCII.
    """
    out = sys.stdout
    if isinstance(out, io.TextIOWrapper) and out is sys.__stdout__ and not out.isatty():
        raw = _Output(out.fileno(), "w", closefd=False)
        sys.stdout = io.TextIOWrapper(io.BufferedWriter(raw), encoding=out.encoding)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if os.environ.get("COLUMNS") == "0":  # some terminals set 0 for "unknown"; rich would then print nothing
        del os.environ["COLUMNS"]


def say(text: str) -> None:
    """Print a message without its secrets on standard error. If standard error is closed, do nothing."""
    with contextlib.suppress(OSError, ValueError):
        click.echo(masked(text), err=True)


@contextlib.contextmanager
def warnings_shown(show: Callable[[str], None]) -> Iterator[None]:
    """While the `with` block runs, pass each `UserWarning` as text to `show`.

    Warnings that the user's warning filters would hide are also passed.
    """

    def shown(message: Warning | str, *_: object) -> None:
        show(f"Warning: {message}")

    with warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = shown  # type: ignore[assignment]  # it accepts any arguments
        yield


def given_text(argument: str) -> str:
    """Return an argument of the command line, decoded as UTF-8 whatever the locale is."""
    try:
        return os.fsencode(argument).decode()
    except UnicodeError:
        return argument


def standard_input() -> BinaryIO:
    """Return standard input. Raise `UsageError` if it is closed."""
    if sys.stdin is None:
        raise click.UsageError("Standard input is closed. Pass a file, or pipe the input to the command.")
    return sys.stdin.buffer


def read_text() -> str:
    """Return the text of standard input. Raise `UsageError` if standard input is closed or its text is not UTF-8."""
    try:
        return standard_input().read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise click.UsageError(
            f"Standard input is not UTF-8 (byte {error.start:,}: {error.reason}). "
            "Convert it before you pipe it: iconv -f latin1 -t utf-8 FILE"
        ) from None


@contextlib.contextmanager
def leaving_at_once() -> Iterator[None]:
    """On Ctrl-C in the `with` block, end the process immediately and without a message.

    Use it around imports. Python can lose the KeyboardInterrupt of a Ctrl-C during an import, and then the command
    would continue.
    """

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
    """Return a duration that lies in the past as text in its largest unit, such as `2 hours ago`."""
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' * (count > 1)} ago"
    return "now"
