"""Any function, coroutine function or block can be made resilient."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from aws_bedrock_inference import Breaker, CircuitOpen, Pipeline, attempts, resilient

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.doubles import World


def refusal(code: str, status: int = 400) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "GetItem")


def failing(*errors: Exception) -> tuple[Callable[..., str], list[Any]]:
    """Return a function that raises these, one a call, before it works; and its calls."""
    calls: list[Any] = []

    def work(*args: Any, **options: Any) -> str:
        """Work."""
        calls.append((args, options))
        if len(calls) <= len(errors):
            raise errors[len(calls) - 1]
        return "done"

    return work, calls


def test_a_decorated_function_is_retried_as_the_catalogue_decides(world: World) -> None:
    work, calls = failing(refusal("ThrottlingException"), ReadTimeoutError(endpoint_url="x"))
    guarded = resilient(clock=world.clock, sleep=world.sleep)(work)
    assert guarded(1, two=2) == "done"
    assert calls == [((1,), {"two": 2})] * 3
    assert len(world.sleeps) == 2
    assert (guarded.__name__, guarded.__doc__) == ("work", "Work.")


@pytest.mark.parametrize(
    "error", [refusal("ValidationException"), ValueError("bad"), KeyError("a"), RuntimeError("boom")]
)
def test_permanent_and_unknown_errors_are_not_retried(error: Exception, world: World) -> None:
    work, calls = failing(error)
    with pytest.raises(type(error)) as caught:
        resilient(work, clock=world.clock, sleep=world.sleep)()
    assert caught.value is error
    assert len(calls) == 1
    assert caught.value.fault.decision.value == "FAIL"  # type: ignore[attr-defined]


def test_interruptions_are_raised_immediately() -> None:
    def work() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        resilient(work)()


def test_coroutine_functions_are_awaited(world: World) -> None:
    calls = []

    async def sleep(seconds: float) -> None:
        world.sleep(seconds)

    @resilient(clock=world.clock, sleep=sleep)
    async def work() -> int:
        calls.append(1)
        if len(calls) < 3:
            raise refusal("ServiceUnavailable", 503)
        return len(calls)

    assert asyncio.run(work()) == 3
    assert len(world.sleeps) == 2


def test_coroutine_functions_raise_their_original_exception(world: World) -> None:
    error = refusal("AccessDenied", 403)

    @resilient
    async def work() -> None:
        raise error

    with pytest.raises(ClientError) as caught:
        asyncio.run(work())
    assert caught.value is error


def test_a_block_is_retried_until_it_succeeds(world: World) -> None:
    work, calls = failing(refusal("ThrottlingException"), refusal("SlowDown", 503))
    answers = []
    for attempt in attempts(clock=world.clock, sleep=world.sleep):
        with attempt:
            answers.append(work())
    assert answers == ["done"]
    assert len(calls) == 3


def test_a_block_that_fails_permanently_raises_its_own_exception(world: World) -> None:
    heard: list[Any] = []
    error = refusal("AccessDenied", 403)
    work, calls = failing(refusal("ThrottlingException"), error)

    def copy() -> None:
        for attempt in attempts(name="copy", listener=heard.append, clock=world.clock, sleep=world.sleep):
            with attempt:
                work()

    with pytest.raises(ClientError) as caught:
        copy()
    assert caught.value is error
    assert caught.value.__notes__[0].startswith("copy: 2 attempts, FAIL")
    assert len(calls) == 2
    assert [type(event).__name__ for event in heard] == ["RetryScheduled", "CallEnded"]


def test_leaving_the_loop_early_does_not_count_as_an_attempt(world: World) -> None:
    breaker = Breaker(failures=1)
    for attempt in attempts(pipeline=Pipeline(breaker), clock=world.clock, sleep=world.sleep):
        with attempt:
            break

    def interrupted() -> None:
        for attempt in attempts(pipeline=Pipeline(breaker), clock=world.clock, sleep=world.sleep):
            with attempt:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not breaker._circuits["||block"].failed(world.now)


def test_the_loop_is_refused_while_the_circuit_is_open(world: World) -> None:
    pipeline = Pipeline(Breaker(failures=1))

    def once() -> None:
        for attempt in attempts(pipeline=pipeline, clock=world.clock, sleep=world.sleep):
            with attempt:
                raise refusal("InternalError", 500)

    with pytest.raises(ClientError):
        once()
    with pytest.raises(CircuitOpen):
        once()


def test_the_option_safe_is_refused_for_a_function() -> None:
    with pytest.raises(ValueError, match="names operations of a boto3 client"):
        resilient(len, safe=["put_item"])
