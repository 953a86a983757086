"""Emit the events at the start of a call and around its attempts. Write the call's number into all events of the call,
and its context into all events with the attribute `context`.

A call gets a number (`call_id`) only if a listener wants the events of starts and attempts. A call without a number and
without a context takes no additional time, because `observed` then changes nothing.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.events import AttemptEnded, AttemptStarted, CallStarted, Event
from aws_bedrock_inference.flow import Emit, Give, Next, relayed

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_bedrock_inference.call import Call, Outcome
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.contexts import Context
    from aws_bedrock_inference.flow import Effect, Flow, Step

next_id: Callable[[], int] = count(1).__next__
"""Return the number of the next call of this process."""


def observed(flow: Flow, call: Call, *, streams: bool = False) -> Flow:
    """Return a generator that runs `flow`, the generator that performs `call`. Every event that `flow` emits gets the
    number of the call. Every event except `AttemptStarted` and `AttemptEnded` also gets the context of the call.

    A call has a number only if a listener wants the start and the attempts of calls. For such a call, `CallStarted` is
    emitted first. `streams` is written into this event. It is True if the caller can read the stream in another thread
    or task.
    """
    if call.call_id:
        return _numbered(flow, call, streams)
    return relayed(flow, partial(_within, call.context)) if call.context else flow


def attempt(step: Step, clock: Clock) -> Step:
    """Return a step that runs `step` (the function that sends the request) and emits `AttemptStarted` before it and
    `AttemptEnded` after it.
    """

    def around(call: Call) -> Flow:
        return _attempted(step(call), call, clock) if call.call_id else step(call)

    return around


def _numbered(flow: Flow, call: Call, streams: bool) -> Flow:  # noqa: FBT001 - passed by observed() alone
    number, names, attempts = call.call_id, call.context, 0

    def see(effect: Effect) -> Effect:
        nonlocal attempts
        if type(effect) is Emit:
            event = effect.event
            if type(event) is AttemptStarted:
                attempts += 1
                return Emit(AttemptStarted._make((*event[:-2], attempts, number)))
            if type(event) is AttemptEnded:
                return Emit(AttemptEnded._make((*event[:-2], attempts, number)))
            if isinstance(event, Event):
                return Emit(replace(event, call_id=number, context=names))
        return effect

    yield Emit(CallStarted(call.operation, call.route, call.tenant, call.priority, streams, number, names))
    return (yield from relayed(flow, see))


def _within(names: Context, effect: Effect) -> Effect:
    if type(effect) is Emit and isinstance(effect.event, Event):
        return Emit(replace(effect.event, context=names))
    return effect


def _attempted(flow: Flow, call: Call, clock: Clock) -> Flow:
    operation, route = call.operation, call.route
    yield Emit(AttemptStarted(operation, route))
    started = clock()
    first: float | None = None
    source: Any = None

    def see(effect: Effect) -> Effect:
        nonlocal first, source
        if type(effect) is Next:
            source = effect.source
            if first is None and source.begun:
                first = clock() - started
        elif type(effect) is Give and first is None:
            first = clock() - started
        return effect

    outcome = yield from (relayed(flow, see) if call.streams or call.collected else flow)
    ended = clock() - started
    request_id = _request_id(outcome, source)
    yield Emit(AttemptEnded(operation, route, outcome.fault, outcome.usage, ended, first, request_id))
    return outcome


def _request_id(outcome: Outcome, source: Any) -> str:
    """Return the request id of the answer in `outcome`; empty if no answer arrived."""
    if outcome.fault is not None and outcome.fault.request_id:
        return outcome.fault.request_id
    response = source.response if source is not None else outcome.value
    metadata = response.get("ResponseMetadata") if isinstance(response, dict) else None
    return str(metadata.get("RequestId") or "") if isinstance(metadata, dict) else ""
