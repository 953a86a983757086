"""A run of a local job: it asks the records without a result, and leaves what a job of AWS's leaves.

Each result is an object of its own, below `parts/`, until the last one is there. A runner that is killed so loses only
what was in flight, and the next one sees what is missing.
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
"""The files in the folder of a local job. The output's are named and written as AWS's."""

_PARTS = "parts/"

# Records in flight at once. The client's quota bounds them besides.
_CONCURRENCY = 16

# How often a record with a passing fault is asked, each time with the client's own retries.
_ROUNDS = 3


class LocalRun:
    """The run of the local job in `folder`, whose lease this process has. `client` returns the client for a model, and
    is asked at each record. `end` asks the run to end early: it begins no more records, and another runner may go on at
    once.
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
        """End early: let the records in flight end, and leave the others to the next runner."""
        self._ended.set()

    def over(self) -> None:
        """Run to the end. What goes wrong with S3, or with the client, leaves the job to the next runner."""
        try:
            self._ask_missing()
            if self._is_complete and self._lease.renew():
                self._finish()
        except Exception as error:  # noqa: BLE001 - nobody waits for this thread; whoever waits for the job goes on
            LOGGER.warning("a local job is not run until somebody waits for it: %s", error)
        if not self._lease.lost and not self._lease.state["ended"]:
            self._lease.renew(owner="")

    def _ask_missing(self) -> None:
        """Ask the records without a result. Raises what belongs to no record, after those in flight have ended."""
        done = {_number(part) for part in self._parts()}
        missing = ((number, record) for number, record in self._records() if number not in done)
        in_flight: set[Future[bool | None]] = set()
        with ThreadPoolExecutor(_CONCURRENCY, "bedrock-local-job") as pool:
            while True:
                while len(in_flight) < _CONCURRENCY and self._goes_on() and (found := next(missing, None)):
                    in_flight.add(pool.submit(self._ask, *found))
                if not in_flight:
                    break
                ended, in_flight = wait(in_flight, self._lease.due, FIRST_COMPLETED)
                self._count(ended)
                if not self._lease.due:
                    self._lease.renew(succeeded=self._succeeded, failed=self._failed)
        if self._trouble is not None:
            raise self._trouble

    def _goes_on(self) -> bool:
        """Return whether another record may be begun."""
        if self._ended.is_set() or self._broken or self._trouble or self._lease.state["stop"]:
            return False
        return self._lease.holds

    @property
    def _is_complete(self) -> bool:
        """True if the job is to end now: all records have a result, or it goes no further."""
        if self._broken or self._lease.state["stop"]:
            return True
        records: int = self._lease.state["records"]
        return sum(1 for _ in self._parts()) >= records

    def _ask(self, number: int, record: dict[str, Any]) -> bool | None:
        """Ask a record and keep its result. Return whether it has an answer, None if it was not asked."""
        if not self._goes_on():
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
            if not self._goes_on():
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
        """Join the parts, write the manifest, and end the job. The parts go last, so that it can be done again."""
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
        """Write the parts into `whole`, and return how many of them are errors."""
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
        """Remove the parts. A caller that may not delete leaves them, and nobody reads them any more."""
        try:
            for part in parts:
                self._s3.delete_object(Bucket=part.location.bucket, Key=part.location.key)
        except FAILURES as error:
            LOGGER.info("the parts of a local job stay below %s: %s", self._folder, error)

    def _parts(self) -> Iterator[S3Object]:
        return listed(self._s3, _below(self._folder, _PARTS))

    def _records(self) -> Iterator[tuple[int, dict[str, Any]]]:
        place = _below(self._folder, INPUT)
        source = next(listed(self._s3, place), None)
        if source is None:
            raise OSError(f"{place} is gone, and with it the records of the job")
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
    """Return a manifest as AWS writes it, without the tokens, which not every answer tells."""
    return {
        "totalRecordCount": total,
        "processedRecordCount": succeeded + failed,
        "successRecordCount": succeeded,
        "errorRecordCount": failed,
    }


def _below(folder: S3Location, name: str) -> S3Location:
    return folder._replace(key=folder.key + name)


def _number(part: S3Object) -> int:
    """Return the number of a part's line in the input."""
    return int(part.location.key.rpartition("/")[2])
