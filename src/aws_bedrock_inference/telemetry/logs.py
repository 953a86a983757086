"""Write the log as lines of JSON to stderr. Lines that repeat too often are summarized."""

from __future__ import annotations

import logging
import sys
import threading
from contextlib import suppress
from copy import copy
from math import inf
from typing import TYPE_CHECKING, Any, TextIO, cast

from aws_bedrock_inference.event_fields import fault_fields
from aws_bedrock_inference.events import ThrottleReceived
from aws_bedrock_inference.fault import Fault
from aws_bedrock_inference.forks import renew_after_fork
from aws_bedrock_inference.knowledge.classify import classify
from aws_bedrock_inference.log import LOGGER
from aws_bedrock_inference.telemetry.json_lines import JsonFormatter, event_of
from aws_bedrock_inference.telemetry.plain import error_text, whole_characters
from aws_bedrock_inference.telemetry.repeats import Repeated, Repeats

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DOCUMENTED = logging.getLogger("bedrock_client")
"""The logger of AWS's documents, for a program's own lines and for `log_bedrock_error`."""


def setup_structured_logging(level: int | str = logging.INFO, *, stream: TextIO | None = None) -> logging.Logger:
    """Write log lines of at least `level` as lines of JSON, to `stream` or by default to stderr.

    The lines of two loggers are written: `aws_bedrock_inference` is the log of this package, and `bedrock_client` is
    for the program's own lines. The function returns the logger `bedrock_client`.

    A second call changes level and stream. It does not add a second handler.
    """
    _HANDLER.setStream(stream or _stderr())
    for logger in (DOCUMENTED, LOGGER):
        logger.setLevel(level)
        logger.addHandler(_HANDLER)  # it is added once
    _enable()
    return DOCUMENTED


def log_bedrock_error(error: object, context: Mapping[str, Any] | None = None) -> None:
    """Write `error`, an exception or a text, to the logger `bedrock_client`.

    The message of the line is `Bedrock API error`. The line contains the type, the message and the cause of the error.
    The line also contains `context` under the key `data`. Secrets in `context` are masked. All other values of
    `context` are written, even the text of a prompt.
    """
    data = {
        **fault_fields(_fault(error)),
        "error_message": whole_characters(error_text(error)),
        "service": "bedrock",
        "data": context or {},
    }
    DOCUMENTED.error("Bedrock API error", extra={"data": data})


def installed() -> Callable[[], None]:
    """Write this package's log as lines of JSON to stderr, until the returned function is called.

    If `setup_structured_logging` was called before, this function and the returned function do nothing.
    """
    level = LOGGER.level
    if _HANDLER not in LOGGER.handlers:
        _HANDLER.setStream(_stderr())
        LOGGER.addHandler(_HANDLER)
        _enable()
        if level == logging.NOTSET:
            LOGGER.setLevel(logging.INFO)

    def end() -> None:
        if _HANDLER not in DOCUMENTED.handlers:
            LOGGER.removeHandler(_HANDLER)
            LOGGER.setLevel(level)
            _HANDLER.tell()

    return end


def _enable() -> None:
    """Enable the loggers of the package, because the program may have disabled them through `logging.config`.

    By default, `logging.config` disables each existing logger that the new configuration does not mention.
    """
    DOCUMENTED.disabled = LOGGER.disabled = False
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if name.startswith(f"{LOGGER.name}.") and isinstance(logger, logging.Logger):
            logger.disabled = False


class JsonLines(logging.StreamHandler[TextIO]):
    """A handler that writes log records as lines of JSON, and limits repeated lines about failures.

    Lines are of the same kind if they have the same level, event, cause, model and Region. In a minute, at most five
    lines of a kind are written. One more line then reports the number of omitted lines as `repeated`.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        repeats: Repeats[logging.LogRecord] | None = None,
        timer: Callable[[float, Callable[[], object]], threading.Timer] = threading.Timer,
    ) -> None:
        super().__init__(stream)
        self.setFormatter(JsonFormatter())
        self._repeats = Repeats[logging.LogRecord]() if repeats is None else repeats
        self._make_timer = timer
        self._timer: threading.Timer | None = None
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Start without counts in a forked child. The parent process itself reports the lines that it omitted."""
        self._repeats, self._timer = Repeats(), None

    def emit(self, record: logging.LogRecord) -> None:
        """Write `record`, or only count it if five lines of its kind were already written in this minute."""
        kind = _kind(record)
        admitted = kind is None or self._repeats.admits(kind, record, record.created)
        self._tell(record.created)
        if admitted:
            super().emit(record)
        else:
            self._wake(record.created)

    def tell(self) -> None:
        """Report how many lines were omitted until now: write one line for each kind of omitted lines."""
        self.acquire()
        try:
            self._tell(inf)
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        finally:
            self.release()

    def close(self) -> None:
        """Report how many lines were omitted until now, and close the handler.

        At the end of the program, `logging` calls this method.
        """
        with suppress(ValueError):  # the stream is closed
            self.tell()
        super().close()

    def _tell(self, now: float) -> None:
        if now >= self._repeats.due or now == inf:
            for repeated in self._repeats.ended(now):
                super().emit(_told(repeated))

    def _wake(self, now: float) -> None:
        """Start a timer that reports the omitted lines at the end of their time window.

        Without the timer, this report would be written only with the next log line.
        """
        if self._timer is None:
            due = self._repeats.due
            self._timer = self._make_timer(max(0.0, due - now), lambda: self._at(due))
            self._timer.daemon = True
            try:
                self._timer.start()
            except RuntimeError:  # no thread can be started: the next line reports it
                self._timer = None

    def _at(self, due: float) -> None:
        self.acquire()
        try:
            self._timer = None
            self._tell(due)
            if self._repeats.due < inf:
                self._wake(due)
        finally:
            self.release()


def _fault(error: object) -> Fault:
    try:
        return classify(error)
    except Exception:  # noqa: BLE001 - methods of an arbitrary exception may fail
        return Fault(code=type(error).__name__, message="")


class _Stderr:
    """A stream that writes to the current `sys.stderr`, because programs and tests replace `sys.stderr`."""

    def write(self, text: str) -> None:
        if sys.stderr is not None:  # a program may have none
            sys.stderr.write(text)

    def flush(self) -> None:
        if sys.stderr is not None:
            sys.stderr.flush()


def _stderr() -> TextIO:
    return cast("TextIO", _Stderr())


_HANDLER = JsonLines(_stderr())  # the only one of a process


def _kind(record: logging.LogRecord) -> tuple[Any, ...] | None:
    """Return a key that is the same for a line and its repetitions, or None for a line that is always written."""
    fields = event_of(record)
    if "cause" not in fields and fields.get("event") != ThrottleReceived.__name__:
        return None
    return record.levelno, *(fields.get(name) for name in ("event", "cause", "model", "region"))


def _told(repeated: Repeated[logging.LogRecord]) -> logging.LogRecord:
    """Return a log record that reports how many lines were omitted."""
    record = copy(repeated.last)
    record.msg = f"{record.getMessage()} ({repeated.held:,} more of these within {repeated.seconds:.0f} s)"
    record.args = None
    record.bedrock = {**record.bedrock, "repeated": repeated.held}  # type: ignore[attr-defined]  # _kind found it
    return record
