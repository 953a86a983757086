"""Find the ids of the trace and the span that a call belongs to, for its log lines. This module never imports
OpenTelemetry. If the program has not imported it either, calls have no spans.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SILENT = "suppress_instrumentation"
"""The key in OpenTelemetry's context that tells OpenTelemetry's instrumentations not to create spans."""


class Ids(NamedTuple):
    """The ids of a trace and of one of its spans, in hexadecimal digits as in W3C's `traceparent`."""

    trace_id: str
    span_id: str


SpanOf: TypeAlias = "Callable[[int], Ids | None]"
"""A function that takes the `call_id` of a call and returns the ids of its open span."""

_span_of: list[SpanOf] = []


def provide(span_of: SpanOf) -> Callable[[], None]:
    """Register the function `span_of`, with which `ids` finds the span of a call. Call the returned function to remove
    `span_of` again.
    """
    _span_of.append(span_of)
    return lambda: _span_of.remove(span_of)


def ids(call_id: int = 0) -> Ids | None:
    """Return the ids of the open span of the call `call_id`. If the call has no span, return the ids of the currently
    active span.
    """
    if call_id:
        for span_of in _span_of:
            if (found := span_of(call_id)) is not None:
                return found
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    span = trace.get_current_span().get_span_context()
    return Ids(f"{span.trace_id:032x}", f"{span.span_id:016x}") if span.is_valid else None


@contextmanager
def unseen() -> Iterator[None]:
    """Prevent OpenTelemetry's instrumentations from creating spans inside the `with` block. The block contains a boto3
    call that is prepared but not sent.
    """
    contexts = sys.modules.get("opentelemetry.context")
    if contexts is None:
        yield
        return
    token = contexts.attach(contexts.set_value(SILENT, True))  # noqa: FBT003 - as it is read
    try:
        yield
    finally:
        contexts.detach(token)
