"""The rule that decides the next action for a batch job with a deadline. The caller passes the current time and the
state of the job, so this module reads no clock and sends no request.

If the job is late, calls on demand *take over*: the job is stopped, and the remaining records are sent on demand.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TypeAlias

from aws_bedrock_inference.jobs.values import COMPLETED

MARGIN = 1.25
"""Calls on demand take over when the remaining time is this multiple of the time that they need."""

# The wait for the results of a job ends when the remaining time is this multiple of the time that calls on demand need.
# Half of the margin then remains.
_LAST = 1 + (MARGIN - 1) / 2

LEAST_NEEDED = 60.0
"""The minimum time for calls on demand, in seconds. It is enough for a long answer and its retries."""

STALLED_AFTER = 3600.0
"""The seconds without progress after which a running or validated job is treated as stalled. AWS guarantees no time."""

_LOOK_EVERY = 60.0
_LOOK_AGAIN = 15.0  # seconds between polls while a job stops, or until its results appear
_TRY_AGAIN = 60.0

# Seconds to wait for a job to stop, and for the results of an ended job to appear, if the deadline allows.
_STOPS_WITHIN = 900.0
_RESULTS_WITHIN = 600.0

GONE = "GONE"
"""The status that this package uses for a job that no longer exists."""

_UNMOVED = frozenset({"SUBMITTED", "VALIDATING"})
_MOVING = frozenset({"IN_PROGRESS", "STOPPING"})


@dataclass(frozen=True, slots=True)
class Submit:
    """The action to create the job.

    If an earlier request already created the job, the service finds that job by its token and creates no second job.
    """


@dataclass(frozen=True, slots=True)
class Watch:
    """The action to wait until the time `until`, and then request the status of the job."""

    until: float


@dataclass(frozen=True, slots=True)
class TakeOver:
    """The action to stop the batch job. The remaining records are then sent on demand."""

    reason: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The action to stop waiting for the job. The records that have no answer are then sent on demand.

    `reason` states why the wait ends. It is empty if the job answered all records.
    """

    reason: str = ""


Action: TypeAlias = Submit | Watch | TakeOver | Finish


@dataclass(frozen=True, slots=True)
class Watched:
    """The last known state of a job.

    `since` is the time of the last change of `status`. `records` is the number of records in the job. `processed` is
    the number of records that the service has processed, and `moved` is the time when this number last rose. `found`
    is the number of results that were read. `stopped` is the time of the request to stop the job. `ended` is the time
    when the end of the job was detected.
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
    """The facts for a decision about the batch job.

    `needs` is the number of seconds that calls on demand need for the records without an answer. `begun` is True if the
    request to create a job was sent, or is about to be sent. A job can then exist although its id is unknown.
    `failed_at` is the time when this request last failed with a transient error. `refused` is the reason if the request
    failed permanently.
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
        """The latest time to stop the batch job and to send the remaining records on demand."""
        return self.deadline - MARGIN * self.needs


def decide(seen: Seen) -> Action:
    """Return the next action for the batch job. If the action is `Watch` (wait, then poll), `until` is in the future.

    A late job is stopped early enough that calls on demand can answer the remaining records before the deadline.
    """
    if seen.job is None:
        return _before(seen)
    if seen.job.status == GONE:
        return Finish("the job no longer exists")
    if seen.job.ended is not None:
        return _after(seen, seen.job, seen.job.ended)
    if seen.job.stopped is not None:
        given_up = min(seen.job.stopped + _STOPS_WITHIN, seen.deadline - _LAST * seen.needs)
        return _until(seen, given_up, Finish("the job was requested to stop, but has not stopped yet"))
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
    """Return the next action for a job that has ended: wait until its results appear in S3, or finish.

    One result is expected for each record that the job processed. The wait ends when all these results were found.

    AWS does not document when results appear, or whether a stopped job has results. Therefore the wait also ends after
    10 minutes, or earlier if calls on demand need the remaining time.
    """
    due = min(job.processed, job.records) or (job.records if job.status == COMPLETED else 0)
    why = "" if job.stopped is not None else f"the job is {job.status}" + (f": {job.error}" if job.error else "")
    if job.found >= due:
        return Finish("" if job.found >= job.records else why)
    given_up = min(ended + _RESULTS_WITHIN, seen.deadline - _LAST * seen.needs)
    left = f"{job.found:,} of {due:,} results were found"
    return _until(seen, given_up, Finish(f"{why}, and {left}" if why else left))


def _until(seen: Seen, limit: float, then: Finish) -> Action:
    return Watch(min(seen.now + _LOOK_AGAIN, limit)) if seen.now < limit else then
