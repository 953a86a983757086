"""Carry out a run with a deadline: choose a batch job, the flex tier or calls on demand.

If the batch job would end too late, it is stopped early. Calls on demand then answer the remaining records before the
deadline.
"""

from __future__ import annotations

import asyncio  # noqa: TID251 - the batch runner lives in asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from aws_bedrock_inference import clock
from aws_bedrock_inference.batch.deadline.batch_job import BatchJob
from aws_bedrock_inference.batch.deadline.choice import Choice, Pace, choose, pace
from aws_bedrock_inference.batch.deadline.course import Course
from aws_bedrock_inference.batch.deadline.noted import Noted, noted_in
from aws_bedrock_inference.batch.deadline.rule import MARGIN, Finish, Submit, TakeOver, Watch, decide
from aws_bedrock_inference.batch.deadline.weights import FLEX, Weights, weigh
from aws_bedrock_inference.batch.deadline.when import moment, read
from aws_bedrock_inference.batch.deadline.words import local_time
from aws_bedrock_inference.batch.ending import Ending
from aws_bedrock_inference.batch.fates import JournalBroken, State
from aws_bedrock_inference.call import Route
from aws_bedrock_inference.exceptions import BedrockError
from aws_bedrock_inference.jobs.limits import limits_of
from aws_bedrock_inference.jobs.model_checks import model_problem
from aws_bedrock_inference.knowledge.every_record import hits_every_record
from aws_bedrock_inference.knowledge.models import target

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aws_bedrock_inference.batch.answers import Answer
    from aws_bedrock_inference.batch.intake import Intake
    from aws_bedrock_inference.batch.job import Job
    from aws_bedrock_inference.batch.journal import Journal
    from aws_bedrock_inference.batch.output import Output
    from aws_bedrock_inference.batch.records import Record
    from aws_bedrock_inference.batch.tally import Tally
    from aws_bedrock_inference.clients.aclient import AsyncBedrockClient
    from aws_bedrock_inference.clock import Clock

# The pace of an earlier run is used if that run had at least this many answers.
_ENOUGH_ANSWERS = 100

NO_SERVICE = "a batch job requires an S3 prefix and a role: --output-s3-uri and --role"


def night_of(job: Job, region: str, *, concurrency: int, say: Callable[[str], None]) -> Night | None:
    """Return the `Night` that carries out a run before its deadline. Return None if the run has no deadline.

    Raises `ValueError` for an invalid deadline.
    """
    if job.by is None:
        return None
    read(job.by)  # raises an error for an invalid deadline; the deadline of a continued run can be in the past
    return Night(job, region, concurrency=concurrency, say=say)


def asker_of(job: Job, client: AsyncBedrockClient, night: Night | None) -> Callable[[Record], Awaitable[Answer]]:
    """Return the function that sends one record. If the run has a deadline, `night` chooses the tier of each record."""
    ask = job.asker(client)
    return ask if night is None else night.ask(ask, job.asker(client, tier=FLEX))


class Night:
    """Carries out a run before its deadline: as a batch job, with the flex tier, or with calls on demand.

    `job` contains the options of the run. `concurrency` is the maximum number of calls in flight; `say` receives
    messages. Call `over` first: it runs the batch job, if one was chosen. Then send each remaining record with the
    function that `ask` returns. This function chooses the tier of the record.
    """

    def __init__(
        self,
        job: Job,
        region: str,
        *,
        concurrency: int,
        say: Callable[[str], None],
        wall: Clock = clock.wall,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        base, pool = target(job.model)
        self._job = job
        self._route = Route(job.model, region, base=base, pool=pool)
        self._concurrency = concurrency
        self._say = say
        self._wall = wall
        self._sleep = sleep
        self._noted: Noted
        self._pace: Pace
        self._tally: Tally
        self._intake: Intake
        self._journal: Journal
        self._ending = Ending()

    def interrupt(self, *, terminated: bool = False) -> None:
        """End the run after Ctrl-C, or after SIGTERM if `terminated` is True. The run's batch job continues in AWS.

        The user can continue the run later with the same command.
        """
        self._ending = Ending(interrupted=True, terminated=terminated)
        self._intake.wake.set()

    def ask(
        self, on_demand: Callable[[Record], Awaitable[Answer]], flex: Callable[[Record], Awaitable[Answer]]
    ) -> Callable[[Record], Awaitable[Answer]]:
        """Return the function that sends a record on the chosen tier.

        If the flex tier was chosen, the function uses this tier while there is enough time. When the remaining time is
        only enough for calls on demand, the function sends the record on demand. If a call on the flex tier fails, the
        function sends the record on demand, except if the fault affects every record.
        """

        async def asked(record: Record) -> Answer:
            if not self._has_time_for_flex():
                return await on_demand(record)
            try:
                return await flex(record)
            except BedrockError as error:
                if hits_every_record(error.fault):
                    raise
                return await on_demand(record)  # on demand may have capacity when flex has none

        return asked

    async def over(
        self, journal: Journal, output: Output, tally: Tally, intake: Intake, notify: Callable[[], None]
    ) -> Ending:
        """Wait until the input is read, then choose how the records are sent. If a batch job is chosen, run it.

        If the job is too slow for the deadline, the method stops the job. The method returns when no more results of
        the job are expected. The caller then sends the remaining records as calls.

        If the user interrupts the run, the method returns an ending whose `early` is True. The caller then sends
        nothing.
        """
        self._journal, self._tally, self._intake = journal, tally, intake
        while not intake.ended and not self._ending.early:
            await self._woken(None)
        if intake.error is not None:
            raise intake.error
        if self._ending.early:
            return self._ending
        tally.total = journal.size
        weights = await asyncio.to_thread(self._weighed)
        self._begin(weights)
        if self._noted.way == "batch job" and not self._noted.over and self._job.jobs is not None:
            batch_job = BatchJob(
                self._noted,
                self._job.jobs,
                job=self._job,
                journal=journal,
                output=output,
                tally=tally,
                route=self._route,
                records=weights.records,
                wall=self._wall,
            )
            await self._carried_through(batch_job, notify)
        if not self._ending.early:
            self._show(None)
        return self._ending

    def ended(self, ending: Ending) -> None:
        """Store how many answers per minute the calls on demand produced, if there were enough answers to measure this.

        If all records are done, also store that the run is complete. The next run then chooses again between a batch
        job, the flex tier and calls on demand.
        """
        tally = self._tally
        facts: dict[str, object] = {}
        if self._noted.way != "flex" and tally.answered - tally.collected >= _ENOUGH_ANSWERS:
            facts["per_minute"] = tally.pace.per_minute()
        if not ending.early:
            facts |= replace(self._noted, complete=True).facts()
        with contextlib.suppress(JournalBroken):  # the run has already reported this error
            self._journal.note(**facts)

    def _weighed(self) -> Weights:
        weights = Weights()
        for questions in self._journal.waiting():
            for question in questions:
                weigh(question.record, self._job, self._route, weights)
        return weights

    def _begin(self, weights: Weights) -> None:
        """Decide between batch job, flex tier and on demand.

        If the journal contains the decision of an incomplete earlier run, continue with that decision in two cases: the
        option `by` has the same value as in the earlier run, or the earlier run started to create a batch job.
        """
        now, by = self._wall(), str(self._job.by)
        facts = self._journal.facts()
        self._pace = pace(
            weights,
            rpm=self._job.rpm,
            tpm=self._job.tpm,
            concurrency=self._concurrency,
            per_minute=facts.get("per_minute"),
        )
        noted = noted_in(facts)
        if noted is not None and noted.complete:
            noted = None
        if noted is not None and noted.is_open and self._job.jobs is None:
            raise ValueError(
                f"the batch job that an earlier run created for {self._job.output} has not ended. "
                "To continue this job, pass --output-s3-uri and --role again"
            )
        deadline = noted.deadline if noted is not None and noted.by == by else moment(self._job.by or "", now)
        if not weights.records and (noted is None or not noted.is_open):
            self._noted = Noted(by, deadline, "on demand")
        elif noted is not None and (noted.token or noted.by == by):
            self._noted = replace(noted, by=by, deadline=deadline)
            self._say(
                f"Continues: {noted.way} by {local_time(deadline, now)}" + f", {noted.job_id}" * bool(noted.job_id)
            )
        else:
            choice = _chosen(self._job, weights, self._pace, now=now, deadline=deadline, spent=self._tally.bill.total)
            for line in choice.lines(deadline, now):
                self._say(line)
            self._noted = Noted(by, deadline, choice.way)
        self._journal.note(**self._noted.facts())

    async def _carried_through(self, batch_job: BatchJob, notify: Callable[[], None]) -> None:
        """Create the batch job, poll it, and stop it if it is late, as `rule.decide` requires.

        Return when no more results are expected, or when the user interrupts the run.
        """
        while not self._ending.early:
            if batch_job.noted.job_id:
                before = self._tally.collected, self._tally.failed
                await batch_job.look()
                if before != (self._tally.collected, self._tally.failed):
                    notify()
            left = (await asyncio.to_thread(self._journal.counts))[State.WAITING]
            seen = batch_job.seen(self._pace.needs(left))
            self._noted = batch_job.noted
            self._show(batch_job, seen.takes_over)
            match decide(seen):
                case Submit():
                    await batch_job.submit(seen.takes_over - seen.now)
                    if batch_job.noted.job_id:
                        self._say(f"The batch job is {batch_job.noted.job_id}")
                case Watch(until):
                    await self._woken(until - seen.now)
                case TakeOver(reason):
                    self._say(f"On demand takes over: {reason}. The batch job is being stopped.")
                    await batch_job.stop(reason)
                case Finish(reason):
                    await batch_job.leave(reason)
                    self._noted = batch_job.noted
                    self._report(reason)
                    return

    def _report(self, reason: str) -> None:
        left = self._journal.counts()[State.WAITING]
        got = f"The batch job answered {self._tally.collected:,} records"
        why = f" ({reason})" if reason else ""
        self._say(f"{got}{why}; {left:,} are sent on demand." if left or reason else f"{got}, which is all.")

    def _has_time_for_flex(self) -> bool:
        if self._noted.way != "flex":
            return False
        left = (self._tally.total or self._journal.size) - self._tally.done
        takes_over = self._noted.deadline - MARGIN * self._pace.needs(left)
        self._show(None, takes_over)
        if self._wall() < takes_over:
            return True
        self._say("On demand takes over from flex, because it needs the remaining time.")
        self._noted = replace(self._noted, way="on demand", taken="flex took too long")
        self._show(None)
        return False

    def _show(self, batch_job: BatchJob | None, takes_over: float | None = None) -> None:
        way = "on demand" if batch_job is None and self._noted.way == "batch job" else self._noted.way
        trouble = "" if batch_job is None else batch_job.trouble
        self._tally.course = Course(self._noted, way, takes_over, trouble)

    async def _woken(self, seconds: float | None) -> None:
        """Wait until new input or an interruption arrives, but at most `seconds`."""
        self._intake.wake.clear()
        if not self._ending.early and not (seconds is None and self._intake.ended):
            await self._intake.woken(seconds, self._sleep)


def planned_choice(job: Job, weights: Weights, *, concurrency: int, now: float) -> list[str]:
    """Return lines of text that state whether a run would choose a batch job, the flex tier or calls on demand."""
    at = pace(weights, rpm=job.rpm, tpm=job.tpm, concurrency=concurrency, per_minute=None)
    deadline = moment(job.by or "", now)
    return list(_chosen(job, weights, at, now=now, deadline=deadline, spent=0.0).lines(deadline, now))


def _chosen(job: Job, weights: Weights, at: Pace, *, now: float, deadline: float, spent: float) -> Choice:
    budget = None if job.max_cost is None else job.max_cost - spent
    no_service = NO_SERVICE if job.jobs is None else model_problem(job.model)
    least = limits_of(target(job.model).base).least_records
    return choose(weights, at, now=now, deadline=deadline, least=least, no_service=no_service, budget=budget)
