"""Measure dead letters in a file: the time to store one, and the time of listings when 10,000 are stored.

    python bench/letters.py

A DynamoDB table is not measured. moto, which simulates DynamoDB, needs a second for a page of so many items. Instead, a
test counts the requests to the table.
"""

from __future__ import annotations

import statistics
import tempfile
import time
import tracemalloc
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference import DeadLetterQueue

if TYPE_CHECKING:
    from collections.abc import Callable

LETTERS = 10_000
# A request of about 2 KB, and one rare cause among the others.
TEXT = "Summarize the following text. " * 66
SLOW = "An error occurred (ThrottlingException) when calling the Converse operation: Too many requests"
RARE = "An error occurred (AccessDeniedException) when calling the Converse operation: User is not authorized"


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        queue = DeadLetterQueue(f"sqlite://{directory}/dead.db")
        print(f"{'store one':40} {kept(queue):8.2f} ms")
        first = queue.get_failed_requests(1)[0].id
        for name, use in (
            ("list of 100", lambda: queue.get_failed_requests(100)),
            ("list of 100 by a common cause", lambda: queue.get_failed_requests(100, cause="throttled-*")),
            ("list of 100 by a rare cause", lambda: queue.get_failed_requests(100, cause="access-*")),
            ("list of 100 by tag", lambda: queue.get_failed_requests(100, tag="n=7")),
            ("get one", lambda: queue.get(first)),
            ("stats", queue.stats),
        ):
            print(f"{name:40} {timed(use):8.2f} ms")
        tracemalloc.start()
        number = sum(1 for _ in queue.letters())
        print(f"{f'memory while {number:,} are read, peak':40} {tracemalloc.get_traced_memory()[1] / 1e6:8.2f} MB")
        queue.close()


def kept(queue: DeadLetterQueue) -> float:
    started = time.perf_counter()
    for number in range(LETTERS):
        request = {"prompt": f"{number} {TEXT}", "max_tokens": 200, "temperature": 0.2}
        queue.store_failed_request(request, RARE if number % 1_000 == 0 else SLOW, tags={"n": str(number % 10)})
    return (time.perf_counter() - started) / LETTERS * 1e3


def timed(use: Callable[[], Any]) -> float:
    times = []
    for _ in range(9):
        started = time.perf_counter()
        use()
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1e3


if __name__ == "__main__":
    main()
