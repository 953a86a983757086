"""The rule for a batch job with a deadline: from what is known of it to the next action, without time or service."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TypeAlias

from aws_bedrock_inference.jobs.values import COMPLETED

MARGIN = 1.25
"""On demand takes over when so many times the time that it needs are left."""

_LAST = 1 + (MARGIN - 1) / 2  # what a job leaves is waited for until so many times are left: half of the margin

LEAST_NEEDED = 60.0
"""Seconds that on demand needs at least: a long answer and its retries."""

STALLED_AFTER = 3600.0
"""Seconds without progress after which a job that runs, or is validated, counts as stalled. AWS promises no time."""

_LOOK_EVERY = 60.0
_LOOK_AGAIN = 15.0  # while a job is to stop, or its results are to appear
_TRY_AGAIN = 60.0

# Seconds for a job to stop, and for the results of one that has ended to appear, where time is left.
_STOPS_WITHIN = 900.0
_RESULTS_WITHIN = 600.0

GONE = "GONE"
"""Our word for a job that the service does not know any more."""

_UNMOVED = frozenset({"SUBMITTED", "VALIDATING"})
_MOVING = frozenset({"IN_PROGRESS", "STOPPING"})


@dataclass(frozen=True, slots=True)
class Submit:
    """Create the job, or find the one that was created with the same token."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Look at the job again at `until`."""

    until: float


@dataclass(frozen=True, slots=True)
class TakeOver:
    """Stop the job: on demand takes over."""

    reason: str


@dataclass(frozen=True, slots=True)
class Finish:
    """Leave the job; what has no answer is asked on demand. `reason` is empty for a job that did all."""

    reason: str = ""


Action: TypeAlias = Submit | Watch | TakeOver | Finish


@dataclass(frozen=True, slots=True)
class Watched:
    """A job as it was last seen. Its `status` began at `since`, and a count changed last at `moved`; `found` of its
    `records` have a result that was read. `stopped` is when it was told to stop, `ended` when its end was seen.
    """

    status: str
    records: int
    since: float
    moved: float
    processed: int = 0
    found: int = 0
    stopped: float | None = None
    ended: float | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """All that a decision needs. On demand would need `needs` seconds for what has no answer yet.

    `begun` says that a job may have been created although none is known; `failed_at` is when the last creation failed
    for a reason that passes, `refused` why one failed for good.
    """

    now: float
    deadline: float
    needs: float
    job: Watched | None = None
    begun: bool = False
    failed_at: float = -inf
    refused: str = ""

    @property
    def takes_over(self) -> float:
        """The time when on demand takes over at the latest."""
        return self.deadline - MARGIN * self.needs


def decide(seen: Seen) -> Action:
    """Return the next action. Every `Watch` ends later than now, and on demand always gets the time that it needs."""
    if seen.job is None:
        return _before(seen)
    if seen.job.status == GONE:
        return Finish("the job no longer exists")
    if seen.job.ended is not None:
        return _after(seen, seen.job, seen.job.ended)
    if seen.job.stopped is not None:
        given_up = min(seen.job.stopped + _STOPS_WITHIN, seen.deadline - _LAST * seen.needs)
        return _until(seen, given_up, Finish("the job was told to stop, but has not stopped yet"))
    if seen.now >= seen.takes_over:
        return TakeOver("on demand needs the remaining time")
    return _watched(seen, seen.job)


def _before(seen: Seen) -> Action:
    has_failed = seen.failed_at > -inf
    if seen.refused:
        return Finish(seen.refused)
    if seen.now >= seen.takes_over and (has_failed or not seen.begun):
        return Finish("no job could be created in time")
    again = seen.failed_at + _TRY_AGAIN
    return Watch(min(again, seen.takes_over)) if seen.now < again else Submit()


def _watched(seen: Seen, job: Watched) -> Action:
    stalls = inf
    if job.status in _UNMOVED:
        stalls = job.since + STALLED_AFTER
    elif job.status in _MOVING:
        stalls = max(job.since, job.moved) + STALLED_AFTER
    if seen.now >= stalls:
        return TakeOver(f"the job is {job.status} without progress for {STALLED_AFTER / 60:.0f} minutes")
    return Watch(min(seen.now + _LOOK_EVERY, stalls, seen.takes_over))


def _after(seen: Seen, job: Watched, ended: float) -> Action:
    """Wait for the results that the counts promise. AWS does not say when they appear, or if a stopped job has any."""
    due = min(job.processed, job.records) or (job.records if job.status == COMPLETED else 0)
    why = "" if job.stopped is not None else f"the job is {job.status}" + (f": {job.error}" if job.error else "")
    if job.found >= due:
        return Finish("" if job.found >= job.records else why)
    given_up = min(ended + _RESULTS_WITHIN, seen.deadline - _LAST * seen.needs)
    left = f"{job.found:,} of {due:,} results were found"
    return _until(seen, given_up, Finish(f"{why}, and {left}" if why else left))


def _until(seen: Seen, limit: float, then: Finish) -> Action:
    return Watch(min(seen.now + _LOOK_AGAIN, limit)) if seen.now < limit else then
