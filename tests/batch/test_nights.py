"""Batch jobs overnight in virtual time: whatever happens to the job, each record has one answer by the deadline."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from support.doubles import INVALID, ROUTE, UNAVAILABLE

from aws_bedrock_inference.batch.answers import Answer
from aws_bedrock_inference.batch.deadline.night import Night
from aws_bedrock_inference.batch.deadline.noted import FACT, noted_in
from aws_bedrock_inference.batch.deadline.rule import MARGIN
from aws_bedrock_inference.batch.ending import Ending
from aws_bedrock_inference.batch.job import Job
from aws_bedrock_inference.batch.tally import Tally
from aws_bedrock_inference.batch.work import asked, closed_files, opened_files
from aws_bedrock_inference.call import Outcome
from aws_bedrock_inference.knowledge.classify import answered
from aws_bedrock_inference.raising import error_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from aws_bedrock_inference.batch.records import Record
    from aws_bedrock_inference.fault import Fault

MODEL = "us.amazon.nova-pro-v1:0"
TEN_PM = 1_793_485_200.0  # of some evening
RECORDS = 100
RPM = 10.0  # on demand needs ten minutes for all records
NEEDED = RECORDS / RPM * 60
HOUR = 3600.0
DEADLINE = TEN_PM + 10 * HOUR
TAKES_OVER = DEADLINE - MARGIN * NEEDED

THROTTLED = answered("ThrottlingException", "Too many requests for CreateModelInvocationJob", status=429)
UNKNOWN_JOB = answered("ResourceNotFoundException", "No job has this identifier", status=404)


class Killed(BaseException):
    """The end of a process, without any last word."""


class Error(NamedTuple):
    code: int
    message: str


class Result(NamedTuple):
    record_id: str
    output: dict[str, Any] | None = None
    error: Error | None = None


class Results(NamedTuple):
    records: Iterable[Result]


@dataclass
class World:
    """Time, and a process that may be killed at the n-th time that something happens."""

    now: float = TEN_PM
    kill: dict[str, int] = field(default_factory=dict)
    happened: Counter[str] = field(default_factory=Counter)

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)

    def happens(self, what: str) -> None:
        self.happened[what] += 1
        if self.kill.get(what) == self.happened[what]:
            raise Killed(what)


def raised(fault: Fault) -> Exception:
    return error_of(Outcome(fault=fault), "CreateModelInvocationJob", ROUTE)


def reply(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": [{"text": text}]}
    return {"output": {"message": message}, "stopReason": "end_turn", "usage": {"inputTokens": 10, "outputTokens": 5}}


@dataclass
class Service:
    """The batch job service. `course` has the status and the number of processed records at each hour. The results
    appear `appears` seconds after the end: `left` results, changed by `change`."""

    world: World
    course: tuple[tuple[float, str, int], ...] = ()
    left: int = RECORDS
    appears: float = 0.0
    stops: float = 60.0
    stops_as: str = "STOPPED"
    refuses: list[Fault] = field(default_factory=list)
    silent_from: float = float("inf")
    gone_from: float = float("inf")
    error: str | None = None
    change: Callable[[list[Result]], list[Result]] = lambda results: results
    jobs: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    created: float = 0.0
    stopped: float | None = None

    def create_job(self, *, records: Iterable[Mapping[str, Any]], name: str, client_token: str) -> str:
        self.world.happens("before it is created")
        assert len(name) < 63
        if self.refuses:
            raise raised(self.refuses.pop(0))
        lines = list(records)
        if client_token not in self.jobs:
            self.jobs[client_token] = lines
            self.created = self.world.now
        self.world.happens("before its id is noted")
        return f"job-{client_token}"

    def get_job_status(self, job_id: str) -> dict[str, Any]:
        self.world.happens("watched")
        passed = self._passed()
        if passed >= self.gone_from:
            raise raised(UNKNOWN_JOB)
        if passed >= self.silent_from:
            raise raised(UNAVAILABLE)
        _, status, processed = self._state()
        return {"status": status, "aws_status": status, "error": self.error if status == "FAILED" else None,
                "processed": processed, "total": RECORDS, "job_id": job_id}  # fmt: skip

    def get_job_result(self, job_id: str) -> Results:
        (lines,) = self.jobs.values()
        hours, status, _ = self._state()
        ended = self.created + hours * HOUR if self.stopped is None else self.stopped + self.stops
        assert status in ("COMPLETED", "FAILED", "STOPPED"), job_id
        if self.world.now < ended + self.appears:
            return Results([Result(line["recordId"], error=Error(0, "not reached")) for line in lines])
        made = [Result(line["recordId"], reply("by the job")) for line in lines[: self.left]]
        return Results(self._read(self.change(made)))

    def cancel_job(self, _: str) -> None:
        self.world.happens("stopped")
        if self._passed() >= self.silent_from:
            raise raised(UNAVAILABLE)
        self.stopped = self.stopped or self.world.now

    def _read(self, results: list[Result]) -> Iterable[Result]:
        for result in results:
            self.world.happens("a result is read")
            yield result

    def _passed(self) -> float:
        return (self.world.now - self.created) / HOUR

    def _state(self) -> tuple[float, str, int]:
        passed = self._passed()
        state = max((row for row in self.course if row[0] <= passed), default=(0.0, "SUBMITTED", 0))
        if self.stopped is None or state[1] in ("COMPLETED", "FAILED"):
            return state
        word = self.stops_as if self.world.now >= self.stopped + self.stops else "STOPPING"
        return state[0], word, state[2]


def in_steps(until: float, most: int = RECORDS) -> tuple[tuple[float, str, int], ...]:
    """Return the course of a job that makes progress every quarter of an hour until the given hour."""
    quarters = int(until * 4)
    return (
        (0.0, "SUBMITTED", 0),
        (0.2, "VALIDATING", 0),
        (0.5, "SCHEDULED", 0),
        *((n / 4, "IN_PROGRESS", min(most, n * most // quarters)) for n in range(3, quarters)),
    )


class Run:
    """A run of one night, begun again by a process after the other if they are killed."""

    def __init__(self, folder: Path, world: World, service: Any, slower: float = 1.0, **options: Any) -> None:
        self.folder, self.world, self.service, self.slower = folder, world, service, slower
        self.options = {"by": "10h", "model": MODEL, "rpm": RPM, **options}
        self.said: list[str] = []
        self.on_demand: list[str] = []
        self.tiers: Counter[str] = Counter()
        self.write_input({})

    def write_input(self, changed: Mapping[str, str]) -> None:
        lines = [{"id": f"p{n}", "prompt": changed.get(f"p{n}", f"Question {n}")} for n in range(RECORDS)]
        (self.folder / "in.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))

    def process(self) -> Ending:
        """One process, which may be killed; a killed process prints no last lines."""
        job = Job(source=self.folder / "in.jsonl", output=self.folder / "out.jsonl", jobs=self.service, **self.options)
        self.tally = Tally(self.world.clock)
        journal, output = opened_files(job, self.said.append)
        self.tally.bill.begin(journal.facts(), 0)
        night = Night(
            job, "us-east-1", concurrency=1, say=self.said.append, wall=self.world.clock, sleep=self.world.sleep
        )
        ask = night.ask(self.asking("default"), self.asking("flex"))
        try:
            ending = asyncio.run(asked(job, journal, output, lambda: ask, self.tally, concurrency=1, night=night))
        except BaseException:
            journal.close()
            output.release()
            raise
        assert closed_files(job, journal, output, ending) == ""
        return ending

    def asking(self, tier: str) -> Callable[[Record], Any]:
        async def ask(record: Record) -> Answer:
            self.world.happens("on demand")
            self.on_demand.append(record.key)
            self.tiers[tier] += 1
            await self.world.sleep(self.slower * 60 / RPM)
            return Answer({"id": record.key, "text": "on demand", "stop_reason": "end_turn"}, "end_turn")

        return ask

    def over(self) -> Ending:
        """The night, with as many successive processes as necessary."""
        while True:
            try:
                return self.process()
            except Killed:
                self.world.now += 20.0

    @property
    def answers(self) -> dict[str, str]:
        lines = [json.loads(line) for line in (self.folder / "out.jsonl").read_text().splitlines()]
        assert len({line["id"] for line in lines}) == len(lines), "a record has two answers"
        return {line["id"]: line["text"] for line in lines}

    @property
    def failures(self) -> dict[str, Any]:
        path = self.folder / "out.jsonl.failed.jsonl"
        path = path if path.exists() else self.folder / "out.failed.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return {line["id"]: line["error"] for line in map(json.loads, lines)}


def twice(results: list[Result]) -> list[Result]:
    again = [result._replace(output=reply("again")) for result in results]
    return [*(one for both in zip(results, again, strict=True) for one in both), *reversed(again)]


def partly(results: list[Result]) -> list[Result]:
    return [*results[:90], *(result._replace(output=None, error=Error(0, "not reached")) for result in results[90:])]


def foreign(results: list[Result]) -> list[Result]:
    odd = ("", "p1", "7", "7-", "999999999-00", "-1", "1e3-00", "٣-00", "9" * 40 + "-1")
    return [*(Result(name, reply("of another job")) for name in odd), *results]


def empty(results: list[Result]) -> list[Result]:
    none: tuple[Any, ...] = ({}, {"output": "?"}, {"output": {}}, {"stopReason": "end_turn"}, ["a"])
    return [result._replace(output=none[n]) if n < len(none) else result for n, result in enumerate(results)]


def passing(results: list[Result]) -> list[Result]:
    errors = (429, 500, 503, 408, 424)
    return [
        result._replace(output=None, error=Error(errors[n], "the model did not answer")) if n < len(errors) else result
        for n, result in enumerate(results)
    ]


DONE = (*in_steps(2), (2.0, "COMPLETED", RECORDS))
SLOW = in_steps(40)
STUCK = (*in_steps(2, 30)[:6], (1.5, "IN_PROGRESS", 30))

NIGHTS: dict[str, tuple[dict[str, Any], int]] = {
    # the behaviour of the service, and the number of records that it answers
    "early": ({"course": DONE}, 100),
    "late, stopped without results": ({"course": SLOW, "left": 0}, 0),
    "late, stopped with results": ({"course": SLOW, "left": 75}, 75),
    "late, results a minute after it stopped": ({"course": SLOW, "left": 24, "appears": 5.0}, 24),
    "late, results long after it stopped": ({"course": SLOW, "left": 75, "appears": 900.0}, 0),
    "late, ends while it is told to stop": ({"course": SLOW, "stops_as": "COMPLETED"}, 100),
    "late, does not stop": ({"course": SLOW, "stops": 1e9}, 0),
    "stalled, results ten minutes later": ({"course": STUCK, "left": 30, "appears": 500.0}, 30),
    "stalled, no results": ({"course": STUCK, "left": 0}, 0),
    "validated too long": ({"course": ((0.0, "SUBMITTED", 0), (0.1, "VALIDATING", 0)), "left": 0}, 0),
    "in the queue all night": ({"course": ((0.0, "SUBMITTED", 0), (0.1, "SCHEDULED", 0)), "left": 0}, 0),
    "expired": ({"course": ((0.0, "SCHEDULED", 0), (5.0, "FAILED", 0)), "error": "Expired", "left": 0}, 0),
    "validation failed": ({"course": ((0.0, "VALIDATING", 0), (0.2, "FAILED", 0)), "error": "bad", "left": 0}, 0),
    "failed halfway": ({"course": (*in_steps(2)[:5], (1.5, "FAILED", 45)), "left": 45, "appears": 60.0}, 45),
    "stopped by somebody": ({"course": (*in_steps(2)[:5], (1.5, "STOPPED", 35)), "left": 35}, 35),
    "refused": ({"course": DONE, "refuses": [INVALID]}, 0),
    "throttled, then created": ({"course": DONE, "refuses": [THROTTLED] * 3}, 100),
    "throttled until it is too late": ({"course": DONE, "refuses": [THROTTLED] * 2000}, 0),
    "partly done": ({"course": (*DONE[:-1], (2.0, "COMPLETED", 90)), "change": partly}, 90),
    "results twice": ({"course": DONE, "change": twice}, 100),
    "results of others": ({"course": DONE, "change": foreign}, 100),
    "answers that are none": ({"course": DONE, "change": empty}, 95),
    "errors that pass": ({"course": DONE, "change": passing}, 95),
    "results late after it is done": ({"course": DONE, "appears": 300.0}, 100),
    "not reachable any more": ({"course": DONE, "silent_from": 1.0}, 0),
    "forgotten by the service": ({"course": SLOW, "gone_from": 3.0}, 0),
}


@pytest.mark.parametrize("name", NIGHTS)
def test_each_record_has_one_answer_by_the_deadline(name: str, tmp_path: Path) -> None:
    script, by_the_job = NIGHTS[name]
    world = World()
    service = Service(world, **script)
    run = Run(tmp_path, world, service)
    assert run.over() == Ending()
    assert len(run.answers) == RECORDS
    assert Counter(run.answers.values())["by the job"] == by_the_job
    assert sorted(run.on_demand) == sorted(key for key, text in run.answers.items() if text == "on demand")
    assert world.now <= DEADLINE
    assert len(service.jobs) <= 1
    assert any("> batch job  up to $" in line for line in run.said), run.said
    assert any(line.startswith("The batch job answered") for line in run.said), run.said


@pytest.mark.parametrize("phase", ["before it is created", "before its id is noted", "watched", "stopped",
                                   "a result is read", "on demand"])  # fmt: skip
@pytest.mark.parametrize("which", [1, 25])
def test_a_killed_run_continues_with_the_same_job(phase: str, which: int, tmp_path: Path) -> None:
    world = World(kill={phase: which})
    service = Service(world, course=SLOW, left=75, stops=30.0)
    run = Run(tmp_path, world, service)
    assert run.over() == Ending()
    assert len(service.jobs) == 1
    assert Counter(run.answers.values()) == {"by the job": 75, "on demand": 25}
    assert len(run.on_demand) == 25, "what the killed process did not ask any more is asked once"
    assert world.now <= DEADLINE


def test_a_process_that_is_killed_repeatedly_continues_with_the_same_job(tmp_path: Path) -> None:
    world = World()
    service = Service(world, course=DONE)
    run = Run(tmp_path, world, service)
    for kill in ("before it is created", "before its id is noted", "watched", "a result is read"):
        world.kill = {kill: world.happened[kill] + 1}
        with pytest.raises(Killed):
            run.process()
    assert run.over() == Ending()
    assert len(service.jobs) == 1
    assert Counter(run.answers.values()) == {"by the job": RECORDS}


def test_throttled_on_demand_calls_still_end_by_the_deadline(tmp_path: Path) -> None:
    world = World()
    run = Run(tmp_path, world, Service(world, course=SLOW, left=0), slower=1.1)
    run.over()
    assert len(run.answers) == RECORDS
    assert TAKES_OVER < world.now <= DEADLINE


def test_an_error_of_the_record_itself_is_a_failure_with_its_explanation(tmp_path: Path) -> None:
    def bad(results: list[Result]) -> list[Result]:
        return [
            results[0]._replace(output=None, error=Error(400, "Input is too long for requested model.")),
            *results[1:],
        ]

    world = World()
    run = Run(tmp_path, world, Service(world, course=DONE, change=bad))
    run.over()
    assert len(run.answers) == RECORDS - 1
    (error,) = run.failures.values()
    assert (error["errorCode"], error["cause"]) == (400, "input-too-long")
    assert error["advice"]
    assert run.on_demand == []


def test_a_result_for_a_prompt_that_changed_meanwhile_is_not_used(tmp_path: Path) -> None:
    world = World(kill={"watched": 3})
    run = Run(tmp_path, world, Service(world, course=DONE))
    with pytest.raises(Killed):
        run.process()
    run.write_input({"p7": "Another question"})
    run.over()
    assert run.on_demand == ["p7"]
    assert len(run.answers) == RECORDS


def test_records_of_a_job_cost_the_batch_price(tmp_path: Path) -> None:
    world = World()
    run = Run(tmp_path, world, Service(world, course=DONE, change=twice))
    run.over()
    assert run.tally.bill.cost == pytest.approx(RECORDS * (10 * 0.8 + 5 * 3.2) / 2 / 1e6)


@pytest.mark.parametrize(("by", "tier"), [("10h", "flex"), ("15m", "default")])
def test_without_a_bucket_the_choice_is_between_flex_and_on_demand(by: str, tier: str, tmp_path: Path) -> None:
    world = World()
    run = Run(tmp_path, world, None, by=by)
    run.over()
    assert run.tiers == {tier: RECORDS}
    assert any("not possible: a batch job requires an S3 prefix" in line for line in run.said)


def test_on_demand_takes_over_from_flex_that_is_too_slow(tmp_path: Path) -> None:
    world = World()
    run = Run(tmp_path, world, None, by="40m")
    slow = run.asking("flex")

    async def slowly(record: Record) -> Answer:
        await world.sleep(20.0)
        return await slow(record)  # type: ignore[no-any-return]

    run.asking = lambda tier: slowly if tier == "flex" else Run.asking(run, tier)  # type: ignore[method-assign]
    run.over()
    assert set(run.tiers) == {"flex", "default"}
    assert len(run.answers) == RECORDS
    assert world.now <= TEN_PM + 2400


def test_a_deadline_accounts_for_the_extra_hour_of_the_clock_change(tmp_path: Path) -> None:
    world = World(now=1_792_879_200.0)  # 2026-10-25, midnight in Berlin; at three it is two again
    run = Run(tmp_path, world, Service(world, course=SLOW, left=0), by="08:00 Europe/Berlin")
    run.over()
    assert 1_792_879_200 + 9 * HOUR - MARGIN * NEEDED < world.now <= 1_792_879_200 + 9 * HOUR


def test_a_run_after_a_complete_one_does_not_continue_it(tmp_path: Path) -> None:
    world = World()
    run = Run(tmp_path, world, Service(world, course=DONE))
    run.over()
    run.said.clear()
    assert run.over() == Ending()
    assert not any("Goes on" in line for line in run.said)


def test_a_run_without_a_deadline_may_follow_a_complete_one(tmp_path: Path) -> None:
    world = World()
    run = Run(tmp_path, world, Service(world, course=DONE))
    run.over()
    job = Job(source=tmp_path / "in.jsonl", output=tmp_path / "out.jsonl", model=MODEL)
    journal, output = opened_files(job, run.said.append)
    ask = run.asking("default")
    ending = asyncio.run(asked(job, journal, output, lambda: ask, Tally(world.clock), concurrency=1))
    closed_files(job, journal, output, ending)
    assert (ending, run.on_demand) == (Ending(), [])


def test_an_open_job_is_not_forgotten_by_a_run_without_a_deadline(tmp_path: Path) -> None:
    world = World(kill={"watched": 2})
    run = Run(tmp_path, world, Service(world, course=DONE))
    with pytest.raises(Killed):
        run.process()
    run.service = None
    with pytest.raises(ValueError, match="--output-s3-uri"):
        run.process()


def test_the_deadline_is_that_of_the_first_process(tmp_path: Path) -> None:
    world = World(kill={"watched": 30})
    run = Run(tmp_path, world, Service(world, course=SLOW, left=0))
    with pytest.raises(Killed):
        run.process()
    world.now += HOUR
    run.over()
    assert TAKES_OVER < world.now <= DEADLINE


def test_an_interrupted_night_leaves_the_job_to_the_next_run(tmp_path: Path) -> None:
    world = World()
    service = Service(world, course=DONE)
    run = Run(tmp_path, world, service)
    job = Job(source=tmp_path / "in.jsonl", output=tmp_path / "out.jsonl", jobs=run.service, **run.options)
    night = Night(job, "us-east-1", concurrency=1, say=run.said.append, wall=world.clock, sleep=world.sleep)
    journal, output = opened_files(job, run.said.append)
    status = service.get_job_status

    def interrupted(job_id: str) -> dict[str, Any]:
        night.interrupt()
        return status(job_id)

    service.get_job_status = interrupted  # type: ignore[method-assign]
    ask = night.ask(run.asking("default"), run.asking("flex"))
    ending = asyncio.run(asked(job, journal, output, lambda: ask, Tally(world.clock), concurrency=1, night=night))
    noted = noted_in(journal.facts())
    closed_files(job, journal, output, ending)
    assert (ending.interrupted, service.stopped, run.on_demand) == (True, None, [])
    assert noted is not None
    assert noted.is_open
    service.get_job_status = status  # type: ignore[method-assign]
    run.over()
    assert Counter(run.answers.values()) == {"by the job": RECORDS}
    assert len(service.jobs) == 1


def test_the_state_written_by_a_newer_version_can_be_read() -> None:
    text = json.dumps({"by": "8h", "deadline": 1.0, "way": "flex", "job": None, "colour": "red"})
    noted = noted_in({FACT: text})
    assert noted is not None
    assert noted.way == "flex"
