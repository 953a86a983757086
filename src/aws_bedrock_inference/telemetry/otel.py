"""OpenTelemetry spans and metrics of all calls of the process, which `observe(otel=True)` switches on.

Only the package opentelemetry-api is needed. Spans and metrics go to the providers that the program or its
OpenTelemetry agent has set. If no provider is set, nothing is recorded.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference import __version__, traces
from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.bounds import shown
from aws_bedrock_inference.events import (
    AttemptEnded,
    AttemptStarted,
    CallEnded,
    CallStarted,
    CircuitChanged,
    DeadLetterKept,
    DeadLetterLost,
    FellBack,
    QuotaQueued,
)
from aws_bedrock_inference.listeners import PROCESS
from aws_bedrock_inference.telemetry.names import names

try:
    from opentelemetry import metrics, trace

    from aws_bedrock_inference.telemetry.described import Described
    from aws_bedrock_inference.telemetry.metrics import Metrics
    from aws_bedrock_inference.telemetry.spans import Spans
except ModuleNotFoundError as missing:
    if (missing.name or "").partition(".")[0] != "opentelemetry":
        raise
    raise ImportError(
        "observe(otel=True) needs the package opentelemetry-api: pip install 'aws-bedrock-inference[otel]'"
    ) from None

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_bedrock_inference.clock import Clock

SCOPE = "aws_bedrock_inference"
"""The name under which the tracer and the meter are requested."""


@dataclass(frozen=True)
class OpenTelemetry:
    """The OpenTelemetry providers that receive spans and metrics, for `observe(otel=OpenTelemetry(...))`.

    If a provider is None, the provider that the program has set is used.
    """

    _: KW_ONLY
    tracer_provider: trace.TracerProvider | None = None
    meter_provider: metrics.MeterProvider | None = None

    def sink(self, *, clock: Clock = clocks.monotonic) -> OpenTelemetrySink:
        """Return a sink (a listener for all events) that sends spans and metrics to these providers.

        The names of spans and metrics depend on the version of OpenTelemetry's conventions. This method reads the
        environment variable that selects the version.
        """
        return OpenTelemetrySink(self, clock)


class OpenTelemetrySink:
    """A sink that turns events into spans and metrics."""

    attempts = True

    def __init__(self, providers: OpenTelemetry, clock: Clock) -> None:
        named = names()
        described = Described(named)
        tracer = trace.get_tracer(SCOPE, __version__, providers.tracer_provider)
        meter = metrics.get_meter(SCOPE, __version__, providers.meter_provider)
        self._spans = spans = Spans(tracer, described)
        measured = Metrics(meter, named, described, provider=providers.meter_provider, clock=clock)
        self._forget_ids = traces.provide(spans.ids)
        self._stop: Callable[[], None] | None = None
        self._measured: dict[type, Callable[[Any], None]] = {
            AttemptStarted: measured.attempt_started,
            AttemptEnded: measured.attempt_ended,
            CallEnded: measured.call_ended,
            QuotaQueued: measured.quota_queued,
            FellBack: measured.fell_back,
            CircuitChanged: measured.circuit_changed,
            DeadLetterKept: partial(measured.dead_letter, key="dead_letters"),
            DeadLetterLost: partial(measured.dead_letter, key="dead_letters_lost"),
        }
        self._spanned: dict[type, Callable[[Any], None]] = {
            CallStarted: spans.call_started,
            AttemptStarted: spans.attempt_started,
            AttemptEnded: spans.attempt_ended,
            CallEnded: spans.call_ended,
        }

    def __call__(self, event: object) -> None:
        """Record `event`, first in OpenTelemetry metrics and then in the call's span.

        While the metrics are recorded, the call's span is still the current span. OpenTelemetry can therefore store the
        ids of the span with a measurement, as an exemplar. The span is updated even if the metrics fail.
        """
        kind = type(event)
        try:
            measure = self._measured.get(kind)
            if measure is not None:
                measure(event)
        finally:
            self._spanned.get(kind, self._spans.other)(event)

    def close(self) -> None:
        """End the open spans.

        Some calls can still be in flight. Their spans end now, but stay the current spans of their threads. When such a
        call ends, the span that was current before the call becomes current again.
        """
        self._forget_ids()
        self._spans.close()
        if self._spans and self._stop is None:
            self._stop = PROCESS.add(self._leaving)

    def _leaving(self, event: object) -> None:
        if isinstance(event, CallEnded):
            self._spans.call_ended(event)
        if not self._spans and self._stop is not None:
            self._stop()


def providers_of(otel: Any) -> OpenTelemetry:
    """Return the providers for the argument `otel` of `observe`: True, or an `OpenTelemetry`."""
    if otel is True:
        return OpenTelemetry()
    if isinstance(otel, OpenTelemetry):
        return otel
    raise ValueError(f"observe(otel={shown(otel)}): pass True, or an OpenTelemetry(...) with the providers")
