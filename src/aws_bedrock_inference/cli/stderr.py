"""Standard error that may be closed: a run goes on when nobody listens any more."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any, TextIO


class Stderr:
    """Standard error as it is now. What cannot be written is dropped, and all that follows too."""

    def __init__(self) -> None:
        self._stream: TextIO | None = sys.stderr

    def write(self, text: str) -> int:
        """Write the text."""
        if self._stream is not None:
            try:
                self._stream.write(text)
            except (OSError, ValueError):
                self._drop()
        return len(text)

    def flush(self) -> None:
        """Write what is buffered."""
        if self._stream is not None:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._drop()

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        return self._stream is not None and self._stream.isatty()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _drop(self) -> None:
        """Let the buffer run into nothing, since Python fails at exit when it cannot write what is left."""
        if self._stream is not None:
            with contextlib.suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._stream.fileno())
                os.close(nowhere)
        self._stream = None
