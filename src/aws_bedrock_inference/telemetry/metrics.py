"""OpenTelemetry's metrics of calls and attempts. Each value of a label is bounded: ids of models and the caller's
context come from outside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.call import Route
from aws_bedrock_inference.telemetry import gauges
from aws_bedrock_inference.telemetry.described import CAUSE, CONTEXT, EMBEDDINGS, OTHER, all_input
from aws_bedrock_inference.telemetry.labels import Labels
from aws_bedrock_inference.telemetry.names import OWN
from aws_bedrock_inference.telemetry.spans import MOST_OPEN, instrumented

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter

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

MOST_TARGETS = 100
"""Combinations of operation, model and endpoint that have series of their own. All later ones are one together."""

MOST_ERRORS = 100
"""Codes of errors, and causes, that have series of their own."""

_OTHERS = Route(OTHER)
_UNKNOWN = "unknown"  # Bedrock does not say which of its tokens are text


class Metrics:
    """A listener that counts and measures what the events of calls say."""

    def __init__(self, meter: Meter, names: Names, described: Described, *, clock: Clock = clocks.monotonic) -> None:
        self._described = described
        self._names = described.name
        self._new = names.new
        self._clock = clock
        self._of = {key: _instrument(meter, metric) for key, metric in names.metrics.items() if metric.kind != "gauge"}
        gauges.created(meter, names, described)
        self._labels = Labels()
        self._targets: dict[tuple[str, str, str], Attributes] = {}
        self._errors: set[str] = set()
        self._queued: dict[int, tuple[float, Attributes]] = {}

    def quota_queued(self, event: QuotaQueued) -> None:
        """Begin to measure the wait of a call for quota."""
        if event.call_id and len(self._queued) < MOST_OPEN:
            named = self._named("", event.route)
            self._queued.setdefault(event.call_id, (self._clock(), named))

    def attempt_started(self, event: AttemptStarted) -> None:
        """End the wait of a call for quota."""
        if self._queued:
            self._waited(event.call_id)

    def attempt_ended(self, event: AttemptEnded) -> None:
        """Count an attempt."""
        attributes = self._named(event.operation, event.route)
        if event.fault is not None:
            attributes = {**attributes, **self._bounded(self._described.fault(event.fault))}
        self._of["attempts"].add(1, attributes)
        if event.first_content is not None:
            self._of["first_content"].record(event.first_content, attributes)

    def call_ended(self, event: CallEnded) -> None:
        """Measure a call."""
        if self._queued:
            self._waited(event.call_id)
        named = attributes = self._named(event.operation, event.route)
        if event.context:
            labels = self._labels.of(event.context).items()
            named = attributes = {**named, **{CONTEXT + name: value for name, value in labels}}
        if event.fault is not None:
            attributes = {**named, **self._bounded(self._described.fault(event.fault))}
        kind = self._described.operation(event.operation, event.route)
        if not kind:
            self._of["other_duration"].record(event.seconds, attributes)
            return
        if instrumented(event.operation, event.route.region):
            return
        self._of["embeddings_duration" if kind == EMBEDDINGS else "duration"].record(event.seconds, attributes)
        if self._new:
            self._new_tokens(event.usage, named, embeddings=kind == EMBEDDINGS)
        elif event.usage is not None:
            self._old_tokens(event.usage, named)
        self._cost(event, named)

    def fell_back(self, event: FellBack) -> None:
        """Count a call that left a route."""
        attributes = self._named("", event.route)
        self._of["fallbacks"].add(1, {**attributes, **self._bounded({CAUSE: event.fault.cause})})

    def dead_letter(self, event: DeadLetterKept | DeadLetterLost, *, kept: bool) -> None:
        """Count a dead letter."""
        attributes = {**self._named("", event.route), f"{OWN}kept": kept}
        self._of["dead_letters"].add(1, {**attributes, **self._bounded({CAUSE: event.fault.cause})})

    def circuit_changed(self, event: CircuitChanged) -> None:
        """Show a circuit's new state."""
        gauges.CIRCUITS.changed(event, self._described)

    def _old_tokens(self, usage: Usage, named: Attributes) -> None:
        kind, record = self._names["token_type"], self._of["tokens"].record
        record(all_input(usage), {**named, kind: "input"})
        if usage.output_tokens:
            record(usage.output_tokens, {**named, kind: "output"})

    def _new_tokens(self, usage: Usage | None, named: Attributes, *, embeddings: bool) -> None:
        if embeddings:
            if usage is not None:
                self._of["embeddings_tokens"].record(all_input(usage), named)
            return
        named = {**named, self._names["modality"]: _UNKNOWN}
        self._of["input_tokens"].add(0 if usage is None else all_input(usage), named)
        self._of["output_tokens"].add(0 if usage is None else usage.output_tokens, named)
        if usage is not None and usage.cache_read_tokens:
            self._of["cache_read_tokens"].add(usage.cache_read_tokens, named)
        if usage is not None and usage.cache_write_tokens:
            self._of["cache_write_tokens"].add(usage.cache_write_tokens, named)

    def _cost(self, event: CallEnded, named: Attributes) -> None:
        cost = event.cost
        if cost is not None:
            if cost > 0:
                self._of["cost"].add(cost, named)
        elif event.fault is None:
            self._of["unpriced"].add(1, named)

    def _waited(self, call_id: int) -> None:
        queued = self._queued.pop(call_id, None)
        if queued is not None:
            since, attributes = queued
            self._of["quota_wait"].record(max(0.0, self._clock() - since), attributes)

    def _named(self, operation: str, route: Route) -> Attributes:
        """Return the labels of `operation` on `route`, made once for each of the first `MOST_TARGETS`."""
        key = operation, route.health_key, route.server
        known = self._targets.get(key)
        if known is None:
            if operation:
                known = self._described.call(operation, route)
            else:  # what an event does not say
                known = {self._names["model"]: route.model, **self._described.place(route)}
            if len(self._targets) >= MOST_TARGETS:
                return self._described.call(
                    operation if self._described.operation(operation, route) else OTHER, _OTHERS
                )
            self._targets[key] = known
        return known

    def _bounded(self, attributes: Attributes) -> Attributes:
        """Return the attributes of a fault, with other words in the place of those that are too many."""
        for name, value in attributes.items():
            if value not in self._errors:
                if len(self._errors) < MOST_ERRORS:
                    self._errors.add(str(value))
                else:
                    attributes[name] = OTHER
        return attributes


def _instrument(meter: Meter, metric: Any) -> Any:
    if metric.kind == "counter":
        return meter.create_counter(metric.name, unit=metric.unit, description=metric.description)
    return meter.create_histogram(
        metric.name,
        unit=metric.unit,
        description=metric.description,
        explicit_bucket_boundaries_advisory=metric.buckets,
    )
