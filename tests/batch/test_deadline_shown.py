"""The part of the progress display about a deadline."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import datetime

import pytest
from rich.console import Console

from aws_bedrock_inference.batch.deadline.course import Course
from aws_bedrock_inference.batch.deadline.noted import Noted
from aws_bedrock_inference.batch.deadline.rule import Watched
from aws_bedrock_inference.batch.tally import Tally
from aws_bedrock_inference.cli.progress import Progress

NOW = datetime(2026, 11, 29, 22, 40).timestamp()  # noqa: DTZ001 - the machine's zone, as it is shown
HOUR = 3600.0
WATCHED = Watched("IN_PROGRESS", 5000, since=NOW - 1500, moved=NOW, processed=1200)
NOTED = Noted("08:00", NOW + 33_600, "batch job", token="t", job_id="job", job=WATCHED)
WAITS = Course(NOTED, "batch job", NOW + 32_850)


def test_a_batch_job_is_shown_with_its_state_and_the_take_over() -> None:
    assert WAITS.lines(NOW) == [
        "batch job by Mon 30 Nov 08:00, in 9 h 20 min: IN_PROGRESS for 25 min, 1,200 of 5,000 processed",
        "on demand takes over at Mon 30 Nov 07:47, in 9 h 8 min",
    ]
    unknown = replace(WAITS, trouble="no answer within 30 s")
    assert unknown.lines(NOW)[-1] == "the status of the batch job is unknown: no answer within 30 s"
    young = replace(WAITS, noted=replace(NOTED, job=None))
    assert young.lines(NOW)[0].endswith(": being created")


def test_the_display_says_why_on_demand_took_over() -> None:
    course = Course(replace(NOTED, taken="it stalled"), "on demand")
    assert course.lines(NOW + 34_200) == ["on demand by 08:00, 10 min ago (the batch job: it stalled)"]
    assert Course(NOTED, "flex", NOW + HOUR).lines(NOW)[1] == "on demand takes over at 23:40, in 1 h"


@pytest.mark.parametrize("width", [60, 100, 160])
def test_the_display_has_the_deadline_at_each_width(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aws_bedrock_inference.cli.progress.wall", lambda: NOW)
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    tally = Tally(lambda: 10.0, total=5000)
    progress = Progress(console, tally, rpm=500)
    tally.course = WAITS
    console.print(progress.block())
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert all(len(line) <= width for line in shown.splitlines())
    assert "on demand takes over at Mon 30 Nov 07:47" in " ".join(shown.split())
    assert "answers/min" not in shown, "nothing is asked while the job runs"
    assert "IN_PROGRESS for 25 min" in progress.line()
    by = json.loads(progress.json())["by"]
    assert (by["way"], by["job_id"], by["job_status"]) == ("batch job", "job", "IN_PROGRESS")
    tally.course = None
    assert json.loads(progress.json())["by"] is None
