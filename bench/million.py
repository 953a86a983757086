"""Run a batch with a million records against a service that answers immediately. Measure the time, memory and disk
space that the batch's journal needs.

    python million.py           # a million; about two minutes
    python million.py 100000    # fewer
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from aws_bedrock_inference import clock
from aws_bedrock_inference.batch.answers import Answer
from aws_bedrock_inference.batch.ending import Ending
from aws_bedrock_inference.batch.job import Job
from aws_bedrock_inference.batch.tally import Tally
from aws_bedrock_inference.batch.work import asked, closed_files, opened_files

if TYPE_CHECKING:
    from aws_bedrock_inference.batch.records import Record

USAGE = {"input_tokens": 30, "output_tokens": 60, "cache_read_tokens": 0, "cache_write_tokens": 0}


async def ask(record: Record) -> Answer:
    await asyncio.sleep(0)
    text = f"An answer to {record.source['prompt']}"
    return Answer({"id": record.key, "text": text, "stop_reason": "end_turn", "usage": USAGE}, "end_turn")


async def carried_out(job: Job) -> Tally:
    """Run the job in the same way as `bedrock run`, but with another client and without signal handlers."""
    tally = Tally(clock.monotonic)
    journal, output = opened_files(job, print)
    ending = await asked(job, journal, output, lambda: ask, tally, concurrency=64)
    assert ending == Ending()  # noqa: S101 - a bench must not report wrong results
    closed_files(job, journal, output, ending)
    return tally


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder) / "in.jsonl", Path(folder) / "out.jsonl"
        with source.open("w") as file:
            for each in range(number):
                file.write(
                    json.dumps({"id": f"record-{each}", "prompt": f"Say {each} in one sentence of ten words."}) + "\n"
                )
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
        for what in ("asked", "resumed"):
            started, used = time.perf_counter(), time.process_time()
            tally = asyncio.run(carried_out(Job(source=source, output=output, model="m")))
            seconds, used = time.perf_counter() - started, time.process_time() - used
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
            print(
                f"{what:8} {number:,} records: {seconds:6.1f} s, {seconds / number * 1e6:5.1f} us each "
                f"({used / number * 1e6:5.1f} us of processor), {memory:4.0f} MB at most ({before:.0f} before), "
                f"{tally.answered:,} answered, {tally.skipped:,} before"
            )
        sizes = [f"{path.name} {path.stat().st_size / 1e6:,.0f} MB" for path in sorted(Path(folder).iterdir())]
        print(", ".join(sizes))


if __name__ == "__main__":
    main()
