"""OpenTelemetry spans: one for each call, and below this span one for each of the call's attempts.

During an attempt, the span of the attempt is the current span. Between two attempts, the span of the call is the
current span. Spans that other libraries create appear below the current span.

The spans of a stream are never current, because the consumer of a stream does other work between two parts of the
stream, perhaps in another thread or task.
"""

from __future__ import annotations

import sys
from threading import get_ident
from typing import TYPE_CHECKING, Any

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, Span, SpanKind, Status, StatusCode, Tracer

from aws_bedrock_inference.event_fields import id_of
from aws_bedrock_inference.flow import ABANDONED
from aws_bedrock_inference.forks import renew_after_fork
from aws_bedrock_inference.knowledge.masking import masked
from aws_bedrock_inference.telemetry.described import CONTEXT, OPERATION
from aws_bedrock_inference.telemetry.labels import reported
from aws_bedrock_inference.telemetry.names import OWN
from aws_bedrock_inference.telemetry.span_events import span_event
from aws_bedrock_inference.traces import SILENT, Ids

if TYPE_CHECKING:
    from aws_bedrock_inference.events import AttemptEnded, AttemptStarted, CallEnded, CallStarted
    from aws_bedrock_inference.fault import Fault
    from aws_bedrock_inference.telemetry.described import Attributes, Described

ATTEMPT = "attempt"
"""The name of the span of an attempt."""

# The maximum number of open spans. Every call ends, so a larger number shows that the ends of some calls were missed.
MOST_OPEN = 100_000

# The keys that tell other instrumentations to record nothing. `suppress_instrumentation` of
# opentelemetry-instrumentation sets the same keys.
_SILENT = (SILENT, getattr(contexts, "_SUPPRESS_INSTRUMENTATION_KEY", ""))

_LONGEST_REASON = 100


class _Current:
    """A span that is the current span of this thread from its creation until `leave` is called."""

    __slots__ = ("_key", "_token", "thread")

    def __init__(self, key: str, span: Span, around: contexts.Context) -> None:
        self._key = key
        self.thread = get_ident()
        self._token = contexts.attach(contexts.set_value(key, self, trace.set_span_in_context(span, around)))

    def leave(self) -> None:
        """Make the previous span current again: the span that was current when this span was created.

        Do nothing if this span is no longer current, for example because another listener has changed the current span.
        Also do nothing in a different thread, because this span was never current there.
        """
        if self.thread == get_ident() and contexts.get_value(self._key) is self:
            contexts.detach(self._token)


class _Open:
    """The open spans of a call in flight: the span of the call, and the span of its current attempt."""

    __slots__ = ("attempt", "attempt_current", "call", "current", "model", "whole")

    def __init__(self, call: Span, model: str, *, whole: bool) -> None:
        self.call = call
        self.model = model
        self.whole = whole  # its attempts have spans of this package
        self.current: _Current | None = None
        self.attempt: Span | None = None
        self.attempt_current: _Current | None = None


class Spans:
    """A listener that creates spans from the events of calls."""

    def __init__(self, tracer: Tracer, described: Described) -> None:
        self._tracer = tracer
        self._described = described
        self._key = contexts.create_key(OWN)
        self._open: dict[int, _Open] = {}
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Start without spans in a forked child. The parent process ends the spans of its calls in flight."""
        here = get_ident()
        kept = {number: one for number, one in self._open.items() if one.current and one.current.thread == here}
        for one in kept.values():
            one.call = NonRecordingSpan(one.call.get_span_context())
            one.attempt = None if one.attempt is None else one.call
        self._open = kept

    def __len__(self) -> int:
        return len(self._open)

    def call_started(self, event: CallStarted) -> None:
        """Start the span of a call, below the span that is current now."""
        if any(key and contexts.get_value(key) for key in _SILENT):
            return
        described = self._described
        kind = described.operation(event.operation, event.route)
        attributes = described.call(event.operation, event.route)
        whole = not instrumented(event.operation, event.route.region)
        if not whole:  # botocore's own spans are the conventions' ones
            attributes = {key: value for key, value in attributes.items() if not key.startswith("gen_ai.")}
            kind = ""
        attributes |= described.endpoint(event.route)
        attributes[OPERATION] = event.operation
        attributes[f"{OWN}pool"] = event.route.pool
        attributes[f"{OWN}priority"] = event.priority
        if event.tenant:
            attributes[f"{OWN}tenant"] = masked(event.tenant)
        if event.streams and kind:
            attributes[described.name["stream"]] = True
        for name, value in reported(event.context):
            attributes[CONTEXT + name] = value
        span = self._tracer.start_span(
            f"{kind} {masked(event.route.model)}" if kind else event.operation,
            kind=SpanKind.CLIENT if whole else SpanKind.INTERNAL,
            attributes=attributes,
        )
        if not span.get_span_context().is_valid:
            return  # nobody records spans
        one = _Open(span, event.route.model, whole=whole)
        if len(self._open) >= MOST_OPEN:
            self._drop_oldest()
        self._open[event.call_id] = one
        if not event.streams:
            one.current = _Current(self._key, span, contexts.get_current())

    def attempt_started(self, event: AttemptStarted) -> None:
        """Start the span of an attempt, below the span of its call."""
        one = self._open.get(event.call_id)
        if one is None or not one.whole:
            return
        described, route = self._described, event.route
        attributes: Attributes = {f"{OWN}attempt": event.attempt, f"{OWN}model": masked(route.model)}
        if route.region:
            attributes[described.name["region"]] = route.region
        attributes |= described.endpoint(route)
        within = trace.set_span_in_context(one.call)
        one.attempt = self._tracer.start_span(ATTEMPT, context=within, attributes=attributes)
        if one.current is not None:
            one.attempt_current = _Current(self._key, one.attempt, within)

    def attempt_ended(self, event: AttemptEnded) -> None:
        """End the span of an attempt."""
        one = self._open.get(event.call_id)
        if one is None or one.attempt is None:
            return
        span, name = one.attempt, self._described.name
        if (request_id := id_of(event.request_id)) is not None:
            span.set_attribute(name["request_id"], request_id)
        if event.first_content is not None:
            span.set_attribute(f"{OWN}first_content", event.first_content)
        if event.fault is not None and event.fault.status is not None:
            span.set_attribute(name["status"], event.fault.status)
        self._end_attempt(one, event.fault)

    def call_ended(self, event: CallEnded) -> None:
        """End the span of a call. If the call was interrupted during an attempt, also end the span of this attempt."""
        one = self._open.pop(event.call_id, None)
        if one is None:
            return
        self._end_attempt(one, event.fault)
        span, name = one.call, self._described.name
        if span.is_recording():
            attributes: dict[str, Any] = {f"{OWN}attempts": event.attempts}
            if one.whole and event.usage is not None:
                attributes |= self._described.usage(event.usage)
            if one.whole and event.stop:
                attributes[name["finish_reasons"]] = (event.stop[:_LONGEST_REASON],)
            if event.route.model != one.model:
                attributes[name["answered_by"] if one.whole else f"{OWN}model"] = masked(event.route.model)
            span.set_attributes(attributes)
        self._end(span, event.fault)
        if one.current is not None:
            one.current.leave()

    def other(self, event: Any) -> None:
        """Add an event of a call to the span of the call."""
        one = self._open.get(event.call_id)
        if one is not None and one.call.is_recording():
            one.call.add_event(*span_event(event))

    def ids(self, call_id: int) -> Ids | None:
        """Return the trace id and the span id of a call in flight."""
        one = self._open.get(call_id)
        if one is None:
            return None
        found = one.call.get_span_context()
        return Ids(f"{found.trace_id:032x}", f"{found.span_id:016x}")

    def close(self) -> None:
        """End all open spans.

        Some calls can still be in flight. Their spans end now, but stay the current spans of their threads until the
        calls end.
        """
        for one in list(self._open.values()):
            if one.attempt is not None:
                one.attempt.end()
            one.call.end()

    def _end_attempt(self, one: _Open, fault: Fault | None) -> None:
        if one.attempt is not None:
            self._end(one.attempt, fault)
        if one.attempt_current is not None:
            one.attempt_current.leave()
        one.attempt = one.attempt_current = None

    def _end(self, span: Span, fault: Fault | None) -> None:
        if not span.is_recording():  # the span is not recorded, or its observer was stopped
            return
        if fault is not None:
            span.set_attributes(self._described.fault(fault))
            if fault.cause != ABANDONED.cause:
                span.set_status(Status(StatusCode.ERROR, fault.cause))  # its message can quote the request
        span.end()

    def _drop_oldest(self) -> None:
        one = self._open.pop(next(iter(self._open)), None)
        if one is not None:
            one.call.end()


def instrumented(operation: str, region: str) -> bool:
    """Return whether OpenTelemetry's botocore instrumentation creates spans and metrics for this call.

    This is the case if botocore is instrumented and the call is made with a boto3 client. In this case, this package
    creates only a span of the call, without `gen_ai` attributes and without spans of attempts. The instrumentation
    creates the other spans and metrics, because it knows more about an answer. In addition, existing dashboards can
    depend on the spans of the instrumentation.
    """
    if not (region and operation[:1].isupper()):  # only boto3's models name operations this way
        return False
    module = sys.modules.get("opentelemetry.instrumentation.botocore")
    return module is not None and bool(module.BotocoreInstrumentor().is_instrumented_by_opentelemetry)
