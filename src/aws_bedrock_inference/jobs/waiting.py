"""The schedule of the wait for a job: it determines the time of the next poll and the end of the wait."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.bounds import is_number, shown
from aws_bedrock_inference.events import JobPollFailed, JobProgressed
from aws_bedrock_inference.fault import Decision, Kind
from aws_bedrock_inference.jobs.values import ENDED
from aws_bedrock_inference.resilience.functions import known_fault

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.listeners import Listener

TIMEOUT = 3600.0
"""The default timeout of a wait in seconds, from AWS's documentation. A job can take a day."""

# The intervals between polls, in seconds, from AWS's documentation: 1.5, 2.25, ..., 30. After an error, the interval is
# twice as long as the previous one.
_FIRST, _LONGEST = 1.0, 30.0
_GROWTH, _GROWTH_AFTER_ERROR = 1.5, 2.0


class Polling:
    """The polls (requests for the status of a job) of one wait. After each successful poll, call `ended` with the job
    and then `after`. After a failed poll, call `after_error` with the exception. `after` and `after_error` return the
    seconds until the next poll.
    """

    def __init__(self, job_id: str, timeout: float, clock: Clock, notify: Listener) -> None:
        if not is_number(timeout, least=0, infinite=True):
            raise ValueError(f"timeout={shown(timeout)}: use a number of seconds, 0 or more")
        self._job_id = job_id
        self._clock = clock
        self._notify = notify
        self._began = clock()
        self._until = self._began + timeout
        self._interval = _FIRST
        self._seen: JobProgressed | None = None

    def ended(self, job: Mapping[str, Any]) -> bool:
        """Return whether the job has ended.

        If the status or the number of processed, failed or total records has changed, notify the listener.
        """
        status, counts = job["status"], [job.get(name) or 0 for name in ("processed", "total", "failed")]
        news = JobProgressed(self._job_id, status, job.get("aws_status", status), *counts)
        if news != self._seen:
            self._seen = news
            self._notify(replace(news, waited=self._clock() - self._began))
        return job["status"] in ENDED

    def after(self) -> float:
        """Return the seconds until the next poll of a running job. Raises `TimeoutError` if the timeout has expired."""
        return self._wait(_GROWTH)

    def after_error(self, error: Exception) -> float:
        """Return the seconds until the next poll after a failed poll. Raises the error if it is permanent."""
        fault = known_fault(error)
        circuit_is_open = fault.kind is Kind.REFUSED
        if fault.decision is Decision.FAIL and not circuit_is_open:
            raise error
        wait = max(self._wait(_GROWTH_AFTER_ERROR), min(fault.stated_wait, self._until - self._clock()))
        self._notify(JobPollFailed(self._job_id, fault, wait))
        return wait

    def _wait(self, growth: float) -> float:
        left = self._until - self._clock()
        if left <= 0:
            raise TimeoutError(
                f"Timeout waiting for job {self._job_id} to complete. The job continues: wait again with the id of the "
                "job"
            )
        self._interval = min(self._interval * growth, _LONGEST)
        return min(self._interval, left)


def waited(
    job_id: str,
    timeout: float,
    ask: Callable[[str], Any],
    *,
    clock: Clock,
    sleep: Callable[[float], None],
    notify: Listener,
) -> Any:
    """Poll a job until it has ended, and return its status."""
    polling = Polling(job_id, timeout, clock, notify)
    while True:
        try:
            job = ask(job_id)
        except Exception as error:  # noqa: BLE001 - raised again if it is not transient
            wait = polling.after_error(error)
        else:
            if polling.ended(job):
                return job
            wait = polling.after()
        sleep(wait)
