"""Run a local job: send the records that have no result yet, and write output in the same form as a job of AWS.

Each result is a separate object below `parts/` until all results exist. The process that runs the job is the *runner*.
If the runner is killed, only the answers to the records in flight are lost. The next runner finds out which results are
missing, and sends these records.
"""

from __future__ import annotations

import json
import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.jobs.on_demand import JobBroken, asked
from aws_bedrock_inference.jobs.states import FAILURES
from aws_bedrock_inference.log import LOGGER
from aws_bedrock_inference.s3 import failure, listed, opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from aws_bedrock_inference.clients.client import BedrockClient
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.jobs.lease import Lease
    from aws_bedrock_inference.s3 import S3Location, S3Object

INPUT, OUTPUT, MANIFEST, STATE = "input.jsonl", "input.jsonl.out", "manifest.json.out", "state.json"
"""The files in the folder of a local job. The output files have the names and the format of AWS."""

_PARTS = "parts/"

# The maximum number of records in flight. The client's quota can reduce this number.
_CONCURRENCY = 16

# The maximum number of rounds for a record with a transient fault. Each round includes the client's own retries.
_ROUNDS = 3


class LocalRun:
    """The run of the local job in `folder`. This process holds the lease of the job (the exclusive right to run it), so
    no other process runs the job.

    The function `client` receives the id of a model and returns the client that sends the calls. The function is called
    for each record. After a call of `end`, the run sends no more records. When the records in flight have finished, the
    run releases the lease, so that another process can continue the job immediately.
    """

    def __init__(
        self, s3: Any, folder: S3Location, lease: Lease, client: Callable[[str], BedrockClient], wall: Clock
    ) -> None:
        self._s3 = s3
        self._folder = folder
        self._lease = lease
        self._client = client
        self._wall = wall
        self._succeeded, self._failed = lease.state["succeeded"], lease.state["failed"]
        self._ended = threading.Event()
        self._broken = ""
        self._trouble: BaseException | None = None

    def end(self) -> None:
        """Send no more records, and let the records in flight finish. The next process sends the remaining records."""
        self._ended.set()

    def over(self) -> None:
        """Run the job to its end.

        An error of S3 or of the client is logged and ends this run. The job continues when a process waits for it.
        """
        try:
            self._ask_missing()
            if self._is_complete and self._lease.renew():
                self._finish()
        except Exception as error:  # noqa: BLE001 - nothing waits for this thread; the next runner continues the job
            LOGGER.warning(
                "a local job has stopped because of an error, and continues when a process calls wait_for_job: %s",
                error,
            )
        if not self._lease.lost and not self._lease.state["ended"]:
            self._lease.renew(owner="")

    def _ask_missing(self) -> None:
        """Send the records that have no result yet.

        An error that does not belong to one record, such as an error of S3, is raised after the records in flight have
        finished.
        """
        done = {_number(part) for part in self._parts()}
        missing = ((number, record) for number, record in self._records() if number not in done)
        in_flight: set[Future[bool | None]] = set()
        with ThreadPoolExecutor(_CONCURRENCY, "bedrock-local-job") as pool:
            while True:
                while len(in_flight) < _CONCURRENCY and self._may_continue() and (found := next(missing, None)):
                    in_flight.add(pool.submit(self._ask, *found))
                if not in_flight:
                    break
                ended, in_flight = wait(in_flight, self._lease.due, FIRST_COMPLETED)
                self._count(ended)
                if not self._lease.due:
                    self._lease.renew(succeeded=self._succeeded, failed=self._failed)
        if self._trouble is not None:
            raise self._trouble

    def _may_continue(self) -> bool:
        """Return whether another record may be sent."""
        if self._ended.is_set() or self._broken or self._trouble or self._lease.state["stop"]:
            return False
        return self._lease.holds

    @property
    def _is_complete(self) -> bool:
        """True if no process needs to send more records of this job: all records have a result, a fault affects every
        record, or the job was stopped.
        """
        if self._broken or self._lease.state["stop"]:
            return True
        records: int = self._lease.state["records"]
        return sum(1 for _ in self._parts()) >= records

    def _ask(self, number: int, record: dict[str, Any]) -> bool | None:
        """Send a record and store its result. Return True if the result is an answer, and False if it is an error.

        Return None if no result was stored. This has one of two causes:

        * This run must send no more records, for example because a caller stopped the job.
        * A fault affects every record, for example a missing permission.
        """
        if not self._may_continue():
            return None
        state = self._lease.state
        for left in reversed(range(_ROUNDS)):
            try:
                line, again = asked(self._client(state["model"]), state["model"], record, state["invocation"])
            except JobBroken as error:
                self._broken = str(error)
                return None
            if again is None or not left:
                self._put(f"{_PARTS}{number:08}", json.dumps(line).encode() + b"\n")
                return "error" not in line
            self._ended.wait(again)
            if not self._may_continue():
                break
        return None

    def _count(self, ended: Iterable[Future[bool | None]]) -> None:
        for future in ended:
            if (error := future.exception()) is not None:
                self._trouble = self._trouble or error
            elif (answered := future.result()) is not None:
                self._succeeded += answered
                self._failed += not answered

    def _finish(self) -> None:
        """Join the results into the output, write the manifest, and end the job.

        The objects with the individual results are deleted last. If this process dies before that, these objects
        still exist, and another process can repeat all steps.
        """
        parts = list(self._parts())
        with TemporaryFile() as whole:
            failed = self._join(parts, whole)
            whole.seek(0)
            self._put(OUTPUT, whole)
        counted = {"succeeded": len(parts) - failed, "failed": failed}
        self._put(MANIFEST, json.dumps(manifest(self._lease.state["records"], **counted)).encode())
        status = "Failed" if self._broken else "Completed" if len(parts) >= self._lease.state["records"] else "Stopped"
        if self._lease.renew(status=status, message=self._broken, ended=self._wall(), **counted):
            self._remove(parts)

    def _join(self, parts: Iterable[S3Object], whole: Any) -> int:
        """Write the content of all objects in `parts` into the file `whole`. Return the number of records with an
        error.
        """
        failed = 0
        for part in parts:
            with opened(self._s3, part) as file:
                line = file.read()
            whole.write(line)
            failed += "error" in json.loads(line)
            if not self._lease.due:
                self._lease.renew()
        return failed

    def _remove(self, parts: list[S3Object]) -> None:
        """Delete the objects with the individual results. If the permission to delete is missing, they remain and are
        ignored.
        """
        try:
            for part in parts:
                self._s3.delete_object(Bucket=part.location.bucket, Key=part.location.key)
        except FAILURES as error:
            LOGGER.info("the parts of a local job were not deleted from %s: %s", self._folder, error)

    def _parts(self) -> Iterator[S3Object]:
        return listed(self._s3, _below(self._folder, _PARTS))

    def _records(self) -> Iterator[tuple[int, dict[str, Any]]]:
        place = _below(self._folder, INPUT)
        source = next(listed(self._s3, place), None)
        if source is None:
            raise OSError(
                f"the file {place} with the records of the job no longer exists. Restore the file, or create a new job"
            )
        with opened(self._s3, source) as file:
            for number, line in enumerate(file, 1):
                yield number, json.loads(line)

    def _put(self, name: str, body: Any) -> None:
        place = _below(self._folder, name)
        try:
            self._s3.put_object(Bucket=place.bucket, Key=place.key, Body=body)
        except FAILURES as error:
            raise failure(place, error) from error


def manifest(total: int, succeeded: int, failed: int) -> dict[str, int]:
    """Return a manifest in AWS's format. It has no token counts, because not every answer contains them."""
    return {
        "totalRecordCount": total,
        "processedRecordCount": succeeded + failed,
        "successRecordCount": succeeded,
        "errorRecordCount": failed,
    }


def _below(folder: S3Location, name: str) -> S3Location:
    return folder._replace(key=folder.key + name)


def _number(part: S3Object) -> int:
    """Return the line number in the input that the key of a result object contains."""
    return int(part.location.key.rpartition("/")[2])
