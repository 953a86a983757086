"""Share one quota between two processes, so that together they do not exceed it.

    python examples/shared_quota.py          # STORE sets the store, redis://host for several machines

Each process requests its share of the quota from the store about once a second. If one process does not need its
share, the other process receives more. During the run, `bedrock quota watch --store URL` shows the use of each
process.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from typing import Literal

from aws_bedrock_inference import BedrockClient, Quota
from aws_bedrock_inference.events import ThrottleReceived

MODEL = "us.amazon.nova-lite-v1:0"
CALLS = 10


def work(name: str, priority: Literal["interactive", "batch"], store: str) -> int:
    """Send the calls of one process, and return how many of them the service throttled."""
    throttles = []
    # All processes must set the same limits and the same store.
    quota = Quota(rpm=2_000, tpm=2_000_000, store=store)
    with BedrockClient(MODEL, quota=quota, priority=priority) as client:
        client.listen(lambda event: throttles.append(event) if isinstance(event, ThrottleReceived) else None)
        answers = [client.invoke(f"Tell fact {number}.", max_tokens=100) for number in range(CALLS)]
    print(f"{name}: {len(answers)} answers, {len(throttles)} throttles", flush=True)
    return len(throttles)


def main() -> int:
    with tempfile.TemporaryDirectory() as directory:
        store = os.environ.get("STORE", f"sqlite://{directory}/shares.db")
        # A client cannot be pickled, so each process creates its own.
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            throttles = pool.starmap(work, [("service", "interactive", store), ("nightly", "batch", store)])
    print(f"together: {sum(throttles)} throttles")
    return 0


if __name__ == "__main__":
    sys.exit(main())
