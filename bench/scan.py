"""Measure how fast `bedrock scan` reads a log in which one line in a thousand is an error, compared with `grep -cF`
for all codes in the catalogue. Also measure the time of `explain`.

    python bench/scan.py [--megabytes N]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from aws_bedrock_inference.knowledge.catalogue import catalogue
from aws_bedrock_inference.knowledge.explain import explain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CALM = "request completed in ms status=200 path=/api/v1/items user session cache hit miss worker started order paid"
ERRORS = (
    ("ThrottlingException", "Converse", "Too many tokens, please wait before trying again."),
    (
        "AccessDeniedException",
        "InvokeModel",
        "User: arn:aws:iam::123456789012:user/app is not authorized to perform: it",
    ),
    ("SlowDown", "PutObject", "Please reduce your request rate."),
    ("ResourceNotFoundException", "Query", "Requested resource not found"),
)
TRACEBACK = 'Traceback (most recent call last):\n  File "app.py", line 3, in ask\n    client.query()\nClientError: '
LONG = 100_000


def errors() -> list[str]:
    texts = [f"An error occurred ({code}) when calling the {name} operation: {why}" for code, name, why in ERRORS]
    return [*texts, *(TRACEBACK + text for text in texts)]


def log(path: Path, megabytes: int) -> int:
    """Write a log of this number of megabytes. Return the number of errors in it."""
    words, failures, start = CALM.split(), errors(), datetime(2026, 11, 1, tzinfo=UTC)
    calm = [" ".join(words[at % len(words)] for at in range(shift, shift * 13, shift)) for shift in range(1, 2_000)]
    number = 0
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < megabytes * 1_000_000:
            for _ in range(10_000):
                at = (start + timedelta(milliseconds=10 * number)).isoformat(timespec="milliseconds")
                if number % 1_000 == 999:
                    file.write(f"{at} ERROR {failures[number // 1_000 % len(failures)]}\n")
                else:
                    file.write(f"{at} INFO {calm[number % len(calm)]} req={number:016x}\n")
                number += 1
    return number // 1_000


def measured(command: Sequence[str]) -> tuple[float, int, str]:
    """Run a command. Return its seconds of processor time, its peak memory in bytes and its output."""
    with tempfile.TemporaryFile("w+") as output:
        running = subprocess.Popen(command, stdout=output)
        _, _, used = os.wait4(running.pid, 0)
        running.returncode = 0
        output.seek(0)
        return used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, output.read()


def median(call: Callable[[], object], times: int) -> float:
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--megabytes", type=int, default=300)
    megabytes = options.parse_args().megabytes
    with tempfile.TemporaryDirectory() as folder:
        path, codes = Path(folder, "app.log"), Path(folder, "codes")
        count = log(path, megabytes)
        known = sorted(code for code in catalogue().by_code if not code.isdigit())
        codes.write_text("\n".join(known), encoding="utf-8")
        size = path.stat().st_size / 1e6
        print(f"{size:.0f} MB, {count:,} errors, one line in 1,000; processor seconds of one core")
        print(f"{'':<34}{'MB/s':>8}{'seconds':>9}{'memory MB':>11}  found")
        scan = [sys.executable, "-m", "aws_bedrock_inference.cli", "scan", str(path)]
        for name, command in (
            ("bedrock scan", scan),
            (f"grep -cF, {len(known)} codes", ["grep", "-cF", "-f", str(codes), str(path)]),
        ):
            taken, memory, output = measured(command)
            found = output.split(" in ")[0].strip()
            print(f"{name:<34}{size / taken:>8.0f}{taken:>9.2f}{memory / 1e6:>11.0f}  {found}")
    print()
    print(f"{'explain, warm':<34}{'ms':>8}")
    texts = errors()
    again = "\n".join(texts * 100)
    for name, text, times in (
        ("one line", texts[0], 50),
        ("a text of 2 KB", again[:2_000], 50),
        ("100 KB: errors again and again", again[:LONG], 5),
        ("100 KB: words", ("error words " * LONG)[:LONG], 5),
        ("100 KB: codes", ("ThrottlingException " * LONG)[:LONG], 5),
        ("100 KB: one dotted word", ("a." * LONG)[:LONG], 5),
    ):
        print(f"{name:<34}{median(partial(explain, text), times) * 1e3:>8.2f}")
    script = (
        "import time; start = time.perf_counter()\n"
        "from aws_bedrock_inference.knowledge.modelled import modelled\n"
        "modelled('ExportNotFoundException'); print((time.perf_counter() - start) * 1e3)"
    )
    cold = statistics.median(float(measured([sys.executable, "-c", script])[2]) for _ in range(5))
    print(f"{'a code by itself, cold':<34}{cold:>8.2f}")


if __name__ == "__main__":
    main()
