"""Convert an event to a flat dictionary that can be written as JSON, for logs that programs read.

The keys are the names in docs/events.md. Some attributes become several keys: for example, a fault becomes `code`,
`cause`, `status` and other keys. Tenants are omitted: a program that needs the tenant's name in the log adds it with
`context`. Values that can contain text from the service or from a store are also omitted.
"""

from __future__ import annotations

import re
from dataclasses import fields
from functools import cache
from math import isfinite
from typing import TYPE_CHECKING, Any, cast

from aws_bedrock_inference import traces
from aws_bedrock_inference.call import Route, Usage
from aws_bedrock_inference.events import CallEnded
from aws_bedrock_inference.fault import Fault, Kind
from aws_bedrock_inference.knowledge.masking import masked
from aws_bedrock_inference.made import FilteredContent

if TYPE_CHECKING:
    from collections.abc import Hashable

    from aws_bedrock_inference.contexts import Context

_LEFT_OUT = frozenset({"call_id", "context", "message", "place", "tenant"})

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:#/-]{0,99}", re.ASCII)

# The names that AWS's documents use for a kind of error.
_ERROR_TYPES = {Kind.THROTTLED: "throttling", Kind.INVALID: "validation", Kind.UNKNOWN: "unknown_error"}

# Request ids have many forms, but none contains a space.
_ID = re.compile(r"[!-~]{1,200}", re.ASCII)


def fields_of(event: Any) -> dict[str, Any]:
    """Return the values of `event` by name, together with the context of its call and the ids of its trace."""
    said: dict[str, Any] = {"event": type(event).__name__}
    kind: Any = type(event)
    for name in _names(kind):
        value = getattr(event, name)
        if type(value) is int or (type(value) is str and value):
            said[name] = value  # the most common case
        else:
            said.update(_parts(name, value))
    if isinstance(event, CallEnded) and (cost := event.cost) is not None:
        said["cost"] = round(cost, 9)
    if event.call_id:
        said["call_id"] = event.call_id
    return {**said, **surroundings(event.call_id, event.context)}


def request_id_of(fault: Fault) -> str | None:
    """Return the request id of a fault. Return None if the fault has no request id, or if the value does not look
    like an id.
    """
    return id_of(fault.request_id)


def id_of(text: str | None) -> str | None:
    """Return `text` if it looks like a request id, or None otherwise."""
    return text if text and _ID.fullmatch(text) else None


def surroundings(call_id: int, context: Context) -> dict[str, Any]:
    """Return the context of a call, and the ids of the trace that contains the call."""
    said: dict[str, Any] = {"context": dict(context)} if context else {}
    ids = traces.ids(call_id)
    return said if ids is None else {**said, **ids._asdict()}


def fault_fields(fault: Fault) -> dict[str, Any]:
    """Return the fields of a fault, such as `code`, `cause` and `status`. Free text that the service wrote, such as the
    error's message, is omitted.
    """
    known = {
        "error_type": _ERROR_TYPES.get(fault.kind, fault.kind.value),
        "code": code_of(fault),
        "cause": fault.cause,
        "decision": fault.decision.value,
        "origin": fault.origin.value,
        "status": fault.status,
        "limit": fault.limit,
        "request_id": request_id_of(fault),
    }
    return {name: value for name, value in known.items() if value is not None}


def code_of(fault: Fault) -> str | None:
    """Return the code of a fault, or None if the code is free text that a server or a proxy may have written."""
    return named(fault.code)


def named(code: str) -> str | None:
    """Return `code` if it has the form of an error code, or None if it is free text."""
    return code if _CODE.fullmatch(code) else None


def _parts(name: str, value: Any) -> dict[str, Any]:
    """Return the fields for one attribute of an event. `name` and `value` are the name and the value of this attribute.
    A fault becomes several fields. A value without information, such as an empty text, becomes no field.
    """
    if isinstance(value, Route):
        at = {"model": masked(value.model), "region": value.region} if name == "route" else {}
        return {**at, name: masked(str(value))}
    if isinstance(value, Fault):
        return fault_fields(value)
    if isinstance(value, Usage):
        return value.counts()
    if isinstance(value, float):
        return {name: round(value, 6)} if isfinite(value) else {}
    if isinstance(value, FilteredContent):
        value = str(value)
    return {name: value} if isinstance(value, (str, int)) and value != "" else {}


@cache
def _names(kind: Hashable) -> tuple[str, ...]:
    names = getattr(kind, "_fields", None) or [each.name for each in fields(cast("Any", kind))]
    return tuple(name for name in names if name not in _LEFT_OUT)
