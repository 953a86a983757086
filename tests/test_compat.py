"""The names of the troubleshooting pages: their signatures, what they do, and no race."""

from __future__ import annotations

import inspect
import threading
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from aws_bedrock_inference import (
    CircuitBreaker,
    CircuitBreakerOpenError,
    TokenBucket,
    handle_aws_error,
    is_recoverable_error,
    retry_with_exponential_backoff,
)

if TYPE_CHECKING:
    from support.doubles import World


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "m"}}, "Operation")


def positional(function: Any) -> str:
    parameters = inspect.signature(function).parameters.values()
    return ", ".join(
        f"{one.name}={one.default!r}" if one.default is not one.empty else one.name
        for one in parameters
        if one.kind is one.POSITIONAL_OR_KEYWORD
    )


@pytest.mark.parametrize(
    ("function", "signature"),
    [
        (retry_with_exponential_backoff, "func, max_retries=3, base_delay=1.0, max_delay=60.0"),
        (is_recoverable_error, "error"),
        (handle_aws_error, "error"),
        (TokenBucket, "capacity, refill_rate"),
        (TokenBucket.consume, "self, tokens=1.0, block=True, timeout=None"),
        (CircuitBreaker, "failure_threshold=5, recovery_timeout=30.0, retry_timeout=60.0, failure_window=60.0"),
        (CircuitBreaker.execute, "self, func"),
    ],
)
def test_signatures_are_the_documented_ones(function: Any, signature: str) -> None:
    assert positional(function) == signature


@pytest.mark.parametrize(
    ("code", "decision"),
    [
        *((code, "RETRY") for code in ("ThrottlingException", "ProvisionedThroughputExceededException")),
        *((code, "RETRY") for code in ("RequestLimitExceeded", "ServiceUnavailable", "InternalError")),
        *((code, "FAIL") for code in ("AccessDenied", "InvalidParameterValue", "ValidationException")),
        ("ResourceNotFoundException", "FAIL"),
        ("SomethingNobodyKnows", "RETRY_LIMITED"),
    ],
)
def test_errors_are_handled_as_documented(code: str, decision: str) -> None:
    assert handle_aws_error(refusal(code)) == decision


@pytest.mark.parametrize(
    "error",
    [
        *map(refusal, ["ThrottlingException", "ServiceUnavailableException", "InternalServerException"]),
        refusal("ModelTimeoutException"),
        refusal("RequestTimeout"),
        ConnectionError("refused"),
        RuntimeError("An error occurred (ThrottlingException) when calling the Converse operation: slow down"),
    ],
)
def test_what_time_heals_is_recoverable(error: Exception) -> None:
    assert is_recoverable_error(error)


@pytest.mark.parametrize("error", [refusal("ValidationException"), refusal("AccessDeniedException"), ValueError("x")])
def test_what_it_does_not_is_not(error: Exception) -> None:
    assert not is_recoverable_error(error)


def test_waits_double_and_stay_within_a_fifth(world: World) -> None:
    calls = []

    def work() -> str:
        calls.append(1)
        raise refusal("ThrottlingException")

    for chance, waits in ((lambda: 0.0, [0.8, 1.6, 2.4, 2.4]), (lambda: 0.5, [1.0, 2.0, 3.0, 3.0])):
        world.sleeps.clear()
        with pytest.raises(ClientError):
            retry_with_exponential_backoff(work, 4, 1.0, 3.0, clock=world.clock, sleep=world.sleep, chance=chance)
        assert world.sleeps == pytest.approx(waits)
    assert len(calls) == 10


def test_it_returns_what_the_function_returns_and_raises_what_it_raises(world: World) -> None:
    errors = [refusal("ThrottlingException")]
    fatal = refusal("ValidationException")

    def work() -> str:
        if errors:
            raise errors.pop()
        return "done"

    def doomed() -> str:
        raise fatal

    assert retry_with_exponential_backoff(work, sleep=world.sleep) == "done"
    with pytest.raises(ClientError) as caught:
        retry_with_exponential_backoff(doomed, max_retries=5, sleep=world.sleep)
    assert caught.value is fatal
    assert len(world.sleeps) == 1


def test_no_retries_means_one_call() -> None:
    with pytest.raises(ClientError):
        retry_with_exponential_backoff(lambda: (_ for _ in ()).throw(refusal("ThrottlingException")), max_retries=0)


def test_tokens_are_there_or_waited_for_or_not(world: World) -> None:
    bucket = TokenBucket(10, 2, clock=world.clock, sleep=world.sleep)
    assert bucket.consume(8)
    assert bucket.tokens == pytest.approx(2)
    assert not bucket.consume(4, block=False)
    assert not bucket.consume(4, timeout=0.5)
    assert world.sleeps == []
    assert bucket.consume(4)
    assert world.sleeps == pytest.approx([1.0])
    assert bucket.consume(2, timeout=1.0)
    assert not bucket.consume(11)
    world.now += 100
    assert bucket.tokens == 10


def test_an_interrupted_wait_takes_nothing(world: World) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    bucket = TokenBucket(1, 1, clock=world.clock, sleep=interrupted)
    assert bucket.consume()
    with pytest.raises(KeyboardInterrupt):
        bucket.consume()
    world.now += 1
    assert bucket.consume(block=False)


def test_a_crowd_gets_every_token_once_and_nobody_is_sent_away(world: World) -> None:
    lock = threading.Lock()

    def sleep(seconds: float) -> None:
        with lock:
            world.sleep(seconds)

    bucket = TokenBucket(5, 10, clock=world.clock, sleep=sleep)
    got: list[bool] = []
    crowd = [threading.Thread(target=lambda: got.append(bucket.consume())) for _ in range(25)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    assert got == [True] * 25
    assert world.now == pytest.approx(2.0)  # 5 at once, 20 at 10 a second


def work() -> str:
    return "done"


def broken() -> str:
    raise RuntimeError("broken")


def ill(breaker: CircuitBreaker, times: int) -> None:
    for _ in range(times):
        with pytest.raises(RuntimeError):
            breaker.execute(broken)


def test_a_circuit_opens_lets_one_try_and_closes(world: World) -> None:
    breaker = CircuitBreaker(failure_threshold=3, recovery_timeout=30, clock=world.clock)
    assert breaker.execute(work) == "done"
    ill(breaker, 2)
    assert (breaker.state, breaker.failure_count) == (CircuitBreaker.CLOSED, 2)
    ill(breaker, 1)
    assert (breaker.state, breaker.failure_count) == (CircuitBreaker.OPEN, 3)
    with pytest.raises(CircuitBreakerOpenError, match="Circuit breaker is open") as caught:
        breaker.execute(work)
    assert caught.value.retry_after == 30
    world.now += 31
    ill(breaker, 1)
    assert breaker.state == CircuitBreaker.OPEN
    world.now += 31
    assert breaker.execute(work) == "done"
    assert (breaker.state, breaker.failure_count) == (CircuitBreaker.CLOSED, 0)


def test_only_one_call_probes_an_open_circuit(world: World) -> None:
    breaker = CircuitBreaker(failure_threshold=1, recovery_timeout=5, clock=world.clock)
    ill(breaker, 1)
    world.now += 6

    def slow() -> str:
        assert breaker.state == CircuitBreaker.HALF_OPEN
        with pytest.raises(CircuitBreakerOpenError):
            breaker.execute(work)
        return "done"

    assert breaker.execute(slow) == "done"


def test_old_failures_and_the_caller_s_own_mistakes_do_not_count(world: World) -> None:
    breaker = CircuitBreaker(failure_threshold=2, failure_window=60, clock=world.clock)
    ill(breaker, 1)
    world.now += 61
    ill(breaker, 1)

    def mistaken() -> None:
        raise refusal("ValidationException")

    for _ in range(5):
        with pytest.raises(ClientError):
            breaker.execute(mistaken)
    assert breaker.state == CircuitBreaker.CLOSED


def test_the_other_page_s_names_work_too(world: World) -> None:
    breaker = CircuitBreaker(failure_threshold=1, timeout=60, clock=world.clock)
    assert breaker.state == "CLOSED"
    with pytest.raises(RuntimeError):
        breaker.call(broken)
    assert breaker.state == "OPEN"
    assert breaker.state != "HALF_OPEN"
    assert {breaker.state: 1}[CircuitBreaker.OPEN] == 1
    world.now += 59
    with pytest.raises(CircuitBreakerOpenError):
        breaker.call(work)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TokenBucket(0, 1), "capacity=0"),
        (lambda: TokenBucket(1, 0), "refill_rate=0"),
        (lambda: TokenBucket(1, 1).consume(-1), "-1"),
        (lambda: CircuitBreaker(failure_threshold=0), "failure_threshold is 1 or more"),
    ],
)
def test_numbers_that_cannot_be_right_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
