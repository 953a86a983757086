"""Standard error for a run. If standard error is closed, the run continues without it."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any, TextIO


class Stderr:
    """A wrapper of `sys.stderr`. After the first write error, it drops all further text."""

    def __init__(self) -> None:
        self._stream: TextIO | None = sys.stderr

    def write(self, text: str) -> int:
        """Write the text to standard error. If the write fails, drop the text."""
        if self._stream is not None:
            try:
                self._stream.write(text)
            except (OSError, ValueError):
                self._drop()
        return len(text)

    def flush(self) -> None:
        """Write the buffered text to standard error."""
        if self._stream is not None:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._drop()

    def isatty(self) -> bool:
        """Return whether standard error is a terminal."""
        return self._stream is not None and self._stream.isatty()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _drop(self) -> None:
        """Redirect standard error to the null device, and drop all further text.

        At exit, Python writes the text that is still in the buffer. Without the redirection, this write would fail, and
        change the exit code.
        """
        if self._stream is not None:
            with contextlib.suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._stream.fileno())
                os.close(nowhere)
        self._stream = None
