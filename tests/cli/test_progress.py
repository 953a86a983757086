from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console
from support.doubles import ROUTE, UNAVAILABLE

from aws_bedrock_inference.batch.tally import Tally
from aws_bedrock_inference.call import Usage
from aws_bedrock_inference.cli.progress import Progress, about
from aws_bedrock_inference.events import BurndownChanged, CallEnded, RetryScheduled
from aws_bedrock_inference.knowledge.classify import answered

if TYPE_CHECKING:
    from support.doubles import World


def test_the_reason_for_no_answers_is_shown_until_the_first_answer(world: World) -> None:
    console = Console(width=60)
    tally = Tally(world.clock)
    progress = Progress(console, tally)

    def shown() -> str:
        with console.capture() as seen:
            console.print(progress.block())
        return seen.get()

    tally.hear(RetryScheduled(ROUTE, UNAVAILABLE, 1, 2.0))
    assert "no answer" not in shown()
    world.now = 4.0
    assert "no answer for 0:04: ServiceUnavailableException: Bedrock is…" in shown()
    assert progress.line().endswith(f"no answer for 0:04: {UNAVAILABLE}")
    tally.hear(CallEnded("converse", ROUTE, None, Usage(1, 1), 1, 1.0))
    assert "no answer" not in shown()


def test_the_estimate_uses_the_learned_burndown(world: World) -> None:
    tally = Tally(world.clock)
    tally.hear(BurndownChanged(ROUTE, 2.0, 5.0, "tried"))
    tally.hear(CallEnded("converse", ROUTE, None, Usage(100, 10), 1, 1.0))
    assert tally.tokens == 120


class Going:
    """A run of 1,200 records whose progress line a test reads."""

    def __init__(self, world: World, **quota: Any) -> None:
        self.world = world
        self.tally = Tally(world.clock)
        self.progress = Progress(Console(width=60), self.tally, **quota)
        self.tally.total = 1_200

    def answers(self, number: int, seconds: float, tokens: int = 0) -> None:
        for _ in range(number):
            self.world.now += seconds / number
            self.tally.hear(CallEnded("converse", ROUTE, None, Usage(tokens, 0), 1, 1.0))
            self.tally.answer("end_turn")

    @property
    def left(self) -> str:
        found = re.search(r"about [\d.]+ \w+(?= left)", self.progress.line())
        return found[0] if found else ""


def test_the_time_left_is_rounded_to_its_precision(world: World) -> None:
    run = Going(world)
    assert run.left == ""
    run.answers(120, 60)
    assert run.left == "about 9 min"
    run.answers(500, 250)
    assert run.left == "about 5 min"
    run.answers(520, 260)
    assert run.left == "about 30 s"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (2, "about 10 s"),
        (97, "about 100 s"),
        (118, "about 2 min"),
        (280, "about 4.5 min"),
        (1_490, "about 25 min"),
        (7_180, "about 2 h"),
        (13_000, "about 3.5 h"),
    ],
)
def test_a_longer_time_is_shown_in_larger_steps(seconds: float, said: str) -> None:
    assert about(seconds) == said


def test_an_outage_does_not_lower_the_estimated_rate(world: World) -> None:
    run = Going(world)
    run.answers(60, 30)
    run.tally.hear(RetryScheduled(ROUTE, UNAVAILABLE, 1, 2.0))
    world.now += 15.0
    assert run.left == "about 9.5 min"
    run.answers(60, 30)
    assert run.left == "about 9 min"


def test_slow_answers_do_not_count_as_an_outage(world: World) -> None:
    run = Going(world)
    for _ in range(6):
        run.tally.hear(RetryScheduled(ROUTE, UNAVAILABLE, 1, 2.0))
        run.answers(1, 10)
    assert run.left == "about 3.5 h"  # six a minute


def test_a_burst_at_the_start_does_not_raise_the_estimate_above_the_quota(world: World) -> None:
    run = Going(world, rpm=120)
    run.answers(80, 10)
    assert run.left == "about 9.5 min"
    run = Going(world, tpm=6_000)
    run.answers(80, 10, tokens=50)
    assert run.left == "about 9.5 min"


def test_failed_records_count_in_the_time_left(world: World) -> None:
    run = Going(world)
    for _ in range(60):
        run.answers(1, 1.0)
        run.tally.fail(UNAVAILABLE)
    assert run.left == "about 9 min"


def test_the_progress_bar_does_not_have_the_colour_of_errors(world: World) -> None:
    run = Going(world)
    run.answers(600, 60)
    console = Console(width=60, force_terminal=True, color_system="truecolor")
    with console.capture() as seen:
        console.print(run.progress.block())
    bar = seen.get().splitlines()[0]
    assert "\x1b[32m━" in bar


def test_a_parked_run_shows_the_reason_the_remedy_and_the_next_attempt(world: World) -> None:
    going = Going(world)
    going.answers(100, 60.0)
    going.tally.parked = answered("ExpiredTokenException", "The security token has expired", status=403)
    going.tally.asks_next = world.now + 60
    with going.progress.console.capture() as seen:
        going.progress.console.print(going.progress.block())
    assert "parked, next attempt in 1:00: ExpiredTokenException:" in seen.get()
    assert going.tally.parked.advice.split()[0] in seen.get()
    assert "parked, next attempt in 1:00" in going.progress.line()
    assert "left" not in seen.get(), "nobody knows how long it takes"
    assert json.loads(going.progress.json())["parked"] is True
