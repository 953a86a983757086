"""Functions and classes with the names that AWS's troubleshooting pages use, on top of this package's rules.

Programs written for those pages run unchanged, without their race conditions: threads that wait for tokens are served
in order of arrival, one probe at a time tests an open circuit, and a late answer of an old call cannot close the
circuit.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, Any, TypeVar

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.bounds import is_number, shown
from aws_bedrock_inference.call import Call, Outcome, Route
from aws_bedrock_inference.drivers.blocking import Driver
from aws_bedrock_inference.fault import Decision, Hint, Kind
from aws_bedrock_inference.flow import Pipeline, send
from aws_bedrock_inference.knowledge.classify import classify
from aws_bedrock_inference.policies import Retry
from aws_bedrock_inference.resilience.functions import known_fault
from aws_bedrock_inference.resilience.runtime import raisable
from aws_bedrock_inference.resilience.targets import check_result, is_async, name_of
from aws_bedrock_inference.rules.circuit import Circuit, Refusal, State, Verdict
from aws_bedrock_inference.rules.quota.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_bedrock_inference.clock import Chance, Clock
    from aws_bedrock_inference.rules.quota.ticket import Ticket

T = TypeVar("T")


def handle_aws_error(error: Any) -> str:
    """Return the decision about an error: `RETRY`, `FAIL` or `RETRY_LIMITED`."""
    return classify(error).decision.value


def is_recoverable_error(error: BaseException) -> bool:
    """Return whether a retry can help; False for an unknown error."""
    return known_fault(error).decision is not Decision.FAIL


def retry_with_exponential_backoff(
    func: Callable[[], T],
    max_retries: int = 3,
    base_delay: float = 1.0,
    max_delay: float = 60.0,
    *,
    clock: Clock = clocks.monotonic,
    sleep: Callable[[float], None] = clocks.sleep,
    chance: Chance = clocks.chance,
) -> T:
    """Call `func` until it succeeds, fails permanently, or has been retried `max_retries` times.

    The wait before the n-th retry is `base_delay` x 2^(n-1) seconds, at most `max_delay`, and up to a fifth more or
    less; longer if the service asks for it. The last exception is raised unchanged, with notes about all attempts.
    """
    for name, seconds in (("base_delay", base_delay), ("max_delay", max_delay)):
        if not is_number(seconds, least=0):
            raise ValueError(f"{name}={shown(seconds)}: give a number of seconds, 0 or more")
    if not is_number(max_retries, least=0, whole=True):
        raise ValueError(f"max_retries={shown(max_retries)}: give a whole number, 0 or more")
    if is_async(func):
        raise TypeError("func is a coroutine function; retry_with_exponential_backoff() calls and does not await it")
    hint = Hint(base=base_delay, cap=max_delay, attempts=max_retries + 1, cost=0)

    def once(_: Call) -> Outcome:
        try:
            return Outcome(value=func())
        except Exception as error:  # noqa: BLE001 - raised again at the end
            return Outcome(fault=replace(known_fault(error), hint=hint))

    route = Route(getattr(func, "__qualname__", type(func).__name__))
    call = Call(getattr(func, "__name__", "call"), {}, route)
    retry = Retry(attempts=max_retries + 1, jitter="near", chance=chance)
    outcome = Driver(once, clock=clock, sleep=sleep).run(Pipeline(retry).around(send, clock)(call))
    if outcome.fault is not None:
        raise raisable(outcome, call.operation, route)
    value: T = check_result(outcome.value, call.operation)
    return value


class TokenBucket:
    """A token bucket: it holds at most `capacity` tokens and gains `refill_rate` tokens per second.

    Any number of threads may share it. `clock` and `sleep` replace time.
    """

    def __init__(
        self,
        capacity: float,
        refill_rate: float,
        *,
        clock: Clock = clocks.monotonic,
        sleep: Callable[[float], None] = clocks.sleep,
    ) -> None:
        if not is_number(capacity, above=0) or not is_number(refill_rate, above=0):
            raise ValueError(
                f"TokenBucket(capacity={shown(capacity)}, refill_rate={shown(refill_rate)}): give two numbers above 0"
            )
        self.capacity = float(capacity)
        self.refill_rate = float(refill_rate)
        self._clock = clock
        self._sleep = sleep
        self._ledger = Ledger(rpm=None, tpm=refill_rate * 60, burst=capacity / refill_rate, windowed=False, now=clock())

    @property
    def tokens(self) -> float:
        """The number of available tokens."""
        return self._ledger.available(self._clock())

    def consume(self, tokens: float = 1.0, block: bool = True, timeout: float | None = None) -> bool:  # noqa: FBT001, FBT002 - the documented signature
        """Take `tokens`, and return whether they were taken.

        With `block`, callers wait in order of arrival, for at most `timeout` seconds; a wait that would take longer
        returns False immediately. So does a request for more tokens than the capacity.
        """
        if not is_number(tokens, least=0, infinite=True):
            raise ValueError(f"consume({shown(tokens)}): give a number of tokens, 0 or more")
        if timeout is not None and not is_number(timeout, infinite=True):
            raise ValueError(f"consume(timeout={shown(timeout)}): give a number of seconds, or None to wait as needed")
        if tokens > self.capacity:
            return False
        now = self._clock()
        latest = now + (inf if timeout is None else timeout) if block else now
        if self._ledger.earliest(tokens, now) > latest:
            return False
        ticket = self._ledger.reserve(tokens, now, now)
        try:
            return self._turn_came(ticket, latest)
        finally:
            if ticket.admitted:
                self._ledger.settle(ticket, tokens, self._clock())
            else:
                self._ledger.cancel(ticket, self._clock(), sent=False)

    def _turn_came(self, ticket: Ticket, latest: float) -> bool:
        while True:
            now = self._clock()
            due = self._ledger.claim(ticket, now)
            if ticket.admitted:
                return True
            if now >= latest:
                return False
            if due < inf:  # first in the queue: only time is missing
                self._sleep(min(due, latest) - now)
            else:
                woken = threading.Event()
                if ticket.attach(woken.set):
                    woken.wait(None if latest == inf else latest - now)


class CircuitBreakerOpenError(Exception):
    """A call refused by an open circuit. Nothing was called; try again after `retry_after` seconds."""

    def __init__(self, message: str = "Circuit breaker is open", retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class BreakerState(str):
    """`closed`, `open` or `half-open`; equal to the same word in capitals, or with an underscore."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and _plain(self) == _plain(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(_plain(self))


class CircuitBreaker:
    """A circuit breaker that refuses calls after repeated failures and tests the target later.

    After `failure_threshold` failures within `failure_window` seconds the circuit opens: `execute` raises
    `CircuitBreakerOpenError`. `recovery_timeout` seconds later it admits one call; if that succeeds, the circuit
    closes. Mistakes of the caller (bad input, no permission, not found) do not count. `timeout` is another name of
    `recovery_timeout`. `retry_timeout` is accepted and stored because the page has it, but it has no effect. `clock`
    replaces time.
    """

    CLOSED = BreakerState("closed")
    OPEN = BreakerState("open")
    HALF_OPEN = BreakerState("half-open")

    def __init__(
        self,
        failure_threshold: int = 5,
        recovery_timeout: float = 30.0,
        retry_timeout: float = 60.0,
        failure_window: float = 60.0,
        *,
        timeout: float | None = None,
        clock: Clock = clocks.monotonic,
    ) -> None:
        self.failure_threshold = failure_threshold
        self.recovery_timeout = recovery_timeout if timeout is None else timeout
        self.retry_timeout = retry_timeout
        self.failure_window = failure_window
        sane = (
            is_number(failure_threshold, least=1, whole=True)
            and is_number(self.recovery_timeout, least=0)
            and is_number(failure_window, above=0)
        )
        if not sane:
            raise ValueError(
                "CircuitBreaker: failure_threshold is 1 or more, recovery_timeout 0 or more and failure_window above "
                f"0 seconds; got {shown(failure_threshold)}, {shown(self.recovery_timeout)}, {shown(failure_window)}"
            )
        self._clock = clock
        self._circuit = Circuit(
            failures=failure_threshold,
            ratio=_ANY_SHARE,
            window=failure_window,
            recovery=self.recovery_timeout,
            probes=1,
        )

    @property
    def state(self) -> BreakerState:
        """`CLOSED`, `OPEN` or `HALF_OPEN`."""
        return BreakerState(self._circuit.state.value)

    @property
    def failure_count(self) -> int:
        """The number of failures within the window; while the circuit is not closed, the number that opened it."""
        if self._circuit.state is not State.CLOSED:
            return self.failure_threshold
        return self._circuit.failed(self._clock())

    def execute(self, func: Callable[..., T], *args: Any, **options: Any) -> T:
        """Call `func` and return its result; its exceptions are raised unchanged."""
        if is_async(func):
            raise TypeError("func is a coroutine function; execute() calls and does not await it")
        ticket = self._circuit.admit(self._clock())
        if isinstance(ticket, Refusal):
            raise CircuitBreakerOpenError(retry_after=ticket.wait)
        verdict = Verdict.IGNORED
        try:
            value: T = check_result(func(*args, **options), name_of(func))
            verdict = Verdict.OK
        except Exception as error:
            verdict = Verdict.IGNORED if known_fault(error).kind in _CALLERS_OWN else Verdict.FAILED
            raise
        finally:
            self._circuit.report(ticket, verdict, self._clock())
        return value

    call = execute


# The pages count failures only, however many calls succeed.
_ANY_SHARE = 1e-9

_CALLERS_OWN = frozenset({Kind.INVALID, Kind.DENIED, Kind.NOT_FOUND})


def _plain(state: str) -> str:
    return state.lower().replace("_", "-")
