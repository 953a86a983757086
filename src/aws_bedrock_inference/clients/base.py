"""The code common to the blocking and the asyncio client: everything except sending and waiting."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.call import Call, Outcome, Route, Timeout, priority_number
from aws_bedrock_inference.clients.request import BadRequestError, converse_params
from aws_bedrock_inference.events import CallEnded, Listener, Listeners
from aws_bedrock_inference.exceptions import InvalidRequest, error_of
from aws_bedrock_inference.fault import Category, Decision, Fault, Kind
from aws_bedrock_inference.knowledge.models import split_profile
from aws_bedrock_inference.policies import Quota, standard
from aws_bedrock_inference.tokens.estimate import estimate, learn
from aws_bedrock_inference.tokens.ratio import TokenGauge
from aws_bedrock_inference.transports.endpoint import Endpoint, find_endpoint
from aws_bedrock_inference.transports.operations import operation as plan_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aws_bedrock_inference.flow import Pipeline


class BaseClient:
    """The base of both clients: it builds calls and turns their outcomes into values or exceptions."""

    def __init__(
        self,
        model_id: str,
        *,
        region_name: str | None,
        endpoint_url: str | None,
        session: Any,
        quota: Quota | None,
        pipeline: Pipeline | None,
        timeout: float | Timeout | None,
        priority: str | float,
    ) -> None:
        if not str(model_id or "").strip():
            raise ValueError(f"model_id={model_id!r}: give a model id, inference profile id or ARN")
        if quota is not None and pipeline is not None:
            raise ValueError(
                "give either quota= or pipeline=; a pipeline has its own: Pipeline(..., Quota(rpm=..., tpm=...))"
            )
        if timeout is not None and not isinstance(timeout, Timeout) and not timeout > 0:
            raise ValueError(
                f"timeout={timeout!r}: give seconds above 0 for the whole call, or a Timeout for each attempt"
            )
        self.model_id = model_id
        self.priority = priority_number(priority)
        self.pipeline = pipeline if pipeline is not None else standard(quota)
        self._endpoint: Endpoint = find_endpoint(session, region_name=region_name, endpoint_url=endpoint_url)
        self._timeout = timeout if isinstance(timeout, Timeout) else Timeout()
        self._patience = inf if timeout is None or isinstance(timeout, Timeout) else timeout
        self._clock = clocks.monotonic
        self._listeners = Listeners()
        self._routes: dict[str, Route] = {}
        self._gauge = TokenGauge()

    @property
    def region_name(self) -> str:
        """The Region of the endpoint."""
        return self._endpoint.region

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every event of this client's calls (see `events`); the returned function removes it."""
        return self._listeners.add(listener)

    def _invoke_call(self, operation: str, priority: str | float | None, arguments: Mapping[str, Any]) -> Call:
        """Return the Converse or ConverseStream call for `invoke`'s arguments."""
        number = self.priority if priority is None else priority_number(priority)
        try:
            params = converse_params(priority=number, **arguments)
        except BadRequestError as error:
            raise self._invalid(operation, str(error), self._route(self.model_id)) from None
        return self._make_call(operation, params)._replace(priority=number)

    def _make_call(self, operation: str, params: Mapping[str, Any]) -> Call:
        """Return the call of boto3's `operation` with boto3's `params`; `modelId` is optional."""
        params = {"modelId": self.model_id, **params}
        route = self._route(str(params["modelId"]))
        problem = plan_of(operation).problem(params)
        if problem is not None:
            raise self._invalid(operation, problem, route)
        now = self._clock()
        return Call(
            operation=operation,
            params=params,
            route=route,
            estimate=estimate(operation, params, route.base, self._gauge),
            timeout=self._timeout,
            arrived=now,
            deadline=now + self._patience,
            priority=self.priority,
        )

    def _route(self, model_id: str) -> Route:
        route = self._routes.get(model_id)
        if route is None:
            base, pool = split_profile(model_id)
            route = Route(model_id, self._endpoint.region, self._endpoint.account, base, pool)
            self._routes[model_id] = route
        return route

    def _ended(self, call: Call, outcome: Outcome) -> None:
        if outcome.fault is None and outcome.usage is not None:
            learn(self._gauge, call.route.base, call.estimate, outcome.usage)
        if self._listeners:
            seconds = self._clock() - call.arrived
            self._listeners.tell(
                CallEnded(call.operation, call.route, outcome.fault, outcome.usage, outcome.attempts, seconds)
            )

    def _value(self, call: Call, outcome: Outcome) -> Any:
        """Return the value of the call, or raise its exception."""
        self._ended(call, outcome)
        if outcome.fault is not None:
            raise error_of(outcome, call.operation, call.route)
        return outcome.value

    def _invalid(self, operation: str, message: str, route: Route) -> InvalidRequest:
        fault = Fault(
            code="InvalidRequest",
            message=message,
            kind=Kind.REFUSED,
            decision=Decision.FAIL,
            category=Category.PERMANENT,
            cause="request-invalid",
            reached=False,
            advice="Nothing was sent.",
        )
        return InvalidRequest(Outcome(fault=fault), operation, route)


def with_attempts(response: dict[str, Any], outcome: Outcome) -> dict[str, Any]:
    """Set `RetryAttempts` in the response, where boto3 has it."""
    if outcome.earlier:
        response["ResponseMetadata"]["RetryAttempts"] = len(outcome.earlier)
    return response
