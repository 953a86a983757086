"""Find the route (model, Region, account and quota) of a call from the call's model id."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.bounds import encodable, hashed
from aws_bedrock_inference.call import Route
from aws_bedrock_inference.clients.listed import Listed
from aws_bedrock_inference.flow import ask
from aws_bedrock_inference.knowledge.models import UNKNOWN_MODEL, ModelArn, Target, can_be_looked_up, target
from aws_bedrock_inference.place import server_of
from aws_bedrock_inference.service_quotas import profiles
from aws_bedrock_inference.tokens.guesses import log_guesses

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from aws_bedrock_inference.call import Call, Estimate
    from aws_bedrock_inference.flow import Effect, Flow, Step
    from aws_bedrock_inference.transports.endpoint import Endpoint

# The maximum number of remembered routes. There is a maximum because ids can come from the users of a program.
ROUTES = 4096


class Routes:
    """Finds the route (model, Region, account and quota) of a model id. `used` contains the routes of earlier calls, by
    model id.

    If an ARN does not contain its model, the first call that uses this ARN queries AWS for the model.
    """

    def __init__(self, endpoint: Endpoint, session: Any) -> None:
        self._endpoint = endpoint
        self._known = profiles.PROCESS
        self._ask = profiles.asker(session, endpoint.url)
        self._listed = Listed(endpoint)
        self.used: dict[str, Route] = {}

    def find(self, model_id: Any) -> Route:
        """Return the route (model, Region, account and quota) of any model id. The route is stored, so that the next
        call with the same id uses it. A `ModelArn` (an ARN together with the id of its model) is stored under the ARN.
        The route of an id that does not exist is not stored.
        """
        name = str(model_id)
        route = None if isinstance(model_id, ModelArn) else self.used.get(name)
        if route is None:
            found = target(model_id)
            if self._listed.refusal(name, found.base) is not None:
                return self._route(name, found)
            route = self._remember(name, found)
        return route

    def refusal(self, route: Route) -> str | None:
        """Return the reason to refuse calls on `route` without sending them: AWS's lists do not contain the model.
        Return None if calls are not refused. `route` is a result of `find`.
        """
        return None if route.model in self.used else self._listed.refusal(route.model, route.base)

    def looked_up(self, step: Step, estimate: Callable[[Call, Route], Estimate]) -> Step:
        """Return a step (a function that carries out a call) that finds the model of the call and then runs `step`.

        If the call's ARN does not contain its model, the returned step queries AWS for the model. It then estimates the
        tokens of the call again with `estimate`, because the first estimate was made without knowing the model.
        """

        def flow(call: Call) -> Flow:
            if call.route.base == UNKNOWN_MODEL:
                route = yield from self._look_up(call.route, call.deadline)
                call = call._replace(route=route, estimate=estimate(call, route))
            return (yield from step(call))

        return flow

    def _look_up(self, route: Route, deadline: float) -> Generator[Effect, Any, Route]:
        arn = route.model
        if can_be_looked_up(arn):
            question = self._known.find(arn, self._ask, deadline)
            if question is not None:
                from aws_bedrock_inference.stores import StoreUnavailable  # noqa: PLC0415 - it loads asyncio

                with suppress(StoreUnavailable):  # too many look-ups are waiting; the model stays unknown for now
                    yield from ask(question)
            found = self._known.known(arn)
            if found is not None:
                return self._remember(arn, found)
        self._known.warn_once(arn)
        return route

    def _remember(self, name: str, found: Target) -> Route:
        if len(self.used) >= ROUTES:
            self.used.clear()
        route = self.used[name] = self._route(name, found)
        log_guesses(found.base)
        return route

    def _route(self, name: str, found: Target) -> Route:
        shown = name if encodable(name) else name.encode("ascii", "backslashreplace").decode()
        where = self._endpoint
        return Route(
            shown,
            where.region,
            where.account,
            found.base,
            found.pool,
            endpoint=hashed(where.url),
            principal=where.principal,
            server=server_of(where.url),
        )
