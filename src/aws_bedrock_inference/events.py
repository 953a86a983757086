"""What happened to a call, as frozen records, and how to listen.

    stop = client.listen(print)     # every event, as it happens
    stop()                          # no more

A listener is called in the thread or task of the call it hears of and must be quick; what it raises is logged and
never hurts the call. Events carry routes, codes and counts, not prompts or answers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_bedrock_inference.call import Route, Usage
    from aws_bedrock_inference.fault import Fault

_log = logging.getLogger(__name__)

Listener = Callable[[object], None]


class CallEnded(NamedTuple):
    """A call is over, well (`fault` is None) or not. `seconds` covers all its attempts and waits.

    The one event of a call that goes well, so it is a named tuple: half the cost of a frozen dataclass.
    """

    operation: str
    route: Route
    fault: Fault | None
    usage: Usage | None
    attempts: int
    seconds: float


@dataclass(frozen=True, slots=True)
class RetryScheduled:
    """An attempt failed and another will follow after `wait` seconds."""

    route: Route
    fault: Fault
    attempt: int
    wait: float


@dataclass(frozen=True, slots=True)
class QuotaQueued:
    """A call waits for quota. `tokens` is what it wants to reserve, `ahead` how many wait before it."""

    route: Route
    tokens: int
    ahead: int


@dataclass(frozen=True, slots=True)
class ThrottleReceived:
    """The service said that the quota is used up, although the ledger had let the call go.

    `limit` is the dimension the service named, `cause` the one that the ledger found to be behind it. `reserved` is
    what the call wanted, `outstanding` what all calls in flight have reserved, in tokens. `used` is what the last
    minute took of that dimension, `estimate` what a minute allows, as the ledger now estimates, both of this process
    alone. `waiting` is how many calls wait and `consumers` what the last minute was used for, in tokens, both by
    priority; `advice` is what to do.
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
class StoreChanged:
    """The store that shares a quota between processes cannot be reached, or answers again. `pool` is the quota:
    account, Region, model and pool. Until it answers, calls go on with the part that this process had last.
    """

    pool: str
    available: bool
    message: str


@dataclass(frozen=True, slots=True)
class CircuitChanged:
    """A circuit opened, let a probe through, or closed. `state` is the new one: `open`, `half-open` or `closed`."""

    route: Route
    state: str


class Listeners:
    """Who wants to hear. Empty is falsy, so that an event nobody hears is not even made."""

    def __init__(self) -> None:
        self._listeners: tuple[Listener, ...] = ()

    def __bool__(self) -> bool:
        return bool(self._listeners)

    def add(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every event from now on; the returned function ends that."""
        self._listeners = (*self._listeners, listener)

        def stop() -> None:
            self._listeners = tuple(known for known in self._listeners if known is not listener)

        return stop

    def tell(self, event: object) -> None:
        """Tell everybody about `event`."""
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:  # noqa: BLE001 - a listener must never hurt the call
                _log.exception("listener %r failed on %s", listener, type(event).__name__)
