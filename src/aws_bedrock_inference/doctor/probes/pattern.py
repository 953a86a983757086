"""The probe that checks an event pattern of EventBridge. The probe lets EventBridge test whether the pattern is valid.
If the error's text contains an event, EventBridge also tests whether the pattern matches this event.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.doctor.findings import Finding, Status, failed, ok, skipped, warning
from aws_bedrock_inference.doctor.part import named
from aws_bedrock_inference.doctor.probe import probe
from aws_bedrock_inference.doctor.unprobed import by_hand

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_bedrock_inference.doctor.world import World

_INVALID = "events-pattern-invalid"

# The members that an event must have: botocore 1.44.8, TestEventPatternRequest of events.
_EVENT: dict[str, Any] = {
    "id": "1",
    "account": "123456789012",
    "source": "doctor",
    "time": "2026-01-01T00:00:00Z",
    "region": "us-east-1",
    "resources": [],
    "detail-type": "none",
    "detail": {},
}


@probe(
    "services",
    needs=["identity"],
    tells=[_INVALID],
    calls=["events:TestEventPattern", "events:DescribeRule"],
    asked=True,
)
def pattern(world: World) -> Finding:
    """Let EventBridge test whether the event pattern in the error's text matches the event in this text.

    If the text contains no pattern but names a rule, the pattern of this rule is tested.
    """
    objects = list(_objects(world.error_text))
    event = next((each for each in objects if isinstance(each.get("detail-type"), str)), None)
    tested = next((json.dumps(each) for each in objects if _is_pattern(each)), "") or _of_rule(world)
    if not tested:
        return skipped(
            f"The text contains no event pattern, and names no rule that has a pattern. {by_hand(world, _INVALID)}"
        )
    tried = "called events:TestEventPattern with the pattern and " + ("the event of the text" if event else "no event")
    answer = world.ask("events", "test_event_pattern", EventPattern=tested, Event=json.dumps(_EVENT | (event or {})))
    if answer.why is not None and answer.why.cause == _INVALID:
        return failed("EventBridge rejects the event pattern as invalid.", tried, cause=_INVALID)
    if answer.why is not None:
        return warning(f"The event pattern could not be tested: {answer.reason}.", tried)
    if event is None:
        return ok("EventBridge accepts the event pattern.", tried, excludes=[_INVALID])
    if not answer.value.get("Result"):
        return Finding(
            Status.WARNING, "The event pattern is valid, but it does not match the event.", tried, excludes=(_INVALID,)
        )
    return ok("The event pattern is valid and matches the event.", tried, excludes=[_INVALID])


def _of_rule(world: World) -> str:
    name, bus = named(world, "RULE"), named(world, "BUS")
    if not name:
        return ""
    answer = world.ask("events", "describe_rule", Name=name, **({"EventBusName": bus} if bus else {}))
    return str(answer.value.get("EventPattern", ""))


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """Yield the outermost JSON objects in a text."""
    decoder, at = json.JSONDecoder(), text.find("{")
    while at >= 0:
        try:
            found, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            yield found
        at = text.find("{", end)


def _is_pattern(found: dict[str, Any]) -> bool:
    """Return whether a JSON object is an event pattern. Each value in a pattern is a list, or an object that is a
    pattern itself. An example is `{"detail": {"state": ["running"]}}`.
    """
    values = list(found.values())
    return bool(values) and all(
        isinstance(each, list) or (isinstance(each, dict) and _is_pattern(each)) for each in values
    )
