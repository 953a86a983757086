"""A real OpenTelemetry SDK that stores its data, and its spans as a readable tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from aws_bedrock_inference.telemetry.observing import observe
from aws_bedrock_inference.telemetry.otel import OpenTelemetry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.trace import ReadableSpan

OWN = "aws_bedrock_inference."


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    """A real SDK that receives every call of the process."""
    made = Recorded()
    stop = observe(otel=made.otel)
    yield made
    stop()
    made.close()


class Recorded:
    """Providers of OpenTelemetry's SDK, and the data that they received."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader], shutdown_on_exit=False)
        self.otel = OpenTelemetry(tracer_provider=self.tracers, meter_provider=self.meters)

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def span(self, name: str) -> ReadableSpan:
        """Return the only span of this name."""
        (found,) = [span for span in self.spans if span.name == name]
        return found

    def tree(self) -> str:
        """Return the spans by their parents, with their distinguishing attributes and their events."""
        return "\n".join(self._lines(None, "")) + "\n"

    def metrics(self) -> dict[str, list[Any]]:
        """Return the data points of all metrics by their names."""
        read = self.reader.get_metrics_data()
        found: dict[str, list[Any]] = {}
        for resource in read.resource_metrics if read is not None else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    found.setdefault(metric.name, []).extend(metric.data.data_points)
        return found

    def everything(self) -> str:
        """Return all that a backend would get."""
        read = self.reader.get_metrics_data()
        return "".join([*(span.to_json() for span in self.spans), read.to_json() if read is not None else ""])

    def close(self) -> None:
        self.tracers.shutdown()
        self.meters.shutdown()

    def _lines(self, parent: int | None, margin: str) -> Iterator[str]:
        inner = {span.context.span_id for span in self.spans}
        for span in sorted(self.spans, key=lambda each: each.start_time or 0):
            above = span.parent.span_id if span.parent is not None else None
            if above == parent or (parent is None and above not in inner):
                attributes = span.attributes or {}
                keys = f"{OWN}attempt", "error.type", f"{OWN}cause"
                told = [str(attributes[key]) for key in keys if key in attributes]
                yield f"{margin}{' '.join([span.name, *told])}: {span.status.status_code.name}"
                yield from (f"{margin}  · {event.name.removeprefix(OWN)}" for event in span.events)
                yield from self._lines(span.context.span_id, f"{margin}  ")
