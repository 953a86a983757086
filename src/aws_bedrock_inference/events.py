"""Events about calls, as frozen records, and the listeners that receive them.

    stop = client.listen(print)     # receive every event
    stop()                          # receive no more events

A listener runs in the thread or task of the call, so it must be quick. An exception of a listener is logged and does
not affect the call. Events contain routes, codes, counts and the names of tenants, never prompts or answers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from aws_bedrock_inference.dialects.tier import DEFAULT, tier_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_bedrock_inference.call import Call, Outcome, Route, Usage
    from aws_bedrock_inference.fault import Fault
    from aws_bedrock_inference.made import FilteredContent

_log = logging.getLogger(__name__)

Listener = Callable[[object], None]


class CallEnded(NamedTuple):
    """A call ended, successfully (`fault` is None) or not. `seconds` includes all attempts and waits. `route` is the
    one that answered, or whose fault it is. `tenant` is empty if the call named none. `tier` is the service tier that
    answered.

    It is the only event of a successful call, so it is a named tuple: half the cost of a frozen dataclass.
    """

    operation: str
    route: Route
    fault: Fault | None
    usage: Usage | None
    attempts: int
    seconds: float
    tenant: str = ""
    tier: str = DEFAULT

    @property
    def cost(self) -> float | None:
        """The cost of the usage in US dollars; None if the usage or the price is not known. It is looked up now."""
        from aws_bedrock_inference.pricing import cost_of  # noqa: PLC0415 - who asks for no cost loads no prices

        if not self.attempts or self.operation == "count_tokens":  # which AWS does not charge
            return 0.0
        return cost_of(self.usage, self.route, self.tier)


@dataclass(frozen=True, slots=True)
class RetryScheduled:
    """An attempt failed, and the next one follows after `wait` seconds. `attempt` is the number of the failed
    attempt. `tokens` is what that one may have been charged, at most, if the service was already at work on it: a
    repeat pays a second time.
    """

    route: Route
    fault: Fault
    attempt: int
    wait: float
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class StreamResumed:
    """A stream broke after `received` characters of its text, and another request follows for the rest (`how` is
    `prefill` or `turn`), or for the whole answer anew (`restart`), after `wait` seconds. `tokens` is what the part that
    broke was charged, roughly.
    """

    route: Route
    fault: Fault
    how: str
    received: int
    wait: float
    tokens: int


@dataclass(frozen=True, slots=True)
class ContentFiltered:
    """The content of a call was filtered, and the policy `Filtered` put a message in its place (`replaced`), or raised
    an exception. Answers that are returned as they are have no event.
    """

    route: Route
    filtered: FilteredContent
    replaced: bool


@dataclass(frozen=True, slots=True)
class AnswerDegraded:
    """A call failed because of `fault`, after `attempts` requests, and a substitute was answered in its place."""

    route: Route
    fault: Fault
    attempts: int


@dataclass(frozen=True, slots=True)
class QuotaQueued:
    """A call waits for quota. `tokens` is its reservation, `ahead` the number of calls that go before it; `tenant` is
    empty if it named none.
    """

    route: Route
    tokens: int
    ahead: int
    tenant: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrottleReceived:
    """The service throttled a call that the ledger had admitted.

    `limit` is the dimension that the service named, `cause` the one that the ledger considers exhausted. `reserved` is
    the call's reservation, `outstanding` the reservations of all calls in flight, in tokens. `used` is the use of that
    dimension in the last minute, `estimate` the new estimated limit per minute, both for this process alone. `waiting`
    is the number of waiting calls and `consumers` the use of the last minute in tokens, both by priority. `advice` is
    the recommended action.
    """

    route: Route
    limit: str | None
    reserved: int
    cause: str = ""
    outstanding: int = 0
    used: int = 0
    estimate: float = inf
    waiting: Mapping[float, int] = field(default_factory=dict)
    consumers: Mapping[float, int] = field(default_factory=dict)
    advice: str = ""


@dataclass(frozen=True, slots=True)
class BurndownChanged:
    """An output token of a model counts as `burndown` tokens of the quota from now on, where the table says `table`,
    until it is changed again. `reason` says in words why.
    """

    route: Route
    burndown: float
    table: float
    reason: str


@dataclass(frozen=True, slots=True)
class StoreChanged:
    """The store that shares a quota between processes became unavailable, or available again. `pool` names the quota:
    account, Region, model and pool. While the store is unavailable, this process uses its last share, or a part of the
    quota that leaves room for the other members.
    """

    pool: str
    available: bool
    message: str


@dataclass(frozen=True, slots=True)
class AnswerCached:
    """A call was answered from a cache, `age` seconds after the answer was given. `fault` is None, or the failure of
    this call in whose place the answer was given although it had expired.
    """

    route: Route
    age: float
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class CacheStoreChanged:
    """The store of a cache, at `place`, became unavailable, or available again. Meanwhile calls are made as if there
    were no cache.
    """

    place: str
    available: bool
    message: str


@dataclass(frozen=True, slots=True)
class DeadLetterKept:
    """A call failed for good because of `fault`, and is kept as dead letter `letter_id`."""

    route: Route
    fault: Fault
    letter_id: str


@dataclass(frozen=True, slots=True)
class DeadLetterLost:
    """A call failed for good because of `fault`, and the store at `place` could not keep it; `message` says why. The
    call's own exception is raised all the same.
    """

    route: Route
    fault: Fault
    place: str
    message: str


@dataclass(frozen=True, slots=True)
class CircuitChanged:
    """A circuit opened, sent a probe, or closed. `state` is its new state: `open`, `half-open` or `closed`."""

    route: Route
    state: str


@dataclass(frozen=True, slots=True)
class ReadinessAwaited:
    """`wait_until_ready` found that the model cannot be called yet, because of `fault`. It has waited `waited` seconds
    and asks again after `wait`.
    """

    route: Route
    fault: Fault
    waited: float
    wait: float


@dataclass(frozen=True, slots=True)
class ProfileChosen:
    """The service takes no on-demand calls of the route's model; they go through inference profile `profile` from now
    on. Its calls may be answered in other Regions of the geography.
    """

    route: Route
    profile: str


@dataclass(frozen=True, slots=True)
class FellBack:
    """A call left `route` after `attempts` requests there, because of `fault`, and goes on at `to`. `total` is the
    number of requests on all routes so far.
    """

    route: Route
    to: Route
    fault: Fault
    attempts: int
    total: int


@dataclass(frozen=True, slots=True)
class RouteHealthChanged:
    """A route of a `Fallback` takes no calls but probes from now on (`resting`), or takes its share again. `share` is
    the part of the calls that it gets.
    """

    route: Route
    resting: bool
    share: float


@dataclass(frozen=True, slots=True)
class JobCreated:
    """A batch job was created, or found: `adopted` says that one with the same content was there already."""

    job_id: str
    name: str
    adopted: bool


@dataclass(frozen=True, slots=True)
class JobProgressed:
    """A batch job that is waited for has another status or other counts than before. `status` is the documents' word,
    `aws_status` AWS's; `waited` are the seconds since the wait began.
    """

    job_id: str
    status: str
    aws_status: str
    processed: int
    total: int
    failed: int
    waited: float = 0.0


@dataclass(frozen=True, slots=True)
class JobPollFailed:
    """The status of a batch job could not be asked, because of `fault`. It is asked again after `wait` seconds."""

    job_id: str
    fault: Fault
    wait: float


class Listeners:
    """The listeners of one client. `added` are those that were added; without them the event of a successful call need
    not be created. `always` are called with every other event, too, before the others.
    """

    def __init__(self, *always: Listener) -> None:
        self._always = always
        self.added: tuple[Listener, ...] = ()

    def add(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every event from now on; the returned function removes the listener."""
        self.added = (*self.added, listener)

        def stop() -> None:
            self.added = tuple(known for known in self.added if known is not listener)

        return stop

    def call_ended(self, call: Call, outcome: Outcome, now: float) -> None:
        """Emit the end of `call`."""
        seconds = now - call.arrived
        attempts, usage = outcome.attempts, outcome.usage
        tier = DEFAULT if usage is None else tier_of(call.params, outcome.value)  # other values may be anybody's
        route = outcome.made.route or call.route
        ended = CallEnded(call.operation, route, outcome.fault, usage, attempts, seconds, call.tenant, tier)
        self.notify(ended)

    def notify(self, event: object) -> None:
        """Pass `event` to all listeners."""
        for listener in (*self._always, *self.added):
            try:
                listener(event)
            except Exception:  # noqa: BLE001 - a listener must never hurt the call
                _log.exception("listener %s failed on %s", _name(listener), type(event).__name__)


def _name(listener: Listener) -> str:
    """Return a listener's name; its repr may hold what the user bound to it."""
    name: str = getattr(listener, "__qualname__", type(listener).__qualname__)
    return name
