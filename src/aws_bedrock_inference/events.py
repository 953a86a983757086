"""Events about calls, as frozen records, and the listeners that receive them.

    stop = client.listen(print)     # receive every event
    stop()                          # receive no more events

A listener runs in the thread or task of the call, so it must be quick. An exception of a listener is logged and does
not affect the call. Events contain routes, codes, counts, and the names that programs give (tenants, contexts), never
prompts or answers. Only `listen(listener, attempts=True)` receives the beginning of each call and its attempts; all
events of one call then have its number, `call_id`, which is 0 otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from aws_bedrock_inference.dialects.tier import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_bedrock_inference.call import Route, Usage
    from aws_bedrock_inference.contexts import Context
    from aws_bedrock_inference.fault import Fault
    from aws_bedrock_inference.made import FilteredContent


@dataclass(frozen=True, slots=True)
class Event:
    """The base of the events that are not part of every call, with the call's number, 0 if unknown, and its context."""

    call_id: int = field(default=0, kw_only=True, repr=False, compare=False)
    context: Context = field(default=(), kw_only=True, repr=False, compare=False)


class CallStarted(NamedTuple):
    """A call begins. `tenant` is empty if the call named none; `streams` says that its caller reads the answer piece
    by piece, perhaps in another thread or task. The events of every call are named tuples: half a dataclass's cost.
    """

    operation: str
    route: Route
    tenant: str = ""
    priority: float = 1.0
    streams: bool = False
    call_id: int = 0
    context: Context = ()


class AttemptStarted(NamedTuple):
    """A request of a call is sent now, after all waits. `attempt` is its number in the call, from 1."""

    operation: str
    route: Route
    attempt: int = 0
    call_id: int = 0


class AttemptEnded(NamedTuple):
    """A request was answered, or failed with `fault`. `seconds` is the time since it was sent; of a stream that is
    handed over it includes the time that the consumer takes. `first_content` is the time until the first content of a
    stream, None for other answers. An attempt that the program interrupts has no end: that of its call follows.
    """

    operation: str
    route: Route
    fault: Fault | None
    usage: Usage | None
    seconds: float
    first_content: float | None = None
    request_id: str = ""
    attempt: int = 0
    call_id: int = 0


class CallEnded(NamedTuple):
    """A call ended, successfully (`fault` is None) or not. `seconds` includes all attempts and waits. `route` is the
    one that answered, or whose fault it is. `tenant` is empty if the call named none. `tier` is the service tier that
    answered, `stop` the reason why the model stopped, as far as the answer says so outside of a body that is not read.
    """

    operation: str
    route: Route
    fault: Fault | None
    usage: Usage | None
    attempts: int
    seconds: float
    tenant: str = ""
    tier: str = DEFAULT
    stop: str = ""
    call_id: int = 0
    context: Context = ()

    @property
    def cost(self) -> float | None:
        """The cost of the usage in US dollars; None if the usage or the price is not known. It is looked up now."""
        from aws_bedrock_inference.pricing import cost_of  # noqa: PLC0415 - who asks for no cost loads no prices

        if not self.attempts or self.operation == "count_tokens":  # which AWS does not charge
            return 0.0
        return cost_of(self.usage, self.route, self.tier)


@dataclass(frozen=True, slots=True)
class RetryScheduled(Event):
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
class StreamResumed(Event):
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
class ContentFiltered(Event):
    """The content of a call was filtered, and the policy `Filtered` put a message in its place (`replaced`), or raised
    an exception. Answers that are returned as they are have no event.
    """

    route: Route
    filtered: FilteredContent
    replaced: bool


@dataclass(frozen=True, slots=True)
class AnswerDegraded(Event):
    """A call failed because of `fault`, after `attempts` requests, and a substitute was answered in its place."""

    route: Route
    fault: Fault
    attempts: int


@dataclass(frozen=True, slots=True)
class QuotaQueued(Event):
    """A call waits for quota. `tokens` is its reservation, `ahead` the number of calls that go before it."""

    route: Route
    tokens: int
    ahead: int
    tenant: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrottleReceived(Event):
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
class BurndownChanged(Event):
    """An output token of a model counts as `burndown` tokens of the quota from now on, where the table says `table`,
    until it is changed again. `reason` says in words why.
    """

    route: Route
    burndown: float
    table: float
    reason: str


@dataclass(frozen=True, slots=True)
class StoreChanged(Event):
    """The store that shares a quota between processes became unavailable, or available again. `pool` names the quota:
    account, Region, model and pool. While the store is unavailable, this process uses its last share, or a part of the
    quota that leaves room for the other members.
    """

    pool: str
    available: bool
    message: str


@dataclass(frozen=True, slots=True)
class AnswerCached(Event):
    """A call was answered from a cache, `age` seconds after the answer was given. `fault` is None, or the failure of
    this call in whose place the answer was given although it had expired.
    """

    route: Route
    age: float
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class CacheStoreChanged(Event):
    """The store of a cache, at `place`, became unavailable, or available again. Calls are made without it meanwhile."""

    place: str
    available: bool
    message: str


@dataclass(frozen=True, slots=True)
class DeadLetterKept(Event):
    """A call failed for good because of `fault`, and is kept as dead letter `letter_id`."""

    route: Route
    fault: Fault
    letter_id: str


@dataclass(frozen=True, slots=True)
class DeadLetterLost(Event):
    """A call failed for good because of `fault`, and the store at `place` could not keep it; `message` says why."""

    route: Route
    fault: Fault
    place: str
    message: str


@dataclass(frozen=True, slots=True)
class CircuitChanged(Event):
    """A circuit opened, sent a probe, or closed. `state` is its new state: `open`, `half-open` or `closed`."""

    route: Route
    state: str


@dataclass(frozen=True, slots=True)
class ReadinessAwaited(Event):
    """`wait_until_ready` found that the model cannot be called yet, because of `fault`. It has waited `waited` seconds
    and asks again after `wait`.
    """

    route: Route
    fault: Fault
    waited: float
    wait: float


@dataclass(frozen=True, slots=True)
class ProfileChosen(Event):
    """The service takes no on-demand calls of the route's model; they go through inference profile `profile` from now
    on. Its calls may be answered in other Regions of the geography.
    """

    route: Route
    profile: str


@dataclass(frozen=True, slots=True)
class FellBack(Event):
    """A call left `route` after `attempts` requests there, because of `fault`, and goes on at `to`. `total` is the
    number of requests on all routes so far.
    """

    route: Route
    to: Route
    fault: Fault
    attempts: int
    total: int


@dataclass(frozen=True, slots=True)
class RouteHealthChanged(Event):
    """A route of a `Fallback` takes no calls but probes now (`resting`), or its share again: `share` of the calls."""

    route: Route
    resting: bool
    share: float
