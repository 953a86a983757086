"""The fallback policy. It sends a call to another model, Region or account when the requested one cannot answer the
call. A route is one such combination of model, Region and account.
"""

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
from aws_bedrock_inference.policies.journey import FILTERED, Journey
from aws_bedrock_inference.policies.keyed import Keyed
from aws_bedrock_inference.policies.order import Ordered
from aws_bedrock_inference.policies.places import Places
from aws_bedrock_inference.policies.quota import Quota
from aws_bedrock_inference.policies.targets import Target
from aws_bedrock_inference.rules.health import Health

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from aws_bedrock_inference.call import Call
    from aws_bedrock_inference.clock import Chance, Clock
    from aws_bedrock_inference.fault import Fault
    from aws_bedrock_inference.flow import Effect, Flow, Step

ATTEMPTS = 12
RESERVE = 0.25
PINS = 100_000

_MOVED = frozenset({"converse", "converse_stream", "invoke_model", "invoke_model_with_response_stream"})


class Fallback(Ordered):
    """A policy that sends a call on another route (model, Region or account) when the requested route cannot answer it.

    * `targets`: the other routes, as model ids or `Target`s, the best first.
    * `on`: a mapping with your own rules for some faults. A key is the `cause` of a fault, possibly with a wildcard
      (`throttled-*`), or `filtered` for filtered answers. The value states what must differ on the new route: `model`,
      `region`, `pool` (the quota pool: on-demand, geographic, global or provisioned), `account`, or a list of them, of
      which at least one must differ. `any` allows all other routes. With `nowhere`, the call stays on its route.
    * `within`: the Regions that are allowed to answer calls, as patterns such as `eu-*`. A call through an inference
      profile can be answered in several Regions, and all of them must be allowed. The policy reads these Regions with
      the permission bedrock:ListInferenceProfiles, and refuses a route whose Regions AWS does not list. It checks the
      requested route, too.
    * `reserve`, default 0.25: the fraction of the call's remaining time that a route must leave for the routes after
      it. For a stream, this limits only the wait for the first content.
    * `attempts`, default 12: the maximum number of requests for one call, on all routes together. A throttled
      request does not count if a `Quota` for the route then delays the next request.
    * `chance`: the random source of the waits.

    If no rule in `on` matches a fault, the fault's cause determines what must differ on the new route. For example, a
    retired model moves the call to another model. An exhausted daily quota moves the call to another Region or account.
    A lack of capacity moves the call to any other route. After an invalid request or missing credentials, the call
    stays on its route.

    The policy records the health of each route. A route whose attempts fail receives a smaller part of the calls. A
    route that fails again and again rests: it receives only one call every 8 seconds, as a probe. `pin` is an option of
    a call. A call with a `pin` is sent first on the route that answered the previous call with the same `pin`, unless
    this route rests.

    Refuses with `InvalidRequest` a call that no route can answer within the allowed Regions. Emits `FellBack` and
    `RouteHealthChanged`. Raises `ValueError` for invalid options, and if the policy is in a position in the pipeline
    where it cannot work.
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
            raise ValueError("Fallback(): pass at least one model id or Target")
        if not is_number(reserve, least=0) or reserve >= 1:
            raise ValueError(
                f"Fallback(reserve={shown(reserve)}): pass the fraction of the remaining time to leave for later "
                "targets, at least 0 and below 1"
            )
        if not is_number(attempts, least=1, whole=True):
            raise ValueError(f"Fallback(attempts={shown(attempts)}): pass the maximum number of requests, 1 or more")
        self.targets = tuple(_target(each) for each in targets)
        for number, each in enumerate(self.targets):
            if each in self.targets[:number]:
                raise ValueError(
                    f"Fallback(): target {number + 1}, {each.model_id}, repeats an earlier target; remove it"
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
        """Return a step that runs `step` (the rest of the pipeline) on the requested route, and if this route cannot
        answer, on other routes.
        """

        def flow(call: Call) -> Flow:
            return Journey(self, call, clock).run(step) if call.operation in _MOVED else step(call)

        return flow

    def health(self, key: str, now: float) -> Health:
        """Return the `Health` of the route with this key. This object decides how many calls the route receives. If it
        does not exist, it is created.
        """
        return self._health.get(key) or self._health.of(key, Health, now)

    def differences(self, fault: Fault) -> frozenset[str]:
        """Return the properties (such as model or Region) in which another route must differ, so that the call can
        succeed on that route after `fault`. Return an empty set if no other route can help.
        """
        for cause, differences in self.on.items():
            if fnmatchcase(fault.cause, cause) or (cause == FILTERED and fault.cause in FILTER_CAUSES):
                return differences
        return elsewhere(fault)

    def leave(self) -> Generator[Effect, object, None]:
        """Release this process's shares of the targets' quotas. A process has such a share only if the quota has a
        store, because a store divides the quota among several processes.
        """
        for quota in self.quotas:
            yield from quota.leave()

    def __repr__(self) -> str:
        return f"Fallback({', '.join(repr(each.model_id) for each in self.targets)})"


class Pins(Locked):
    """The pinned conversations. A pinned conversation stays on one route. For each conversation, this object stores the
    number of the route: 0 is the requested route, 1 is the first target. At most `most` conversations are stored. If
    there are more, the conversation that was not used for the longest time is removed.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self._routes: LRUCache[str, int] = LRUCache(most)

    def get(self, pin: str) -> int | None:
        """Return the number of the route on which the conversation `pin` stays. 0 is the requested route, and 1 is the
        first target. Return None if no route is stored for this conversation.
        """
        with self._lock:
            return self._routes.get(pin)

    def set(self, pin: str, number: int) -> None:
        """Store the number of the route on which the conversation `pin` stays. 0 is the requested route, and 1 is the
        first target.
        """
        with self._lock:
            self._routes[pin] = number


def _target(given: Any) -> Target:
    if isinstance(given, Target):
        return given
    if isinstance(given, str):
        return Target(given)
    raise ValueError(
        f"Fallback({shown(given)}): pass each model id or Target as a separate argument; to pass a list, "
        "write Fallback(*targets)"
    )


def _checked(on: Any) -> dict[str, frozenset[str]]:
    words = ("any", "nowhere", *DIFFERENCES)
    if not isinstance(on, Mapping):
        raise ValueError(  # noqa: TRY004 - of an option
            f"Fallback(on={shown(on)}): pass a dictionary such as {{'throttled-*': 'model'}}. Each key is the cause of "
            "a failure; its value names what must differ in the next target"
        )
    known = {*causes(), FILTERED} if on else ()
    found = {}
    for cause, value in on.items():
        if not isinstance(cause, str) or not any(fnmatchcase(each, cause) for each in known):
            raise ValueError(
                f"Fallback(on={{{shown_name(cause, known)}: ...}}): no cause has this name; `error.cause` and "
                "`bedrock errors` show the names, and * matches any characters: 'throttled-*'"
            )
        names = (value,) if isinstance(value, str) else tuple(value)
        if not names or not set(names) <= set(words) or (len(names) > 1 and {"any", "nowhere"} & set(names)):
            raise ValueError(
                f"Fallback(on={{{cause!r}: {value!r:.60}}}): the value must be one of {', '.join(words)}, or a list of "
                f"one or more of {', '.join(DIFFERENCES)}"
            )
        found[cause] = {("any",): ANY, ("nowhere",): NOWHERE}.get(names, frozenset(names))
    return found
