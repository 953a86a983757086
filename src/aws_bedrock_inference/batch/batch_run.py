"""Run a file of prompts from a program: `BatchRun`, and `AsyncBatchRun` for asyncio."""

from __future__ import annotations

import asyncio  # noqa: TID251 - the batch runner lives in asyncio
import contextlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypedDict, Unpack

from aws_bedrock_inference import clock
from aws_bedrock_inference.batch.bill import C, billed, check_limit
from aws_bedrock_inference.batch.carry_out import CONCURRENCY
from aws_bedrock_inference.batch.deadline.night import asker_of, night_of
from aws_bedrock_inference.batch.ending import Ending
from aws_bedrock_inference.batch.fates import State
from aws_bedrock_inference.batch.inputs import holds_output, source_of
from aws_bedrock_inference.batch.job import Job
from aws_bedrock_inference.batch.schema import Schema
from aws_bedrock_inference.batch.tally import Tally
from aws_bedrock_inference.batch.template import Template
from aws_bedrock_inference.batch.work import asked, closed_files, opened_files
from aws_bedrock_inference.log import LOGGER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from aws_bedrock_inference.batch.deadline.night import Night
    from aws_bedrock_inference.batch.deadline.service import JobService
    from aws_bedrock_inference.batch.deadline.when import When
    from aws_bedrock_inference.batch.journal import Journal
    from aws_bedrock_inference.batch.output import Output
    from aws_bedrock_inference.batch.runner import Run
    from aws_bedrock_inference.clients.aclient import AsyncBedrockClient
    from aws_bedrock_inference.clients.base import BaseClient
    from aws_bedrock_inference.clients.client import BedrockClient


class RunOptions(TypedDict, total=False):
    """The options of a run. They have the same names and meanings as the options of `bedrock run`."""

    template: str
    system: str
    max_tokens: int
    temperature: float
    concurrency: int
    order: Literal["arrival", "input"]
    on_change: Literal["refuse", "keep", "ask"]
    schema: str | Path
    sample: int
    max_failures: int
    max_cost: float
    give_up_after: float
    by: When
    jobs: JobService


class BatchStopped(Exception):
    """Raised if a run ended before every record was sent. Start the run again to send the rest."""


class _BaseRun:
    """The common part of `BatchRun` and `AsyncBatchRun`: the options, the open files, and the end of the run."""

    _journal: Journal
    _output: Output

    def __init__(self, source: str | Path, output: str | Path, client: BaseClient, options: RunOptions) -> None:
        given: dict[str, Any] = dict(options)
        if given.get("schema") is not None:
            given["schema"] = Schema(Path(given["schema"]))
        if given.get("template") is not None:
            given["template"] = Template(given["template"])
        if holds_output(source_of(source), Path(output)):
            raise ValueError(
                f"the output {output} is the input itself, or is inside the input directory. Choose another output"
            )
        self._job = Job(source=source_of(source), output=Path(output), model=client.model_id, **given)
        check_limit(self._job.max_cost)
        self._tally = Tally(clock.monotonic)
        self._concurrency = self._job.concurrency or CONCURRENCY
        self._night = night_of(self._job, client.region_name, concurrency=self._concurrency, say=LOGGER.info)
        self._run: Run | Night | None = None
        self._ending: Ending | None = None
        self._error: BaseException | None = None

    @property
    def counts(self) -> dict[str, int]:
        """The number of records that are `answered`, `failed` and `missing`.

        A missing record is neither answered nor failed.
        """
        counts = self._journal.counts()
        answered, failed = counts[State.ANSWERED], counts[State.FAILED]
        return {"answered": answered, "failed": failed, "missing": sum(counts.values()) - answered - failed}

    @property
    def cost(self) -> float | None:
        """The cost in US dollars of all calls of this run and of earlier runs.

        None if the cost of any answer is unknown.
        """
        facts = self._tally.bill.facts()
        return None if facts["cost_unknown"] else float(facts["cost"])

    def failures(self) -> Iterator[dict[str, Any]]:
        """Yield the records that have failed so far, in their original form, each with its `error`."""
        return (json.loads(line) for piece in self._journal.failures() for line in piece)

    def _open(self) -> None:
        self._journal, self._output = opened_files(self._job, LOGGER.warning)
        self._tally.bill.begin(self._journal.facts(), self._journal.counts()[State.ANSWERED])

    def _billed(self, client: C) -> C:
        return billed(client, self._job, self._tally.bill)

    async def _asked(self, client: Callable[[], Any], notify: Callable[[], None]) -> None:
        """Send the records that have no result yet, with the client that `client` returns. Store how the run ended."""
        try:
            self._ending = await asked(
                self._job,
                self._journal,
                self._output,
                lambda: asker_of(self._job, client(), self._night),
                self._tally,
                concurrency=self._concurrency,
                complain=lambda line: LOGGER.warning("%s", line),
                started=self._started,
                notify=notify,
                night=self._night,
            )
        except BaseException as error:  # noqa: BLE001 - raised again where the answers are read
            self._error = error
        notify()

    def _started(self, run: Run | Night) -> None:
        self._run = run

    def _interrupt(self) -> None:
        if self._run is not None:
            self._run.interrupt()

    @property
    def _has_ended(self) -> bool:
        return self._ending is not None or self._error is not None

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error
        if self._ending is not None and self._ending.early:
            raise BatchStopped(self._ending.reason)

    def _close(self, error: BaseException | None) -> None:
        """Close the files of the run. If one of them could not be written completely, raise `BatchStopped`.

        `error` is the exception that ended the `with` block. If it is not None, `BatchStopped` is not raised.
        """
        trouble = closed_files(self._job, self._journal, self._output, self._ending or Ending(interrupted=True))
        if trouble and error is None:
            raise BatchStopped(trouble)


class BatchRun(_BaseRun):
    """A run of many prompts from a program. It works like the command `bedrock run`, and continues an interrupted run.

        with BatchRun("in.jsonl", "out.jsonl", client=client) as run:
            for answer in run:
                print(answer["id"], answer["text"])

    `source` and `output` are files as for the command `bedrock run`, and `options` are its options. The iteration
    yields each answer as soon as the answer is stored on the disk. An answer is a dictionary with the content of one
    line of the output file. Answers of earlier runs come first, so a restarted program receives every answer. Calls
    continue while the program works on an answer.

    The policies of `client` apply. Create the client with `priority="batch"` if other calls share its quota. With a
    deadline (the option `by`) and `jobs` (a `BedrockJobClient`), the run may send the records as a batch job. If the
    remaining time becomes too short, the run stops the job and sends the remaining records as calls on demand.

    If the program leaves the block early, the run waits for the calls in flight. A batch job continues in AWS. The same
    run can be started again later.

    Raises `ValueError` for files that cannot be used. After all answers, raises `BatchStopped` if some records were not
    sent.
    """

    def __init__(
        self, source: str | Path, output: str | Path, *, client: BedrockClient, **options: Unpack[RunOptions]
    ) -> None:
        super().__init__(source, output, client, options)
        self._client = client
        self._news = threading.Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._left = False
        self._thread: threading.Thread

    def __enter__(self) -> Self:
        self._open()
        # The thread runs in a copy of the caller's context variables, as asyncio's tasks do.
        self._thread = threading.Thread(target=copy_context().run, args=(self._work,), name="bedrock-batch")
        self._thread.start()
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._left = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._interrupt)
        self._thread.join()
        self._close(error)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield the stored answers, then wait for more answers until the run has ended."""
        seen = 0
        while True:
            ended = self._has_ended  # read first, so that no answer is missed
            for rows in self._journal.answers(after=seen):
                for seq, line in rows:
                    seen = seq
                    yield json.loads(line)
            if ended:
                break
            with self._news:
                while not self._has_ended and self._journal.last_answer() == seen:
                    self._news.wait()
        self._raise()

    def wait(self) -> None:
        """Wait until the run has ended. Raises the same exceptions as an iteration over the answers."""
        self._thread.join()
        self._raise()

    def _work(self) -> None:
        asyncio.run(self._in_threads())

    async def _in_threads(self) -> None:
        self._loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(self._concurrency, "bedrock-batch-call") as pool:
            await self._asked(lambda: _Awaited(self._billed(self._client), pool), self._notify)

    def _started(self, run: Run | Night) -> None:
        super()._started(run)
        if self._left:
            self._interrupt()

    def _notify(self) -> None:
        with self._news:
            self._news.notify_all()


class AsyncBatchRun(_BaseRun):
    """`BatchRun` for asyncio: `async with`, `async for`, and an `AsyncBedrockClient`."""

    def __init__(
        self, source: str | Path, output: str | Path, *, client: AsyncBedrockClient, **options: Unpack[RunOptions]
    ) -> None:
        super().__init__(source, output, client, options)
        self._client = client
        self._news: asyncio.Event
        self._task: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._open)
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._asked(lambda: self._billed(self._client), self._news.set))
        return self

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        await asyncio.sleep(0)  # a run that has not started yet starts first, so that it receives the interruption
        self._interrupt()
        await asyncio.wait({self._task})
        await asyncio.to_thread(self._close, error)

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        """Yield the stored answers, then wait for more answers until the run has ended."""
        seen = 0
        while True:
            self._news.clear()
            ended = self._has_ended
            pieces = self._journal.answers(after=seen)
            while rows := await asyncio.to_thread(next, pieces, None):
                for seq, line in rows:
                    seen = seq
                    yield json.loads(line)
            if ended:
                break
            await self._news.wait()
        self._raise()

    async def wait(self) -> None:
        """Wait until the run has ended. Raises the same exceptions as an iteration over the answers."""
        await asyncio.wait({self._task})
        self._raise()


class _Awaited:
    """Makes the methods of a blocking client awaitable. Each call runs in a thread."""

    def __init__(self, client: BedrockClient, pool: ThreadPoolExecutor) -> None:
        self.model_id = client.model_id
        self._client = client
        self._pool = pool

    async def invoke(self, **arguments: Any) -> Any:
        return await self._called(partial(self._client.invoke, **arguments))

    async def invoke_model(self, **arguments: Any) -> Any:
        return await self._called(partial(self._client.invoke_model, **arguments))

    async def _called(self, call: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._pool, copy_context().run, call)
