"""Measure the time to recognize an error: reading the catalogue, classifying an exception, and explaining a text."""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from aws_bedrock_inference import classify, explain

if TYPE_CHECKING:
    from collections.abc import Callable

COLD = (
    "import time, aws_bedrock_inference.knowledge.explain as e, aws_bedrock_inference.knowledge.catalogue as c\n"
    "start = time.perf_counter(); list(c.catalogue().matching('x', set())); print(time.perf_counter() - start)"
)
COLD_CODE = (
    "import time; import aws_bedrock_inference.knowledge.modelled as m\n"
    "start = time.perf_counter(); assert m.modelled('ClusterNotFoundException'); print(time.perf_counter() - start)"
)
METADATA: Any = {"HTTPStatusCode": 400, "RequestId": "12345678-1234-1234-1234-123456789012"}
CODED = ClientError(
    {
        "Error": {"Code": "ValidationException", "Message": "The provided model identifier is invalid."},
        "ResponseMetadata": METADATA,
    },
    "Converse",
)
LINE = 'File "/var/task/app/worker.py", line 42, in handler: response = client.converse(**request)\n'
LAST = f"botocore.errorfactory.ThrottlingException: {CODED.__class__.__name__}: Too many tokens, please wait.\n"
TEXT = ("Traceback (most recent call last):\n" + LINE * 30)[: 2048 - len(LAST)] + LAST
LONG = {
    "a log": "2026-11-21T03:00:00Z INFO request 4711 served in 12 ms, all is well\n",
    "one letter": "a",
    "half a signature": "user: arn:aws:iam:: too many unable to import module 'a",
    "dots": "a.",
    "quotes": "'\"",
}


def each(function: Callable[[], object], times: int) -> float:
    """Return the median seconds for one call, from nine rounds."""
    rounds = []
    for _ in range(9):
        start = time.perf_counter()
        for _ in range(times):
            function()
        rounds.append((time.perf_counter() - start) / times)
    return median(rounds)


def cold(script: str) -> float:
    """Return the median of five new interpreters."""
    return median(float(subprocess.check_output([sys.executable, "-c", script])) for _ in range(5))


def main() -> None:
    classify(CODED)
    explain(TEXT)
    rows = [
        ("reading the catalogue, cold", cold(COLD) * 1e3, "ms", 30),
        ("any service's code, cold", cold(COLD_CODE) * 1e3, "ms", 50),
        ("classify a coded exception", each(lambda: classify(CODED), 5000) * 1e6, "us", 5),
        (f"explain a text of {len(TEXT):,} characters", each(lambda: explain(TEXT), 50) * 1e3, "ms", 1),
    ]
    for name, part in LONG.items():
        text = part * (100_000 // len(part))
        rows.append((f"explain 100 KB of {name}", each(lambda text=text: explain(text), 1) * 1e3, "ms", 50))  # type: ignore[misc]
    print("Time to recognize an error; medians")
    for name, value, unit, goal in rows:
        print(f"  {name:<40}{value:8.2f} {unit}   goal: at most {goal} {unit}")


if __name__ == "__main__":
    main()
