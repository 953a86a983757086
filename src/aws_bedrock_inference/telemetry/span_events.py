"""The events of a call, as events of its span."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.events import (
    AnswerCached,
    AnswerDegraded,
    BurndownChanged,
    CircuitChanged,
    ContentFiltered,
    DeadLetterKept,
    DeadLetterLost,
    FellBack,
    ProfileChosen,
    QuotaQueued,
    RetryScheduled,
    RouteHealthChanged,
    StreamResumed,
    ThrottleReceived,
)
from aws_bedrock_inference.telemetry.names import OWN

if TYPE_CHECKING:
    from aws_bedrock_inference.telemetry.described import Attributes, Described

# The event's name, and the fields that are told: numbers and words of this package. Never texts of the service, which
# may quote the request. A `fault` is told by its code, cause and decision, a `to` by its model and Region.
_EVENTS: dict[type, tuple[str, tuple[str, ...]]] = {
    AnswerCached: ("answer_cached", ("age", "fault")),
    AnswerDegraded: ("answer_degraded", ("attempts", "fault")),
    BurndownChanged: ("burndown_changed", ("burndown", "table")),
    CircuitChanged: ("circuit_changed", ("state",)),
    ContentFiltered: ("content_filtered", ("replaced",)),
    DeadLetterKept: ("dead_letter_kept", ("letter_id", "fault")),
    DeadLetterLost: ("dead_letter_lost", ("fault",)),
    FellBack: ("fell_back", ("to", "attempts", "total", "fault")),
    ProfileChosen: ("profile_chosen", ("profile",)),
    QuotaQueued: ("quota_queued", ("tokens", "ahead")),
    RetryScheduled: ("retry_scheduled", ("attempt", "wait", "tokens", "fault")),
    RouteHealthChanged: ("route_health_changed", ("resting", "share")),
    StreamResumed: ("stream_resumed", ("how", "received", "wait", "tokens", "fault")),
    ThrottleReceived: ("throttle_received", ("cause", "reserved", "outstanding", "used", "estimate")),
}

_KEYS = {"cause": "dimension"}  # which dimension of the quota it was; the cause of a fault is another thing


def span_event(event: object, described: Described) -> tuple[str, Attributes] | None:
    """Return the name and the attributes of `event`; None if it belongs to no span."""
    known = _EVENTS.get(type(event))
    if known is None:
        return None
    name, fields = known
    attributes: Attributes = {}
    for field in fields:
        attributes |= _told(field, getattr(event, field), described)
    return f"{OWN}{name}", attributes


def _told(field: str, value: Any, described: Described) -> Attributes:
    if value is None or value == "" or (isinstance(value, float) and not isfinite(value)):
        return {}
    if field == "fault":
        return described.fault(value)
    if field == "to":
        return {described.name["model"]: value.model, described.name["region"]: value.region}
    return {f"{OWN}{_KEYS.get(field, field)}": value}
