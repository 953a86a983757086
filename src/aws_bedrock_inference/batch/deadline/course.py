"""What a display shows of a run with a deadline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.batch.deadline.words import duration, local_time

if TYPE_CHECKING:
    from aws_bedrock_inference.batch.deadline.noted import Way


@dataclass(frozen=True, slots=True)
class Course:
    """The way that is taken now, until `deadline`. Of a batch job, its `job_id`, the `status` that it has had since
    `since`, and the records that it has `processed`; `trouble` is why it cannot be looked at. `takes_over` is when on
    demand takes over, None where nothing is left to take over, and `taken` why it did.
    """

    way: Way
    deadline: float
    takes_over: float | None = None
    job_id: str = ""
    status: str = ""
    since: float = 0.0
    processed: int = 0
    records: int = 0
    taken: str = ""
    trouble: str = ""

    def lines(self, now: float) -> list[str]:
        """Return the lines of a display."""
        by = f"by {local_time(self.deadline, now)}, {_in(self.deadline - now)}"
        if self.takes_over is None:
            taken = f" after the batch job: {self.taken}" if self.taken else ""
            return [f"{self.way} {by}{taken}"]
        over = f"on demand takes over at {local_time(self.takes_over, now)}, {_in(self.takes_over - now)}"
        if self.way != "batch job":
            return [f"{self.way} {by}; {over}"]
        state = f"{self.status or 'created'} for {duration(now - self.since)}" if self.since else "being created"
        done = f", {self.processed:,} of {self.records:,} processed" if self.processed else ""
        lines = [f"batch job {by}: {state}{done}", over]
        return [*lines, f"cannot be looked at: {self.trouble}"] if self.trouble else lines

    def plain(self) -> dict[str, Any]:
        """Return the values for a program."""
        return {
            "way": self.way,
            "deadline": round(self.deadline),
            "takes_over": None if self.takes_over is None else round(self.takes_over),
            "job_id": self.job_id or None,
            "job_status": self.status or None,
            "job_processed": self.processed,
            "taken_over": self.taken or None,
        }


def _in(seconds: float) -> str:
    return f"in {duration(seconds)}" if seconds >= 0 else f"{duration(-seconds)} ago"
