"""One simulated batch job: its states over time, and its work in each state.

    Submitted -> Validating -> Scheduled -> InProgress -> Completed

* A job whose input is not valid goes from Validating to Failed.
* A job that reaches its timeout becomes Expired, or PartiallyCompleted if it was already InProgress.
* A job that a request stops becomes Stopping, then Stopped.

Times are seconds since the scenario was loaded. `run` does all work that is due.
"""

from __future__ import annotations

from collections import defaultdict
from hashlib import blake2b
from math import floor, inf
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.simulator import batch_input, batch_records, speech
from aws_bedrock_inference.simulator.error_texts import text
from aws_bedrock_inference.simulator.s3 import Denied, Location

if TYPE_CHECKING:
    from aws_bedrock_inference.simulator.batch_input import Record
    from aws_bedrock_inference.simulator.batch_records import Answered
    from aws_bedrock_inference.simulator.job_settings import JobRule
    from aws_bedrock_inference.simulator.request import Asked
    from aws_bedrock_inference.simulator.s3 import S3
    from aws_bedrock_inference.simulator.settings import Scenario

WAITING = ("Submitted", "Validating", "Scheduled")
ENDED = ("Completed", "PartiallyCompleted", "Failed", "Stopped", "Expired")

_HOUR = 3600.0
_MANIFEST = "manifest.json.out"


class Job:
    """A batch job: the request that created it (`given`), and its current state.

    `wanted` contains the operation, the model and the Region of all records of the job.
    """

    def __init__(  # noqa: PLR0917 - the parts of a job, in their order
        self, arn: str, given: dict[str, Any], wanted: Asked, rule: JobRule, scenario: Scenario, now: float
    ) -> None:
        self.arn = arn
        self.given = given
        self.message = ""
        self.total = self.processed = self.succeeded = self.failed = 0
        self.submitted_at = self.changed_at = now
        self.ended_at: float | None = None
        self.hours: int = given.get("timeoutDurationInHours") or 24
        self.expires_at = now + (self.hours * _HOUR if rule.expires is None else rule.expires)
        self._wanted = wanted
        self._rule = rule
        self._scenario = scenario
        self._status = "Submitted"
        self._begun_at = inf
        self._told_to_stop: float | None = None
        self._records: list[Record] = []
        self._answered: list[Answered] = []

    @property
    def id(self) -> str:
        """The id of the job: the last part of its ARN."""
        return self.arn.rpartition("/")[2]

    @property
    def name(self) -> str:
        """The name that the caller chose for the job."""
        name: str = self.given["jobName"]
        return name

    @property
    def region(self) -> str:
        """The Region of the job."""
        return self._wanted.region

    @property
    def base(self) -> str:
        """The id of the base model, without the prefix of an inference profile."""
        return self._wanted.base

    @property
    def operation(self) -> str:
        """The operation of each record: InvokeModel or Converse."""
        return self._wanted.operation

    @property
    def status(self) -> str:
        """The state of the job, such as `InProgress`."""
        return "Stopping" if self._told_to_stop is not None and not self.ended else self._status

    @property
    def ended(self) -> bool:
        """True if the job is in a final state."""
        return self._status in ENDED

    def stop(self, now: float) -> None:
        """Request the end of the job. A second request has no effect."""
        if self._told_to_stop is None:
            self._told_to_stop = self.changed_at = now

    def fail(self, message: str, at: float) -> None:
        """End the job as failed at the time `at`, with `message` as the reason."""
        self.message = message
        self._become("Failed", at)

    def due(self) -> float:
        """Return the time at which the job does its next step."""
        if self.ended:
            return inf
        if self._told_to_stop is not None:
            return self._told_to_stop + self._rule.stopping
        return min(self._next(), self.expires_at)

    def run(self, now: float, s3: S3) -> None:
        """Do all work of the job that is due. `now` is the current time, in seconds since the scenario was loaded."""
        while self.due() <= now:
            self._step(self.due(), s3)

    def _next(self) -> float:
        match self._status:
            case "Submitted":
                return self.changed_at + self._rule.submitted
            case "Validating":
                return self.changed_at + self._rule.validating
            case "Scheduled":
                return self.changed_at + self._rule.scheduled
        done = min(self.processed + self._rule.chunk, self.total)
        if done > self._rule.stalls * self.total:
            return inf
        return self._begun_at + self._rule.in_progress * (done / self.total if self.total else 1)

    def _step(self, at: float, s3: S3) -> None:
        if self._told_to_stop is not None:
            self._stop(at, s3)
        elif at >= self.expires_at:
            self._expire(at, s3)
        elif self._status == "Submitted":
            self._become("Validating", at)
        elif self._status == "Validating":
            self._validate(at, s3)
        elif self._status == "Scheduled":
            self._begun_at = at
            self._become("InProgress", at)
        else:
            self._work(at, s3)

    def _validate(self, at: float, s3: S3) -> None:
        if self._rule.fails:
            self.fail(self._rule.fails, at)
            return
        try:
            self._records = batch_input.read(s3, self.given, self._wanted.region, self.arn, self._scenario.batch)
        except batch_input.Invalid as problem:
            self.fail(str(problem), at)
        else:
            self._records.sort(key=self._place)
            self._become("Scheduled", at)

    def _place(self, record: Record) -> bytes:
        """Return a sort key for a record. Like the service, the simulator does not process records in the order of the
        input.
        """
        seed = f"{self._scenario.seed} {self.arn} {record.file} {record.number}"
        return blake2b(seed.encode(), digest_size=8).digest()

    def _work(self, at: float, s3: S3) -> None:
        """Answer the records of the next chunk, then add their number to `processed`.

        The time in `due` depends on `processed`. Because `processed` changes only after the last record, the job stays
        due during the work. A request that arrives in this time therefore waits until the chunk is complete.
        """
        answered: list[Answered] = []
        for number, record in enumerate(self._records[self.processed : self.processed + self._rule.chunk]):
            if self._told_to_stop is not None:
                break
            error = self._error(self.processed + number)
            answered.append(batch_records.answer(record, self._wanted, self._scenario, error))
        failed = sum(found.failed for found in answered)
        self._answered += answered
        self.failed += failed
        self.succeeded += len(answered) - failed
        self.processed += len(answered)
        if self.processed == self.total:
            self._end("Completed", at, s3)

    def _error(self, number: int) -> tuple[int, str] | None:
        """Return the code and message of the error for the record `number`, or None if the record succeeds.

        The share of failed records is a setting of the scenario. The failed records are spread evenly. For example,
        with a share of 0.25, every fourth record fails.
        """
        share = self._rule.errors
        if floor((number + 1) * share + 1e-9) == floor(number * share + 1e-9):
            return None
        return self._rule.error_code, self._rule.error_message

    def _stop(self, at: float, s3: S3) -> None:
        if self._status == "InProgress" and self._rule.stop_leaves_results:
            self._end("Stopped", at, s3)
        else:
            self._become("Stopped", at)

    def _expire(self, at: float, s3: S3) -> None:
        if self._status in WAITING:
            self._become("Expired", at)
        else:
            self._end("PartiallyCompleted", at, s3)

    def _end(self, status: str, at: float, s3: S3) -> None:
        """Write the output of the job, then end the job with `status`."""
        try:
            self._write(s3)
        except Denied as error:
            self.fail(text("batch", "s3", problem=error), at)
        else:
            self._become(status, at)

    def _write(self, s3: S3) -> None:
        where = Location.of(self.given["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"])
        folder = f"{where.key.rstrip('/')}/{self.id}/".lstrip("/")
        files: defaultdict[str, list[bytes]] = defaultdict(list)
        for found in self._answered:
            files[found.file].append(found.line)
        for name, lines in files.items():
            s3.write(where.bucket, f"{folder}{name}.out", b"".join(line + b"\n" for line in lines))
        manifest = {
            **self.counts(),
            "inputTokenCount": sum(found.input for found in self._answered),
            "outputTokenCount": sum(found.output for found in self._answered),
        }
        s3.write(where.bucket, f"{folder}{_MANIFEST}", speech.written(manifest))

    def counts(self) -> dict[str, int]:
        """Return the counts of the records. The counts are 0 until the job is in progress."""
        return {
            "totalRecordCount": self.total,
            "processedRecordCount": self.processed,
            "successRecordCount": self.succeeded,
            "errorRecordCount": self.failed,
        }

    def _become(self, status: str, at: float) -> None:
        self._status = status
        self.changed_at = at
        if status == "InProgress":
            self.total = len(self._records)
        if status in ENDED:
            self.ended_at = at
            self._records, self._answered = [], []
