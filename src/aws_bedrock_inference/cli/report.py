"""The summary of a finished job, with the command that continues it and the exit code."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from aws_bedrock_inference.batch.job import DASH
from aws_bedrock_inference.cli.failures import CANNOT_WORK, FAILED, INTERRUPTED, NEEDS_CORRECTION
from aws_bedrock_inference.cli.progress import clock_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aws_bedrock_inference.batch.job import Job
    from aws_bedrock_inference.batch.runner import Ending
    from aws_bedrock_inference.batch.tally import Tally


def exit_code(tally: Tally, ending: Ending) -> int:
    """Return the exit code. Problems that a person must solve come before problems that another run solves."""
    if ending.interrupted:
        return INTERRUPTED
    if ending.fault is not None:
        return CANNOT_WORK
    if tally.bad:
        return NEEDS_CORRECTION
    return FAILED if tally.failed else 0


def summary(job: Job, tally: Tally, ending: Ending, arguments: Sequence[str]) -> Iterator[str]:
    """Yield the lines of the summary. `arguments` are the command's own."""
    if ending.fault is not None:
        yield f"Stopped, because every call fails with {ending.fault}"
        yield f"  {ending.fault.advice}"
    elif ending.interrupted:
        yield "Interrupted. All answers so far are saved."
    rate = f", {tally.answered * 60 / tally.seconds:,.0f} per minute" if tally.answered and tally.seconds >= 1 else ""
    before = f", {tally.skipped:,} answered by earlier runs" if tally.skipped else ""
    yield f"{tally.answered:,} answered in {clock_time(tally.seconds)}{rate}{before}: {job.output}"
    if tally.truncated:
        yield f"  {tally.truncated:,} of them truncated at max_tokens (see stop_reason); raise --max-tokens"
    if tally.filtered:
        yield f"  {tally.filtered:,} of them blocked by a guardrail or the model's filter (see stop_reason)"
    if tally.failed:
        reasons = ", ".join(f"{code} {number:,}" for code, number in tally.reasons.most_common(5))
        yield f"{tally.failed:,} failed ({reasons}): {job.failed}"
    if tally.bad:
        yield f"{tally.bad:,} lines are not valid records; the messages above say why"
    yield f"{tally.tokens:,.0f} tokens charged to the quota, {tally.throttles:,} throttled, {tally.retries:,} retried"
    if ending.early:
        yield f"To continue{' with the same input' if job.source == DASH else ''}, run: {_command(arguments)}"
    elif tally.failed:
        again = [str(job.failed) if argument == str(job.source) else argument for argument in arguments]
        yield f"To retry the failed records, run: {_command(again)}"


def _command(arguments: Sequence[str]) -> str:
    return shlex.join(["bedrock", *arguments])
