"""Measure the cost of an answer from the cache, compared with the same call without a cache. The value is CPU time of
one thread, from the fastest of ten rounds.

`policy` is the cache alone: computing the key, the look-up, and the answer. `invoke` is a whole call of the blocking
client, with its checks and its estimate. A function that returns immediately replaces AWS, so the row without a cache
is the cost of the client itself.

    python bench/cache.py [redis://HOST]
"""

from __future__ import annotations

import copy
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any

import boto3

from aws_bedrock_inference import BedrockClient, Cache, Quota, standard
from aws_bedrock_inference.call import Outcome, Usage
from aws_bedrock_inference.flow import send

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_bedrock_inference.call import Call

MODEL = "amazon.nova-lite-v1:0"
ROUNDS, CALLS = 10, 300
ANSWER = {
    "output": {"message": {"role": "assistant", "content": [{"text": "It scatters light. " * 20}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 250, "outputTokens": 90, "totalTokens": 340},
    "metrics": {"latencyMs": 7},
    "ResponseMetadata": {
        "HTTPStatusCode": 200,
        "HTTPHeaders": {"content-type": "application/json"},
        "RetryAttempts": 0,
    },
}


def service(_: Call) -> Outcome:
    return Outcome(copy.deepcopy(ANSWER), usage=Usage(250, 90))


def measure(what: Callable[[], Any], clock: Callable[[], float]) -> float:
    """Return the microseconds per call in the best round."""
    best = float("inf")
    for _ in range(ROUNDS):
        started = clock()
        for _ in range(CALLS):
            what()
        best = min(best, clock() - started)
    return best / CALLS * 1e6


def row(name: str, cache: Cache | None, size: int, clock: Callable[[], float]) -> None:
    session = boto3.Session("AKIDEXAMPLE", "secret", region_name="us-east-1")
    pipeline = standard(Quota(rpm=10**9), cache=cache)
    prompt = "Why is the sky blue, and is it so on Mars? "
    prompt *= size // len(prompt)
    with BedrockClient(MODEL, session=session, endpoint_url="http://127.0.0.1:1", pipeline=pipeline) as client:
        driver = client._driver  # noqa: SLF001 - the service is replaced
        driver._send = service  # noqa: SLF001
        settings = {"maxTokens": 400, "temperature": 0}
        params = {"messages": [{"role": "user", "content": [{"text": prompt}]}], "inferenceConfig": settings}
        call = client._make_call("converse", params)  # noqa: SLF001 - it only prepares a call
        alone = send if cache is None else cache.around(send, time.monotonic)
        driver.run(alone(call))
        policy = measure(lambda: driver.run(alone(call)), clock)
        whole = measure(lambda: client.invoke(prompt, max_tokens=400, temperature=0), clock)
    if cache is not None:
        cache.close()
    print(f"{name:<10} {size:>9,} {policy:>10.1f} {whole:>10.1f}")


def main() -> None:
    print(f"{'store':<10} {'request B':>9} {'policy µs':>10} {'invoke µs':>10}")
    for size in (1_000, 10_000, 100_000):
        row("none", None, size, time.thread_time)
        row("memory", Cache(), size, time.thread_time)
    with tempfile.TemporaryDirectory() as directory:
        # The threads of these stores work for the call, so elapsed time shows how long the call waits.
        row("sqlite", Cache(f"sqlite://{directory}/answers.db"), 1_000, time.perf_counter)
    for url in sys.argv[1:]:
        row("server", Cache(url), 1_000, time.perf_counter)


if __name__ == "__main__":
    main()
