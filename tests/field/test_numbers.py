"""Numbers from outside: an invalid number is refused where it is passed, with a valid example."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import inf, isfinite, nan
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.doubles import World, session

from aws_bedrock_inference import (
    BedrockClient,
    Breaker,
    CircuitBreaker,
    Deadline,
    Quota,
    Retry,
    Timeout,
    TokenBucket,
    attempts,
    resilient,
    retry_with_exponential_backoff,
)
from aws_bedrock_inference.bounds import is_number, shown, shown_name
from aws_bedrock_inference.call import Estimate, priority_number
from aws_bedrock_inference.rules.retry import Budget
from aws_bedrock_inference.tokens.answer_sizes import AnswerSizes, advise_max_tokens
from aws_bedrock_inference.tokens.count_tokens import exactly
from aws_bedrock_inference.tokens.ratio import TokenGauge

if TYPE_CHECKING:
    from collections.abc import Callable

HUGE = 10**400
NEVER: list[Any] = [nan, -1, True, "5", b"5", -HUGE, [], {}, object(), 1j, Decimal(5), -inf, "a prompt of somebody"]


def client(**options: Any) -> BedrockClient:
    return BedrockClient("amazon.nova-lite-v1:0", session=session(), **options)


# Each option, and the values that it refuses in addition to NEVER.
OPTIONS: dict[str, tuple[Callable[[Any], Any], list[Any]]] = {
    "Quota(rpm": (lambda x: Quota(rpm=x), [0, inf, HUGE]),
    "Quota(tpm": (lambda x: Quota(tpm=x), [0, inf, HUGE]),
    "Quota(tpd": (lambda x: Quota(tpd=x), [0, inf, HUGE]),
    "Quota(concurrency": (lambda x: Quota(concurrency=x), [0, inf, HUGE]),
    "Quota(waiting": (lambda x: Quota(waiting=x), [0, None]),
    "Quota(shares": (lambda x: Quota(shares={"batch": x}), [1, 1.5, inf, HUGE, None]),
    "shares' priority": (lambda x: Quota(shares={x: 0.1}), [inf, HUGE, None]),
    "Retry(attempts": (lambda x: Retry(attempts=x), [0, inf, 1.5, None]),
    "Budget(": (Budget, [None]),
    "Breaker(failures": (lambda x: Breaker(failures=x), [0, inf, 1.5, None]),
    "Breaker(ratio": (lambda x: Breaker(ratio=x), [0, inf, 1.1, None]),
    "Breaker(window": (lambda x: Breaker(window=x), [0, inf, None]),
    "Breaker(recovery": (lambda x: Breaker(recovery=x), [0, inf, None]),
    "Breaker(probes": (lambda x: Breaker(probes=x), [0, 1.5, None]),
    "Deadline(": (Deadline, [0, HUGE, None]),
    "Timeout(connect": (lambda x: Timeout(connect=x), [0, HUGE, None]),
    "Timeout(idle": (lambda x: Timeout(idle=x), [0, HUGE, None]),
    "client timeout": (lambda x: client(timeout=x), [0, HUGE]),
    "client priority": (lambda x: client(priority=x), [inf, HUGE, None]),
    "resilient timeout": (lambda x: resilient(timeout=x), [0, HUGE]),
    "attempts timeout": (lambda x: next(attempts(timeout=x)), [0, HUGE]),
    "TokenBucket(capacity": (lambda x: TokenBucket(x, 1), [0, inf, None]),
    "TokenBucket(refill_rate": (lambda x: TokenBucket(1, x), [0, inf, None]),
    "consume(": (lambda x: TokenBucket(1, 1).consume(x), [None]),
    "CircuitBreaker(failure_threshold": (lambda x: CircuitBreaker(failure_threshold=x), [0, inf, 1.5, None]),
    "CircuitBreaker(recovery_timeout": (lambda x: CircuitBreaker(recovery_timeout=x), [inf, None]),
    "CircuitBreaker(failure_window": (lambda x: CircuitBreaker(failure_window=x), [0, inf, None]),
    "max_retries": (lambda x: retry_with_exponential_backoff(int, max_retries=x), [inf, 1.5, None]),
    "base_delay": (lambda x: retry_with_exponential_backoff(int, base_delay=x), [inf, None]),
    "max_delay": (lambda x: retry_with_exponential_backoff(int, max_delay=x), [None]),
    "TokenGauge(sigmas": (lambda x: TokenGauge(sigmas=x), [inf, None]),
    "TokenGauge(models": (lambda x: TokenGauge(models=x), [0, 1.5, None]),
    "quantile(": (lambda x: AnswerSizes().quantile(x), [1.5, inf, None]),
    "burndown": (lambda x: advise_max_tokens(AnswerSizes(), burndown=x, mean_input=1), [0, inf, None]),
    "exactly(": (lambda x: exactly(Estimate(), x), [1.5, inf, None]),
}
PRIORITIES = ("client priority", "shares' priority")  # -1 is one


@pytest.mark.parametrize("option", OPTIONS)
def test_an_invalid_number_raises_a_value_error(option: str) -> None:
    give, besides = OPTIONS[option]
    for value in [*NEVER, *besides]:
        if (option in PRIORITIES and value == -1) or (option == "shares' priority" and value in ([], {})):
            continue
        with pytest.raises(ValueError, match=r"pass|must be") as raised:
            give(value)
        assert len(str(raised.value)) < 400
        assert "prompt of somebody" not in str(raised.value)


def test_other_numeric_types_are_accepted() -> None:
    for number in (5, 5.0, Fraction(5)):
        assert repr(Quota(rpm=number)).startswith("Quota(rpm=")  # type: ignore[arg-type]
    assert priority_number(-1) == -1.0
    assert Timeout(total=inf).total == inf
    assert Quota(waiting=10**6, shares={"batch": 0, 7: 0.5}).shares == {2.0: 0, 7.0: 0.5}


def test_a_token_bucket_still_works_after_invalid_numbers() -> None:
    world = World()
    bucket = TokenBucket(10, 1, clock=world.clock, sleep=world.sleep)
    for timeout in (nan, "1", True):
        with pytest.raises(ValueError, match="timeout"):
            bucket.consume(1, timeout=timeout)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"consume\(1000"):
        bucket.consume(HUGE)
    assert not bucket.consume(inf)
    assert bucket.consume(10)


@given(st.integers() | st.floats() | st.fractions() | st.booleans() | st.text() | st.none() | st.binary())
def test_a_number_must_be_finite_and_real_and_the_message_is_short(value: Any) -> None:
    if is_number(value):
        assert isfinite(float(value))
        assert not isinstance(value, (bool, str, bytes))
    assert is_number(value, whole=True) <= is_number(value) <= is_number(value, infinite=True)
    assert len(shown(value)) <= 41
    assert len(shown_name(value, ["priority"])) < 300


@given(st.integers(3000, 20_000))
def test_an_integer_of_thousands_of_digits_is_refused_and_shown_in_short(digits: int) -> None:
    assert not is_number(10**digits)
    assert len(shown(10**digits)) <= 41
