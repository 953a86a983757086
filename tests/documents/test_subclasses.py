"""Readers of the documents set attributes of its classes and write subclasses of them; both still work."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from aws_bedrock_inference import CircuitBreaker, TokenBucket

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.doubles import World
    from support.pages import Program

BLOCK = {"call": "circuit_breaker_call", "execute": "circuit_breaker_execute"}
each_method = pytest.mark.parametrize("method", BLOCK)


def broken() -> Any:
    raise RuntimeError("broken")


def run(call: Callable[..., Any], function: Callable[[], Any]) -> str:
    """Return the result of `function`: done, broken or refused."""
    try:
        return str(call(function))
    except RuntimeError:
        return "broken"
    except Exception as error:  # noqa: BLE001 - the page's own refusal is a bare Exception
        return {"circuit breaker is open": "refused"}[str(error).lower()]


def done() -> str:
    return "done"


def test_a_subclass_that_overrides_the_page_s_methods_decides(program: Program, world: World) -> None:
    page: Any = program.run(BLOCK["call"]).CircuitBreaker

    class Mine(page):  # type: ignore[misc]  # whichever class the program has
        def on_success(self) -> None:
            self.failure_count = 0
            self.state = "CLOSED"

        def on_failure(self) -> None:
            self.failure_count += 1
            self.last_failure_time = world.clock()
            if self.failure_count >= self.failure_threshold:
                self.state = "OPEN"

    breaker = Mine(failure_threshold=2, timeout=10)
    assert [run(breaker.call, broken) for _ in range(3)] == ["broken", "broken", "refused"]
    world.now += 11
    assert run(breaker.call, broken) == "broken"
    assert run(breaker.call, done) == "refused"
    world.now += 11
    assert [run(breaker.call, done) for _ in range(2)] == ["done", "done"]
    assert (breaker.state, breaker.failure_count) == ("CLOSED", 0)


@each_method
def test_a_circuit_can_be_opened_and_closed_by_setting_its_attributes(
    method: str, program: Program, world: World
) -> None:
    breaker = program.run(BLOCK[method]).CircuitBreaker(failure_threshold=1)
    call = getattr(breaker, method)
    breaker.state = "OPEN" if method == "call" else breaker.OPEN
    breaker.last_failure_time = world.now
    assert run(call, done) == "refused"
    world.now += 29
    assert run(call, done) == "refused"
    breaker.state = "CLOSED" if method == "call" else breaker.CLOSED
    breaker.failure_count = 0
    assert [run(call, step) for step in (done, broken, done)] == ["done", "broken", "refused"]
    world.now += 61
    assert run(call, done) == "done"


@each_method
def test_setting_back_the_last_failure_time_ends_the_recovery_timeout(method: str, program: Program) -> None:
    breaker = program.run(BLOCK[method]).CircuitBreaker(failure_threshold=2)
    call = getattr(breaker, method)
    assert [run(call, step) for step in (broken, broken, done)] == ["broken", "broken", "refused"]
    breaker.last_failure_time -= 61
    assert run(call, done) == "done"
    assert breaker.failure_count == 0


@each_method
def test_a_threshold_and_timeout_that_are_changed_later_apply(method: str, program: Program, world: World) -> None:
    breaker = program.run(BLOCK[method]).CircuitBreaker(failure_threshold=2)
    call = getattr(breaker, method)
    breaker.failure_threshold = 3
    setattr(breaker, "timeout" if method == "call" else "recovery_timeout", 5)
    assert [run(call, broken) for _ in range(4)] == ["broken", "broken", "broken", "refused"]
    world.now += 6
    assert run(call, done) == "done"


def test_a_subclass_clears_and_counts_the_failures_of_the_window(program: Program, world: World) -> None:
    page: Any = program.run(BLOCK["execute"]).CircuitBreaker
    seen = []

    class Counting(page):  # type: ignore[misc]  # whichever class the program has
        def execute(self, func: Any) -> Any:
            with self.lock:
                self._clear_old_failures()
                seen.append(self.failure_count)
            return super().execute(func)

    breaker = Counting(failure_threshold=3)
    for step in (broken, broken):
        run(breaker.execute, step)
    world.now += 61
    assert run(breaker.execute, done) == "done"
    assert seen == [0, 1, 0]


def test_the_state_is_named_as_on_the_page_whose_method_was_called(program: Program) -> None:
    for method, words in (("call", ["CLOSED", "OPEN"]), ("execute", ["closed", "open"])):
        breaker = program.run(BLOCK[method]).CircuitBreaker(failure_threshold=1)
        run(getattr(breaker, method), done)
        gauge = {word: number for number, word in enumerate(words)}
        assert (gauge[breaker.state], f"{breaker.state}") == (0, words[0])
        run(getattr(breaker, method), broken)
        assert (gauge[breaker.state], f"{breaker.state}") == (1, words[1])


@pytest.mark.parametrize(
    ("name", "value"),
    [("state", "ajar"), ("state", None), ("failure_count", -1), ("failure_count", 1.5), ("last_failure_time", "now")],
)
def test_an_invalid_attribute_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"CircuitBreaker.{name} = .*set"):
        setattr(CircuitBreaker(), name, value)


def test_a_failure_count_is_limited_to_the_threshold() -> None:
    breaker = CircuitBreaker(failure_threshold=3)
    breaker.failure_count = 10**12
    assert breaker.failure_count == 3


def test_a_half_open_circuit_tests_one_call_at_a_time() -> None:
    breaker = CircuitBreaker(failure_threshold=1)
    run(breaker.execute, broken)
    breaker.state = CircuitBreaker.HALF_OPEN
    assert run(breaker.execute, done) == "done"
    assert breaker.state == CircuitBreaker.CLOSED


def test_the_attributes_of_a_token_bucket_can_be_set(program: Program, world: World) -> None:
    bucket = program.run("token_bucket").TokenBucket(10, 2)
    bucket.tokens = 0
    assert not bucket.consume(1, block=False)
    bucket.refill_rate = 0.5
    world.now += 4
    assert not bucket.consume(4, block=False)
    assert bucket.consume(2, block=False)
    bucket.capacity, bucket.refill_rate = 20.0, 2.0
    world.now += 100
    assert bucket.consume(20, block=False)
    bucket.tokens += 3
    assert bucket.consume(3, block=False)


def test_a_subclass_of_the_token_bucket_can_read_its_attributes(program: Program) -> None:
    page: Any = program.run("token_bucket").TokenBucket

    class Peeking(page):  # type: ignore[misc]  # whichever class the program has
        def available(self) -> float:
            with self.lock:
                self._refill()
                return float(self.tokens)

    bucket = Peeking(10, 2)
    assert bucket.consume(4)
    assert bucket.available() == 6


def test_available_tokens_are_returned_whatever_the_timeout(program: Program) -> None:
    bucket = program.run("token_bucket").TokenBucket(10, 2)
    assert [bucket.consume(1, timeout=timeout) for timeout in (0, -1, -1e9)] == [True] * 3


def test_a_bucket_with_a_capacity_below_one_token_never_exceeds_it(program: Program) -> None:
    bucket = program.run("token_bucket").TokenBucket(0.5, 0.1)
    assert bucket.consume(0.5)
    assert bucket.consume(0.2)
    assert program.world.sleeps == pytest.approx([2.0])


def test_a_bucket_without_refill_refuses_instead_of_waiting_permanently(world: World) -> None:
    bucket = TokenBucket(10, 2, clock=world.clock, sleep=world.sleep)
    bucket.refill_rate = 0.0
    assert bucket.consume(10)
    assert not bucket.consume(1)


def test_a_later_call_does_not_overtake_one_that_waits(world: World) -> None:
    def sleep(seconds: float) -> None:
        world.now += seconds / 2
        assert not bucket.consume(1, block=False)
        world.now += seconds / 2

    bucket = TokenBucket(2, 1, clock=world.clock, sleep=sleep)
    assert bucket.consume(2)
    assert bucket.consume(2)
    assert bucket.tokens == 0


def test_calls_of_the_parent_do_not_count_in_a_forked_child(world: World) -> None:
    def sleep(_: float) -> None:
        child = os.fork()
        if not child:
            world.now += 1
            os._exit(0 if bucket.consume(1, block=False) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    bucket = TokenBucket(5, 1, clock=world.clock, sleep=sleep)
    assert bucket.consume(5)
    assert bucket.consume(5)
