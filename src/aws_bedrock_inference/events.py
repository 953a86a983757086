"""Events about calls, as frozen records, and the listeners that receive them.

    stop = client.listen(print)     # receive every event
    stop()                          # receive no more events

A listener runs in the thread or task of the call, so it must return quickly. An exception in a listener is logged and
does not affect the call. Events contain routes, codes, counts, and names that the program sets (tenants, contexts).
They never contain prompts or answers. Only a listener added with `listen(listener, attempts=True)` receives the start
of each call and each attempt. If there is such a listener, all events of one call carry the same number, `call_id`;
otherwise `call_id` is 0.
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
    """The base class of most events. `call_id` is the number of the call, or 0 if it is unknown. `context` is the
    caller's context.

    Events that every call emits, such as `CallEnded`, are named tuples instead, because a dataclass takes twice as long
    to create.
    """

    call_id: int = field(default=0, kw_only=True, repr=False, compare=False)
    context: Context = field(default=(), kw_only=True, repr=False, compare=False)


class CallStarted(NamedTuple):
    """A call starts. `tenant` is empty if the call has no tenant. `streams` is True if the caller reads the answer
    piece by piece, possibly in another thread or task.
    """

    operation: str
    route: Route
    tenant: str = ""
    priority: float = 1.0
    streams: bool = False
    call_id: int = 0
    context: Context = ()


class AttemptStarted(NamedTuple):
    """A request of a call is sent now, after all waits. `attempt` is the number of the attempt in the call; the first
    attempt has the number 1.
    """

    operation: str
    route: Route
    attempt: int = 0
    call_id: int = 0


class AttemptEnded(NamedTuple):
    """A request received its complete answer, or failed with `fault`.

    * `seconds`: the time since the request was sent. If the caller reads the answer as a stream, this includes the time
      that the caller needs to process the events.
    * `first_content`: the seconds from the request to the first content of a stream; None for other answers.

    If the program interrupts an attempt, this event is not emitted; the next event is the end of the call.
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
    """A call ended. `fault` is None if the call succeeded. `seconds` includes all attempts and waits. `route` is the
    route that answered or that failed. `tenant` is empty if the call has no tenant. `tier` is the service tier that
    answered. `stop` is the reason why the model stopped. `stop` is empty if only the response body of InvokeModel
    contains the reason, because this package does not read that body.
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
        """The cost of the usage in US dollars, or None if the usage or the price is unknown. It is calculated only
        when this property is read.
        """
        from aws_bedrock_inference.pricing import cost_of  # noqa: PLC0415 - prices are loaded only for callers that read a cost

        if not self.attempts or self.operation == "count_tokens":  # which AWS does not charge
            return 0.0
        return cost_of(self.usage, self.route, self.tier)


@dataclass(frozen=True, slots=True)
class RetryScheduled(Event):
    """An attempt failed, and the next attempt follows after `wait` seconds. `attempt` is the number of the failed
    attempt. If the service had already started to process the failed attempt, AWS may have charged up to `tokens`
    tokens for it. The next attempt is charged separately.
    """

    route: Route
    fault: Fault
    attempt: int
    wait: float
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class StreamResumed(Event):
    """A stream broke after `received` characters of its text. After `wait` seconds, the client sends another request.
    `how` is what this request contains: the received text as the beginning of the answer (`prefill`), a user message
    that requests the rest (`turn`), or the original request (`restart`). `tokens` is the approximate number of output
    tokens that AWS charged for the received part.
    """

    route: Route
    fault: Fault
    how: str
    received: int
    wait: float
    tokens: int


@dataclass(frozen=True, slots=True)
class ContentFiltered(Event):
    """The content of a call was filtered. The policy `Filtered` either returned the program's own message instead of
    the answer (`replaced` is True), or raised an exception (`replaced` is False). If the policy returns a filtered
    answer unchanged, it emits no event.
    """

    route: Route
    filtered: FilteredContent
    replaced: bool


@dataclass(frozen=True, slots=True)
class AnswerDegraded(Event):
    """A call failed because of `fault` after `attempts` requests, and a substitute was returned instead of an
    exception.
    """

    route: Route
    fault: Fault
    attempts: int


@dataclass(frozen=True, slots=True)
class QuotaQueued(Event):
    """A call waits for quota. `tokens` is the number of tokens that the call reserves, and `ahead` is the number of
    calls in front of it in the queue.
    """

    route: Route
    tokens: int
    ahead: int
    tenant: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrottleReceived(Event):
    """The service throttled a call that this process's quota policy had admitted. All numbers count only the calls of
    this process.

    * `limit`: the limit that the service named: `requests`, `tokens`, `tokens-per-day`, or None.
    * `cause`: the exhausted limit. If `limit` is None, `cause` is the limit of which the largest fraction was
      used.
    * `reserved`: the number of tokens that this call had reserved.
    * `outstanding`: the number of tokens that all calls in flight have reserved.
    * `used`: the number of requests in the last minute if `cause` is `requests`; otherwise the number of tokens used in
      the last minute.
    * `estimate`: the estimated limit after this throttle, in requests per minute if `cause` is `requests`, otherwise in
      tokens per minute.
    * `waiting`: for each priority, the number of waiting calls.
    * `consumers`: for each priority, the number of tokens that its calls used in the last minute.
    * `advice`: the recommended action.
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
    """From now on, each output token of a model uses `burndown` tokens of the quota. For comparison, `table` is the
    burndown of this model in the package's table of models. `reason` explains the change in words.
    """

    route: Route
    burndown: float
    table: float
    reason: str


@dataclass(frozen=True, slots=True)
class StoreChanged(Event):
    """The store that shares a quota between processes became unavailable, or available again. `pool` is the name of the
    shared quota: account, Region, model and quota pool, joined by `|`. `message` is the reason for the change.

    The store assigns a share of the quota to each process. While the store is unavailable, this process continues to
    use its share, which expires after a few seconds. Then the process uses the quota divided by the last known number
    of processes, but at most its expired share. For example, 4 processes share a quota of 1,000 requests per minute.
    This process then uses 250 requests per minute, or 200 if its share was 200. A process that never reached the store
    uses a tenth of the quota.
    """

    pool: str
    available: bool
    message: str


@dataclass(frozen=True, slots=True)
class AnswerCached(Event):
    """A call was answered from a cache, which contains earlier answers. The returned answer is `age` seconds old. If
    `fault` is not None, the call failed with `fault`, and an expired answer was returned instead of the exception.
    """

    route: Route
    age: float
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class CacheStoreChanged(Event):
    """The store of a cache became unavailable, or available again. `place` names the store. While the store is
    unavailable, calls are sent without the cache.
    """

    place: str
    available: bool
    message: str


@dataclass(frozen=True, slots=True)
class DeadLetterKept(Event):
    """A call failed permanently because of `fault`. The call is stored as the dead letter `letter_id`."""

    route: Route
    fault: Fault
    letter_id: str


@dataclass(frozen=True, slots=True)
class DeadLetterLost(Event):
    """A call failed permanently because of `fault`, but the store at `place` could not store it as a dead letter.
    `message` is the reason why the store failed.
    """

    route: Route
    fault: Fault
    place: str
    message: str


@dataclass(frozen=True, slots=True)
class CircuitChanged(Event):
    """A circuit opened (it refuses all calls), became half-open (it sends a test call) or closed. `state` is the new
    state: `open`, `half-open` or `closed`.
    """

    route: Route
    state: str


@dataclass(frozen=True, slots=True)
class ReadinessAwaited(Event):
    """`wait_until_ready` found that the model cannot be called yet, because of `fault`. The method has waited
    `waited` seconds so far, and sends the next request after `wait` seconds.
    """

    route: Route
    fault: Fault
    waited: float
    wait: float


@dataclass(frozen=True, slots=True)
class ProfileChosen(Event):
    """The service does not accept on-demand calls for the route's model. From now on, the calls go through the
    inference profile `profile`. They may be answered in other Regions of the profile's geography.
    """

    route: Route
    profile: str


@dataclass(frozen=True, slots=True)
class FellBack(Event):
    """A call left `route` because of `fault`, and continues on route `to`. `attempts` is the number of requests on
    `route`, and `total` is the number of requests on all routes so far.
    """

    route: Route
    to: Route
    fault: Fault
    attempts: int
    total: int


@dataclass(frozen=True, slots=True)
class RouteHealthChanged(Event):
    """A route of a `Fallback` now receives a different fraction of the calls. If `resting` is True, the route now
    receives only calls that test it (probes). If `resting` is False, the route again receives the fraction `share` of
    the calls.
    """

    route: Route
    resting: bool
    share: float


@dataclass(frozen=True, slots=True)
class JobCreated(Event):
    """A batch job was created. `adopted` is True if a job with the same content already existed. This process then uses
    the existing job.
    """

    job_id: str
    name: str
    adopted: bool


@dataclass(frozen=True, slots=True)
class JobProgressed(Event):
    """A batch job for which this process waits has a new status or new numbers of records.

    * `status`: the status, such as `COMPLETED` or `FAILED`.
    * `aws_status`: the status that the API returned. For example, if the API returned `Expired`, `status` is `FAILED`.
    * `total`: the number of all records in the job.
    * `processed`: the number of processed records.
    * `failed`: the number of failed records.
    * `waited`: the number of seconds since this process began to wait.
    """

    job_id: str
    status: str
    aws_status: str
    processed: int
    total: int
    failed: int
    waited: float = 0.0


@dataclass(frozen=True, slots=True)
class JobPollFailed(Event):
    """The status of a batch job could not be read because of `fault`. This process reads the status again after
    `wait` seconds.
    """

    job_id: str
    fault: Fault
    wait: float
