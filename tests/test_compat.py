"""The functions and classes of AWS's troubleshooting pages: their signatures, their behaviour, and no race."""

from __future__ import annotations

import contextlib
import inspect
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from aws_bedrock_inference import (
    CircuitBreaker,
    CircuitBreakerOpenError,
    TokenBucket,
    calculate_backoff,
    exponential_backoff_retry,
    handle_aws_error,
    invoke_with_retry,
    is_recoverable_error,
    retry_with_exponential_backoff,
    retry_with_jitter,
    safe_invoke,
    stream_with_retry,
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
        (CircuitBreaker.call, "self, func"),
        (CircuitBreaker.on_success, "self"),
        (CircuitBreaker.on_failure, "self"),
        (exponential_backoff_retry, "func, max_retries=3"),
        (retry_with_jitter, "func, max_retries=5, base_delay=1, max_delay=32"),
        (calculate_backoff, "retries, base_delay=1.0, max_delay=60.0"),
        (invoke_with_retry, "prompt, max_retries=3"),
        (stream_with_retry, "prompt, max_retries=3"),
        (safe_invoke, "prompt, fallback_message=None"),
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
def test_temporary_errors_are_recoverable(error: Exception) -> None:
    assert is_recoverable_error(error)


@pytest.mark.parametrize("error", [refusal("ValidationException"), refusal("AccessDeniedException"), ValueError("x")])
def test_permanent_errors_are_not_recoverable(error: Exception) -> None:
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


def test_the_retry_returns_and_raises_what_the_function_does(world: World) -> None:
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


@pytest.mark.parametrize("retry", [retry_with_exponential_backoff, exponential_backoff_retry])
def test_an_error_with_limited_retries_is_not_retried_often(retry: Any, world: World) -> None:
    calls = []

    def work() -> None:
        calls.append(1)
        raise ReadTimeoutError(endpoint_url="https://bedrock-runtime.us-east-1.amazonaws.com")

    with pytest.raises(ReadTimeoutError) as raised:
        retry(work, 5, sleep=world.sleep)
    assert handle_aws_error(raised.value) == "RETRY_LIMITED"
    assert len(calls) == (2 if retry is retry_with_exponential_backoff else 5)
    assert "gave up: no attempts are left" in raised.value.__notes__[0]


def test_no_retries_means_one_call() -> None:
    with pytest.raises(ClientError):
        retry_with_exponential_backoff(lambda: (_ for _ in ()).throw(refusal("ThrottlingException")), max_retries=0)


def test_tokens_are_available_or_waited_for_up_to_the_timeout(world: World) -> None:
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


def test_an_interrupted_wait_uses_no_token(world: World) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    bucket = TokenBucket(1, 1, clock=world.clock, sleep=interrupted)
    assert bucket.consume()
    with pytest.raises(KeyboardInterrupt):
        bucket.consume()
    world.now += 1
    assert bucket.consume(block=False)


def test_many_threads_get_every_token_once_and_none_is_refused(world: World) -> None:
    bucket = TokenBucket(5, 10, clock=world.clock, sleep=world.sleeps.append)  # all of them arrive at one moment
    got: list[bool] = []
    crowd = [threading.Thread(target=lambda: got.append(bucket.consume())) for _ in range(25)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    assert got == [True] * 25
    assert sorted(world.sleeps) == pytest.approx([n / 10 for n in range(1, 21)])  # 5 immediately, 20 at 10 a second


def work() -> str:
    return "done"


def broken() -> str:
    raise RuntimeError("broken")


def ill(breaker: CircuitBreaker, times: int) -> None:
    for _ in range(times):
        with pytest.raises(RuntimeError):
            breaker.execute(broken)


def test_a_circuit_opens_admits_one_test_call_and_closes(world: World) -> None:
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


def test_old_failures_and_errors_of_the_caller_do_not_count(world: World) -> None:
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
    assert {"CLOSED": 0, "OPEN": 1, "HALF_OPEN": 2}[breaker.state] == 1
    world.now += 59
    with pytest.raises(CircuitBreakerOpenError, match="OPEN"):
        breaker.call(work)


@pytest.mark.parametrize(
    ("made", "executes_after", "calls_after"),
    [
        (CircuitBreaker, 30, 60),
        (lambda **time: CircuitBreaker(1, **time), 30, 60),
        (lambda **time: CircuitBreaker(1, 45, **time), 45, 45),
        (lambda **time: CircuitBreaker(1, 30, **time), 30, 30),
        (lambda **time: CircuitBreaker(1, recovery_timeout=20, **time), 20, 20),
        (lambda **time: CircuitBreaker(1, timeout=90, **time), 90, 90),
    ],
)
def test_each_method_waits_as_its_page_documents(
    made: Any, executes_after: float, calls_after: float, world: World
) -> None:
    for method, after in (("execute", executes_after), ("call", calls_after)):
        breaker = made(clock=world.clock, wall=lambda: 5000 + world.now)
        for _ in range(breaker.failure_threshold):
            with pytest.raises(RuntimeError):
                getattr(breaker, method)(broken)
        assert breaker.last_failure_time == 5000 + world.now
        with pytest.raises(CircuitBreakerOpenError) as refused:
            getattr(breaker, method)(work)
        assert refused.value.retry_after == after
        assert breaker.last_retry_time == 0
        world.now += after
        assert getattr(breaker, method)(work) == "done"
        assert breaker.last_retry_time == 5000 + world.now


def test_a_subclass_is_notified_of_each_call(world: World) -> None:
    class Told(CircuitBreaker):
        heard: list[str]

        def on_success(self) -> None:
            super().on_success()
            self.heard.append("success")

        def on_failure(self) -> None:
            super().on_failure()
            self.heard.append(f"failure {self.failure_count}")

    breaker = Told(failure_threshold=2, clock=world.clock)
    breaker.heard = []
    for function in (broken, work, broken, broken):
        with contextlib.suppress(RuntimeError):
            breaker.call(function)
    assert breaker.heard == ["failure 1", "success", "failure 1", "failure 2"]
    assert breaker.state == "OPEN"
    breaker.on_success()
    assert (breaker.state, breaker.failure_count) == ("CLOSED", 0)


@pytest.mark.parametrize("method", ["call", "execute"])
def test_a_late_answer_changes_nothing(method: str, world: World) -> None:
    breaker = CircuitBreaker(failure_threshold=1, clock=world.clock)

    def late(ending: Any) -> Any:
        with pytest.raises(RuntimeError):
            getattr(breaker, method)(broken)  # meanwhile the circuit opens
        return ending()

    assert getattr(breaker, method)(lambda: late(work)) == "done"
    assert breaker.state == "open"
    world.now += 61
    breaker.execute(work)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            getattr(breaker, method)(lambda: late(broken))
        assert breaker.failure_count == 1
        breaker.on_success()


@pytest.mark.parametrize("method", ["call", "execute"])
@pytest.mark.parametrize("ending", [refusal("ValidationException"), KeyboardInterrupt()])
def test_an_inconclusive_test_call_admits_the_next_one(method: str, ending: BaseException, world: World) -> None:
    breaker = CircuitBreaker(failure_threshold=1, clock=world.clock)

    def ends() -> None:
        raise ending

    ill(breaker, 1)
    world.now += 61
    with pytest.raises(type(ending)):
        getattr(breaker, method)(ends)
    assert breaker.state == "open"
    assert getattr(breaker, method)(work) == "done"
    assert breaker.state == "closed"


def test_a_test_call_that_never_ends_does_not_keep_the_circuit_open(world: World) -> None:
    breaker = CircuitBreaker(failure_threshold=1, recovery_timeout=5, clock=world.clock)
    ill(breaker, 1)
    world.now += 5

    def slow() -> str:
        world.now += 5
        assert breaker.execute(work) == "done"
        assert breaker.state == "closed"
        raise RuntimeError("too late to count")

    with pytest.raises(RuntimeError):
        breaker.execute(slow)
    assert breaker.state == "closed"


def test_a_forked_child_does_not_wait_for_its_parent(world: World) -> None:
    breaker = CircuitBreaker(failure_threshold=1, clock=world.clock)
    held = threading.Thread(target=breaker.lock.acquire)  # a thread that the child does not have
    held.start()
    held.join()

    def parent() -> None:
        breaker.after_fork()
        raise RuntimeError("a call of the parent")

    breaker.after_fork()
    with pytest.raises(RuntimeError):
        breaker.execute(parent)
    assert breaker.state == "closed"
    assert breaker.execute(work) == "done"


def test_the_attributes_of_the_pages_exist(world: World) -> None:
    breaker = CircuitBreaker(clock=world.clock)
    assert (breaker.failure_threshold, breaker.recovery_timeout, breaker.timeout) == (5, 30, 60)
    assert (breaker.retry_timeout, breaker.failure_window) == (60, 60)
    assert (breaker.last_failure_time, breaker.last_retry_time, breaker.failure_count) == (0, 0, 0)
    bucket = TokenBucket(3, 1, clock=world.clock, wall=lambda: 77.0)
    assert (bucket.capacity, bucket.refill_rate, bucket.tokens, bucket.last_refill_time) == (3, 1, 3, 77)
    for one in (breaker, bucket):
        with one.lock, one.lock:
            pass


def test_a_backoff_doubles_within_a_fifth() -> None:
    assert [calculate_backoff(n, chance=lambda: 0.5) for n in (0, 1, 2, 3, 7, 10**6)] == [1, 1, 2, 4, 60, 60]
    assert calculate_backoff(2, chance=lambda: 0.0) == pytest.approx(1.6)
    assert calculate_backoff(2, 3, 4, chance=lambda: 0.5) == 4


def test_each_retry_is_logged_without_the_service_s_words(caplog: Any, world: World) -> None:
    def fails() -> None:
        raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "for 'my prompt'"}}, "Converse")

    for retry in (retry_with_exponential_backoff, exponential_backoff_retry, retry_with_jitter):
        caplog.clear()
        with pytest.raises(ClientError) as raised:
            retry(fails, max_retries=2, sleep=world.sleep, chance=world.chance)
        line = caplog.messages[0]
        assert line.startswith("Retrying after error: ThrottlingException (")
        assert ". Attempt 1/" in line
        assert line.endswith(" seconds...")
        assert "my prompt" not in caplog.text
        assert "no attempts are left" in raised.value.__notes__[0]


@pytest.mark.parametrize("function", [invoke_with_retry, safe_invoke, stream_with_retry])
def test_a_function_without_a_client_is_refused_with_what_it_needs(function: Any) -> None:
    class Awaited:
        async def invoke(self, prompt: str) -> None: ...
        async def invoke_stream(self, prompt: str) -> None: ...

    for client, words in (
        (None, "needs a client: pass client=BedrockClient"),
        (3, "int has no method invoke"),
        (Awaited(), "await"),
    ):
        with pytest.raises(TypeError, match=rf"{function.__name__}\(\).*{words}"):
            function("hi", client=client)


class Own:
    """A client of somebody's own, with the page's methods."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    def invoke(self, prompt: str) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def invoke_stream(self, prompt: str) -> Any:
        for piece in self.invoke(prompt):
            if isinstance(piece, Exception):
                raise piece
            yield piece


@pytest.mark.parametrize(
    ("answer", "output"),
    [
        ({"output": "text"}, "text"),
        ({"output": {"message": {"content": [{"text": "te"}, {"text": "xt"}]}}, "stopReason": "end_turn"}, "text"),
        ({"output": {"message": {"content": []}}}, ""),
        ({"content": [{"type": "text", "text": "text"}], "stop_reason": None}, "text"),
        ({"content": [{"type": "text", "text": "text"}], "stop_reason": 7}, "text"),
        (SimpleNamespace(text="text", stop_reason=None), "text"),
        (SimpleNamespace(text="half", stop_reason="refusal"), "No."),
        (None, ""),
        ({"output": {"message": {"content": [{"text": "half"}]}}, "stopReason": "content_filtered"}, "No."),
        ({"results": [{"outputText": "x", "completionReason": "CONTENT_FILTERED"}]}, "No."),
        ("text", "text"),
        (RuntimeError("The response was held back by a Content Filter."), "No."),
        (refusal("ThrottlingException"), ClientError),
        (ValueError("content"), ValueError),
    ],
)
def test_the_output_is_text_for_any_client(answer: Any, output: Any) -> None:
    if isinstance(output, type):
        with pytest.raises(output):
            safe_invoke("hi", "No.", client=Own(answer))
    else:
        assert safe_invoke("hi", "No.", client=Own(answer))["output"] == output


def test_streams_of_any_client_restart_after_a_break(world: World) -> None:
    broken_off = [["a", refusal("ThrottlingException")], [ConnectionError("reset")], ["a", "b"]]
    pieces = list(stream_with_retry("hi", client=Own(*broken_off), sleep=world.sleep, chance=world.chance))
    assert pieces == ["a", "\n[Stream was interrupted. Retrying...]\n", "a", "b"]
    assert world.sleeps == [1.0, 2.0]
    with pytest.raises(ValueError, match="odd"):
        list(stream_with_retry("hi", client=Own([ValueError("odd")]), sleep=world.sleep))


def test_a_stream_is_closed_when_its_reader_leaves(world: World) -> None:
    left = []

    class Watched(Own):
        def invoke_stream(self, prompt: str) -> Any:
            try:
                yield from "abc"
            finally:
                left.append(prompt)

    stream = stream_with_retry("hi", client=Watched())
    assert next(iter(stream)) == "a"
    stream.close()  # type: ignore[attr-defined]
    assert left == ["hi"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (refusal("ValidationException"), "Invalid request: ValidationException"),
        (refusal("ModelErrorException"), "Model error: ModelErrorException"),
        (refusal("AccessDeniedException"), "Unexpected error: AccessDeniedException"),
        (KeyError("x"), "Unexpected error: KeyError"),
    ],
)
def test_a_failed_invocation_is_logged_and_returns_none(
    answer: Exception, words: str, caplog: Any, world: World
) -> None:
    client = Own(*[answer] * 9)
    assert invoke_with_retry("hi", client=client, sleep=world.sleep, chance=world.chance) is None
    assert words in caplog.messages[-1]
    assert invoke_with_retry("hi", client=Own("yes")) == "yes"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TokenBucket(0, 1), "capacity=0"),
        (lambda: TokenBucket(1, 0), "refill_rate=0"),
        (lambda: TokenBucket(1, 1).consume(-1), "-1"),
        (lambda: CircuitBreaker(failure_threshold=0), "failure_threshold must be 1 or more"),
        (lambda: CircuitBreaker(timeout=-1), "recovery_timeout 0 seconds or more"),
        (lambda: exponential_backoff_retry(work, 0), "max_retries=0.*1 or more"),
        (lambda: retry_with_jitter(work, 0), "max_retries=0.*1 or more"),
        (lambda: retry_with_jitter(work, base_delay=-1), "base_delay=-1"),
        (lambda: calculate_backoff(-1), "retries=-1"),
        (lambda: stream_with_retry("hi", -1, client=Own()), "max_retries=-1"),
    ],
)
def test_impossible_numbers_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
