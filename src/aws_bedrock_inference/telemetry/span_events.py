"""Convert an event of this package to an event in the OpenTelemetry span of its call.

For example, `RetryScheduled` becomes `aws_bedrock_inference.retry_scheduled`. docs/events.md lists all events.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.event_fields import fields_of
from aws_bedrock_inference.telemetry.names import OWN

if TYPE_CHECKING:
    from aws_bedrock_inference.telemetry.described import Attributes

# Fields that are omitted: the span already has them, or they are human-readable advice.
_OF_THE_SPAN = frozenset({"event", "call_id", "context", "trace_id", "span_id", "model", "region", "advice"})


def span_event(event: Any) -> tuple[str, Attributes]:
    """Return the name, such as `aws_bedrock_inference.retry_scheduled`, and the attributes of the span event for
    `event`.
    """
    said = fields_of(event)
    return _name(said["event"]), {f"{OWN}{name}": value for name, value in said.items() if name not in _OF_THE_SPAN}


@cache
def _name(kind: str) -> str:
    return OWN + re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind).lower()
