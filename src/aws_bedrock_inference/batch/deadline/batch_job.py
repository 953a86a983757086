"""The batch job of a run with a deadline: create it, poll it, stop it and read its results. Each step is written to
the journal before the next step starts.
"""

from __future__ import annotations

import asyncio  # noqa: TID251 - the batch runner lives in asyncio
from dataclasses import replace
from functools import partial
from itertools import islice
from math import inf
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from aws_bedrock_inference.batch.answers import Answer
from aws_bedrock_inference.batch.deadline.results import fate_of, id_in_job, is_result, question_of
from aws_bedrock_inference.batch.deadline.rule import GONE, Seen, Watched
from aws_bedrock_inference.batch.deadline.weights import BATCH, Weights, weigh
from aws_bedrock_inference.batch.fates import JournalBroken, State
from aws_bedrock_inference.dialects.usage import usage_of_generation
from aws_bedrock_inference.fault import Kind
from aws_bedrock_inference.jobs.values import ENDED
from aws_bedrock_inference.knowledge.classify import classify
from aws_bedrock_inference.knowledge.every_record import passes_soon
from aws_bedrock_inference.knowledge.masking import masked
from aws_bedrock_inference.pricing import cost_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aws_bedrock_inference.batch.deadline.noted import Noted
    from aws_bedrock_inference.batch.deadline.service import JobService
    from aws_bedrock_inference.batch.fates import Fate
    from aws_bedrock_inference.batch.job import Job
    from aws_bedrock_inference.batch.journal import Journal
    from aws_bedrock_inference.batch.output import Output
    from aws_bedrock_inference.batch.tally import Tally
    from aws_bedrock_inference.call import Route
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.fault import Fault
    from aws_bedrock_inference.jobs.values import JobRecord, JobStatus

T = TypeVar("T")

_PIECE = 100
_CALL_SECONDS = 30.0
_STOPPING = "STOPPING"


class BatchJob:
    """The batch job of a run.

    `noted` contains the facts about the job that the journal stores. `service` is used to create, poll and stop the
    job. `records` is the number of records in the job. `trouble` is the last error of the service, or an empty text.
    """

    def __init__(
        self,
        noted: Noted,
        service: JobService,
        *,
        job: Job,
        journal: Journal,
        output: Output,
        tally: Tally,
        route: Route,
        records: int,
        wall: Clock,
    ) -> None:
        self.noted = noted
        self.trouble = ""
        self._service = service
        self._job = job
        self._journal = journal
        self._output = output
        self._tally = tally
        self._route = route
        self._records = records
        self._wall = wall
        self._failed_at = -inf
        self._refused = ""
        self._paid: set[int] = set()

    def seen(self, needs: float) -> Seen:
        """Return the time, the deadline and the state of the job.

        From these values, `rule.decide` derives the next action.

        `needs` is the number of seconds that calls on demand would need for the remaining records.
        """
        noted = self.noted
        return Seen(
            now=self._wall(),
            deadline=noted.deadline,
            needs=needs,
            job=noted.job,
            begun=bool(noted.token),
            failed_at=self._failed_at,
            refused=self._refused,
        )

    async def submit(self, seconds: float) -> None:
        """Create the job, within `seconds`.

        The job's token is written to the journal first. If this run is killed afterwards, the next run finds the job by
        its token.
        """
        if not self.noted.token:
            await self._note(token=uuid4().hex)
        token = self.noted.token
        try:
            create = partial(self._service.create_job, name=f"bedrock-run-{token[:12]}", client_token=token)
            job_id = await _within(max(seconds, _CALL_SECONDS), partial(create, records=self._lines()))
        except JournalBroken:
            raise
        except Exception as error:  # noqa: BLE001 - calls on demand work without a job
            self.trouble, passes = _trouble(error)
            self._failed_at = self._wall()
            self._refused = "" if passes else f"the batch job was refused: {self.trouble}"
            return
        self.trouble = ""
        await self._note(job_id=job_id, job=Watched("", self._records, self._wall(), self._wall()))

    async def look(self) -> None:
        """Request the status of the job. If the job has ended, read its results."""
        try:
            found = await _within(_CALL_SECONDS, partial(self._service.get_job_status, self.noted.job_id))
        except Exception as error:  # noqa: BLE001 - the status is requested again, until on demand takes over
            self.trouble, _ = _trouble(error)
            if classify(error).kind is Kind.NOT_FOUND:
                await self._note(job=replace(self._watched, status=GONE))
            return
        self.trouble = ""
        job = self._moved(found)
        if job.ended is not None:
            job = replace(job, found=await self._read())
        elif job.stopped is not None and job.status != _STOPPING:
            await self._cancel()
        if job != self._watched:
            await self._note(job=job)

    async def stop(self, reason: str) -> None:
        """Stop the job. `reason` is the reason why the remaining records are sent on demand."""
        await self._note(taken=reason, job=replace(self._watched, stopped=self._wall()))
        await self._cancel()

    async def leave(self, reason: str) -> None:
        """Stop polling the job, because no more results are expected. `reason` is the reason why the remaining records
        are sent on demand.
        """
        await self._note(taken=self.noted.taken or reason, over=True)

    @property
    def _watched(self) -> Watched:
        assert self.noted.job is not None  # noqa: S101 - the job is created before it is watched
        return self.noted.job

    async def _note(self, **changes: Any) -> None:
        self.noted = replace(self.noted, **changes)
        await asyncio.to_thread(self._journal.note, **self.noted.facts())

    def _moved(self, found: JobStatus) -> Watched:
        """Return the new state of the job. It combines the last known state with `found`, the status from a poll."""
        now, before = self._wall(), self._watched
        status, processed = found["status"], found["processed"]
        return replace(
            before,
            status=status,
            records=found["total"] or before.records,
            processed=max(processed, before.processed),
            since=before.since if status == before.status else now,
            moved=before.moved if processed <= before.processed else now,
            ended=before.ended or (now if status in ENDED else None),
            error=masked(found["error"] or ""),
        )

    async def _cancel(self) -> None:
        try:
            await _within(_CALL_SECONDS, partial(self._service.cancel_job, self.noted.job_id))
        except Exception as error:  # noqa: BLE001 - the job may have ended; the next status shows it, or the job is stopped again
            self.trouble, _ = _trouble(error)

    def _lines(self) -> Iterator[dict[str, Any]]:
        """Yield the waiting records in the form of records of a batch job."""
        weights = Weights()
        for questions in self._journal.waiting():
            for question in questions:
                body = weigh(question.record, self._job, self._route, weights)
                if body is not None:
                    yield {"recordId": id_in_job(question), "modelInput": body}

    async def _read(self) -> int:
        """Store the results of the job as the fates (answered or failed) of its records. Return the number of records
        with a result.
        """
        found: set[int] = set()
        try:
            result = await asyncio.to_thread(self._service.get_job_result, self.noted.job_id)
            results = iter(result.records)
            while piece := await asyncio.to_thread(list, islice(results, _PIECE)):
                for reason in await asyncio.to_thread(self._written, piece, found):
                    self._count(reason)
        except JournalBroken:
            raise
        except Exception as error:  # noqa: BLE001 - the results may appear later, or never
            self.trouble, _ = _trouble(error)
        return len(found)

    def _written(self, piece: list[JobRecord], found: set[int]) -> list[Answer | Fault]:
        """Store the fates (answered or failed) of the records whose results are in `piece`.

        Return their answers and faults, which the caller adds to the tally (the counts of the run).

        `found` collects the numbers of the records that have a result. A second result for the same record is ignored.
        """
        made: list[tuple[Fate, Answer | Fault]] = []
        bill = self._tally.bill
        for result in piece:
            question = question_of(result.record_id, self._journal)
            if question is None or not is_result(result) or question.number in found:
                continue
            found.add(question.number)
            if question.state is not State.WAITING:
                continue
            if isinstance(result.output, dict) and question.number not in self._paid:
                self._paid.add(question.number)  # added to the cost only once, even if the answer is discarded later
                bill.add(cost_of(usage_of_generation(result.output), self._route, BATCH))
            fate = fate_of(question, result, self._job, self._route, self._wall())
            if fate is not None:
                made.append(fate)
        if made:
            self._journal.turn([fate for fate, _ in made], 0, (), bill.facts())
            self._output.follow()
        return [reason for _, reason in made]

    def _count(self, reason: Answer | Fault) -> None:
        if isinstance(reason, Answer):
            self._tally.collect(reason.stop_reason)
        else:
            self._tally.fail(reason)


async def _within(seconds: float, call: Callable[[], T]) -> T:
    """Call `call` in a thread, and return its result. Raise `TimeoutError` if the call takes longer than `seconds`."""
    try:
        return await asyncio.wait_for(asyncio.to_thread(call), seconds)
    except TimeoutError:
        raise TimeoutError(f"AWS did not answer within {seconds:.0f} s") from None


def _trouble(error: Exception) -> tuple[str, bool]:
    """Return the reason why a request to the service failed, and True if a later attempt can succeed."""
    fault = classify(error)
    if isinstance(error, TimeoutError):
        return str(error), True
    text = str(fault) if fault.code else masked(f"{type(error).__name__}: {error}")
    return text, passes_soon(fault)
