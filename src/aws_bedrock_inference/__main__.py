"""Run `python -m aws_bedrock_inference` as the command `bedrock`.

Ctrl-C is handled before anything else is imported, because imports take most of the time of a short command.
Otherwise, Python would print a traceback, or lose the interruption in a callback of its import system. After the
command has ended, Ctrl-C is ignored, because there is nothing left to interrupt.
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
