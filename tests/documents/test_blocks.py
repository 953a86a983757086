"""The code of AWS's documents on the simulator, as written there; and this package's names in the same scenarios.

`blocks.md` has the blocks. Only the prelude differs from a reader's program: `client`, the simulator's address, and
modules `time` and `random` that a test controls, through `__import__`. Each scenario runs twice: with the functions
that the document defines, and with the functions that this package exports under the same names."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from support.doubles import session
from support.pages import BLOCKS, Program

import aws_bedrock_inference as package
from aws_bedrock_inference import BedrockClient, BedrockStreamingClient, Deadline, Pipeline, Retry
from aws_bedrock_inference.compat.invoking import INTERRUPTED, RESTRICTED
from aws_bedrock_inference.testing import Simulator, simulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.doubles import World

MODEL = "anthropic.claude-3-sonnet-20240229-v1:0"
ASK = {"modelId": MODEL, "messages": [{"role": "user", "content": [{"text": "Why is the sky blue?"}]}]}


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    with simulator() as sim:
        yield sim


@pytest.fixture
def sim(running: Simulator, alone: None, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    """The simulator at a reader's address, without faults; the clients' own waits are 0 s long."""
    running.scenario(answers={"tokens": 20})
    environment = {
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": running.url,
        "AWS_ACCESS_KEY_ID": "AKIDSIMULATOR",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("aws_bedrock_inference.clients.base.standard", at_once)
    return running


def at_once(_: object = None) -> Pipeline:
    return Pipeline(Deadline(), Retry(chance=lambda: 0.0))


@pytest.fixture
def boto3s(sim: Simulator, oracle: Callable[[str], Any]) -> Callable[[], Any]:
    """Return a call of boto3's own client, which does not retry."""
    client = oracle(sim.url)
    return lambda: client.converse(**ASK)["output"]["message"]["role"]


def error(code: str, message: str = "", **keys: Any) -> dict[str, Any]:
    return {"kind": "error", "code": code, **({"message": message} if message else {}), **keys}


@pytest.fixture
def streaming(sim: Simulator) -> Iterator[BedrockStreamingClient]:
    with BedrockStreamingClient(model_id=MODEL) as client:
        yield client


@pytest.fixture
def client(sim: Simulator) -> Iterator[BedrockClient]:
    with BedrockClient(model_id=MODEL) as made:
        yield made


def asked(sim: Simulator) -> int:
    arrived: int = sim.stats()["arrived"]
    return arrived


def test_the_backoff_block_counts_calls_and_retries_any_error(program: Program, sim: Simulator, boto3s: Any) -> None:
    retry = program.run("exponential_backoff_retry").exponential_backoff_retry
    sim.scenario(faults=[error("ThrottlingException", first=2)])
    assert retry(boto3s) == "assistant"
    assert program.world.sleeps == [1.5, 2.5]
    sim.scenario(faults=[error("ValidationException", "no")])
    with pytest.raises(ClientError, match="ValidationException"):
        retry(boto3s)
    assert asked(sim) == 3
    with pytest.raises(ClientError):
        retry(boto3s, max_retries=1)
    assert asked(sim) == 4


def test_the_jitter_block_counts_calls_and_retries_any_error(program: Program, sim: Simulator, boto3s: Any) -> None:
    retry = program.run("retry_with_jitter").retry_with_jitter
    sim.scenario(faults=[error("InternalServerException")])
    with pytest.raises(ClientError, match="InternalServerException"):
        retry(boto3s)
    assert asked(sim) == 5
    assert program.world.sleeps == [0.5, 1.0, 2.0, 4.0]
    program.world.sleeps.clear()
    with pytest.raises(ClientError):
        retry(boto3s, 4, 10, 15)
    assert program.world.sleeps == [5.0, 7.5, 7.5]
    with pytest.raises(ValueError, match="invalid literal"):
        retry(lambda: int("no number"), max_retries=2)


def test_the_circuit_breaker_with_call_counts_consecutive_failures(
    program: Program, sim: Simulator, boto3s: Any
) -> None:
    breaker = program.run("circuit_breaker_call").CircuitBreaker(failure_threshold=3)
    sim.scenario(faults=[error("InternalServerException", requests=[1, 2, 4, 5, 6])])
    for failures in (1, 2):
        with pytest.raises(ClientError):
            breaker.call(boto3s)
        assert (breaker.failure_count, breaker.state) == (failures, "CLOSED")
    assert breaker.call(boto3s) == "assistant"
    assert breaker.failure_count == 0
    for _ in range(3):
        with pytest.raises(ClientError):
            breaker.call(boto3s)
    assert (breaker.state, breaker.last_failure_time) == ("OPEN", program.world.now)
    program.world.now += 59
    with pytest.raises(Exception, match="Circuit breaker is OPEN"):
        breaker.call(boto3s)
    assert asked(sim) == 6
    program.world.now += 2
    assert breaker.call(boto3s) == "assistant"
    assert (breaker.state, breaker.failure_count) == ("CLOSED", 0)


def test_the_circuit_breaker_with_execute_counts_failures_in_a_window(
    program: Program, sim: Simulator, boto3s: Any
) -> None:
    program.run("circuit_breaker_execute")
    breaker = program.CircuitBreaker(failure_threshold=2)
    sim.scenario(faults=[error("InternalServerException", requests=[1, 2, 4])])
    with pytest.raises(ClientError):
        breaker.execute(boto3s)
    program.world.now += 61
    with pytest.raises(ClientError):
        breaker.execute(boto3s)
    assert (breaker.failure_count, breaker.state) == (1, "closed")  # the first is older than the window
    assert breaker.execute(boto3s) == "assistant"
    with pytest.raises(ClientError):
        breaker.execute(boto3s)
    assert breaker.state == "open"  # a success in between does not clear the count
    program.world.now += 29
    with pytest.raises(program.CircuitBreakerOpenError, match="Circuit breaker is open"):
        breaker.execute(boto3s)
    program.world.now += 2
    assert breaker.execute(boto3s) == "assistant"
    assert breaker.state == "closed"
    assert program.world.now - breaker.last_failure_time == 31


@pytest.mark.parametrize(
    ("code", "decision"),
    [
        *((code, "RETRY") for code in ("ThrottlingException", "RequestLimitExceeded", "InternalError")),
        *((code, "FAIL") for code in ("AccessDenied", "InvalidParameterValue", "ValidationException")),
        ("OddException", "RETRY_LIMITED"),
    ],
)
def test_errors_are_classified_as_in_the_document(
    program: Program, code: str, decision: str, sim: Simulator, boto3s: Any
) -> None:
    program.run("handle_aws_error")
    sim.scenario(faults=[error(code, status=418 if code == "OddException" else 400)])
    with pytest.raises(ClientError) as raised:
        boto3s()
    assert program.handle_aws_error(raised.value) == decision


def test_the_retry_wrapper_counts_repeats(program: Program, sim: Simulator, boto3s: Any) -> None:
    program.run("retry_with_exponential_backoff")
    retry = program.retry_with_exponential_backoff
    sim.scenario(faults=[error("ServiceUnavailableException")])
    with pytest.raises(ClientError, match="ServiceUnavailableException"):
        retry(boto3s)
    assert asked(sim) == 4
    assert program.world.sleeps == [1.0, 2.0, 4.0]
    sim.scenario(faults=[error("ValidationException", "no")])
    with pytest.raises(ClientError, match="ValidationException") as raised:
        retry(boto3s)
    assert asked(sim) == 1
    assert not program.is_recoverable_error(raised.value)


def test_the_bucket_limits_a_rate(program: Program, sim: Simulator, boto3s: Any) -> None:
    bucket = program.run("token_bucket").TokenBucket(2, 0.5)
    for _ in range(4):
        assert bucket.consume()
        boto3s()
    assert program.world.now == 1004.0  # two immediately, then one in two seconds
    assert not bucket.consume(block=False)
    assert not bucket.consume(2, timeout=1)
    assert bucket.last_refill_time == program.world.now


def test_the_synchronous_sample_works(program: Program, sim: Simulator, client: BedrockClient, caplog: Any) -> None:
    program.run("retry_with_exponential_backoff", "synchronous", client=client)
    sim.scenario(faults=[error("InternalServerException", first=2)])
    assert program.invoke_with_retry("Why is the sky blue?")["output"]["message"]["role"] == "assistant"
    assert asked(sim) == 3
    for faults, words in (
        ([error("ValidationException", "no")], "Invalid request: "),
        ([error("AccessDeniedException", "no")], "Unexpected error: "),
    ):
        sim.scenario(faults=faults)
        assert program.invoke_with_retry("Why?") is None
        assert asked(sim) == 1
        assert words in program.printed.getvalue() + caplog.text


def test_the_synchronous_sample_with_this_package_s_retry_sends_no_extra_requests(
    sim: Simulator, world: World, client: BedrockClient
) -> None:
    program = Program("package", world).run("retry_with_exponential_backoff")
    program.source = "document"
    program.run("synchronous", client=client)
    sim.scenario(faults=[error("InternalServerException")])
    assert program.invoke_with_retry("Why?") is None
    assert asked(sim) == 12
    assert "Unexpected error: InternalServerException" in program.printed.getvalue()
    assert program.invoke_with_retry("") is None
    assert asked(sim) == 12  # refused before it is sent
    assert "Invalid request: " in program.printed.getvalue()
    assert world.sleeps == []


def streamed(program: Program, client: BedrockStreamingClient) -> Any:
    program.names["calculate_backoff"] = partial(package.calculate_backoff, chance=program.world.chance)
    return program.run("retry_with_exponential_backoff", "streaming", client=client).stream_with_retry


def test_a_stream_restarts_after_a_break(program: Program, sim: Simulator, streaming: BedrockStreamingClient) -> None:
    stream = streamed(program, streaming)
    whole = "".join(stream("Why is the sky blue?"))
    sim.scenario(answers={"tokens": 20}, faults=[{**broken(), "first": 1}])
    pieces = list(stream("Why is the sky blue?"))
    assert pieces.count(INTERRUPTED) == 1
    part, again = "".join(pieces).split(INTERRUPTED)
    assert again == whole
    assert part
    assert again.startswith(part)
    assert program.world.sleeps == [1.0]


def test_a_stream_that_keeps_breaking_raises(
    program: Program, sim: Simulator, streaming: BedrockStreamingClient
) -> None:
    stream = streamed(program, streaming)
    sim.scenario(faults=[broken()])
    pieces: list[str] = []
    with pytest.raises(package.StreamBroken):
        pieces.extend(stream("Why?", max_retries=2))
    assert asked(sim) == 3
    assert program.world.sleeps == [1.0, 2.0]


def broken() -> dict[str, Any]:
    return {"kind": "exception", "code": "internalServerException", "after": 6}


FILTERED = [
    error("ValidationException", "The output was stopped by the content filtering policy of the provider."),
    error("ModelErrorException", "The model ended the request: content filter."),
]


@pytest.mark.parametrize("fault", FILTERED, ids=["400", "424"])
def test_filtered_content_returns_the_fallback_text(
    program: Program, fault: Any, sim: Simulator, client: BedrockClient
) -> None:
    safe = program.run("safe_invoke", client=client).safe_invoke
    sim.scenario(faults=[fault])
    assert safe("Why?")["output"] == RESTRICTED
    assert safe("Why?", fallback_message="Not that.")["output"] == "Not that."


@pytest.mark.parametrize("kind", ["content-filtered", "guardrail"])
def test_filtered_content_with_http_200_returns_the_fallback_text(program: Program, kind: str, sim: Simulator) -> None:
    sim.scenario(faults=[{"kind": kind}])
    with BedrockClient(MODEL, pipeline=package.standard(filtered="raise")) as client:
        safe = program.run("safe_invoke", client=client).safe_invoke
        assert safe("Why?")["output"] == RESTRICTED
        assert safe("Why?", fallback_message="Not that.")["output"] == "Not that."
    assert asked(sim) == 2


@pytest.mark.parametrize("fault", [error("ModelErrorException"), error("AccessDeniedException", "no")])
def test_unrelated_errors_are_raised(program: Program, fault: Any, sim: Simulator, client: BedrockClient) -> None:
    safe = program.run("safe_invoke", client=client).safe_invoke
    sim.scenario(faults=[fault])
    with pytest.raises(package.BedrockError, match=fault["code"]):
        safe("Why?")
    assert asked(sim) <= 3


def test_the_output_is_always_text(sim: Simulator, client: BedrockClient) -> None:
    text = client.invoke(prompt="Why?").text
    assert package.safe_invoke("Why?", client=client) == {"output": text, "stop_reason": "end_turn"}
    for kind, reason in (("content-filtered", "content_filtered"), ("guardrail", "guardrail_intervened")):
        sim.scenario(faults=[{"kind": kind}])
        assert package.safe_invoke("Why?", "No.", client=client) == {"output": "No.", "stop_reason": reason}


@pytest.fixture
def failed_requests(moto_url: str, sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Create the documents' table, as a reader would."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", moto_url)
    dynamodb = session().client("dynamodb", endpoint_url=moto_url)
    dynamodb.create_table(
        TableName="BedrockFailedRequests",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    yield dynamodb
    dynamodb.delete_table(TableName="BedrockFailedRequests")
    dynamodb.close()


@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")
def test_failed_requests_are_stored_listed_and_retried(program: Program, sim: Simulator, failed_requests: Any) -> None:
    client = BedrockClient(model_id=MODEL, pipeline=package.standard(retry=package.Retry(attempts=5)))
    queue = program.run("dead_letter_queue").DeadLetterQueue()
    sim.scenario(answers={"tokens": 20}, faults=[error("InternalServerException", first=5)])
    request: dict[str, Any] = {"prompt": "Why is the sky blue?"}
    with pytest.raises(package.ServerFailed) as raised:
        client.invoke(**request)
    failed = queue.store_failed_request(request, raised.value, metadata={"user": "u1"})
    (item,) = queue.get_failed_requests(limit=10)
    assert (item["id"], item["request"], item["metadata"]) == (failed, request, {"user": "u1"})
    assert item["error"] == str(raised.value)
    assert item.get("retry_result") is None
    result = queue.retry_request(failed, client)
    assert result["output"]["message"]["role"] == "assistant"
    with pytest.raises(ValueError, match="Request none not found"):
        queue.retry_request("none", client)
    again = program.DeadLetterQueue(table_name="BedrockFailedRequests")
    assert again.retry_request(failed, client)["stopReason"] == "end_turn"
    client.close()
    for made in (queue, again):
        made.dynamodb.meta.client.close() if program.source == "document" else made.close()


def test_floats_and_bytes_of_a_stored_request_are_restored(
    sim: Simulator, client: BedrockClient, failed_requests: Any, world: World
) -> None:
    picture = {"image": {"format": "png", "source": {"bytes": b"\x89PNG"}}}
    request = {"messages": [{"role": "user", "content": [{"text": "Hm?"}, picture]}], "temperature": 0.2}
    refused = Program("document", world).run("dead_letter_queue").DeadLetterQueue()
    with pytest.raises(TypeError, match="Float types are not supported"):
        refused.store_failed_request(request, "no")
    refused.dynamodb.meta.client.close()
    queue = package.DeadLetterQueue()
    failed = queue.store_failed_request(request, "no")
    (item,) = queue.get_failed_requests()
    assert (item["id"], item["request"]) == (failed, request)
    assert queue.retry_request(item["id"], client)["output"]
    queue.close()


def test_each_block_is_run_by_a_test() -> None:
    tests = Path(__file__).parent.glob("test_*.py")
    run = {name for test in tests for name in re.findall(r'"(\w+)"', test.read_text(encoding="utf-8"))}
    assert len(BLOCKS) == 13
    assert BLOCKS.keys() <= run
