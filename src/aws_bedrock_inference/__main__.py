"""Run `python -m aws_bedrock_inference` as the command `bedrock`.

This module prepares for Ctrl-C before it imports anything else, because imports take most of the time of a short
command. Without this preparation, Ctrl-C during an import would print a traceback, or the interruption would be lost
in a callback of Python's import system. After the command has ended, Ctrl-C is ignored, because there is nothing left
to interrupt.
"""

from __future__ import annotations

import os
import signal

_INTERRUPTED = 130


def _leave(*_: object) -> None:
    os._exit(_INTERRUPTED)


def main() -> None:
    """Run the command."""
    signal.signal(signal.SIGINT, _leave)
    from aws_bedrock_inference.cli import main as bedrock  # noqa: PLC0415 - the import is what must be guarded

    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        bedrock(prog_name="bedrock")
    finally:
        signal.signal(signal.SIGINT, _leave)


if __name__ == "__main__":
    main()
