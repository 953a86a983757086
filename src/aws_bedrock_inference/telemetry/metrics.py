"""OpenTelemetry's metrics of calls and attempts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.telemetry import gauges
from aws_bedrock_inference.telemetry.described import EMBEDDINGS
from aws_bedrock_inference.telemetry.series import series_of
from aws_bedrock_inference.telemetry.spans import MOST_OPEN, instrumented
from aws_bedrock_inference.telemetry.usage import all_input, known_cost

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter, MeterProvider

    from aws_bedrock_inference.call import Usage
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.events import (
        AttemptEnded,
        AttemptStarted,
        CallEnded,
        CircuitChanged,
        DeadLetterKept,
        DeadLetterLost,
        FellBack,
        QuotaQueued,
    )
    from aws_bedrock_inference.telemetry.described import Attributes, Described
    from aws_bedrock_inference.telemetry.names import Names
    from aws_bedrock_inference.telemetry.series import Series


class Metrics:
    """A listener that counts and measures calls. It receives the events of the calls."""

    def __init__(
        self,
        meter: Meter,
        names: Names,
        described: Described,
        *,
        provider: MeterProvider | None = None,
        clock: Clock = clocks.monotonic,
    ) -> None:
        self._described = described
        self._new = names.new
        self._modality = described.name["modality"]
        self._clock = clock
        self._series = series_of(provider, described, new=names.new)
        self._queued: dict[int, tuple[float, Series]] = {}
        self._record = {}
        for key, metric in names.metrics.items():
            if metric.kind == "histogram":
                self._record[key] = meter.create_histogram(
                    metric.name,
                    unit=metric.unit,
                    description=metric.description,
                    explicit_bucket_boundaries_advisory=metric.buckets,
                ).record
        gauges.create_counters(meter, names, self._counted)
        gauges.create_gauges(meter, names, described)

    def quota_queued(self, event: QuotaQueued) -> None:
        """Start to measure how long a call waits for quota."""
        if event.call_id and len(self._queued) < MOST_OPEN:
            self._queued.setdefault(event.call_id, (self._clock(), self._series.of("", event.route)))

    def attempt_started(self, event: AttemptStarted) -> None:
        """Stop measuring how long the call waits for quota."""
        if self._queued:
            self._waited(event.call_id)

    def attempt_ended(self, event: AttemptEnded) -> None:
        """Count an attempt."""
        series = self._series.of(event.operation, event.route, event.fault)
        self._series.count(series, "attempts")
        if event.first_content is not None:
            self._record["first_content"](event.first_content, series.attributes)

    def call_ended(self, event: CallEnded) -> None:
        """Measure a call."""
        if self._queued:
            self._waited(event.call_id)
        kind = self._described.operation(event.operation, event.route)
        ended = self._series.of(event.operation, event.route, event.fault, event.context)
        if not kind:
            self._record["other_duration"](event.seconds, ended.attributes)
            return
        if instrumented(event.operation, event.route.region):
            return
        self._record["embeddings_duration" if kind == EMBEDDINGS else "duration"](event.seconds, ended.attributes)
        paid = ended if event.fault is None else self._series.of(event.operation, event.route, None, event.context)
        if self._new:
            self._new_tokens(event.usage, paid, embeddings=kind == EMBEDDINGS)
        elif event.usage is not None:
            self._old_tokens(event.usage, paid)
        cost = known_cost(event)
        if cost:
            self._series.count(paid, "cost", cost)
        elif cost is None and event.fault is None:
            self._series.count(paid, "unpriced")

    def fell_back(self, event: FellBack) -> None:
        """Count a call that changed from one route (a model in a Region) to another."""
        self._series.count(self._series.of("", event.route, event.fault), "fallbacks")

    def dead_letter(self, event: DeadLetterKept | DeadLetterLost, key: str) -> None:
        """Count a dead letter."""
        self._series.count(self._series.of("", event.route, event.fault), key)

    def circuit_changed(self, event: CircuitChanged) -> None:
        """Report the new state of a circuit: closed, half-open or open."""
        gauges.CIRCUITS.changed(event, self._described)

    def _old_tokens(self, usage: Usage, paid: Series) -> None:
        record = self._record["tokens"]
        record(all_input(usage), paid.typed["input"])
        if usage.output_tokens:
            record(usage.output_tokens, paid.typed["output"])

    def _new_tokens(self, usage: Usage | None, paid: Series, *, embeddings: bool) -> None:
        count = self._series.count
        if embeddings:
            if usage is not None:
                self._record["embeddings_tokens"](all_input(usage), paid.attributes)
            return
        count(paid, "input_tokens", 0 if usage is None else all_input(usage))
        count(paid, "output_tokens", 0 if usage is None else usage.output_tokens)
        if usage is not None and usage.cache_read_tokens:
            count(paid, "cache_read_tokens", usage.cache_read_tokens)
        if usage is not None and usage.cache_write_tokens:
            count(paid, "cache_write_tokens", usage.cache_write_tokens)

    def _counted(self, key: str) -> list[tuple[float, Attributes]]:
        """Return the current values of the counter (of calls, attempts or tokens) with this key.

        Counters of tokens have the modality `unknown`, because Bedrock does not report which tokens are text and which
        are images.
        """
        kind: Attributes = {self._modality: "unknown"} if key.endswith("_tokens") else {}
        return [(value, {**attributes, **kind}) for value, attributes in self._series.read(key)]

    def _waited(self, call_id: int) -> None:
        queued: Any = self._queued.pop(call_id, None)
        if queued is not None:
            since, series = queued
            self._record["quota_wait"](max(0.0, self._clock() - since), series.attributes)
