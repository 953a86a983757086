"""Run jobs with fewer records than the service accepts. Such a job is a *local job*: the process that creates it or
waits for it sends the records on demand.

A local job is a folder in S3. The id of the job contains the URI of the folder: `local:s3://BUCKET/PREFIX/local/TOKEN`.
Its state is written before any record is sent, so that another process can take over the job of a killed process
(`lease.py`). Its output has the same format and the same file names as the output of an AWS job. The output is in a
folder below the output URI. The name of this folder is the last part of the job's id.

Some S3 endpoints ignore the conditions of conditional writes. With such an endpoint, two processes could take over the
same job and both run it. Therefore, only the process that created the job runs it. If another process finds the job
unchanged for `STALE` seconds, it reports the job as failed.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from functools import partial
from typing import IO, TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

from aws_bedrock_inference.bounds import hashed
from aws_bedrock_inference.forks import renew_after_fork
from aws_bedrock_inference.jobs import states
from aws_bedrock_inference.jobs.creating import tell_of_other_records
from aws_bedrock_inference.jobs.lease import STALE, Lease
from aws_bedrock_inference.jobs.local_run import INPUT, STATE, LocalRun
from aws_bedrock_inference.jobs.states import FAILURES
from aws_bedrock_inference.s3 import S3Location, failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aws_bedrock_inference.clients.client import BedrockClient
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.jobs.states import Stored

PREFIX = "local:"
"""The prefix of the ids of local jobs."""

_FOLDERS = "local/"

_RUNS, _STOPS = "InProgress", "Stopping"

_NO_RUNNER = (
    "The process that ran this job has ended. Another process cannot take the job over, because this S3 endpoint has "
    "no conditional writes. Create the job again."
)


class _Running(NamedTuple):
    run: LocalRun
    thread: threading.Thread


class LocalJobs:
    """The local jobs that this process creates, runs and waits for. Threads can share an object of this class.

    The function `client` receives the id of a model and returns the client that sends the calls. The function is called
    for each record.
    """

    def __init__(self, s3: Any, client: Callable[[str], BedrockClient], *, clock: Clock, wall: Clock) -> None:
        self._s3 = s3
        self._client = client
        self._clock = clock
        self._wall = wall
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Forget the running jobs in a forked child process, because their threads exist only in the parent process."""
        self._lock = threading.Lock()
        self._running: dict[str, _Running] = {}
        self._seen: dict[str, tuple[str, float]] = {}  # the version of each state, and the time when it was first seen

    def create(
        self,
        output: S3Location,
        lines: IO[bytes],
        *,
        token: str,
        model: str,
        invocation: str,
        records: int,
        name: str,
        content: str = "",
    ) -> str:
        """Create a job of these lines below `output`, start it in the background, and return its id.

        `token` identifies the job. If a job with this token is running or has completed, its id is returned. If it
        failed or was stopped, a new job is created. `content` is a digest that shows whether an existing job has
        different records. Raises `OSError` for an error of S3.
        """
        for own in states.attempts(token):
            folder = S3Location(output.bucket, f"{_folder_key(output)}{_FOLDERS}{hashed(own)}/")
            job_id = f"{PREFIX}{folder}".removesuffix("/")
            there = states.read(self._s3, _state(folder))
            if there is None:
                break
            if self._needs_no_new_job(job_id, there.value):
                if there.value.get("content", content) != content:
                    tell_of_other_records(token, job_id)
                return job_id
        place = folder._replace(key=folder.key + INPUT)
        try:
            self._s3.put_object(Bucket=place.bucket, Key=place.key, Body=lines)
        except FAILURES as error:
            raise failure(place, error) from error
        sent = self._clock()
        state = {
            "format": states.FORMAT,
            "model": model,
            "invocation": invocation,
            "name": name,
            "content": content,
            "records": records,
            "status": _RUNS,
            "message": "",
            "stop": False,
            "shared": True,
            "owner": uuid4().hex,
            "beat": 0,
            "succeeded": 0,
            "failed": 0,
            "submitted": self._wall(),
            "ended": None,
        }
        stored = states.create(self._s3, _state(folder), state)
        if stored is not None:
            if not states.enforces(self._s3, _state(folder), stored):
                stored = states.replace(self._s3, _state(folder), stored, {**state, "shared": False}) or stored
            self._start(job_id, folder, stored, sent)
        return job_id

    def status(self, job_id: str, *, take_over: bool = True) -> dict[str, Any]:
        """Return the job in the form of GetModelInvocationJob.

        If no process runs the job, the job's state no longer changes. This process then continues the job, unless
        `take_over` is False. Raises `LookupError` if the job does not exist, and `ValueError` for an invalid id.
        """
        folder = folder_of(job_id)
        stored = self._read(job_id)
        if stored.value["ended"] is None and self._is_abandoned(job_id, stored):
            if not stored.value["shared"]:
                stored = stored._replace(value={**stored.value, "status": "Failed", "message": _NO_RUNNER})
            elif take_over:
                stored = self._take_over(job_id, folder, stored) or stored
        return _description(job_id, folder, stored.value)

    def cancel(self, job_id: str) -> dict[str, Any]:
        """Store the request to stop the job, and return the job. The process that runs the job reads the request, and
        stops the job. A job that has ended does not change.
        """
        place = _state(folder_of(job_id))
        while (stored := self._read(job_id)).value["ended"] is None and not stored.value["stop"]:
            states.replace(self._s3, place, stored, {**stored.value, "stop": True})
        return self.status(job_id)

    def list(self, output: S3Location) -> Iterator[dict[str, Any]]:
        """Yield the local jobs below `output`, the newest first."""
        prefix = f"{_folder_key(output)}{_FOLDERS}"
        pages = self._s3.get_paginator("list_objects_v2")
        found: list[tuple[float, dict[str, Any]]] = []
        try:
            for page in pages.paginate(Bucket=output.bucket, Prefix=prefix, Delimiter="/"):
                for entry in page.get("CommonPrefixes", ()):
                    folder = S3Location(output.bucket, entry["Prefix"])
                    stored = states.read(self._s3, _state(folder))
                    if stored is not None:
                        job_id = f"{PREFIX}{folder}".removesuffix("/")
                        found.append((stored.value["submitted"], _description(job_id, folder, stored.value)))
        except FAILURES as error:
            raise failure(output, error) from error
        yield from (job for _, job in sorted(found, key=lambda job: -job[0]))

    def finish(self, job_id: str) -> None:
        """If this process runs the job, wait until this run has ended. The command-line interface calls this method
        before it exits.
        """
        with self._lock:
            running = self._running.get(job_id)
        if running is not None:
            running.thread.join()

    def close(self) -> None:
        """Send no further records, and wait for the records in flight.

        The next process that waits for a job sends the job's remaining records.
        """
        with self._lock:
            running = list(self._running.values())
        for each in running:
            each.run.end()
        for each in running:
            each.thread.join()

    def _needs_no_new_job(self, job_id: str, state: dict[str, Any]) -> bool:
        """Return True if no new job is needed, because the job has completed, is running, or can be taken over."""
        if state["ended"] is not None:
            return bool(state["status"] == "Completed")
        with self._lock:
            return state["shared"] or job_id in self._running

    def _read(self, job_id: str) -> Stored:
        folder = folder_of(job_id)
        stored = states.read(self._s3, _state(folder))
        if stored is None:
            raise LookupError(f"the job {job_id} does not exist. Pass the id that create_job returned")
        return stored

    def _is_abandoned(self, job_id: str, stored: Stored) -> bool:
        """Return True if no process runs the job.

        A process that runs the job holds a lease (the exclusive right to run it) and changes the job's state every few
        seconds. No process runs the job if the lease was released, or if the calls of this method have found the same
        state for `STALE` seconds.
        """
        with self._lock:
            running = self._running.get(job_id)
            if running is not None and running.thread.is_alive():
                return False
            now = self._clock()
            version, since = self._seen.get(job_id, ("", now))
            if version != stored.etag:
                self._seen[job_id] = (stored.etag, now)
                since = now
            return not stored.value["owner"] or now - since >= STALE

    def _take_over(self, job_id: str, folder: S3Location, stored: Stored) -> Stored | None:
        """Continue the job in this process, and return the new state of the job. If another process has changed the
        state in the meantime, do not continue the job, and return None.
        """
        sent = self._clock()
        value = {**stored.value, "owner": uuid4().hex, "beat": stored.value["beat"] + 1}
        taken = states.replace(self._s3, _state(folder), stored, value)
        if taken is not None:
            self._start(job_id, folder, taken, sent)
        return taken

    def _start(self, job_id: str, folder: S3Location, stored: Stored, sent: float) -> None:
        lease = Lease(self._s3, _state(folder), stored, sent, self._clock)
        run = LocalRun(self._s3, folder, lease, self._client, self._wall)
        thread = threading.Thread(target=partial(self._run, job_id, run), name="bedrock-local-job", daemon=True)
        with self._lock:
            self._running[job_id] = _Running(run, thread)
        thread.start()

    def _run(self, job_id: str, run: LocalRun) -> None:
        run.over()
        with self._lock:
            if (running := self._running.get(job_id)) is not None and running.run is run:
                del self._running[job_id]


def is_local(job_id: str) -> bool:
    """Return whether the id is the id of a local job."""
    return job_id.startswith(PREFIX)


def folder_of(job_id: str) -> S3Location:
    """Return the folder in S3 of a local job. Raises `ValueError` if the id is not the id of a local job."""
    location = S3Location.parse(job_id.removeprefix(PREFIX)) if is_local(job_id) else None
    if location is None or not location.key:
        raise ValueError(
            f"{job_id} is not the id of a local job. Pass the id that create_job returned, in the form "
            f"{PREFIX}s3://BUCKET/PREFIX/{_FOLDERS}TOKEN"
        )
    return location._replace(key=f"{location.key.rstrip('/')}/")


def _folder_key(output: S3Location) -> str:
    """Return the key of the location `output`, with a slash at its end. Return an empty text if `output` is a whole
    bucket.
    """
    return f"{output.key.rstrip('/')}/" if output.key.strip("/") else ""


def _state(folder: S3Location) -> S3Location:
    return folder._replace(key=folder.key + STATE)


def _description(job_id: str, folder: S3Location, state: dict[str, Any]) -> dict[str, Any]:
    """Return the job in the form of GetModelInvocationJob."""
    output = folder._replace(key=f"{folder.key.rstrip('/').rpartition('/')[0]}/")
    return {
        "jobArn": job_id,
        "jobName": state["name"],
        "modelId": state["model"],
        "status": _STOPS if state["stop"] and state["status"] == _RUNS else state["status"],
        "message": state["message"],
        "submitTime": datetime.fromtimestamp(state["submitted"], UTC),
        **({"endTime": datetime.fromtimestamp(state["ended"], UTC)} if state["ended"] is not None else {}),
        "inputDataConfig": {"s3InputDataConfig": {"s3Uri": f"{folder}{INPUT}"}},
        "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": str(output)}},
        "modelInvocationType": state["invocation"],
        "totalRecordCount": state["records"],
        "processedRecordCount": state["succeeded"] + state["failed"],
        "successRecordCount": state["succeeded"],
        "errorRecordCount": state["failed"],
    }
