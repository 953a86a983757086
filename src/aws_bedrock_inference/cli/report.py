"""How a job ended, in a few lines, with the command that goes on and the exit code."""

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
    """Return the exit code: what needs a person comes before what needs another run."""
    if ending.interrupted:
        return INTERRUPTED
    if ending.fault is not None:
        return CANNOT_WORK
    if tally.bad:
        return NEEDS_CORRECTION
    return FAILED if tally.failed else 0


def summary(job: Job, tally: Tally, ending: Ending, arguments: Sequence[str]) -> Iterator[str]:
    """Yield the lines. `arguments` are those the command was called with."""
    if ending.fault is not None:
        yield f"Stopped: every call meets {ending.fault}"
        yield f"  {ending.fault.advice}"
    elif ending.interrupted:
        yield "Interrupted. What was answered is safe."
    rate = f", {tally.answered * 60 / tally.seconds:,.0f} a minute" if tally.answered and tally.seconds >= 1 else ""
    before = f" and {tally.skipped:,} before" if tally.skipped else ""
    yield f"{tally.answered:,} answered in {clock_time(tally.seconds)}{rate}{before}: {job.output}"
    if tally.truncated:
        yield f"  {tally.truncated:,} of them cut off at max_tokens (see stop_reason): allow more with --max-tokens"
    if tally.filtered:
        yield f"  {tally.filtered:,} of them held back by a guardrail or the model's filter (see stop_reason)"
    if tally.failed:
        reasons = ", ".join(f"{code} {number:,}" for code, number in tally.reasons.most_common(5))
        yield f"{tally.failed:,} failed ({reasons}): {job.failed}"
    if tally.bad:
        yield f"{tally.bad:,} lines are no records, see above"
    yield f"{tally.tokens:,.0f} tokens charged to the quota, {tally.throttles:,} throttled, {tally.retries:,} retried"
    if ending.early:
        yield f"Go on with{' the same input and' if job.source == DASH else ''}: {_command(arguments)}"
    elif tally.failed:
        again = [str(job.failed) if argument == str(job.source) else argument for argument in arguments]
        yield f"Ask those that failed again: {_command(again)}"


def _command(arguments: Sequence[str]) -> str:
    return shlex.join(["bedrock", *arguments])
