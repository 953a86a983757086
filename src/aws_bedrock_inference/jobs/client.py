"""The blocking client of batch jobs. `aclient` has the asyncio version in the same order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from aws_bedrock_inference import clock as clocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from aws_bedrock_inference.clients.client import BedrockClient
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.deadletters.queue import DeadLetterQueue
    from aws_bedrock_inference.events import Listener
    from aws_bedrock_inference.jobs.values import JobResult, JobStatus

ROLE = "BEDROCK_BATCH_ROLE_ARN"

LONGEST_HOURS = 168


class BedrockJobClient:
    """A client for batch jobs of one model. Threads can share it.

    `output_s3_uri` is the prefix for what jobs write; their inputs are uploaded below it, too. `role_arn` is the role
    that Bedrock works with, by default BEDROCK_BATCH_ROLE_ARN. Region, credentials and endpoints are found as boto3
    finds them, from `session` (boto3's or botocore's) if given. Fewer records than the service takes for the model are
    run on demand (`on_too_few="local"`), by `on_demand` or a client of this session, or refused (`"error"`). `clock`
    and `sleep` replace time.
    """

    def __init__(
        self,
        model_id: str,
        *,
        output_s3_uri: str,
        role_arn: str | None = None,
        region_name: str | None = None,
        session: Any = None,
        on_too_few: Literal["local", "error"] = "local",
        on_demand: BedrockClient | None = None,
        clock: Clock = clocks.monotonic,
        sleep: Callable[[float], None] = clocks.sleep,
    ) -> None:
        raise NotImplementedError

    def create_job(
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
        """Create a job and return its id, or the id of the job that has the same content already."""
        raise NotImplementedError

    def get_job_status(self, job_id: str) -> JobStatus:
        """Return the job as it is now."""
        raise NotImplementedError

    def get_job_result(self, job_id: str, *, dead_letters: DeadLetterQueue | None = None) -> JobResult:
        """Return the records of a job that has ended, each with its output or its error, in the order of the input."""
        raise NotImplementedError

    def wait_for_job(
        self,
        job_id: str,
        timeout: float = 3600,
        *,
        dead_letters: DeadLetterQueue | None = None,
        on_progress: Callable[[JobStatus], object] | None = None,
    ) -> JobResult:
        """Wait until the job has ended, and return its result. Raises `JobFailed`, or `TimeoutError`."""
        raise NotImplementedError

    def list_jobs(self, *, status: str | None = None, limit: int = 100) -> Iterator[JobStatus]:
        """Yield the newest jobs of the account in this Region."""
        raise NotImplementedError

    def cancel_job(self, job_id: str) -> JobStatus:
        """Ask the service to stop a job, and return its status; one that has ended is left as it is."""
        raise NotImplementedError

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every event; the returned function removes it."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the connections."""
        raise NotImplementedError
