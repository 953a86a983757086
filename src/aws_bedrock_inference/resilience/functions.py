"""Retries and other policies for any function, as a decorator or as a loop of attempts around a block.

An error is retried only if the error catalogue lists it as retryable, and no client of this package has already retried
it. The package assumes that the function can safely be repeated. The caller must ensure this.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.call import Outcome, Route
from aws_bedrock_inference.drivers.blocking import Driver
from aws_bedrock_inference.exceptions import BedrockError
from aws_bedrock_inference.fault import Decision, Fault, Kind
from aws_bedrock_inference.flow import ABANDONED, give
from aws_bedrock_inference.flow import send as sending
from aws_bedrock_inference.knowledge.classify import classify
from aws_bedrock_inference.knowledge.reading import attribute, chain, is_a
from aws_bedrock_inference.resilience.handled import apart_from
from aws_bedrock_inference.resilience.runtime import Guard, raisable
from aws_bedrock_inference.resilience.targets import check_result, is_async, like, name_of, remember
from aws_bedrock_inference.rules.retry import LEFT_TO_CALLER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from aws_bedrock_inference.call import Call
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.flow import Flow, Pipeline
    from aws_bedrock_inference.listeners import Listener
    from aws_bedrock_inference.policies import Quota


def known_fault(error: BaseException, handled: BaseException | None = None) -> Fault:
    """Return the fault for an exception of a user's function. If the catalogue does not contain the exception, its
    fault allows no retry.

    `handled` is the exception that the program was already handling when it called the function. It has nothing to do
    with this failure, so it is not examined as a cause of `error`.
    """
    with apart_from(handled, error):
        return _known_fault(error)


def _known_fault(error: BaseException) -> Fault:
    try:
        fault = replace(classify(error), error=error)
    except Exception:  # noqa: BLE001 - reading an arbitrary exception can fail; it must be raised unchanged
        fault = Fault(code=type(error).__name__, message="", error=error)
    if fault.decision is Decision.RETRY_LIMITED and fault.cause == "unknown":
        return replace(fault, decision=Decision.FAIL)
    if retried_already(error):
        return replace(fault, hint=replace(fault.hint, attempts=1), paced=False)
    return fault


def retried_already(error: BaseException) -> bool:
    """Return True if a client of this package has already retried this error, or one of its causes, and has given up;
    otherwise return False. Another retry would multiply the client's own retries.

    The result is False for two kinds of failures, which a client leaves to its caller. The first is a stream that broke
    after its first content. The second is each failure of a client with `Retry(attempts=1)` or without a `Retry`.
    """
    return any(is_a(link, BedrockError) and not _left_to_caller(link) for link in chain(error))


def _left_to_caller(error: BaseException) -> bool:
    outcome = attribute(error, "outcome")
    if attribute(outcome, "emitted"):
        return True
    reason = attribute(outcome, "gave_up")
    nobody_decided = reason == "" and attribute(error, "decision") is not Decision.FAIL
    return reason == LEFT_TO_CALLER or nobody_decided


def guarded_function(function: Callable[..., Any], guard: Guard) -> Callable[..., Any]:
    """Return `function`, which may be a coroutine function, with `guard` around it."""
    made = _awaited(function, guard) if is_async(function) else _called(function, guard)
    remember(made, function)
    return made


def _called(function: Callable[..., Any], guard: Guard) -> Callable[..., Any]:
    def once(call: Call) -> Outcome:
        handled = sys.exception()
        try:
            return Outcome(value=function(*call.params["args"], **call.params["options"]))
        except Exception as error:  # noqa: BLE001 - raised again at the edge
            return Outcome(fault=known_fault(error, handled))

    name, route = _named(function)
    driver = Driver(once, clock=guard.clock, sleep=guard.sleep or clocks.sleep, listeners=guard.listeners)
    step = guard.around(sending)

    @like(function)
    def guarded(*args: Any, **options: Any) -> Any:
        call = guard.call(name, {"args": args, "options": options}, route)
        outcome = driver.run(step(call), lambda interrupted: guard.ended(call, interrupted))
        _finish(guard, call, outcome)
        return check_result(outcome.value, name)

    return guarded


def _awaited(function: Callable[..., Any], guard: Guard) -> Callable[..., Any]:
    from aws_bedrock_inference.drivers.asynchronous import AsyncDriver  # noqa: PLC0415 - blocking programs need no asyncio

    async def once(call: Call) -> Outcome:
        handled = sys.exception()
        try:
            return Outcome(value=await function(*call.params["args"], **call.params["options"]))
        except Exception as error:  # noqa: BLE001 - raised again at the edge
            return Outcome(fault=known_fault(error, handled))

    name, route = _named(function)
    driver = AsyncDriver(once, clock=guard.clock, listeners=guard.listeners)
    if guard.sleep is not None:
        driver = AsyncDriver(once, clock=guard.clock, sleep=guard.sleep, listeners=guard.listeners)
    step = guard.around(sending)

    @like(function)
    async def guarded(*args: Any, **options: Any) -> Any:
        call = guard.call(name, {"args": args, "options": options}, route)
        outcome = await driver.run(step(call), lambda interrupted: guard.ended(call, interrupted))
        _finish(guard, call, outcome)
        return check_result(outcome.value, name)

    return guarded


def _named(function: Callable[..., Any]) -> tuple[str, Route]:
    name = name_of(function)
    return name, Route(f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', name)}")


def _finish(guard: Guard, call: Call, outcome: Outcome) -> None:
    """Emit `CallEnded`. If the call failed, also raise its exception."""
    guard.ended(call, outcome)
    if outcome.fault is not None:
        raise raisable(outcome, call.operation, call.route)


class BlockAttempt:
    """One attempt to run a block, used as a context manager. If the block raises an exception, the context manager
    suppresses the exception. The loop then continues with the next attempt, or raises the exception again if there is
    no further attempt.

    Two kinds of exceptions are not suppressed: `StopIteration`, and those outside the class `Exception`, such as
    `KeyboardInterrupt`.
    """

    def __init__(self) -> None:
        self.outcome: Outcome | None = None
        self._handled: BaseException | None = None

    def __enter__(self) -> Self:
        self._handled = sys.exception()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        if error is None:
            self.outcome = Outcome()
        elif isinstance(error, Exception) and not isinstance(error, StopIteration):
            self.outcome = Outcome(fault=known_fault(error, self._handled))
            return True  # the loop raises it again if no other attempt follows; a StopIteration would end the loop
        return False


def attempts(
    *,
    name: str = "block",
    pipeline: Pipeline | None = None,
    quota: Quota | None = None,
    timeout: float | None = None,
    listener: Listener | None = None,
    clock: Clock = clocks.monotonic,
    sleep: Callable[[float], Any] = clocks.sleep,
) -> Iterator[BlockAttempt]:
    """Yield attempts at a block until the block succeeds. Raise the block's own exception when no further attempt can
    help.

        for attempt in attempts(timeout=60):
            with attempt:
                answer = ask()

    `name` is the name of the block in events and notes. The other options are those of `resilient`.
    """
    guard = Guard(pipeline=pipeline, quota=quota, timeout=timeout, listener=listener, clock=clock, sleep=sleep)
    call = guard.call(name, {}, Route(name))
    stream = Driver(_nothing_is_sent, clock=clock, sleep=sleep, listeners=guard.listeners).stream(
        guard.around(_attempt_block, streams=True)(call), partial(guard.ended, call)
    )
    yield from stream
    if stream.outcome is not None and stream.outcome.fault is not None:
        raise raisable(stream.outcome, call.operation, call.route)


def _attempt_block(_: Call) -> Flow:
    attempt = BlockAttempt()
    wanted = yield from give(attempt)
    outcome = attempt.outcome
    if wanted:
        return Outcome(fault=_ABANDONED) if outcome is None else outcome
    left_well = outcome is not None and outcome.fault is None  # the program left the block with `return` or `break`
    return Outcome() if left_well else Outcome(fault=ABANDONED)


def _nothing_is_sent(_: Call) -> Outcome:
    raise AssertionError(
        "attempts() tried to send a request itself, but only your code sends requests; report this bug of "
        "aws_bedrock_inference"
    )


_ABANDONED = Fault(
    code="Abandoned",
    message="the loop continued without running the attempt",
    kind=Kind.REFUSED,
    decision=Decision.FAIL,
    cause="attempt-abandoned",
    advice="Put the block into `with attempt:`.",
    reached=False,
)
