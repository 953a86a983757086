"""The lines about a deadline in the progress display of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.batch.deadline.words import duration, local_time

if TYPE_CHECKING:
    from aws_bedrock_inference.batch.deadline.noted import Noted, Way


@dataclass(frozen=True, slots=True)
class Course:
    """The state of a run with a deadline.

    `noted` contains the facts about the deadline from the journal. `way` is the current way of the run: batch job, flex
    tier or on demand.

    `takes_over` is the time when calls on demand replace the batch job or the flex tier for the remaining records. It
    is None if the run already sends its calls on demand. `trouble` states why the status of the batch job is unknown.
    It is an empty text if the status is known.
    """

    noted: Noted
    way: Way
    takes_over: float | None = None
    trouble: str = ""

    @property
    def waits(self) -> bool:
        """True while a batch job processes the records and the run sends no calls."""
        return self.way == "batch job"

    def lines(self, now: float) -> list[str]:
        """Return the lines about the deadline for a display."""
        by = f"{self.way} by {local_time(self.noted.deadline, now)}, {_from_now(self.noted.deadline - now)}"
        if self.takes_over is None:
            return [f"{by} (the batch job: {self.noted.taken})" if self.noted.taken else by]
        over = f"on demand takes over at {local_time(self.takes_over, now)}, {_from_now(self.takes_over - now)}"
        if self.noted.taken:
            over = f"on demand takes over: {self.noted.taken}"
        state = [f": {self._state(now)}"] if self.waits else []
        trouble = [f"the status of the batch job is unknown: {self.trouble}"] if self.trouble else []
        return ["".join([by, *state]), over, *trouble]

    def plain(self) -> dict[str, Any]:
        """Return the values of `Noted.plain`, the current way, and the time `takes_over`, for output as JSON."""
        takes_over = None if self.takes_over is None else round(self.takes_over)
        return {**self.noted.plain(), "way": self.way, "takes_over": takes_over}

    def _state(self, now: float) -> str:
        job = self.noted.job
        if job is None:
            return "being created"
        done = f", {job.processed:,} of {job.records:,} processed" if job.processed else ""
        return f"{job.status or 'created'} for {duration(now - job.since)}{done}"


def _from_now(seconds: float) -> str:
    return f"in {duration(seconds)}" if seconds >= 0 else f"{duration(-seconds)} ago"
