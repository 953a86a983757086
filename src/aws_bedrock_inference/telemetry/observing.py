"""`observe`: switch the reports about all clients of a process on and off."""

from __future__ import annotations

from collections.abc import Hashable
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, Protocol

from aws_bedrock_inference.bounds import shown, shown_name
from aws_bedrock_inference.forks import Locked
from aws_bedrock_inference.listeners import PROCESS

if TYPE_CHECKING:
    from collections.abc import Callable


class Sink(Protocol):
    """A listener for all events of the process.

    If `attempts` is True, the listener also receives the start of each call and each attempt. This costs every call a
    few microseconds.
    """

    attempts: bool

    def __call__(self, event: object) -> None:
        """Report `event`. The method runs in the thread or task of the call."""

    def close(self) -> None:
        """Report all events that are not yet reported, and release all resources."""


class Sinks(Hashable, Protocol):
    """An argument of `observe` that creates a sink. Equal arguments share one sink."""

    def sink(self) -> Sink:
        """Return a new sink (a listener for all events of the process)."""


def observe(
    *, log: Literal["json"] | None = None, otel: Any = False, alerts: Sinks | None = None
) -> Callable[[], None]:
    """Report all calls of the process, whichever client, wrapper or run sends them.

    * `log="json"` writes the log as lines of JSON to stderr, as `setup_structured_logging` does.
    * `otel=True` creates OpenTelemetry spans and metrics of calls, with the providers that the program has set.
    * `alerts` is an `Alerts` object, which raises alerts about incidents.

    `observe` returns a function that stops the reports. If `observe` is called twice with the same argument, such as
    `log="json"`, the report runs only once. It stops when both returned functions have been called.
    """
    if log not in (None, "json"):
        raise ValueError(f"observe(log={shown_name(log, ['json'])}): pass 'json', or omit it")
    if alerts is not None and not hasattr(alerts, "sink"):
        raise ValueError(f"observe(alerts={shown(alerts)}): pass an Alerts(...) object")
    stops = []
    try:
        if log is not None:
            from aws_bedrock_inference.telemetry.logs import installed  # noqa: PLC0415 - loaded only if requested

            stops.append(_REPORTS.begin(log, installed))
        if otel:
            providers_of = import_module("aws_bedrock_inference.telemetry.otel").providers_of  # it needs OpenTelemetry
            providers = providers_of(otel)
            stops.append(_REPORTS.begin(providers, lambda: _listening(providers.sink())))
        if alerts is not None:
            stops.append(_REPORTS.begin(alerts, lambda: _listening(alerts.sink())))
    except BaseException:
        _ended(stops)
        raise
    return lambda: _ended(stops)


class _Reports(Locked):
    """The running reports, by their keys.

    Each entry has the function that ends the report, and the number of callers that started the report.
    """

    def __init__(self) -> None:
        super().__init__()
        self._running: dict[Hashable, tuple[Callable[[], object], int]] = {}

    def begin(self, key: Hashable, begin: Callable[[], Callable[[], object]]) -> Callable[[], None]:
        """Start a report by calling `begin`, unless a report with this `key` is already running.

        Return a function, which the caller must call when the report is no longer needed. The second call of this
        function does nothing.
        """
        with self._lock:
            end, wanted = self._running.get(key) or (begin(), 0)
            self._running[key] = end, wanted + 1
        left = [key]
        return lambda: self._leave(left.pop()) if left else None

    def _leave(self, key: Hashable) -> None:
        with self._lock:
            end, wanted = self._running.pop(key)
            if wanted > 1:
                self._running[key] = end, wanted - 1
            else:
                end()  # with the lock held: a new start of the same report waits for the end


_REPORTS = _Reports()


def _listening(sink: Sink) -> Callable[[], None]:
    stop = PROCESS.add(sink, attempts=sink.attempts)

    def end() -> None:
        stop()
        sink.close()

    return end


def _ended(stops: list[Callable[[], None]]) -> None:
    for stop in stops:
        stop()
