"""The code common to the blocking and the asyncio client: everything except sending and waiting."""

from __future__ import annotations

from copy import copy
from logging import DEBUG
from math import inf
from typing import TYPE_CHECKING, Any, TypeVar

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.bounds import is_number, shown, shown_name
from aws_bedrock_inference.call import Call, Outcome, Route, Timeout, pin_name, priority_number, tenant_name
from aws_bedrock_inference.clients.counting import Counting
from aws_bedrock_inference.clients.request import BadRequestError
from aws_bedrock_inference.clients.routes import Routes
from aws_bedrock_inference.clients.safer import AUTO, Safer
from aws_bedrock_inference.contexts import current
from aws_bedrock_inference.dialects.request import smallest_request
from aws_bedrock_inference.exceptions import InvalidRequest
from aws_bedrock_inference.flow import send
from aws_bedrock_inference.knowledge.models import UNKNOWN_MODEL, ModelArn
from aws_bedrock_inference.listeners import PROCESS, Listener, Listeners
from aws_bedrock_inference.log import enabled as log_enabled
from aws_bedrock_inference.log import log
from aws_bedrock_inference.made import PLAIN
from aws_bedrock_inference.observed import attempt, next_id
from aws_bedrock_inference.policies import Quota, one_owner, standard
from aws_bedrock_inference.policies.refusals import client_closed, invalid_request
from aws_bedrock_inference.policies.resume import unresumable
from aws_bedrock_inference.raising import error_of
from aws_bedrock_inference.streaming import collect, stream
from aws_bedrock_inference.tokens.estimate import BodyError, estimate, learn
from aws_bedrock_inference.tokens.ratio import TokenGauge
from aws_bedrock_inference.transports.endpoint import Endpoint, find_endpoint
from aws_bedrock_inference.transports.operations import operation as plan_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aws_bedrock_inference.call import Estimate, OnInterrupt, Priority
    from aws_bedrock_inference.clients.request import Prompt
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.flow import Flow, Pipeline


C = TypeVar("C", bound="BaseClient")


class BaseClient:
    """The base class of both clients. It builds calls, and converts their outcomes into values or exceptions."""

    def __init__(
        self,
        model_id: str,
        *,
        region_name: str | None = None,
        endpoint_url: str | None = None,
        session: Any = None,
        quota: Quota | None = None,
        pipeline: Pipeline | None = None,
        timeout: float | Timeout | None = None,
        priority: Priority = "normal",
    ) -> None:
        if not str(model_id or "").strip():
            raise ValueError(f"model_id={model_id!r}: pass a model id, inference profile id or ARN")
        one_owner(quota, pipeline)
        limits = (Timeout(), inf) if timeout is None else _limits(timeout, Timeout(), inf)
        self.model_id = str(model_id)
        self.priority = priority_number(priority)
        self._endpoint: Endpoint = find_endpoint(session, region_name=region_name, endpoint_url=endpoint_url)
        self._timeout, self._total_timeout = limits
        self._clock = clocks.monotonic
        self._listeners = Listeners(log, beyond=PROCESS)
        self._routes = Routes(self._endpoint, session)
        self._safer = Safer()
        self._gauge = TokenGauge()
        self._finish = Finish(self._gauge, self._listeners, self._clock)
        self._counting = Counting(self._gauge, self._routes)
        self._plan(pipeline if pipeline is not None else standard(quota))
        self._route(model_id)
        self._connect()

    def _plan(self, pipeline: Pipeline) -> None:
        """Send all later calls through `pipeline`."""
        self.pipeline = pipeline
        self._looks_up = False
        self._send = pipeline.around(attempt(send, self._clock), self._clock)
        self._stream = pipeline.around(attempt(stream, self._clock), self._clock)
        self._collect = pipeline.around(attempt(collect, self._clock), self._clock)

    def _connect(self) -> None:
        """Create the transport, which sends requests, and the driver, which carries out the steps of each call."""
        raise NotImplementedError

    def _branch_off(self, pipeline: Pipeline, hear: Listener) -> None:
        """Turn this copy of a client into a separate client.

        The function `sibling` copies a client, and then calls this method of the copy. From now on, the copy sends its
        calls through `pipeline` and passes its events to `hear`.
        """
        self._listeners = Listeners(beyond=self._listeners)
        self._finish = Finish(self._gauge, self._listeners, self._clock)
        self.listen(hear)
        looked_up = self._looks_up
        self._plan(pipeline)
        if looked_up:
            self._look_up()

    @property
    def region_name(self) -> str:
        """The Region of the endpoint."""
        return self._endpoint.region

    def listen(self, listener: Listener, *, attempts: bool = False) -> Callable[[], None]:
        """Call `listener` with every event of this client's calls (see `events`). With `attempts=True`, the listener
        also receives the start of each call, and the start and the end of each attempt. The returned function removes
        the listener.
        """
        return self._listeners.add(listener, attempts=attempts)

    def _refuse(self) -> None:
        """Refuse all later calls with `ClientClosed`, before they wait for quota or send anything."""
        self._send = self._stream = self._collect = _closed

    def _invoke_call(
        self,
        operation: str,
        prompt: Prompt,
        priority: Priority | None,
        timeout: float | Timeout | None = None,
        *,
        tenant: str | None = None,
        pin: str | None = None,
        on_interrupt: OnInterrupt | None = None,
    ) -> Call:
        number = self.priority if priority is None else priority_number(priority)
        name = "" if tenant is None else tenant_name(tenant)
        conversation = None if pin is None else pin_name(pin)
        try:
            params = prompt.params(number)
        except BadRequestError as error:
            raise self._invalid(operation, str(error), self._route(self.model_id)) from None
        if on_interrupt is not None and (problem := unresumable(on_interrupt, self.pipeline)):
            raise self._invalid(operation, problem, self._route(self.model_id))
        return self._make_call(operation, params, timeout)._replace(
            priority=number, tenant=name, on_interrupt=on_interrupt, pin=conversation
        )

    def _whole(self, call: Call, *, stream: bool | str) -> Flow:
        """Return the flow that produces the complete answer to `call`. A flow is a generator of the steps of a call.

        If `stream` is True, the service sends the answer as a stream, and the client collects it. If `stream` is False,
        the service sends the answer in one piece. If `stream` is `auto`, the client uses a stream for each answer that
        can have 1,000 tokens or more (see `Safer`).
        """
        if stream == AUTO:
            return self._safer.flow(call, self._send, self._collect)
        if isinstance(stream, str):
            problem = f"stream={shown_name(stream, [AUTO])}: pass True, False or 'auto'"
            raise self._invalid(call.operation, problem, call.route)
        return self._collect(call._replace(collected=True)) if stream else self._send(call)

    def _probe_call(self) -> Call:
        """Return the smallest possible call to the client's model. It tests whether the model can be called. For an
        imported model, the call is InvokeModel, because imported models do not support Converse.
        """
        native = ":imported-model/" in self.model_id
        return self._make_call("invoke_model" if native else "converse", smallest_request(native=native))

    def _make_call(self, operation: str, params: Mapping[str, Any], timeout: float | Timeout | None = None) -> Call:
        """Return the call of boto3's `operation` with boto3's `params`; `modelId` is optional. `timeout` has the same
        meaning as in the constructor, and applies to this call alone.
        """
        params = {"modelId": self.model_id, **params}
        model_id = params["modelId"]
        route = self._routes.used.get(model_id) if type(model_id) is str else None
        if route is None:
            route = self._route(model_id)
            params["modelId"] = str(model_id) if isinstance(model_id, ModelArn) else model_id
            if isinstance(model_id, str) and (problem := self._routes.refusal(route)) is not None:
                raise self._invalid(operation, problem, route)
        try:
            plan = plan_of(operation)
        except ValueError as error:
            raise self._invalid(operation, str(error), route) from None
        plain = plan.plain(params)
        if not plain and (problem := plan.validate(params)) is not None:
            raise self._invalid(operation, problem, route)
        try:
            guess = estimate(operation, params, route.base, self._gauge)
        except BodyError as error:
            raise self._invalid(operation, f"{operation}: {error}", route) from None
        attempt, total = self._timeout, self._total_timeout
        if timeout is not None:
            try:
                attempt, total = _limits(timeout, attempt, total)
            except ValueError as error:
                raise self._invalid(operation, str(error), route) from None
        now = self._clock()
        return Call(
            operation=operation,
            params=params,
            route=route,
            estimate=guess,
            timeout=attempt,
            arrived=now,
            deadline=now + total,
            priority=self.priority,
            plain=plain,
            place=self._endpoint,
            call_id=next_id() if self._listeners.watched else 0,
            context=current(),
        )

    def _route(self, model_id: Any) -> Route:
        route = self._routes.find(model_id)
        if route.base == UNKNOWN_MODEL and not self._looks_up:
            self._look_up()
        return route

    def _look_up(self) -> None:
        """From now on, if the model id of a call is the ARN of an application inference profile, query AWS for the
        model of the profile, because the ARN does not contain the model. Other model ids cause no query.
        """

        def guess(call: Call, route: Route) -> Estimate:
            return estimate(call.operation, call.params, route.base, self._gauge)

        self._looks_up = True
        self._send = self._routes.looked_up(self._send, guess)
        self._stream = self._routes.looked_up(self._stream, guess)
        self._collect = self._routes.looked_up(self._collect, guess)

    def _raise_for(self, call: Call, outcome: Outcome) -> None:
        if outcome.fault is not None:
            raise error_of(outcome, call.operation, call.route)

    def _invalid(self, operation: str, message: str, route: Route) -> InvalidRequest:
        return InvalidRequest(Outcome(fault=invalid_request(message)), operation, route)


def sibling(client: C, pipeline: Pipeline, hear: Listener) -> C:
    """Return a new client that uses the connections of `client` and sends its calls through `pipeline`.

    `hear` receives the events of the new client, except `CallStarted`, `AttemptStarted` and `AttemptEnded`. The
    listeners of `client` receive the events of both clients.
    """
    other = copy(client)
    other._branch_off(pipeline, hear)  # noqa: SLF001 - the class is in this file
    return other


class Finish:
    """An object that updates the token estimates and notifies the listeners when a call ends.

    An open stream holds a reference to this object until the stream ends. This object holds no reference to the client
    or its connections. An open stream therefore does not keep the connections and their event loop in memory.
    """

    __slots__ = ("_clock", "_gauge", "_listeners")

    def __init__(self, gauge: TokenGauge, listeners: Listeners, clock: Clock) -> None:
        self._gauge = gauge
        self._listeners = listeners
        self._clock = clock

    def __call__(self, call: Call, outcome: Outcome) -> None:
        """Process the end of `call`."""
        if outcome.fault is None and outcome.usage is not None and outcome.made is PLAIN:
            learn(self._gauge, call.route.base, call.estimate, outcome.usage)
        if outcome.fault is not None or self._listeners.heard or log_enabled(DEBUG):
            self._listeners.call_ended(call, outcome, self._clock())


def _limits(timeout: Any, attempt: Timeout, total: float) -> tuple[Timeout, float]:
    """Return two values: the limits of each attempt, and the limit of the whole call. If `timeout` is a number, it
    replaces `total`, the limit of the whole call. If it is a `Timeout`, it replaces `attempt`, the limits of each
    attempt.
    """
    if isinstance(timeout, Timeout):
        return timeout, total
    if is_number(timeout, above=0, infinite=True):
        return attempt, timeout
    raise ValueError(
        f"timeout={shown(timeout)}: pass seconds above 0 for the whole call, or a Timeout for each attempt"
    )


def _closed(_: Call) -> Flow:
    yield from ()
    return Outcome(fault=client_closed())


def with_attempts(response: dict[str, Any], outcome: Outcome) -> dict[str, Any]:
    """Return `response` with the number of retries in `response["ResponseMetadata"]["RetryAttempts"]`, as in boto3."""
    if outcome.earlier:
        response["ResponseMetadata"]["RetryAttempts"] = max(0, outcome.attempts - 1)
    return response
