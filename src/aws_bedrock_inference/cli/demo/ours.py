"""The client of `bedrock demo` that uses this package. It sends the prompts in the same way as `bedrock run`."""

from __future__ import annotations

import asyncio  # noqa: TID251 - the command starts the loop
import json
from typing import TYPE_CHECKING

from aws_bedrock_inference import clock
from aws_bedrock_inference.batch.carry_out import carry_out
from aws_bedrock_inference.batch.job import Job
from aws_bedrock_inference.batch.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aws_bedrock_inference.cli.demo.side import Side, Task


def run_ours(source: Path, output: Path, side: Side, task: Task, say: Callable[[str], None]) -> bool:
    """Send all records of `source`, and store the results in `side` (the results of this client). Return False if the
    run was interrupted.
    """
    job = Job(
        source=source,
        output=output,
        model=task.model,
        max_tokens=task.max_tokens,
        endpoint_url=task.url,
        session=task.session,
        streamed=task.streamed,
        rpm=task.quota.get("rpm"),
        tpm=task.quota.get("tpm"),
    )
    tally = Tally(clock.monotonic)
    side.progress = lambda: (tally.answered, tally.failed)
    ending = asyncio.run(carry_out(job, tally, complain=lambda line: say(str(line)), say=say))
    side.done()
    side.failures = list(tally.reasons.elements())
    with output.open(encoding="utf-8") as answers:
        side.answers = {answer["id"]: answer["text"] for answer in map(json.loads, answers)}
    return not ending.interrupted
