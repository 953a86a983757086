"""The policy that calls a model through an inference profile if the service does not accept on-demand calls for the
model's id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.bounds import shown
from aws_bedrock_inference.call import Attempt, Call, Outcome, Route
from aws_bedrock_inference.events import ProfileChosen
from aws_bedrock_inference.flow import ask, emit
from aws_bedrock_inference.knowledge.models import target
from aws_bedrock_inference.policies.keyed import Keyed
from aws_bedrock_inference.policies.order import Ordered

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.flow import Effect, Flow, Step
    from aws_bedrock_inference.foundation.models import Models

_CAUSE = "on-demand-not-supported-use-inference-profile"

# The longest time, in seconds, that a call waits for AWS's lists of profiles and models. They are read once a day.
_LONGEST = 20.0


class GeographicProfile(Ordered):
    """A policy that calls a model through the inference profile of the Region's geography, after the service has
    reported that on-demand throughput isn't supported. The failed call is sent again through the profile. Later calls
    of the model are sent through the profile from the beginning.

    * `models`: a `Models`, which finds the profile. It uses the session and Region of the client.
    * `within`: limits the Regions that are allowed to answer calls, as in `Models.resolve`.

    The policy never chooses a global profile. If no profile is suitable, the service's error is raised.

    Refuses no call. Emits `ProfileChosen`. Raises `ValueError` for an invalid option.
    """

    def __init__(self, models: Models, *, within: str | Iterable[str] | None = None) -> None:
        if not hasattr(models, "resolve"):
            raise ValueError(f"GeographicProfile({shown(models)}): pass a Models object, such as Models()")
        self.models = models
        self.within = within if within is None or isinstance(within, str) else tuple(within)
        self._chosen: Keyed[str] = Keyed(lambda _, __: True)

    def around(self, step: Step, clock: Clock) -> Step:
        """Return a step that runs `step` (the rest of the pipeline). If the model of a call requires an inference
        profile, the step calls the model through the profile.
        """
        chosen = self._chosen

        def flow(call: Call) -> Flow:
            profile = chosen.get(call.route.health_key)
            if profile is not None:
                return (yield from step(_through(call, profile)))
            outcome = yield from step(call)
            fault = outcome.fault
            if fault is None or fault.cause != _CAUSE or outcome.emitted:
                return outcome
            profile = yield from self._find(call.route, min(_LONGEST, call.deadline - clock()))
            if profile is None:
                return outcome
            chosen.of(call.route.health_key, lambda: profile, clock())
            yield from emit(ProfileChosen(call.route, profile))
            again: Outcome = yield from step(_through(call, profile))
            return again._replace(earlier=(Attempt(fault, 0.0), *again.earlier))

        return flow

    def _find(self, route: Route, seconds: float) -> Generator[Effect, Any, str | None]:
        from aws_bedrock_inference.stores import StoreUnavailable  # noqa: PLC0415 - it loads asyncio
        from aws_bedrock_inference.stores.request import Question  # noqa: PLC0415 - the same

        if seconds <= 0:
            return None
        try:
            return (yield from ask(Question(lambda: self._resolved(route), seconds, "ListInferenceProfiles")))
        except StoreUnavailable:
            return None

    def _resolved(self, route: Route) -> str | None:
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - heavy, and only this code needs it

        try:
            found = self.models.resolve(route.model, self.within)
        except (LookupError, BotoCoreError):
            return None
        return found if found != route.model and target(found).pool != "global" else None

    def __repr__(self) -> str:
        return f"GeographicProfile(within={self.within!r})"


def _through(call: Call, profile: str) -> Call:
    route = call.route
    _, pool = target(profile)
    return call._replace(
        params={**call.params, "modelId": profile},
        route=Route(profile, route.region, route.account, base=route.base, pool=pool, server=route.server),
    )
