"""Run every stress test in a separate process and print one table. A stress test ("story") repeats one kind of trial
many times. A story that exceeds its time limit is reported as hung.

    python -m stress            # from bench/: all of them, in under half an hour
    python -m stress forks      # one of them

A story prints its result as JSON: the number of trials, the number of wrong results, and one line of detail.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

STORIES = {
    "forks": 120,
    "collector": 180,
    "cancellation": 120,
    "dead_peers": 120,
    "bytes": 180,
    "failover": 120,
    "kills": 420,
    "crash": 2400,
    "letters": 900,
}
"""The stories and their time limits in seconds, about three times the time that they need on two cores."""


def main(names: list[str]) -> int:
    print(f"{'story':14} {'trials':>8} {'wrong':>6} {'seconds':>8}  result")
    failed = 0
    for name in names or STORIES:
        started = time.monotonic()
        trials, wrong, detail = told(name, STORIES[name])
        failed += bool(wrong)
        print(f"{name:14} {trials:8,} {wrong:6,} {time.monotonic() - started:8.1f}  {detail}", flush=True)
    return 1 if failed else 0


def told(name: str, limit: float) -> tuple[int, int, str]:
    module = name if Path(f"{name}.py").exists() else f"stress.{name}"
    command = [sys.executable, "-m", module]
    environment = {**os.environ, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False, env=environment)
    except subprocess.TimeoutExpired:
        return 0, 1, f"hung: no result within {limit} s"
    try:
        result = json.loads(ended.stdout.splitlines()[-1])
        return result["trials"], result["wrong"], result["detail"]
    except (IndexError, ValueError, KeyError):
        return 0, 1, (ended.stderr.strip().splitlines() or ["no result"])[-1][:200]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
