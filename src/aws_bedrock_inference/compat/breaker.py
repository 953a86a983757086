"""The class `CircuitBreaker`. Two AWS troubleshooting pages contain a class with this name, with different rules. The
method `execute` follows the rules of one page, and `call` follows the rules of the other.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.bounds import is_number, shown
from aws_bedrock_inference.fault import Kind
from aws_bedrock_inference.forks import renew_after_fork
from aws_bedrock_inference.resilience.functions import known_fault
from aws_bedrock_inference.resilience.targets import check_result, is_async, name_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_bedrock_inference.clock import Clock

T = TypeVar("T")

# The default waits of the two pages, in seconds. A program that passes no wait gets this object as `recovery_timeout`;
# `call` then uses the wait of its own page. A wait that the program passes applies to both methods.
_EXECUTE_WAITS = 30.0
_CALL_WAITS = 60.0

_CALLERS_OWN = frozenset({Kind.INVALID, Kind.DENIED, Kind.NOT_FOUND})


class CircuitBreakerOpenError(Exception):
    """Raised for a call that an open circuit refused. `func` was not called. Retry after `retry_after` seconds."""

    def __init__(self, message: str = "Circuit breaker is open", retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class BreakerState(str):
    """The state of a circuit breaker: `closed`, `open` or `half-open`. The operator `==` ignores capitals and treats
    `half_open` and `half-open` as equal. A dictionary or set finds a state only in its exact spelling.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and _plain(self) == _plain(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


class _Rule(NamedTuple):
    """The rules of one method: `execute` or `call`. `wait` is the time in seconds from the opening of the circuit to
    the test call. `refusal` is the message of the exception for a refused call. `passed` records a success, and
    `failed` records a failure.
    """

    wait: float
    refusal: str
    passed: Callable[[], None]
    failed: Callable[[], None]


class CircuitBreaker:
    """A circuit breaker that refuses calls after repeated failures and tests the target later.

    | | `execute(func)` | `call(func)` |
    |---|---|---|
    | opens after | `failure_threshold` failures within `failure_window` | `failure_threshold` consecutive failures |
    | tests the target after | `recovery_timeout`, 30 s | `timeout`, 60 s |
    | refuses with | "Circuit breaker is open" | "Circuit breaker is OPEN" |

    While the circuit is open, both methods raise `CircuitBreakerOpenError`. After the wait they admit one call as a
    test. If the test succeeds, the circuit closes. Mistakes of the caller (bad input, no permission, not found) are
    not counted as failures.

    If a program passes `timeout` or `recovery_timeout` to the constructor, this wait applies to both methods instead of
    30 s and 60 s. `retry_timeout` has no effect; it is accepted because a class on AWS's pages has this parameter.
    Tests can replace the monotonic clock (`clock`) and the clock for the time of day (`wall`). The time of day is used
    for `last_failure_time` and `last_retry_time`.

    The method `call` calls `on_success` and `on_failure`, which a subclass can extend or replace. A program can set
    `state`, `failure_count`, `last_failure_time`, and the numbers that were passed to the constructor, at any time.
    After the method `call`, `state` is in capitals, such as `CLOSED`. After `execute`, it is `closed`. Each AWS page
    uses one of these spellings.
    """

    CLOSED = BreakerState("closed")
    OPEN = BreakerState("open")
    HALF_OPEN = BreakerState("half-open")

    def __init__(
        self,
        failure_threshold: int = 5,
        recovery_timeout: float = _EXECUTE_WAITS,
        retry_timeout: float = 60.0,
        failure_window: float = 60.0,
        *,
        timeout: float | None = None,
        clock: Clock = clocks.monotonic,
        wall: Clock = clocks.wall,
    ) -> None:
        given = recovery_timeout is not _EXECUTE_WAITS
        self.failure_threshold = failure_threshold
        self.recovery_timeout = recovery_timeout if timeout is None else timeout
        self.timeout = self.recovery_timeout if given or timeout is not None else _CALL_WAITS
        self.retry_timeout = retry_timeout
        self.failure_window = failure_window
        sane = (
            is_number(failure_threshold, least=1, whole=True)
            and is_number(self.recovery_timeout, least=0)
            and is_number(failure_window, above=0)
        )
        if not sane:
            raise ValueError(
                "CircuitBreaker: failure_threshold must be 1 or more, recovery_timeout 0 seconds or more, and "
                "failure_window above 0 seconds; the values are "
                f"{shown(failure_threshold)}, {shown(self.recovery_timeout)}, {shown(failure_window)}"
            )
        self.last_retry_time = 0.0
        self.lock = threading.RLock()
        self._clock = clock
        self._wall = wall
        self._state = self.CLOSED
        self._capitals = timeout is not None
        self._failures: deque[float] = deque()
        self._last_failure = 0.0
        self._opened = 0.0
        self._generation = 0
        renew_after_fork(self)

    def after_fork(self) -> None:
        """In a forked child, keep the state that the parent had at the fork. A call that began before the fork does not
        change the state in the child.
        """
        self.lock = threading.RLock()
        self._generation += 1

    @property
    def state(self) -> str:
        """The state: `closed`, `open` or `half-open`. A program can set the state. If it sets `open`, calls are refused
        until the usual wait is over. If it sets `half-open`, the next call tests the target.
        """
        return BreakerState(self._state.upper().replace("-", "_")) if self._capitals else self._state

    @state.setter
    def state(self, word: str) -> None:
        state = next((state for state in (self.CLOSED, self.OPEN, self.HALF_OPEN) if state == word), None)
        if state is None:
            raise ValueError(f"CircuitBreaker.state = {shown(word)}: set CLOSED, OPEN or HALF_OPEN")
        with self.lock:
            self._opened = self._clock() if state == self.OPEN else -inf
            self._change(state)

    @property
    def failure_count(self) -> int:
        """The number of counted failures, at most `failure_threshold`. While the circuit is closed, each failure in
        `execute` first removes the failures that are older than `failure_window`.
        """
        return len(self._failures)

    @failure_count.setter
    def failure_count(self, number: int) -> None:
        if not is_number(number, least=0, whole=True):
            raise ValueError(f"CircuitBreaker.failure_count = {shown(number)}: set a whole number, 0 or more")
        with self.lock:
            now = self._clock()
            while len(self._failures) > number:
                self._failures.popleft()
            self._failures.extend([now] * (min(number, self.failure_threshold) - len(self._failures)))

    @property
    def last_failure_time(self) -> float:
        """The time of day of the last failure, or 0 before the first failure. If a program sets this time, an open
        circuit measures its wait from the new time.
        """
        return self._last_failure

    @last_failure_time.setter
    def last_failure_time(self, wall: float | None) -> None:
        if wall is not None and not is_number(wall):
            raise ValueError(
                f"CircuitBreaker.last_failure_time = {shown(wall)}: set seconds since 1970, as time.time() returns"
            )
        with self.lock:
            self._last_failure = wall or 0.0
            self._opened = self._clock() - (self._wall() - self._last_failure)
            self._failures = deque(min(failure, self._opened) for failure in self._failures)

    def execute(self, func: Callable[..., T], *args: Any, **options: Any) -> T:
        """Call `func` and return its result. An exception of `func` is raised unchanged. `failure_threshold` failures
        within `failure_window` seconds open the circuit.
        """
        self._capitals = False
        rule = _Rule(self.recovery_timeout, "Circuit breaker is open", self._passed, self._failed)
        return self._guarded(rule, func, args, options)

    def call(self, func: Callable[..., T], *args: Any, **options: Any) -> T:
        """Call `func` and return its result. An exception of `func` is raised unchanged. `failure_threshold`
        consecutive failures open the circuit.
        """
        self._capitals = True
        rule = _Rule(self.timeout, "Circuit breaker is OPEN", self.on_success, self.on_failure)
        return self._guarded(rule, func, args, options)

    def on_success(self) -> None:
        """Forget the failures and close the circuit."""
        self._close()

    def on_failure(self) -> None:
        """Count a failure, and open the circuit if the threshold is reached."""
        self._count()

    def _passed(self) -> None:
        if self._state == self.HALF_OPEN:
            self._close()

    def _failed(self) -> None:
        self._clear_old_failures()
        self._count()

    def _close(self) -> None:
        with self.lock:
            self._failures.clear()
            self._change(self.CLOSED)

    def _clear_old_failures(self) -> None:
        """Forget the failures that are older than `failure_window`, but only while the circuit is closed."""
        with self.lock:
            since = self._clock() - self.failure_window
            while self._failures and self._failures[0] < since and self._state == self.CLOSED:
                self._failures.popleft()

    def _count(self) -> None:
        with self.lock:
            now = self._clock()
            while len(self._failures) >= self.failure_threshold:
                self._failures.popleft()
            self._failures.append(now)
            self._last_failure = self._wall()
            if self._state == self.HALF_OPEN or len(self._failures) >= self.failure_threshold:
                self._opened = now
                self._change(self.OPEN)

    def _guarded(self, rule: _Rule, func: Callable[..., T], args: tuple[Any, ...], options: dict[str, Any]) -> T:
        if is_async(func):
            raise TypeError(
                "func is a coroutine function, which this circuit breaker cannot await; pass a function without async"
            )
        generation, handled = self._admit(rule), sys.exception()
        try:
            value: T = check_result(func(*args, **options), name_of(func))
        except Exception as error:
            self._report(
                generation, self._test_again if known_fault(error, handled).kind in _CALLERS_OWN else rule.failed
            )
            raise
        except BaseException:
            self._report(generation, self._test_again)
            raise
        self._report(generation, rule.passed)
        return value

    def _admit(self, rule: _Rule) -> int:
        """Admit a call, or raise `CircuitBreakerOpenError`. A closed circuit admits every call. An open or half-open
        circuit admits one call every `rule.wait` seconds, as a test.

        Return the number of state changes so far. When the call ends, `_report` reads the number again. If the number
        is different, the state changed during the call, and `_report` ignores the result of the call.
        """
        with self.lock:
            if self._state != self.CLOSED:
                left = self._opened + rule.wait - self._clock()
                if left > 0:
                    raise CircuitBreakerOpenError(rule.refusal, retry_after=left)
                self._opened = self._clock()
                self.last_retry_time = self._wall()
                self._change(self.HALF_OPEN)
            return self._generation

    def _test_again(self) -> None:
        """Let the next call test the target again. The last test ended with a mistake of the caller or an interrupt, so
        it did not show whether the target works.
        """
        if self._state == self.HALF_OPEN:
            self._opened = -inf
            self._change(self.OPEN)

    def _report(self, generation: int, verdict: Callable[[], None]) -> None:
        """Record the result of a call with `verdict`, unless the state has changed since the call began."""
        with self.lock:
            if generation == self._generation:
                verdict()

    def _change(self, state: BreakerState) -> None:
        if state != self._state or state == self.HALF_OPEN:
            self._state = state
            self._generation += 1


def _plain(state: str) -> str:
    return state.lower().replace("_", "-")
