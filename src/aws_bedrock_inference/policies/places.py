"""Find the places of a `Fallback`'s routes, and check which Regions can answer calls on these routes. A place is an
endpoint with the session whose credentials sign the calls.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.accounts import AssumedRole, session_for
from aws_bedrock_inference.flow import ask
from aws_bedrock_inference.foundation.residency import strays
from aws_bedrock_inference.knowledge.masking import masked
from aws_bedrock_inference.knowledge.models import is_untold
from aws_bedrock_inference.log import LOGGER
from aws_bedrock_inference.policies.eligible import unfit
from aws_bedrock_inference.policies.targets import Leg, Target, is_same, route_of, tier_of
from aws_bedrock_inference.sessions import of_any_service

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from aws_bedrock_inference.call import Call, Route
    from aws_bedrock_inference.flow import Effect
    from aws_bedrock_inference.foundation.models import Models
    from aws_bedrock_inference.knowledge.abilities import Needs
    from aws_bedrock_inference.place import Place
    from aws_bedrock_inference.policies.fallback import Fallback

# The longest time, in seconds, that a call waits for the endpoint of a route, or for AWS's lists of a Region. Both are
# normally read only once.
_LONGEST = 20.0

# Seconds for which the result of a check of a route's Regions is used. A good result changes only when AWS's lists
# change, and these are read once a day. A bad result may come from a list that could not be read, so it is checked
# again soon.
_GOOD, _BAD = 3600.0, 60.0

# The number of different reasons that are logged. Reasons that differ only in numbers count as one.
_REASONS = 100
_NUMBER = re.compile(r"\d+")

# The maximum number of stored results, because callers can use any number of profiles.
_VERDICTS = 10_000

_HERE = frozenset({"on-demand", "provisioned"})


class Places:
    """Finds the places of routes, and checks that only allowed Regions can answer calls on these routes. A place is an
    endpoint with a session. `within` contains patterns of the allowed Regions.

    This object stores the results of the checks for all clients that use the policy. It does not store the places of
    the targets. A place contains a session, which is large and must be freed together with its client. Therefore each
    client stores the places of the targets next to its own session, in `Place.beside`.
    """

    def __init__(self, within: tuple[str, ...] | None) -> None:
        self.within = within
        self._logged: set[str] = set()
        self._verdicts: dict[tuple[str, ...], tuple[float, str | None]] = {}

    def of(self, home: Place, wanted: Target, now: float, seconds: float) -> Generator[Effect, Any, Place | str]:
        """Return the place (endpoint and session) for the calls to a target. If this place cannot be created, return
        the reason.
        """
        known: Place | None = home.beside.get(wanted)
        if known is not None:
            return known
        until, missed = home.beside.get((wanted, "missed"), (now, ""))
        if now < until:
            return str(missed)
        place = yield from _asked(lambda: _elsewhere(home, wanted), seconds, "the endpoint")
        if not isinstance(place, str):
            found: Place = home.beside.setdefault(wanted, place)  # if two threads found a place, both use the same one
            return found
        missed = f"{wanted.model_id} in {wanted.region_name or home.region}: {place}"
        if isinstance(place, Late):
            return Late(missed)
        home.beside[wanted, "missed"] = (now + _BAD, missed)
        return missed

    def passed_over(self, reason: str) -> None:
        """Log the reason why calls cannot use a route. Each reason is logged only once. Without this log line, nobody
        would notice a target that never receives a call.
        """
        kind = _NUMBER.sub("0", reason)
        if kind not in self._logged and len(self._logged) < _REASONS:
            self._logged.add(kind)
            LOGGER.warning("the fallback skips %s", reason)

    def strays(
        self, route: Route, place: Place | None, now: float, seconds: float
    ) -> Generator[Effect, Any, str | None]:
        """Return the reason to refuse calls on `route` if a Region that is not allowed could answer them, or if it is
        unknown which Regions can answer them. Return None if all Regions that can answer are allowed.
        """
        if self.within is None:
            return None
        key = (route.account, route.region, route.model, route.endpoint)
        known = self._verdicts.get(key)
        if known is not None and now < known[0]:
            return known[1]
        regions: Any = (route.region,)
        if route.pool not in _HERE or is_untold(route.model):
            regions = yield from _asked(lambda: self._regions(route, place), seconds, "ListInferenceProfiles")
        if isinstance(regions, str):
            verdict: str | None = f"{route}: the Regions that can answer the call are unknown: {regions}"
        else:
            strayed = strays(regions, self.within)
            verdict = None if strayed is None else f"{route}: {strayed}"
        if isinstance(regions, Late):
            return Late(verdict)
        if len(self._verdicts) >= _VERDICTS:
            self._verdicts.clear()
        self._verdicts[key] = (now + (_GOOD if verdict is None else _BAD), verdict)
        return verdict

    def _regions(self, route: Route, place: Place | None) -> tuple[str, ...]:
        found = self._lists(route, place).get(route.model)
        return tuple(getattr(found, "regions", ()))

    def _lists(self, route: Route, place: Place | None) -> Models:
        from aws_bedrock_inference.foundation.models import Models  # noqa: PLC0415 - heavy, and only this code needs it

        if place is None:
            return Models(region_name=route.region)
        lists: Models | None = place.beside.get("lists")
        if lists is None:
            lists = Models(place.session, region_name=route.region, endpoint_url=of_any_service(place.url))
        kept: Models = place.beside.setdefault("lists", lists)
        return kept


def found_leg(
    policy: Fallback, call: Call, number: int, needs: Callable[[], Needs], now: float
) -> Generator[Effect, Any, Leg | str]:
    """Return the route at position `number` in the list of routes as a `Leg` for `call`. If the call cannot use this
    route, return the reason. `needs` is a function that returns the abilities that the call needs of a model.

    If a target is the same route as the requested route, the call cannot use this target. The reason is then an empty
    text. It is not logged, because the user does not need to correct anything.
    """
    seconds = min(_LONGEST, call.deadline - now)
    place, route, wanted, quota = call.place, call.route, None, None
    if number:
        wanted, quota = policy.targets[number - 1], policy.quotas[number - 1]
        if not wanted.here:
            if place is None:
                return f"{wanted.model_id}: the call does not contain its client's endpoint and session"
            found = yield from policy.places.of(place, wanted, now, seconds)
            if isinstance(found, str):
                return found
            place = found
        route = route_of(wanted, call, place)
        if is_same(route, call.route) and tier_of(call, wanted) == tier_of(call):
            return ""  # no reason to log: the target is the requested route itself
    health = policy.health(f"{number}|{route.health_key}|{route.endpoint}", now)
    leg = Leg(number, route, place, health, wanted, quota, tier_of(call, wanted))
    if number and (reason := unfit(needs(), call.route, route, place, policy.wall())) is not None:
        return reason
    strayed = yield from policy.places.strays(route, place, now, seconds)
    return leg if strayed is None else strayed


class Late(str):
    """The reason why a route could not be checked: the call did not have enough time to look up the endpoint or AWS's
    lists. This reason is not stored, because the next call may have more time.
    """

    __slots__ = ()


def _elsewhere(home: Place, wanted: Target) -> Place:
    session = wanted.session
    if isinstance(wanted.role_arn, AssumedRole):
        session = session_for(wanted.role_arn, home.session if session is None else session)
    return home.elsewhere(session=session, region_name=wanted.region_name, endpoint_url=wanted.endpoint_url)


def _asked(answer: Any, seconds: float, place: str) -> Generator[Effect, Any, Any]:
    """Call the function `answer` in a background thread, and return the result. If the function fails, or needs more
    than `seconds`, return the reason as a text.
    """
    from aws_bedrock_inference.stores import StoreUnavailable  # noqa: PLC0415 - it loads asyncio
    from aws_bedrock_inference.stores.request import Question  # noqa: PLC0415 - the same

    def attempt() -> Any:
        try:
            return answer()
        except Exception as error:  # noqa: BLE001 - botocore and providers of credentials raise many types
            return masked(f"{type(error).__name__}: {error}")

    if seconds <= 0:
        return Late("no time is left to look it up")
    try:
        return (yield from ask(Question(attempt, seconds, place)))
    except StoreUnavailable as error:
        return str(error) if seconds >= _LONGEST else Late(error)
