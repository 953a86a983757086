"""The retry functions of AWS's troubleshooting pages. The functions differ in their waits, and in the meaning of
`max_retries`.

In `exponential_backoff_retry` and `retry_with_jitter`, `max_retries` is the number of calls. These two functions retry
after any exception.

In `retry_with_exponential_backoff`, `max_retries` is the number of retries after the first call. This function retries
only after recoverable errors. For some errors, the error catalogue limits the attempts, usually to 2 (decision
RETRY_LIMITED). This function then calls `func` at most twice, even with `max_retries=5`.

No function retries a call that a client of this package has already retried. No function retries a call that failed
because the daily quota is exhausted.
"""

from __future__ import annotations

import sys
from math import inf
from typing import TYPE_CHECKING, TypeVar

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.bounds import is_number, shown
from aws_bedrock_inference.call import Attempt, Outcome, Route
from aws_bedrock_inference.compat.errors import named, worth_repeating
from aws_bedrock_inference.fault import Decision, Hint
from aws_bedrock_inference.log import LOGGER
from aws_bedrock_inference.resilience.functions import known_fault, retried_already
from aws_bedrock_inference.resilience.handled import apart_from
from aws_bedrock_inference.resilience.runtime import raisable
from aws_bedrock_inference.resilience.targets import check_result, is_async, name_of
from aws_bedrock_inference.rules.backoff import ceiling, full, near
from aws_bedrock_inference.switch import policies_are_off

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_bedrock_inference.clock import Chance, Clock
    from aws_bedrock_inference.fault import Fault

T = TypeVar("T")

_ENDED = "its client has ended the retries"

_LONGEST = 60.0  # seconds: the longest wait of the service that functions without max_delay obey


def exponential_backoff_retry(
    func: Callable[[], T],
    max_retries: int = 3,
    *,
    clock: Clock = clocks.monotonic,
    sleep: Callable[[float], None] = clocks.sleep,
    chance: Chance = clocks.chance,
) -> T:
    """Call `func` until it succeeds, at most `max_retries` times. The function retries after any exception, except
    in two cases: the daily quota is exhausted, or a client of this package has already retried the call.

    The wait after the n-th call is 2^(n-1) seconds, plus a random time of up to one second.
    """
    doubling = Hint(base=1.0, cap=inf)
    return _repeated(
        func,
        _at_least(1, max_retries),
        lambda n: ceiling(doubling, n) + chance(),
        longest=_LONGEST,
        again=_any_error,
        clock=clock,
        sleep=sleep,
    )


def retry_with_jitter(
    func: Callable[[], T],
    max_retries: int = 5,
    base_delay: float = 1,
    max_delay: float = 32,
    *,
    clock: Clock = clocks.monotonic,
    sleep: Callable[[float], None] = clocks.sleep,
    chance: Chance = clocks.chance,
) -> T:
    """Call `func` until it succeeds, at most `max_retries` times. The function retries after any exception, except
    in two cases: the daily quota is exhausted, or a client of this package has already retried the call.

    The wait after the n-th call is a random time from 0 to `base_delay` x 2^(n-1) seconds, and at most `max_delay`.
    """
    hint = _hint(base_delay, max_delay)
    return _repeated(
        func,
        _at_least(1, max_retries),
        lambda n: full(hint, n, 0.0, chance),
        longest=max_delay,
        again=_any_error,
        clock=clock,
        sleep=sleep,
    )


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
    """Call `func` until it succeeds, fails permanently, or has been repeated `max_retries` times.

    The wait before the n-th repeat is `base_delay` x 2^(n-1) seconds, plus or minus up to 20 % of this time, but at
    most `max_delay`. If the service asks for a longer wait, the function waits that long. If the service asks for a
    wait longer than `max_delay`, the exception is raised immediately. The last exception is raised with notes about all
    attempts; its type and its message are unchanged.
    """
    hint = _hint(base_delay, max_delay)
    return _repeated(
        func,
        _at_least(0, max_retries) + 1,
        lambda n: near(hint, n, 0.0, chance),
        longest=max_delay,
        again=worth_repeating,
        clock=clock,
        sleep=sleep,
    )


def calculate_backoff(
    retries: int, base_delay: float = 1.0, max_delay: float = 60.0, *, chance: Chance = clocks.chance
) -> float:
    """Return the seconds to wait before the repeat with the number `retries`. The first repeat has the number 1.

    The wait is `base_delay` x 2^(retries-1) seconds, plus or minus up to 20 % of this time, but at most `max_delay`.
    """
    if not is_number(retries, least=0, whole=True):
        raise ValueError(f"retries={shown(retries)}: pass the number of the retry, 1 for the first retry")
    return near(_hint(base_delay, max_delay), max(1, retries), 0.0, chance)


def _repeated(
    func: Callable[[], T],
    calls: int,
    wait: Callable[[int], float],
    *,
    longest: float,
    again: Callable[[Fault, int], bool],
    clock: Clock,
    sleep: Callable[[float], None],
) -> T:
    """Call `func` up to `calls` times, until it succeeds. `wait` receives the number of a call, and returns
    the seconds to wait after this call.

    `again` receives a fault and the number of attempts, and returns whether the fault allows another attempt. Stop
    earlier if `again` returns False. Stop also if the service asks for a wait longer than `longest` seconds.
    """
    if is_async(func):
        raise TypeError("func is a coroutine function, which this function cannot await; pass a function without async")
    calls = 1 if policies_are_off() else calls
    name, earlier, began, handled = name_of(func), list[Attempt](), clock(), sys.exception()
    while True:
        try:
            value = func()
        except Exception as error:  # noqa: BLE001 - raised again when no other call follows
            fault = known_fault(error, handled)
            with apart_from(handled, error):
                ended = retried_already(error)
        else:
            checked: T = check_result(value, name)
            return checked
        made = len(earlier) + 1
        reason = _ENDED if ended else _reason_to_stop(fault, made, calls, longest, again)
        if reason:
            outcome = Outcome(fault=fault, earlier=tuple(earlier), gave_up=reason)
            took = (f"all calls and waits took {clock() - began:.1f} s",) if earlier else ()
            raise raisable(outcome, name, Route(getattr(func, "__qualname__", name)), took)
        seconds = max(wait(len(earlier) + 1), fault.stated_wait)
        earlier.append(Attempt(fault, seconds))
        LOGGER.warning(
            "Retrying after error: %s. Attempt %d/%d. Waiting %.2f seconds...",
            named(fault),
            len(earlier),
            calls - 1,
            seconds,
        )
        sleep(seconds)


def _reason_to_stop(fault: Fault, made: int, calls: int, longest: float, again: Callable[[Fault, int], bool]) -> str:
    if not again(fault, 1):
        return "the same request would fail again"
    if made >= calls or not again(fault, made):
        return "no attempts are left"
    stated = fault.stated_wait
    return (
        f"the service states a wait of {stated:,.4g} s, and the longest allowed wait is {longest:g} s"
        if stated > longest
        else ""
    )


def _any_error(fault: Fault, _: int) -> bool:
    """Return True for every classified error except an exhausted daily quota."""
    return fault.decision is Decision.FAIL or fault.hint.attempts > 1


def _at_least(least: int, max_retries: int) -> int:
    if not is_number(max_retries, least=least, whole=True):
        raise ValueError(f"max_retries={shown(max_retries)}: pass a whole number, {least} or more")
    return max_retries


def _hint(base_delay: float, max_delay: float) -> Hint:
    for name, seconds, infinite in (("base_delay", base_delay, False), ("max_delay", max_delay, True)):
        if not is_number(seconds, least=0, infinite=infinite):
            raise ValueError(f"{name}={shown(seconds)}: pass a number of seconds, 0 or more")
    return Hint(base=base_delay, cap=max_delay)
