"""`python -m aws_bedrock_inference` is `bedrock`.

Ctrl-C is taken before anything is imported, which takes most of a short command's time: Python would print a traceback,
or lose the interruption in a callback of its import system. At the end, too, there is nothing left to interrupt.
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
