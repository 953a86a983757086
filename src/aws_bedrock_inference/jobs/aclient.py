"""The asyncio client of batch jobs. It runs the blocking client in threads. During the pause between two polls of a
job, no thread is occupied.
"""

# ruff: noqa: ASYNC109 - `timeout` is the maximum wait for a job; `asyncio.timeout` would only cancel it

from __future__ import annotations

import asyncio  # noqa: TID251 - an asyncio client
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.jobs.client import BedrockJobClient
from aws_bedrock_inference.jobs.creating import LONGEST_HOURS
from aws_bedrock_inference.jobs.values import AsyncJobResult
from aws_bedrock_inference.jobs.waiting import TIMEOUT, Polling

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping

    from aws_bedrock_inference.clients.client import BedrockClient
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.deadletters.queue import DeadLetterQueue
    from aws_bedrock_inference.jobs.limits import JobLimits
    from aws_bedrock_inference.jobs.values import JobRecord, JobResult, JobStatus
    from aws_bedrock_inference.listeners import Listener

T = TypeVar("T")

# The number of items that a thread reads together, because switching threads takes longer than reading a record.
_PIECE = 100


class AsyncBedrockJobClient:
    """The asyncio version of `BedrockJobClient`, with the same options. `sleep` is a coroutine function."""

    def __init__(
        self,
        model_id: str,
        *,
        output_s3_uri: str,
        role_arn: str | None = None,
        region_name: str | None = None,
        session: Any = None,
        endpoint_url: str | None = None,
        on_too_few: Literal["local", "error"] = "local",
        on_demand: BedrockClient | None = None,
        limits: JobLimits | None = None,
        clock: Clock = clocks.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._jobs = BedrockJobClient(
            model_id,
            output_s3_uri=output_s3_uri,
            role_arn=role_arn,
            region_name=region_name,
            session=session,
            endpoint_url=endpoint_url,
            on_too_few=on_too_few,
            on_demand=on_demand,
            limits=limits,
            clock=clock,
        )
        self._sleep = sleep
        self.model_id = self._jobs.model_id

    @property
    def region_name(self) -> str:
        """The Region of the jobs."""
        return self._jobs.region_name

    @property
    def output_s3_uri(self) -> str:
        """The S3 prefix for the outputs of jobs."""
        return self._jobs.output_s3_uri

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every event, in a thread and not in the event loop. The returned function removes the
        listener.
        """
        return self._jobs.listen(listener)

    async def create_job(
        self,
        *,
        prompt: str | None = None,
        prompts: Iterable[str] | None = None,
        records: Iterable[Mapping[str, Any]] | None = None,
        input_s3_uri: str | None = None,
        system: str | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        name: str | None = None,
        client_token: str | None = None,
        timeout_hours: int = LONGEST_HOURS,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Create a job and return its id, as `BedrockJobClient.create_job` does. A thread reads the records."""
        return await asyncio.to_thread(
            self._jobs.create_job,
            prompt=prompt,
            prompts=prompts,
            records=records,
            input_s3_uri=input_s3_uri,
            system=system,
            max_tokens=max_tokens,
            temperature=temperature,
            name=name,
            client_token=client_token,
            timeout_hours=timeout_hours,
            tags=tags,
        )

    async def get_job_status(self, job_id: str, *, take_over: bool = True) -> JobStatus:
        """Return the current status of the job, as `BedrockJobClient.get_job_status` does."""
        return await asyncio.to_thread(self._jobs.get_job_status, job_id, take_over=take_over)

    async def get_job_result(self, job_id: str, *, dead_letters: DeadLetterQueue | None = None) -> AsyncJobResult:
        """Return the records of a job that has ended, as `BedrockJobClient.get_job_result` does."""
        return _awaited(await asyncio.to_thread(self._jobs.get_job_result, job_id, dead_letters=dead_letters))

    async def wait_for_job(
        self, job_id: str, timeout: float = TIMEOUT, *, dead_letters: DeadLetterQueue | None = None
    ) -> AsyncJobResult:
        """Wait until the job has ended, and return its result, as `BedrockJobClient.wait_for_job` does."""
        polling = Polling(job_id, timeout, self._jobs.clock, self._jobs.notify)
        while True:
            try:
                job = await self.get_job_status(job_id)
            except Exception as error:  # noqa: BLE001 - raised again if it is not transient
                wait = polling.after_error(error)
            else:
                if polling.ended(job):
                    break
                wait = polling.after()
            await self._sleep(wait)
        return _awaited(await asyncio.to_thread(self._jobs.completed, job, dead_letters))

    async def list_jobs(self, *, status: str | None = None, limit: int = 100) -> AsyncIterator[JobStatus]:
        """Yield the account's jobs in this Region, the newest first."""
        async for job in _read(self._jobs.list_jobs(status=status, limit=limit)):
            yield job

    async def cancel_job(self, job_id: str) -> JobStatus:
        """Stop a job, and return its status."""
        return await asyncio.to_thread(self._jobs.cancel_job, job_id)

    async def finish(self, job_id: str) -> None:
        """Wait while this process runs the job, that is, while it sends the job's records on demand. If AWS or another
        process runs the job, return immediately. Call this method before the program ends.
        """
        await asyncio.to_thread(self._jobs.finish, job_id)

    async def close(self) -> None:
        """Close the connections to the services. If this process runs a local job, it sends no further records, and
        waits for the records in flight. The next process that waits for the job sends the remaining records.
        """
        await asyncio.to_thread(self._jobs.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class _Records:
    """The records of a job, for `async for`. A thread reads them. Each iteration reads the records from S3 again."""

    def __init__(self, records: Iterable[JobRecord]) -> None:
        self._records = records

    def __aiter__(self) -> AsyncIterator[JobRecord]:
        return _read(self._records)


def _awaited(result: JobResult) -> AsyncJobResult:
    return AsyncJobResult(_Records(result.records), result.job)


async def _read(items: Iterable[T]) -> AsyncIterator[T]:
    """Yield each of `items`. A thread reads several items at a time, so that the event loop is not blocked."""
    rest = iter(items)
    while piece := await asyncio.to_thread(lambda: list(islice(rest, _PIECE))):
        for item in piece:
            yield item
