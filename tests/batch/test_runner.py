from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from support.doubles import INVALID, ROUTE, THROTTLE, UNAVAILABLE, World

from aws_bedrock_inference.batch.answers import Answer
from aws_bedrock_inference.batch.ending import Ending
from aws_bedrock_inference.batch.fates import Asking, Fate, JournalBroken, State
from aws_bedrock_inference.batch.intake import Intake
from aws_bedrock_inference.batch.journal import Journal
from aws_bedrock_inference.batch.output import Output
from aws_bedrock_inference.batch.parking import Parking
from aws_bedrock_inference.batch.records import BadLine, Record
from aws_bedrock_inference.batch.runner import Run
from aws_bedrock_inference.batch.spooled import spooled
from aws_bedrock_inference.batch.tally import Meter, Tally
from aws_bedrock_inference.call import Outcome, Usage
from aws_bedrock_inference.events import CallEnded, RetryScheduled
from aws_bedrock_inference.fault import Kind
from aws_bedrock_inference.knowledge.classify import answered, unanswered
from aws_bedrock_inference.policies.refusals import budget_exhausted
from aws_bedrock_inference.raising import error_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator
    from pathlib import Path

    from aws_bedrock_inference.fault import Fault

DENIED = answered("AccessDeniedException", "You don't have access to the model.", status=403)
DAILY = answered("ThrottlingException", "Too many tokens per day, please wait before trying again.", status=429)
OFFLINE = unanswered(None, code="EndpointConnectionError", message="refused")


def records(number: int) -> list[Record]:
    return [Record(f"p{index}", {"id": f"p{index}", "prompt": "x"}) for index in range(1, number + 1)]


class Script:
    """A service that answers record by record as it is told; whatever is not told is answered."""

    def __init__(self, **script: list[Fault | str]) -> None:
        self.script = {key: deque(entries) for key, entries in script.items()}
        self.asked: list[str] = []

    async def __call__(self, record: Record) -> Answer:
        self.asked.append(record.key)
        entries = self.script.get(record.key) or self.script.get("every")
        entry = entries.popleft() if entries else "end_turn"
        if isinstance(entry, str):
            return Answer({"id": record.key, "text": "Hi", "stop_reason": entry}, entry)
        raise error_of(Outcome(fault=entry), "converse", ROUTE)


class Bench:
    """A run over real files, in a time that the test owns."""

    def __init__(self, folder: Path) -> None:
        self.world = World()
        self.tally = Tally(self.world.clock)
        self.journal = Journal(folder / "answers.jsonl.journal")
        self.output = Output(folder / "answers.jsonl")
        self.output.begin(self.journal)
        self.bad: list[BadLine] = []
        self.run: Run | None = None

    async def sleep(self, seconds: float) -> None:
        self.world.sleep(seconds)
        await asyncio.sleep(0)

    async def over(
        self, items: Iterable[Record | BadLine], ask: Callable[[Record], Awaitable[Answer]], **options: Any
    ) -> Ending:
        options = {"concurrency": 1, "sleep": self.sleep, **options}
        asking = Asking("m")
        rows = (spooled(item, asking) if isinstance(item, Record) else item for item in items)
        intake = Intake(rows, partial(self.journal.spool, on_change="refuse"), complain=self.hear)
        self.run = Run(intake, ask, self.journal, self.output, self.tally, **options)
        ending = await self.run.over()
        intake.close()
        self.output.close()
        return ending

    def hear(self, line: BadLine) -> None:
        self.bad.append(line)

    @property
    def answers(self) -> list[str]:
        return [json.loads(line)["id"] for line in self.output.path.read_text().splitlines()]

    @property
    def failures(self) -> dict[str, Any]:
        lines = [line for piece in self.journal.failures() for line in piece]
        return {line["id"]: line["error"] for line in map(json.loads, lines)}

    @property
    def states(self) -> dict[State, int]:
        return {state: number for state, number in self.journal.counts().items() if number}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    with bench.journal:
        yield bench
    bench.output.release()


def test_every_record_is_answered_and_written(bench: Bench) -> None:
    ending = asyncio.run(bench.over(records(200), Script(), concurrency=16))
    assert ending == Ending()
    assert sorted(bench.answers) == sorted(record.key for record in records(200))
    assert (bench.tally.answered, bench.tally.failed, bench.tally.in_flight) == (200, 0, 0)


def test_what_time_heals_is_asked_again_after_the_others(bench: Bench) -> None:
    ask = Script(p1=[UNAVAILABLE, UNAVAILABLE])
    asyncio.run(bench.over(records(3), ask))
    assert ask.asked == ["p1", "p2", "p3", "p1", "p1"]
    assert bench.answers == ["p2", "p3", "p1"]
    assert bench.world.now == pytest.approx(15.0)


def test_a_model_s_bare_error_is_asked_again_although_its_calls_are_tried_a_few_times_only(bench: Bench) -> None:
    failed = answered("ModelErrorException", "An error occurred. Try your request again.", status=424)
    asyncio.run(bench.over(records(2), Script(p1=[failed])))
    assert bench.answers == ["p2", "p1"]
    assert bench.failures == {}


def test_the_services_own_wish_to_wait_is_respected(bench: Bench) -> None:
    asyncio.run(bench.over(records(1), Script(p1=[replace(UNAVAILABLE, retry_after=42.0)])))
    assert bench.answers == ["p1"]
    assert bench.world.now == pytest.approx(42.0)


def test_after_three_rounds_a_record_has_failed_with_its_reason_and_can_be_run_again(bench: Bench) -> None:
    ask = Script(p1=[UNAVAILABLE] * 4)
    asyncio.run(bench.over(records(2), ask))
    assert ask.asked.count("p1") == 4
    assert bench.answers == ["p2"]
    error = bench.failures["p1"]
    assert (error["code"], error["errorCode"], error["decision"]) == ("ServiceUnavailableException", 503, "RETRY")
    assert error["advice"]


def test_what_no_repeat_can_heal_fails_at_once(bench: Bench) -> None:
    ask = Script(p1=[INVALID])
    asyncio.run(bench.over(records(2), ask))
    assert ask.asked == ["p1", "p2"]
    assert bench.failures["p1"]["cause"] == "request-invalid"
    assert bench.tally.reasons == {"ValidationException": 1}


def test_a_budget_that_is_spent_fails_no_record_and_loses_no_answer_that_is_paid_for(bench: Bench) -> None:
    """A record is refused before those in flight are answered, and they take longer than an interruption waits."""

    async def ask(record: Record) -> Answer:
        if record.key == "p2":
            raise error_of(Outcome(fault=budget_exhausted(1.0, 1.0)), "converse", ROUTE)
        for _ in range(1_000):
            await asyncio.sleep(0)
        return Answer({"id": record.key, "text": "Hi"}, "end_turn")

    ending = asyncio.run(bench.over(records(9), ask, concurrency=3, grace=0.0))
    assert (ending.name, ending.reason) == ("stopped", "the cost limit of $1.00 is reached: calls have cost $1.00.")
    assert bench.answers == ["p1", "p3"]
    assert (bench.failures, bench.tally.failed, bench.tally.parked) == ({}, 0, None)
    assert bench.states == {State.WAITING: 6, State.ANSWERED: 2, State.PARKED: 1}


@pytest.mark.parametrize("fault", [DENIED, DAILY], ids=["no access", "the day's quota is spent"])
def test_what_every_record_would_meet_stops_the_run_early(bench: Bench, fault: Fault) -> None:
    ask = Script(every=[fault] * 100)
    ending = asyncio.run(bench.over(records(100), ask))
    assert ending.fault is not None
    assert ending.fault.cause == fault.cause
    assert len(ask.asked) == 5
    assert bench.states == {State.WAITING: 95, State.PARKED: 5}, "none of them is to blame: all are asked again"


def test_an_endpoint_that_cannot_be_reached_stops_the_run(bench: Bench) -> None:
    ending = asyncio.run(bench.over(records(10), Script(every=[OFFLINE] * 100)))
    assert ending.fault is not None
    assert ending.fault.code == "EndpointConnectionError"


def test_an_answer_in_between_shows_that_not_every_record_meets_the_fault(bench: Bench) -> None:
    script: dict[str, list[Fault | str]] = {f"p{index}": [DENIED] for index in range(1, 21) if index % 5}
    ending = asyncio.run(bench.over(records(20), Script(**script)))
    assert ending == Ending()
    assert bench.tally.failed == 16


def test_an_invalid_record_never_stops_the_run(bench: Bench) -> None:
    ending = asyncio.run(bench.over(records(20), Script(every=[INVALID] * 20)))
    assert ending == Ending()
    assert bench.tally.failed == 20


def test_bad_lines_are_told_and_passed_over(bench: Bench) -> None:
    line = BadLine("prompts.jsonl", 1, "not JSON")
    asyncio.run(bench.over([line, *records(1)], Script()))
    assert bench.bad == [line]
    assert bench.tally.answered == 1


def test_answers_that_ended_early_are_counted(bench: Bench) -> None:
    asyncio.run(bench.over(records(3), Script(p1=["max_tokens"], p2=["guardrail_intervened"])))
    assert (bench.tally.answered, bench.tally.truncated, bench.tally.filtered) == (3, 1, 1)


def test_no_more_are_in_flight_than_allowed(bench: Bench) -> None:
    most = 0
    full = asyncio.Event()  # the first wait for each other: the thread that reads may be slower than they are

    async def ask(record: Record) -> Answer:
        nonlocal most
        most = max(most, bench.tally.in_flight)
        assert bench.journal.counts()[State.CLAIMED] >= bench.tally.in_flight, "one is in flight and not claimed"
        if bench.tally.in_flight == 7:
            full.set()
        await full.wait()
        return Answer({"id": record.key, "text": "Hi"}, "end_turn")

    asyncio.run(bench.over(records(500), ask, concurrency=7))
    assert most == 7
    assert bench.tally.answered == 500


def test_none_is_taken_while_there_is_no_room(bench: Bench) -> None:
    def room() -> bool:
        return bench.world.now >= 3.0

    ask = Script()
    asyncio.run(bench.over(records(2), ask, concurrency=10, room=room))
    assert bench.world.now == pytest.approx(3.0, abs=0.1)
    assert bench.answers == ["p1", "p2"]


class Gate:
    """A service that answers only when the test lets it."""

    def __init__(self, bench: Bench, at: int) -> None:
        self.bench = bench
        self.at = at
        self.started = 0
        self.opened = asyncio.Event()

    async def __call__(self, record: Record) -> Answer:
        self.started += 1
        if self.started == self.at:
            assert self.bench.run is not None
            self.strike(self.bench.run)
        await self.opened.wait()
        return Answer({"id": record.key, "text": "Hi"}, "end_turn")

    def strike(self, run: Run) -> None:
        run.interrupt()


def test_an_interruption_lets_those_in_flight_end_and_takes_no_more(bench: Bench) -> None:
    class Polite(Gate):
        def strike(self, run: Run) -> None:
            run.interrupt()
            self.opened.set()

    async def scenario() -> Ending:
        return await bench.over(records(100), Polite(bench, at=4), concurrency=4)

    assert asyncio.run(scenario()) == Ending(interrupted=True)
    assert sorted(bench.answers) == ["p1", "p2", "p3", "p4"]
    assert bench.failures == {}


def test_a_second_interruption_ends_at_once_and_loses_nothing_that_was_written(bench: Bench) -> None:
    class Impatient(Gate):
        def strike(self, run: Run) -> None:
            run.interrupt()
            run.interrupt()

    async def scenario() -> Ending:
        return await bench.over(records(100), Impatient(bench, at=4), concurrency=4, grace=3600.0)

    assert asyncio.run(scenario()) == Ending(interrupted=True)
    assert bench.answers == []
    assert bench.failures == {}


def test_what_cannot_be_written_is_counted_and_asked_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    turn = bench.journal.turn

    def full(fates: Any, *more: Any) -> Any:
        if fates:
            raise JournalBroken("answers.jsonl.journal: database or disk is full.")
        return turn(fates, *more)

    monkeypatch.setattr(bench.journal, "turn", full)
    ask = Script()
    ending = asyncio.run(bench.over(records(100), ask, concurrency=3))
    assert "disk is full" in ending.broken
    assert "answers could not be written; the next run sends their prompts again" in ending.broken
    assert bench.answers == []
    assert bench.journal.begin() == len(ask.asked) >= 1, "those in flight are known"


HOUR = 3600.0
FORM = answered(
    "ResourceNotFoundException",
    "Model use case details have not been submitted for this account. Fill out the Anthropic use case details form "
    "before using the model. If you have already filled out the form, try again in 15 minutes.",
    status=404,
)
EXPIRED = answered("ExpiredTokenException", "The security token included in the request is expired", status=403)


class Outage(Script):
    """A service that answers all but from one time to another."""

    def __init__(self, bench: Bench, fault: Fault, begins: int, ends: float) -> None:
        super().__init__()
        self.bench, self.fault, self.begins, self.ends = bench, fault, begins, ends
        self.refused: list[float] = []

    async def __call__(self, record: Record) -> Answer:
        if len(self.asked) >= self.begins and self.bench.world.now < self.ends:
            self.refused.append(self.bench.world.now)
            raise error_of(Outcome(fault=self.fault), "converse", ROUTE)
        return await super().__call__(record)


@pytest.mark.parametrize(
    ("fault", "rhythm"),
    [(EXPIRED, 60), (OFFLINE, 10), (DAILY, 900), (FORM, 900)],
    ids=["expired", "offline", "day", "form"],
)
def test_a_run_parks_until_the_outage_is_over_and_goes_on_by_itself(bench: Bench, fault: Fault, rhythm: float) -> None:
    ask = Outage(bench, fault, begins=10, ends=2 * HOUR)
    assert asyncio.run(bench.over(records(50), ask, concurrency=4)) == Ending()
    assert sorted(ask.asked) == sorted(record.key for record in records(50))
    assert bench.states == {State.ANSWERED: 50}
    assert len(ask.refused) <= 8 + 2 * HOUR / rhythm
    assert bench.tally.parked is None


def test_a_run_that_never_worked_parks_only_if_it_is_told_to(bench: Bench) -> None:
    ask = Outage(bench, EXPIRED, begins=0, ends=HOUR)
    assert asyncio.run(bench.over(records(10), ask, parking=Parking(2 * HOUR))) == Ending()
    assert bench.states == {State.ANSWERED: 10}


def test_a_connection_that_is_lost_for_a_few_records_is_no_outage_and_none_of_them_fails(bench: Bench) -> None:
    ask = Script(p3=[OFFLINE] * 2, p4=[OFFLINE], p10=[OFFLINE] * 3)
    assert asyncio.run(bench.over(records(10), ask)) == Ending()
    assert bench.states == {State.ANSWERED: 10}
    assert bench.world.now < 60


def test_a_parked_run_asks_another_record_each_time() -> None:
    parking = Parking(HOUR)
    for number in range(5):
        parking.meets(Fate(number, State.PARKED), EXPIRED, 0.0)
    assert parking.park(0.0, had_answers=True) is None
    asked = []
    for minute in range(1, 7):
        asked.append(parking.probe_at(minute * 60.0))
        parking.meets(Fate(asked[-1] or 0, State.PARKED), EXPIRED, minute * 60.0)
    assert asked == [0, 1, 2, 3, 4, 0]


def test_a_parked_run_gives_up_and_its_records_are_asked_by_the_next(bench: Bench) -> None:
    ask = Outage(bench, EXPIRED, begins=10, ends=24 * HOUR)
    ending = asyncio.run(bench.over(records(50), ask, parking=Parking(HOUR)))
    assert ending.fault == EXPIRED
    assert bench.world.now == pytest.approx(HOUR, abs=120)
    assert bench.states == {State.ANSWERED: 10, State.PARKED: 5, State.WAITING: 35}
    assert bench.journal.begin() == 0
    assert bench.states == {State.ANSWERED: 10, State.WAITING: 40}


def test_a_parked_run_is_interrupted_at_once(bench: Bench) -> None:
    ask = Outage(bench, EXPIRED, begins=10, ends=24 * HOUR)

    async def sleep(seconds: float) -> None:
        await bench.sleep(seconds)
        if bench.tally.parked is not None:
            assert bench.run is not None
            bench.run.interrupt()

    assert asyncio.run(bench.over(records(50), ask, sleep=sleep)).interrupted


def test_a_model_that_does_not_exist_is_not_waited_for(bench: Bench) -> None:
    unknown = answered("ResourceNotFoundException", "Could not resolve the foundation model", status=404)
    ending = asyncio.run(bench.over(records(50), Outage(bench, unknown, 10, HOUR), parking=Parking(HOUR)))
    assert ending.fault == unknown
    assert bench.world.now < 60


def test_the_brake_stops_a_run_with_what_is_in_flight(bench: Bench) -> None:
    def brake() -> str:
        return "the budget is used up" if bench.tally.answered >= 10 else ""

    ending = asyncio.run(bench.over(records(50), Script(), concurrency=4, brake=brake))
    assert ending == Ending(stopped="the budget is used up")
    assert bench.tally.answered <= 14
    assert bench.states == {State.ANSWERED: bench.tally.answered, State.WAITING: 50 - bench.tally.answered}


def test_what_reading_the_input_raises_ends_the_run(bench: Bench) -> None:
    def source() -> Iterator[Record]:
        yield from records(2)
        raise ValueError("prompts.jsonl is in UTF-16")

    with pytest.raises(ValueError, match="UTF-16"):
        asyncio.run(bench.over(source(), Script()))
    assert bench.answers == ["p1", "p2"]


def test_a_slow_pipe_stalls_no_call_under_way(bench: Bench) -> None:
    answered_first = threading.Event()

    def pipe() -> Iterator[Record]:
        first, second = records(2)
        yield first
        assert answered_first.wait(30), "the first answer did not come while the input stood still"
        yield second

    async def ask(record: Record) -> Answer:
        await asyncio.sleep(0)
        answered_first.set()
        return Answer({"id": record.key, "text": "Hi"}, "end_turn")

    asyncio.run(bench.over(pipe(), ask))
    assert bench.answers == ["p1", "p2"]


def test_the_tally_hears_throttles_retries_and_what_the_quota_is_charged(world: World) -> None:
    tally = Tally(world.clock)
    tally.hear(RetryScheduled(ROUTE, THROTTLE, 1, 2.0))
    tally.hear(RetryScheduled(ROUTE, UNAVAILABLE, 2, 2.0))
    tally.hear(CallEnded("converse", ROUTE, None, Usage(100, 20), 1, 1.0))
    tally.hear(CallEnded("converse", ROUTE, THROTTLE, None, 1, 1.0))
    assert (tally.retries, tally.throttles) == (2, 2)
    assert tally.tokens > 120, "an Anthropic model newer than the table counts output more than once"


def test_the_tally_keeps_the_trouble_that_nothing_has_ended(world: World) -> None:
    tally = Tally(world.clock)
    tally.hear(RetryScheduled(ROUTE, THROTTLE, 1, 2.0))
    tally.hear(CallEnded("converse", ROUTE, None, Usage(100, 20), 1, 1.0))
    kept: Fault | None = tally.trouble
    assert kept is None
    world.now = 7.0
    tally.hear(RetryScheduled(ROUTE, THROTTLE, 1, 2.0))
    world.now = 9.0
    tally.hear(CallEnded("converse", ROUTE, UNAVAILABLE, None, 1, 1.0))
    tally.hear(RetryScheduled(ROUTE, replace(UNAVAILABLE, kind=Kind.REFUSED), 1, 2.0))
    assert (tally.trouble, tally.troubled_since) == (UNAVAILABLE, 7.0)


def test_a_meter_forgets_what_is_older_than_a_minute(world: World) -> None:
    meter = Meter(world.clock)
    world.now = 10.0
    meter.add(30)
    assert meter.per_minute() == pytest.approx(180.0)
    world.now = 60.0
    meter.add(10)
    assert meter.per_minute() == pytest.approx(40.0)
    world.now = 75.0
    assert meter.per_minute() == pytest.approx(10.0)
    world.now = 10_000.0
    assert meter.per_minute() == 0.0
