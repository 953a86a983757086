"""Run `python -m aws_bedrock_inference` as the command `bedrock`.

Imports take most of the time of a short command. During these imports, Ctrl-C ends the process immediately with exit
code 130. With Python's default handler, Ctrl-C would print a traceback, or Python could lose the interruption and the
command would continue.

After the command has ended, Ctrl-C also ends the process immediately with exit code 130.
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
