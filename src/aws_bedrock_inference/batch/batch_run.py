"""Batch runs in a program: `BatchRun`, and `AsyncBatchRun` for asyncio."""

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

    from aws_bedrock_inference.batch.journal import Journal
    from aws_bedrock_inference.batch.output import Output
    from aws_bedrock_inference.batch.runner import Run
    from aws_bedrock_inference.clients.aclient import AsyncBedrockClient
    from aws_bedrock_inference.clients.client import BedrockClient


class RunOptions(TypedDict, total=False):
    """The options of a run, as those of `bedrock run`."""

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


class BatchStopped(Exception):
    """A run that ended before every record was asked; the message says why. The same run goes on from there."""


class _BaseRun:
    """The parts that both kinds of runs share: a job, its open files, and the end of its run."""

    _journal: Journal
    _output: Output

    def __init__(self, source: str | Path, output: str | Path, model: str, options: RunOptions) -> None:
        given: dict[str, Any] = dict(options)
        if given.get("schema") is not None:
            given["schema"] = Schema(Path(given["schema"]))
        if given.get("template") is not None:
            given["template"] = Template(given["template"])
        if holds_output(source_of(source), Path(output)):
            raise ValueError(f"{output} is the input, or in the directory that is the input. Choose another output")
        self._job = Job(source=source_of(source), output=Path(output), model=model, **given)
        check_limit(self._job.max_cost)
        self._tally = Tally(clock.monotonic)
        self._concurrency = self._job.concurrency or CONCURRENCY
        self._run: Run | None = None
        self._ending: Ending | None = None
        self._error: BaseException | None = None

    @property
    def counts(self) -> dict[str, int]:
        """The number of records that are answered, failed and missing."""
        counts = self._journal.counts()
        answered, failed = counts[State.ANSWERED], counts[State.FAILED]
        return {"answered": answered, "failed": failed, "missing": sum(counts.values()) - answered - failed}

    @property
    def cost(self) -> float | None:
        """The sum in US dollars that all answers so far have cost, those of earlier runs too; None if a part of it is
        not known.
        """
        facts = self._tally.bill.facts()
        return None if facts["cost_unknown"] else float(facts["cost"])

    def failures(self) -> Iterator[dict[str, Any]]:
        """Yield the records that have failed so far, as they were read, each with its `error`."""
        return (json.loads(line) for piece in self._journal.failures() for line in piece)

    def _open(self) -> None:
        self._journal, self._output = opened_files(self._job, LOGGER.warning)

    def _billed(self, client: C) -> C:
        return billed(client, self._job, self._journal, self._tally.bill)

    async def _asked(self, client: Any, notify: Callable[[], None]) -> None:
        """Ask all that is missing, and note how it ended."""
        try:
            self._ending = await asked(
                self._job,
                self._journal,
                self._output,
                self._job.asker(client),
                self._tally,
                concurrency=self._concurrency,
                complain=lambda line: LOGGER.warning("%s", line),
                started=self._started,
                notify=notify,
            )
        except BaseException as error:  # noqa: BLE001 - raised where the answers are read
            self._error = error
        notify()

    def _started(self, run: Run) -> None:
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
        """Close the files, and raise what keeps them from being whole, unless the block raised already."""
        trouble = closed_files(self._job, self._journal, self._output, self._ending or Ending(interrupted=True))
        if trouble and error is None:
            raise BatchStopped(trouble)


class BatchRun(_BaseRun):
    """A run of many prompts with a journal, as `bedrock run` makes it, in a program.

        with BatchRun("in.jsonl", "out.jsonl", client=client) as run:
            for answer in run:
                print(answer["id"], answer["text"])

    `source` and `output` are files as for the command; `options` are its options. Iterating gives each answer as it
    stands in the output, once it is durable: first those of earlier runs, so that a program that was killed sees every
    answer when it is started again. Calls go on while the program works on an answer. The client's own policies hold;
    give it `priority="batch"` if others share its quota. Leaving the block early lets the calls in flight end and
    sends no more; the same run goes on from there.

    Raises `ValueError` for files that cannot be used, and `BatchStopped` after the answers if some records were not
    asked.
    """

    def __init__(
        self, source: str | Path, output: str | Path, *, client: BedrockClient, **options: Unpack[RunOptions]
    ) -> None:
        super().__init__(source, output, client.model_id, options)
        self._client = client
        self._news = threading.Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._left = False
        self._thread: threading.Thread

    def __enter__(self) -> Self:
        self._open()
        self._client = self._billed(self._client)
        # In the context of whoever starts it, as asyncio's tasks are.
        self._thread = threading.Thread(target=copy_context().run, args=(self._work,), name="bedrock-batch")
        self._thread.start()
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._left = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._interrupt)
        self._thread.join()
        self._close(error)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield the answers, and wait for more until the run has ended."""
        seen = 0
        while True:
            ended = self._has_ended  # before the journal is read: what comes later is read in the next round
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
        """Wait until the run has ended. Raises what the iteration would raise."""
        self._thread.join()
        self._raise()

    def _work(self) -> None:
        asyncio.run(self._in_threads())

    async def _in_threads(self) -> None:
        self._loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(self._concurrency, "bedrock-batch-call") as pool:
            await self._asked(_Awaited(self._client, pool), self._notify)

    def _started(self, run: Run) -> None:
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
        super().__init__(source, output, client.model_id, options)
        self._client = client
        self._news: asyncio.Event
        self._task: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._open)
        self._news = asyncio.Event()
        self._client = self._billed(self._client)
        self._task = asyncio.create_task(self._asked(self._client, self._news.set))
        return self

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        await asyncio.sleep(0)  # a run that has not begun begins, and hears of the end
        self._interrupt()
        await asyncio.wait({self._task})
        await asyncio.to_thread(self._close, error)

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        """Yield the answers, and wait for more until the run has ended."""
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
        """Wait until the run has ended. Raises what the iteration would raise."""
        await asyncio.wait({self._task})
        self._raise()


class _Awaited:
    """A blocking client whose calls are awaited: each in a thread."""

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
