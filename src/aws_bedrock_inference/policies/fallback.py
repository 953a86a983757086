"""Move a call to another model, Region or account when its own route cannot answer it."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from cachetools import LRUCache

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.bounds import is_number, shown, shown_name
from aws_bedrock_inference.dialects.filtered import FILTER_CAUSES
from aws_bedrock_inference.forks import Locked
from aws_bedrock_inference.foundation.residency import patterns
from aws_bedrock_inference.knowledge.elsewhere import ANY, DIFFERENCES, NOWHERE, causes, elsewhere
from aws_bedrock_inference.policies.breaker import Breaker
from aws_bedrock_inference.policies.deadline import Deadline
from aws_bedrock_inference.policies.degrade import Degrade
from aws_bedrock_inference.policies.geographic import GeographicProfile
from aws_bedrock_inference.policies.journey import FILTERED, Journey
from aws_bedrock_inference.policies.keyed import Keyed
from aws_bedrock_inference.policies.places import Places
from aws_bedrock_inference.policies.quota import Quota
from aws_bedrock_inference.policies.retry import Retry
from aws_bedrock_inference.policies.targets import Target
from aws_bedrock_inference.rules.health import Health

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from aws_bedrock_inference.call import Call
    from aws_bedrock_inference.clock import Chance, Clock
    from aws_bedrock_inference.fault import Fault
    from aws_bedrock_inference.flow import Effect, Flow, Step

ATTEMPTS = 12
RESERVE = 0.25
PINS = 100_000

# Policies that each route has anew, and those that hold all routes together.
_INNER = (Retry, GeographicProfile, Breaker, Quota)
_OUTER = (Degrade, Deadline)
_ORDER = "the order is Degrade, Filtered, Cache, Deadline, Complete, Resume, Fallback, Retry, Breaker, Quota"

_MOVED = frozenset({"converse", "converse_stream", "invoke_model", "invoke_model_with_response_stream"})


class Fallback:
    """A policy that sends a call to another route when its own cannot answer it: another model, Region or account.

    `targets` are model ids or `Target`s, the best first. Whether a fault moves the call, and where to, is decided by
    its cause: a model that is gone moves it to another model, an exhausted day to another Region or account, a lack of
    capacity anywhere; an invalid request and missing credentials move it nowhere. `on` changes that: its keys are
    causes (`throttled-*`), or `filtered` for answers that were filtered, its values `model`, `region`, `pool` or
    `account` (what must differ), several of them, `any` or `nowhere`.

    Each route has a health. A route on which attempts fail gets a smaller share of the calls, and one that keeps
    failing rests, but for one call every 8 seconds that probes it. A call with a `pin` stays on its route while that
    does not rest. `attempts` 12 limits the requests of one call on all routes together; throttles on the last route are
    not counted, since the quota paces them. `reserve` 0.25 is the part of the time left that no route may use while
    another one follows; a stream keeps it for its first content only.

    `within` limits the Regions in which calls may be answered, such as `eu-*`; it is judged by the destinations that
    AWS lists for a profile, holds for the route that was asked for, too, and needs bedrock:ListInferenceProfiles for
    profiles. A route that AWS does not list is refused. `chance` is the random source of the waits.

    Raises `ValueError` for what cannot be right, and for a place in a pipeline where it cannot work. Refuses, with
    `InvalidRequest`, a call that no route may answer within these Regions. Emits `FellBack` and `RouteHealthChanged`.
    """

    def __init__(
        self,
        *targets: str | Target,
        within: str | Iterable[str] | None = None,
        reserve: float = RESERVE,
        attempts: int = ATTEMPTS,
        on: Mapping[str, str | Iterable[str]] | None = None,
        chance: Chance = clocks.chance,
    ) -> None:
        if not targets:
            raise ValueError("Fallback(): give at least one model id or Target")
        if not is_number(reserve, least=0) or reserve >= 1:
            raise ValueError(f"Fallback(reserve={shown(reserve)}): give a part of the time left, from 0 to below 1")
        if not is_number(attempts, least=1, whole=True):
            raise ValueError(f"Fallback(attempts={shown(attempts)}): give a whole number of requests, 1 or more")
        self.targets = tuple(_target(each) for each in targets)
        for number, each in enumerate(self.targets):
            if each in self.targets[:number]:
                raise ValueError(
                    f"Fallback(): target {number + 1}, {each.model_id}, repeats an earlier one; leave it out"
                )
        self.within = None if within is None else patterns(within)
        self.reserve = reserve
        self.attempts = attempts
        self.on = _checked(on or {})
        self.chance = chance
        self.wall = clocks.wall
        self.quotas = tuple(each.quota if each.quota is not None else Quota() for each in self.targets)
        self.pins = Pins(PINS)
        self.places = Places(self.within)
        self._health: Keyed[Health] = Keyed(lambda health, _: health.idle())

    def around(self, step: Step, clock: Clock) -> Step:
        """Return `step` with other routes beside its own."""

        def flow(call: Call) -> Flow:
            return Journey(self, call, clock).run(step) if call.operation in _MOVED else step(call)

        return flow

    def placed(self, outer: Sequence[object], inner: Sequence[object]) -> None:
        """Raise `ValueError` for a pipeline in which this policy would stand in the wrong place."""
        for policies, side, wrong in ((outer, "outside", _INNER), (inner, "inside", (*_OUTER, Fallback))):
            for each in policies:
                if isinstance(each, wrong):
                    name = "another Fallback" if isinstance(each, Fallback) else type(each).__name__
                    problem = f"{name} stands {side} of Fallback"
                    raise ValueError(f"Pipeline(): {problem}; {_ORDER}")  # noqa: TRY004 - of its place

    def health(self, key: str, now: float) -> Health:
        """Return the health of the route with that key, made at its first use."""
        return self._health.get(key) or self._health.of(key, Health, now)

    def differences(self, fault: Fault) -> frozenset[str]:
        """Return what must differ on a route where the call may still succeed; empty for none."""
        for cause, differences in self.on.items():
            if fnmatchcase(fault.cause, cause) or (cause == FILTERED and fault.cause in FILTER_CAUSES):
                return differences
        return elsewhere(fault)

    def leave(self) -> Generator[Effect, object, None]:
        """Free this process's parts of the targets' shared quotas."""
        for quota in self.quotas:
            yield from quota.leave()

    def __repr__(self) -> str:
        return f"Fallback({', '.join(repr(each.model_id) for each in self.targets)})"


class Pins(Locked):
    """The number of the route of each pinned conversation, the latest `most` of them."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._routes: LRUCache[str, int] = LRUCache(most)

    def get(self, pin: str) -> int | None:
        """Return the number of the route; None for a new conversation."""
        with self._lock:
            return self._routes.get(pin)

    def set(self, pin: str, number: int) -> None:
        """Keep the conversation on that route."""
        with self._lock:
            self._routes[pin] = number


def _target(given: Any) -> Target:
    if isinstance(given, Target):
        return given
    if isinstance(given, str):
        return Target(given)
    raise ValueError(
        f"Fallback({shown(given)}): give model ids or Targets, each by itself; a list with a star: Fallback(*targets)"
    )


def _checked(on: Any) -> dict[str, frozenset[str]]:
    words = ("any", "nowhere", *DIFFERENCES)
    if not isinstance(on, Mapping):
        raise ValueError(f"Fallback(on={shown(on)}): give causes with what must differ, {{'throttled-*': 'model'}}")  # noqa: TRY004 - of an option
    known = {*causes(), FILTERED} if on else ()
    found = {}
    for cause, value in on.items():
        if not isinstance(cause, str) or not any(fnmatchcase(each, cause) for each in known):
            raise ValueError(
                f"Fallback(on={{{shown_name(cause, known)}: ...}}): no cause has this name; `error.cause` and "
                "`bedrock errors` tell the names, and * stands for any characters: 'throttled-*'"
            )
        names = (value,) if isinstance(value, str) else tuple(value)
        if not names or not set(names) <= set(words) or (len(names) > 1 and {"any", "nowhere"} & set(names)):
            raise ValueError(f"Fallback(on={{{cause!r}: {value!r:.60}}}): give one of {', '.join(words)}, or several")
        found[cause] = {("any",): ANY, ("nowhere",): NOWHERE}.get(names, frozenset(names))
    return found
