"""The rule of a batch job with a deadline: from the known state to the next action."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws_bedrock_inference.batch.deadline.rule import (
    GONE,
    LEAST_NEEDED,
    MARGIN,
    STALLED_AFTER,
    Action,
    Finish,
    Seen,
    Submit,
    TakeOver,
    Watch,
    Watched,
    decide,
)
from aws_bedrock_inference.jobs.values import ENDED

HOUR = 3600.0
NIGHT = Seen(now=0.0, deadline=10 * HOUR, needs=HOUR)
JOB = Watched("IN_PROGRESS", records=100, since=0.0, moved=0.0)
LATEST = 10 * HOUR - MARGIN * HOUR


def at(now: float, **job: Any) -> Action:
    return decide(replace(NIGHT, now=now, job=replace(JOB, **job)))


def test_a_job_is_created_as_long_as_there_is_time() -> None:
    assert decide(NIGHT) == Submit()
    assert decide(replace(NIGHT, now=LATEST)) == Finish("no job could be created in time")
    assert decide(replace(NIGHT, refused="the role is missing")) == Finish("the role is missing")


def test_a_creation_with_a_transient_error_is_retried_later() -> None:
    assert decide(replace(NIGHT, now=10.0, failed_at=10.0)) == Watch(70.0)
    assert decide(replace(NIGHT, now=70.0, failed_at=10.0)) == Submit()
    assert decide(replace(NIGHT, now=LATEST - 5, failed_at=LATEST - 5)) == Watch(LATEST)


def test_a_job_that_may_exist_is_looked_up_even_after_its_time() -> None:
    late = replace(NIGHT, now=LATEST + 1, begun=True)
    assert decide(late) == Submit()
    assert isinstance(decide(replace(late, failed_at=LATEST)), Finish)


def test_a_job_that_makes_progress_is_watched_until_on_demand_needs_the_time() -> None:
    assert at(5 * HOUR, moved=5 * HOUR - 60) == Watch(5 * HOUR + 60)
    assert at(LATEST - 10, moved=LATEST - 60) == Watch(LATEST)
    assert at(LATEST, moved=LATEST - 60) == TakeOver("on demand needs the remaining time")


@pytest.mark.parametrize("status", ["SUBMITTED", "VALIDATING", "IN_PROGRESS", "STOPPING"])
def test_a_job_that_makes_no_progress_is_stopped(status: str) -> None:
    assert at(STALLED_AFTER - 1, status=status) == Watch(STALLED_AFTER)
    assert at(STALLED_AFTER, status=status) == TakeOver(f"the job is {status} without progress for 60 minutes")
    assert isinstance(at(STALLED_AFTER, status=status, since=10.0), Watch)


def test_a_job_in_the_queue_does_not_stall() -> None:
    assert isinstance(at(8 * HOUR, status="SCHEDULED"), Watch)


def test_a_job_that_was_asked_to_stop_gets_a_part_of_the_margin_to_stop() -> None:
    assert at(HOUR, status="STOPPING", stopped=HOUR) == Watch(HOUR + 15)
    assert at(HOUR + 900, status="STOPPING", stopped=HOUR) == Finish(
        "the job was requested to stop, but has not stopped yet"
    )
    assert isinstance(at(10 * HOUR - 1.125 * HOUR, status="STOPPING", stopped=LATEST), Finish)


def test_results_are_awaited_only_while_the_counts_promise_more() -> None:
    ended = {"status": "STOPPED", "ended": HOUR, "error": "stopped"}
    assert at(HOUR, **ended, processed=40, found=10) == Watch(HOUR + 15)
    assert at(HOUR, **ended, processed=40, found=40) == Finish("the job is STOPPED: stopped")
    assert at(HOUR, **ended, processed=0) == Finish("the job is STOPPED: stopped")
    why = "the job is STOPPED: stopped, and 0 of 40 results were found"
    assert at(HOUR + 600, **ended, processed=40) == Finish(why)
    ours = {**ended, "stopped": HOUR - 60}
    assert at(HOUR, **ours, processed=40, found=40) == Finish()
    assert at(HOUR + 600, **ours, processed=40) == Finish("0 of 40 results were found")
    done = {"status": "COMPLETED", "ended": HOUR}
    assert at(HOUR, **done, found=100) == Finish()
    assert isinstance(at(HOUR, **done, found=99), Watch)


def test_a_job_that_the_service_no_longer_knows_is_given_up() -> None:
    assert at(HOUR, status=GONE) == Finish("the job no longer exists")


statuses = st.sampled_from(["", "SUBMITTED", "VALIDATING", "SCHEDULED", "IN_PROGRESS", "STOPPING", *ENDED, GONE])


@given(
    needs=st.floats(LEAST_NEEDED, 4 * HOUR),
    hours=st.floats(0.1, 30),
    steps=st.lists(st.tuples(statuses, st.integers(0, 100), st.integers(0, 100)), min_size=1, max_size=30),
    fails=st.integers(0, 40),
)
def test_on_demand_always_gets_the_time_that_it_needs(
    needs: float, hours: float, steps: list[tuple[str, int, int]], fails: int
) -> None:
    """A job that does anything at all, one step at each look, the last one for ever; creation fails so many times."""
    seen = Seen(now=0.0, deadline=hours * HOUR, needs=needs)
    script = [*steps]
    told = 0
    for _ in range(5000):
        action = decide(seen)
        match action:
            case Submit():
                assert seen.job is None, "a second job"
                fails -= 1
                seen = replace(seen, begun=True, failed_at=seen.now) if fails >= 0 else replace(
                    seen, job=Watched("", 100, seen.now, seen.now)
                )  # fmt: skip
            case TakeOver():
                assert seen.job is not None
                told += 1
                seen = replace(seen, job=replace(seen.job, stopped=seen.now))
            case Watch(until):
                assert until > seen.now, "a look that never comes"
                seen = looked(replace(seen, now=until), script)
            case Finish():
                break
    else:
        pytest.fail("it never ends")
    assert told <= 1
    started_in_time = hours * HOUR >= MARGIN * needs
    assert not started_in_time or seen.deadline - seen.now >= needs


def looked(seen: Seen, script: list[tuple[str, int, int]]) -> Seen:
    if seen.job is None:
        return seen
    status, processed, found = script.pop(0) if len(script) > 1 else script[0]
    job = seen.job
    if job.ended is not None:
        return replace(seen, job=replace(job, found=max(job.found, found)))
    moved = seen.now if processed > job.processed else job.moved
    since = seen.now if status != job.status else job.since
    ended = seen.now if status in ENDED else None
    processed = max(processed, job.processed)
    return replace(seen, job=replace(job, status=status, processed=processed, moved=moved, since=since, ended=ended))
