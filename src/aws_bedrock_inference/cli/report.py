"""Print the summary of a run: its counts, the command that continues it, and its exit code."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from aws_bedrock_inference.batch.bill import in_words
from aws_bedrock_inference.batch.fates import State
from aws_bedrock_inference.batch.inputs import DASH
from aws_bedrock_inference.batch.rejects import rejects_beside
from aws_bedrock_inference.cli.exit_codes import CANNOT_WORK, FAILED, INTERRUPTED, NEEDS_CORRECTION, TERMINATED
from aws_bedrock_inference.cli.failures import next_steps
from aws_bedrock_inference.cli.progress import about, clock_time
from aws_bedrock_inference.cli.run_deadline import kept_deadline
from aws_bedrock_inference.clock import wall
from aws_bedrock_inference.fault import Decision
from aws_bedrock_inference.knowledge.masking import masked
from aws_bedrock_inference.pricing import dollars

HIDDEN = "..."

# Options whose values are parts of prompts.
_TEXTS = ("--system", "--template")

# Matches the password in a URL, between the user and the host.
_PASSWORD = re.compile(r"(\w://[^/?#\s]*?:)[^\s]*@")

_MOST_REASONS = 5

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aws_bedrock_inference.batch.bill import Bill
    from aws_bedrock_inference.batch.dry_run import Plan
    from aws_bedrock_inference.batch.ending import Ending
    from aws_bedrock_inference.batch.job import Job
    from aws_bedrock_inference.batch.letters import Kept
    from aws_bedrock_inference.batch.tally import Tally


def exit_code(tally: Tally, ending: Ending) -> int:
    """Return the exit code of a run.

    If more than one of these events occurred, the first one in the list determines the exit code:

    * The run was interrupted.
    * The run stopped because every call fails, for example because access is denied or the maximum cost is reached.
    * The run stopped for another reason, for example because a file could not be written.
    * Lines of the input are not valid records.
    * Records failed, or at the end of the run the store of the shared quota was not available.
    """
    if ending.interrupted:
        return TERMINATED if ending.terminated else INTERRUPTED
    if ending.fault is not None:
        return CANNOT_WORK
    if ending.broken or ending.stopped:
        return FAILED
    if tally.bad:
        return NEEDS_CORRECTION
    return FAILED if tally.failed or tally.fates.get(State.FAILED) or tally.unshared else 0


def summary(job: Job, tally: Tally, ending: Ending, arguments: Sequence[str]) -> Iterator[str]:
    """Yield the lines of the summary of a run.

    If the run ended early or records failed, one of the last lines is the command that continues the run. This command
    is built from `arguments`, which are the arguments of the command that started the run.
    """
    yield from _why_it_ended(ending)
    rate = f", {tally.answered * 60 / tally.seconds:,.0f} per minute" if tally.answered and tally.seconds >= 1 else ""
    before = f", {tally.skipped:,} answered by earlier runs" if tally.skipped else ""
    yield f"{tally.answered:,} answered in {clock_time(tally.seconds)}{rate}{before}: {job.output}"
    yield from kept_deadline(tally, ending, wall())
    yield from _reconciled(tally)
    if tally.truncated:
        yield f"  {tally.truncated:,} of them truncated at max_tokens (see stop_reason); raise --max-tokens"
    if tally.filtered:
        yield f"  {tally.filtered:,} of them blocked by a guardrail or the model's filter (see stop_reason)"
    yield from _failures(job, tally, ending)
    yield from _letters(tally.letters)
    if tally.bad:
        are = "line is not a valid record" if tally.bad == 1 else "lines are not valid records"
        yield f"{tally.bad:,} {are}; the reasons: {rejects_beside(job.target)}"
    if not tally.total and not tally.bad and not ending.early:
        yield f"{job.source_name} contains no records."
    if tally.unshared:
        yield f"The quota was not shared with other processes at the end: {tally.unshared}"
    yield f"{tally.tokens:,.0f} tokens charged to the quota, {tally.throttles:,} throttled, {tally.retries:,} retried"
    yield from _cost(job, tally.bill)
    yield from _how_to_continue(job, tally, ending, arguments)


def planned_summary(job: Job, plan: Plan) -> Iterator[str]:
    """Yield the lines of the summary of a dry run."""
    before = f", {plan.answered:,} of them answered by earlier runs" if plan.answered else ""
    yield f"Dry run: {plan.records:,} records{before}; {plan.asked:,} would be sent"
    if plan.bad:
        yield f"{plan.bad:,} lines are not valid records; the messages above give the reasons"
    if plan.refused:
        yield f"{plan.refused:,} would be refused before sending; a run states the reasons"
    yield f"About {plan.input_tokens:,} input tokens, and up to {plan.output_tokens:,} output tokens"
    if plan.unbounded:
        yield f"  {plan.unbounded:,} set no maximum, so the model's maximum is assumed; pass --max-tokens"
    yield from _planned_cost(plan)
    seconds = plan.weights.seconds(job.rpm, job.tpm)
    if seconds is None:
        yield "Pass --rpm and --tpm to see the time (`bedrock quota show` shows the account's quota)"
    else:
        yield f"{about(seconds).capitalize()} at the quota, if every answer has its maximum length"


def _planned_cost(plan: Plan) -> Iterator[str]:
    """Yield lines with the estimated cost, and with the number of records whose price is unknown."""
    unknown = plan.bill.unknown
    priced = plan.asked - unknown
    if priced:
        yield f"Up to {dollars(plan.bill.cost)}, if every answer has its maximum length, before taxes and discounts"
    if unknown:
        which = f"{unknown:,} of them" if priced else "all of them"
        yield f"The price is unknown for {which}; BEDROCK_PRICES can name a file with your own prices"


def _cost(job: Job, bill: Bill) -> Iterator[str]:
    """Yield a line with the cost of this run. After earlier runs, also yield a line with the cost of all runs."""
    yield in_words(bill.cost, bill.unknown).capitalize()
    if bill.cost_before or bill.unknown_before:
        yield f"  with earlier runs: {in_words(bill.total, bill.unknown_before + bill.unknown, job.max_cost)}"


def _reconciled(tally: Tally) -> Iterator[str]:
    """Yield lines that count the records of this run and of the earlier runs together.

    The first line of the summary counts only the records that this run answered. This function adds the counts of all
    runs in two cases: if records failed in an earlier run, or if records have neither an answer nor an error. It also
    adds the number of records that were in flight when an earlier run was killed.
    """
    answered, failed = tally.fates.get(State.ANSWERED, 0), tally.fates.get(State.FAILED, 0)
    held = tally.fates.get(State.HELD, 0)
    records = sum(tally.fates.values())
    missing = records - answered - failed
    if missing or failed > tally.failed:
        sample = f", {held:,} of them not in the sample" if held else ""
        yield f"  {records:,} records: {answered:,} answered, {failed:,} failed, {missing:,} missing{sample}"
    if tally.lost:
        yield f"  {tally.lost:,} were in flight when an earlier run was killed; their answers may be charged twice"


def _why_it_ended(ending: Ending) -> Iterator[str]:
    if ending.is_spent:
        yield f"Stopped: {ending.reason}"
    elif ending.fault is not None:
        yield f"Stopped because every call fails with {ending.fault}"
        yield from (f"  {line}" for line in next_steps(ending.fault))
    elif ending.broken or ending.stopped:
        yield f"Stopped: {ending.broken or ending.stopped}"
    elif ending.interrupted:
        yield "Interrupted. All answers so far are saved."


def _failures(job: Job, tally: Tally, ending: Ending) -> Iterator[str]:
    if not tally.failed:
        return
    reasons = ", ".join(f"{code} {number:,}" for code, number in tally.reasons.most_common(_MOST_REASONS))
    yield f"{tally.failed:,} failed ({reasons}): {job.failed}"
    for code, _ in tally.reasons.most_common(_MOST_REASONS):
        if ending.fault is None or ending.fault.code != code:
            yield f"  {tally.examples[code]}"
            yield f"    {tally.examples[code].advice}"


def _letters(kept: Kept | None) -> Iterator[str]:
    if kept is not None and kept.failures:
        are = "failure" if kept.failures == 1 else "failures"
        yield f"{kept.failures:,} {are} stored as dead letters in {kept.place}"
    if kept is not None and kept.discarded:
        letters = "dead letter" if kept.discarded == 1 else "dead letters"
        yield f"{kept.discarded:,} {letters} discarded in {kept.place}, because their records are now answered"


def _how_to_continue(job: Job, tally: Tally, ending: Ending, arguments: Sequence[str]) -> Iterator[str]:
    shown = shown_arguments(arguments)
    again = shlex.join(["bedrock", *shown])
    if ending.early:
        same = " with the same input" if job.source == DASH else ""
        more = " with a higher --max-cost" if ending.is_spent else ""
        yield f"To continue{same}{more}, run: {again}"
    elif tally.failed:
        source, failed = str(job.source), str(job.failed)
        again = shlex.join(["bedrock", *(failed if argument == source else argument for argument in shown)])
        heals = any(fault.decision is not Decision.FAIL for fault in tally.examples.values())
        yield f"To retry the failed records, {'run' if heals else 'fix their cause, then run'}: {again}"
    else:
        return
    if shown != list(arguments):
        yield f"  Replace {HIDDEN} with the value of your command; it is not shown here"


def shown_arguments(arguments: Sequence[str]) -> list[str]:
    """Return the arguments of the command without the texts of prompts, and without the password of a URL."""
    shown: list[str] = []
    for argument in arguments:
        name, equals, text = argument.partition("=")
        if shown and shown[-1] in _TEXTS:
            shown.append(argument if _is_file(shown[-1], argument) else HIDDEN)
        elif equals and name in _TEXTS and not _is_file(name, text):
            shown.append(f"{name}={HIDDEN}")
        elif "://" in argument:
            shown.append(masked(_PASSWORD.sub(rf"\1{HIDDEN}@", argument)))
        else:
            shown.append(argument)
    return shown


def _is_file(name: str, argument: str) -> bool:
    return name == "--template" and argument.startswith("@")
