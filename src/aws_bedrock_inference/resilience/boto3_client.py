"""A wrapper that adds this package's policies to every call of a boto3 client.

The wrapped client is an instance of a subclass of the client's own class. It shares the state of the original client
and overrides the one method that every operation uses, so paginators, waiters and transfers are covered, too. Only
the policies retry, because botocore's own retries are switched off on the wrapped client.
"""

from __future__ import annotations

import inspect
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4
from zlib import crc32

from botocore import xform_name
from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError, ChecksumError, ClientError

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.call import Call, Outcome, Route
from aws_bedrock_inference.drivers.blocking import Driver
from aws_bedrock_inference.fault import Decision, Fault, Origin
from aws_bedrock_inference.flow import send
from aws_bedrock_inference.knowledge.classify import classify
from aws_bedrock_inference.knowledge.models import target
from aws_bedrock_inference.place import server_of
from aws_bedrock_inference.resilience.batches import FORMS, Batch, Form
from aws_bedrock_inference.resilience.handled import apart_from
from aws_bedrock_inference.resilience.idempotency import Condition, fate_unknown, repeatable
from aws_bedrock_inference.resilience.runtime import Guard, raisable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from aws_bedrock_inference.flow import Flow, Step

# Services whose health and quota are separate for each value of a parameter, and not common to the whole service.
_APART = {"bedrock-runtime": "modelId"}

_RETRYING = ("botocore.retries", "botocore.retryhandler")
_RETRY_EVENTS = ("needs-retry", "before-send", "after-call", "request-created")

# If the first write already had its effect, a service can answer the repeated write with one of these HTTP statuses.
_REFUSALS = frozenset({400, 404, 409, 412})

_DOUBT = (
    "The service may or may not have executed this request, and {} cannot be repeated safely. "
    "Check before sending it again."
)
_ECHO = (
    "The service may have executed an earlier attempt that got no answer; this error may be the result of that attempt."
)
_SPENT_BODY = "The body cannot be read a second time. Pass bytes or a seekable file."


class Guarded(BaseClient):
    """A mixin that is placed before the client's own class. It sends every call through `_calls`, which applies the
    policies.
    """

    _calls: Calls

    def _make_api_call(self, operation_name: str, api_params: dict[str, Any]) -> Any:
        return self._calls.make(operation_name, api_params)

    def _send_once(self, operation_name: str, api_params: dict[str, Any]) -> Any:
        return super()._make_api_call(operation_name, api_params)  # type: ignore[misc]


def guarded(client: BaseClient, guard: Guard, safe: Collection[str]) -> BaseClient:
    """Return `client` with the policies of `guard` around its calls. `safe` lists operations that can always be
    retried. If `client` is already wrapped, the new guard replaces its previous guard.
    """
    own = next(kind for kind in type(client).__mro__ if not issubclass(kind, Guarded))
    if not issubclass(own, BaseClient):
        raise TypeError(
            f"resilient() takes a boto3 client, but {own.__name__} only imitates a boto3 client, as a mock does. Pass "
            "the result of boto3.client(...)"
        )
    if inspect.iscoroutinefunction(own._make_api_call):  # type: ignore[attr-defined]  # noqa: SLF001 - botocore's one way
        raise TypeError(
            f"{own.__name__} is an asyncio client, but resilient() takes only boto3 clients. For Bedrock, use "
            "AsyncBedrockClient"
        )
    mapping = client.meta.method_to_api_mapping
    unknown = set(safe) - mapping.keys() - set(mapping.values())
    if unknown:
        raise ValueError(
            f"safe={sorted(unknown)}: {client.meta.service_model.service_name} has no operations with these names; "
            f"pass names such as {min(mapping)!r}"
        )
    _switch_off_retries(client)
    client.meta.events.register("before-parse.dynamodb", _check_sum, unique_id="resilient-check-sum")
    twin: Guarded = object.__new__(
        type(own.__name__, (Guarded, own), {"__module__": own.__module__, "__doc__": own.__doc__})
    )
    vars(twin).update(vars(client))
    twin._calls = Calls(twin, guard, frozenset(map(xform_name, safe)))  # noqa: SLF001 - made here
    return twin


def _switch_off_retries(client: BaseClient) -> None:
    """Remove the handlers of botocore's retry modes. The other handlers of the same events remain, such as S3's
    redirector.
    """
    events: Any = client.meta.events
    registered = events._emitter._handlers.prefix_search  # noqa: SLF001 - has no accessor
    service = client.meta.service_model.service_id.hyphenize()
    for event in _RETRY_EVENTS:
        everywhere = registered(event)
        for handler in registered(f"{event}.{service}"):
            if (getattr(handler, "__module__", None) or type(handler).__module__).startswith(_RETRYING):
                events.unregister(event if handler in everywhere else f"{event}.{service}", handler)


def _check_sum(response_dict: dict[str, Any], **_: Any) -> None:
    """Reject a DynamoDB answer that was damaged on the network. botocore's own retries also do this check, but they are
    switched off.
    """
    expected = response_dict["headers"].get("x-amz-crc32")
    actual = crc32(response_dict["body"])
    if expected is not None and int(expected) != actual:
        raise ChecksumError(checksum_type="crc32", expected_checksum=expected, actual_checksum=str(actual))


class Operation(NamedTuple):
    """The facts about an operation that the retries use. The object is created at the operation's first call."""

    repeatable: Condition
    tokens: tuple[str, ...]
    payload: str
    form: Form | None


class Calls:
    """The calls of one wrapped client."""

    def __init__(self, client: Guarded, guard: Guard, safe: frozenset[str]) -> None:
        self._model = client.meta.service_model
        self._service: str = self._model.service_name
        server = server_of(client.meta.endpoint_url)
        self._route = Route(self._service, client.meta.region_name or "", server=server)
        self._apart = _APART.get(self._service, "")
        self._guard = guard
        self._safe = safe
        self._send_once = client._send_once  # noqa: SLF001 - its other half
        self._operations: dict[str, Operation] = {}
        self._driver = Driver(
            self._once, clock=guard.clock, sleep=guard.sleep or clocks.sleep, listeners=guard.listeners
        )
        self._step = guard.around(send)

    def make(self, name: str, params: dict[str, Any]) -> Any:
        """Make one call with all its attempts; return botocore's result or raise botocore's exception."""
        operation = self._operations.get(name) or self._learn(name)
        for token in operation.tokens:
            params.setdefault(token, str(uuid4()))
        step, batch = self._step, None
        if operation.form is not None:
            batch = Batch(params, operation.form, self._service)
            step = self._guard.around(batch.step)
        elif operation.payload and hasattr(params.get(operation.payload), "read"):
            step = self._guard.around(_rewound(params[operation.payload]))
        call = self._guard.call(name, params, self._part(params) if self._apart else self._route)
        outcome = self._driver.run(step(call), lambda interrupted: self._guard.ended(call, interrupted))
        if outcome.fault is not None and batch is not None and batch.answer is not None:
            outcome = outcome._replace(value=batch.answer, fault=None)
        self._guard.ended(call, outcome)
        if outcome.fault is not None:
            raise raisable(outcome, name, call.route, self._echo(outcome))
        if outcome.earlier:
            outcome.value["ResponseMetadata"]["RetryAttempts"] = outcome.attempts - 1
        return outcome.value

    def _once(self, call: Call) -> Outcome:
        handled = sys.exception()
        try:
            # A copy, because botocore's handlers change the parameters that they receive.
            return Outcome(value=self._send_once(call.operation, dict(call.params)))
        except (ClientError, BotoCoreError) as error:
            with apart_from(handled, error):
                return Outcome(fault=self._fault(call, error))

    def _fault(self, call: Call, error: ClientError | BotoCoreError) -> Fault:
        fault = replace(classify(error, service=self._service), error=error)
        if not fault.reached and fault.code != type(error).__name__ and fault.origin is not Origin.IDENTITY:
            fault = replace(fault, reached=True)  # `reached=False` came from a text, which proves nothing
        if fate_unknown(self._service, fault) and not self._operations[call.operation].repeatable(call.params):
            return _last(fault, _DOUBT.format(call.operation))
        return fault

    def _echo(self, outcome: Outcome) -> list[str]:
        refused = outcome.fault is not None and outcome.fault.status in _REFUSALS
        doubt = any(fate_unknown(self._service, attempt.fault) for attempt in outcome.earlier)
        return [_ECHO] if refused and doubt else []

    def _part(self, params: Mapping[str, Any]) -> Route:
        part = params.get(self._apart, self._service)
        return Route(str(part), self._route.region, "", *target(part), server=self._route.server)

    def _learn(self, name: str) -> Operation:
        model = self._model.operation_model(name)
        always = xform_name(name) in self._safe
        payload = model.input_shape.serialization.get("payload", "") if model.input_shape is not None else ""
        self._operations[name] = operation = Operation(
            (lambda _: True) if always else repeatable(model),
            tuple(model.idempotent_members),
            payload,
            FORMS.get((self._service, name)),
        )
        return operation


def _rewound(body: Any) -> Step:
    """Return a step: a function that carries out one attempt. Each attempt sends the file `body` from the position at
    which the first attempt began. If the file cannot seek, the first attempt is also the last.
    """
    start: int | None
    try:
        start = body.tell()
        body.seek(start)
    except (AttributeError, OSError):
        start = None
    sent = False

    def step(call: Call) -> Flow:
        nonlocal sent
        if sent:
            body.seek(start)
        sent = True
        outcome = yield from send(call)
        if outcome.fault is not None and start is None:
            return outcome._replace(fault=_last(outcome.fault, _SPENT_BODY))
        return outcome

    return step


def _last(fault: Fault, advice: str) -> Fault:
    """Return a copy of the fault that allows no further attempts, with `advice` before its own advice. A fault that
    already allows no retry is returned unchanged.
    """
    if fault.decision is Decision.FAIL:
        return fault
    return replace(
        fault,
        decision=Decision.RETRY_LIMITED,
        hint=replace(fault.hint, attempts=1),
        advice=f"{advice} {fault.advice}".rstrip(),
    )
