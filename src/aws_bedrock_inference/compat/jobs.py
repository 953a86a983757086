"""Two functions for batch jobs, with the names that AWS's troubleshooting pages use. The caller passes the client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.compat.errors import named
from aws_bedrock_inference.compat.invoking import client_method
from aws_bedrock_inference.compat.retries import retry_with_exponential_backoff
from aws_bedrock_inference.jobs.values import JobFailed, check_completed
from aws_bedrock_inference.jobs.waiting import TIMEOUT, waited
from aws_bedrock_inference.log import LOGGER, log
from aws_bedrock_inference.resilience.functions import known_fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_bedrock_inference.clock import Chance, Clock


def create_job_with_retry(
    prompt: str,
    max_retries: int = 3,
    *,
    client: Any = None,
    clock: Clock = clocks.monotonic,
    sleep: Callable[[float], None] = clocks.sleep,
    chance: Chance = clocks.chance,
) -> Any:
    """Create a job with one prompt by calling `client.create_job(prompt=prompt)`, wait for the job, and return its
    result.

    If the creation fails, it is repeated up to `max_retries` times. If the creation still fails, or if the job fails,
    the failure is logged and the result is None.
    """
    create = client_method(client, "create_job", "create_job_with_retry")
    try:
        job_id = retry_with_exponential_backoff(
            lambda: create(prompt=prompt), max_retries, clock=clock, sleep=sleep, chance=chance
        )
        return wait_for_job_with_adaptive_polling(job_id, client=client, clock=clock, sleep=sleep)
    except Exception as error:  # noqa: BLE001 - the page's function raises nothing
        LOGGER.error("Job creation failed: %s", _reason(error))
        return None


def wait_for_job_with_adaptive_polling(
    job_id: str,
    timeout: float = TIMEOUT,
    *,
    client: Any = None,
    clock: Clock = clocks.monotonic,
    sleep: Callable[[float], None] = clocks.sleep,
) -> Any:
    """Wait until `client.get_job_status(job_id)` returns COMPLETED, then return `client.get_job_result(job_id)`.

    The first wait between two status requests is 1.5 s. Each further wait is 1.5 times the previous one, up to 30 s.
    After a fault of the service, the wait doubles and the polling continues. An error that waiting cannot fix, such as
    a job that does not exist, is raised immediately.

    If the job failed or was stopped, `JobFailed` is raised immediately. In contrast, the loop on AWS's page continues
    to poll until `timeout`. After `timeout` seconds, `TimeoutError` is raised.
    """
    status = client_method(client, "get_job_status", "wait_for_job_with_adaptive_polling")
    job = waited(job_id, timeout, status, clock=clock, sleep=sleep, notify=log)
    check_completed(job)
    return client.get_job_result(job_id)


def _reason(error: Exception) -> str:
    """Return the reason why a job has no result. The service's message is omitted, because it can quote the prompt."""
    return str(error) if isinstance(error, (JobFailed, TimeoutError)) else named(known_fault(error))
