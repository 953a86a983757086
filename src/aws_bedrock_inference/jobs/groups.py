"""Run several jobs under one id, for more records than one job accepts. Such jobs are a *group*, and each job is a
*part* of the group.

A group is an object in S3. The id of the group contains the URI of the object: `group:s3://BUCKET/PREFIX/groups/TOKEN`.
The object lists the jobs in the order of their records. For each job, it contains the URI of the input and the
parameters of the job.

If a process died, or the account reached its quota of jobs, some jobs of the group do not exist yet. Any process that
waits for the group creates these jobs. If two processes do this at the same time, no job is created twice, because AWS
creates only one job for each token.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.bounds import hashed
from aws_bedrock_inference.jobs import states
from aws_bedrock_inference.jobs.creating import tell_of_other_records
from aws_bedrock_inference.jobs.statuses import has_ended, status_of
from aws_bedrock_inference.jobs.values import ENDED, FAILED, STOPPED
from aws_bedrock_inference.log import LOGGER
from aws_bedrock_inference.resilience.functions import known_fault
from aws_bedrock_inference.s3 import S3Location

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.jobs.states import Stored

PREFIX = "group:"
"""The prefix of the ids of groups."""

_FOLDERS, _STATE = "groups/", "group.json"

# The account has reached its quota of jobs of the model: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_CreateModelInvocationJob.html
_NO_ROOM = "ServiceQuotaExceededException"

# AWS's words for the statuses of a running job, in the order in which a job has them. An unknown word also means a
# running job.
_RUNS = ("Submitted", "Validating", "Scheduled", "InProgress", "Stopping")
_COUNTS = ("totalRecordCount", "processedRecordCount", "successRecordCount", "errorRecordCount")


class Groups:
    """The groups of jobs that this process creates and waits for. A group is several jobs with one id. Threads can
    share an object of this class.

    The caller passes three functions that manage one job:

    * `submit` receives the parameters of a job and the URI of its input. It creates the job or finds the existing job,
      and returns the job's id.
    * `ask` receives the id and returns the job in the form of GetModelInvocationJob.
    * `stop` receives the id and stops the job.
    """

    def __init__(
        self,
        s3: Any,
        submit: Callable[[dict[str, Any], str], str],
        ask: Callable[[str], dict[str, Any]],
        stop: Callable[[str], object],
        *,
        wall: Clock,
    ) -> None:
        self._s3 = s3
        self._submit = submit
        self._ask = ask
        self._stop = stop
        self._wall = wall
        self._ended: dict[str, dict[str, Any]] = {}  # the status of an ended job is requested once

    def create(self, output: S3Location, token: str, parts: Sequence[dict[str, Any]]) -> str:
        """Create a group below `output` with one job for each of `parts`, and return the id of the group.

        If a group with this token is running or has completed, the id of that group is returned. If that group failed
        or was stopped, a new group is created. Each of `parts` contains the job's parameters (`order`), the URI of its
        input in S3 (`input`), and the number of its records (`records`).

        Raises the exceptions of `submit`. After an exception, call this method again with the same arguments, or wait
        for the group: both create the missing jobs.
        """
        value = {
            "format": states.FORMAT,
            "submitted": self._wall(),
            "stop": False,
            "parts": [{**part, "job": None} for part in parts],
        }
        for own in states.attempts(token):
            place = S3Location(output.bucket, f"{output.key}{_FOLDERS}{hashed(own)}/{_STATE}")
            group_id = f"{PREFIX}{place}".removesuffix(f"/{_STATE}")
            if states.read(self._s3, place) is None and (new := states.create(self._s3, place, value)) is not None:
                self._completed(place, new)
                return group_id
            if status_of(self.status(group_id))["status"] not in (FAILED, STOPPED):
                if _content(self._read(group_id).value) != _content(value):
                    tell_of_other_records(token, group_id)
                return group_id
        raise AssertionError  # never reached: there is always a next token

    def status(self, group_id: str) -> dict[str, Any]:
        """Create the jobs of the group that do not exist yet, and return the group in the form of
        GetModelInvocationJob.

        Raises `LookupError` if the group does not exist, and `ValueError` for an invalid id.
        """
        group = self._completed(_place(group_id), self._read(group_id))
        return _combined(group_id, group, [self._part(group, part) for part in group["parts"]])

    def parts(self, group_id: str) -> Iterator[dict[str, Any]]:
        """Yield the jobs of the group in the order of their records. Each job has the form of GetModelInvocationJob."""
        group = self._read(group_id).value
        for part in group["parts"]:
            yield self._part(group, part)

    def cancel(self, group_id: str) -> dict[str, Any]:
        """Stop the jobs of the group, and create no further jobs of the group. Return the group."""
        place = _place(group_id)
        while not (stored := self._read(group_id)).value["stop"]:
            states.replace(self._s3, place, stored, {**stored.value, "stop": True})
        for part in stored.value["parts"]:
            if part["job"] is not None and status_of(self._part(stored.value, part))["status"] not in ENDED:
                self._stop(part["job"])
        return self.status(group_id)

    def _read(self, group_id: str) -> Stored:
        stored = states.read(self._s3, _place(group_id))
        if stored is None:
            raise LookupError(f"the group of jobs {group_id} does not exist. Pass the id that create_job returned")
        return stored

    def _completed(self, place: S3Location, stored: Stored) -> dict[str, Any]:
        """Create the jobs of the group that do not exist yet, and return the group.

        If AWS refuses a job because the account has reached its quota of jobs, a later call creates the remaining jobs.
        If AWS refuses the first job, raise AWS's error, because the group then has no job to wait for.
        """
        for number, part in enumerate(stored.value["parts"]):
            if part["job"] is not None or stored.value["stop"]:
                continue
            try:
                job_id = self._submit(part["order"], part["input"])
            except Exception as error:
                if known_fault(error).code != _NO_ROOM or not number:
                    raise
                LOGGER.info(
                    "part %d of %d waits, because the account has reached its quota of jobs: %s",
                    number + 1,
                    len(stored.value["parts"]),
                    error,
                )
                break
            stored = self._noted(place, stored, number, job_id)
        return stored.value

    def _noted(self, place: S3Location, stored: Stored, number: int, job_id: str) -> Stored:
        """Store `job_id` in the group as the job of the part `number`. If another process has already stored an id for
        this part, change nothing. Return the stored group.
        """
        while stored.value["parts"][number]["job"] is None:
            parts = list(stored.value["parts"])
            parts[number] = {**parts[number], "job": job_id}
            written = states.replace(self._s3, place, stored, {**stored.value, "parts": parts})
            stored = written or states.read(self._s3, place) or stored
        return stored

    def _part(self, group: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
        """Return the job of one part of the group in the form of GetModelInvocationJob. If the part has no job yet,
        return a description of the part in the same form.
        """
        job_id, order = part["job"], part["order"]
        if job_id is None:
            return {
                "jobArn": f"{order['token']}",
                "jobName": order["name"],
                "modelId": order["model_id"],
                "status": "Stopped" if group["stop"] else _RUNS[0],
                "totalRecordCount": part["records"],
                "inputDataConfig": {"s3InputDataConfig": {"s3Uri": part["input"]}},
                "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": order["output_s3_uri"]}},
            }
        if job_id not in self._ended:
            job = self._ask(job_id)
            if status_of(job)["status"] not in ENDED:
                return job
            self._ended[job_id] = job
        return self._ended[job_id]


def _content(group: dict[str, Any]) -> str:
    """Return the digest of a group's model and records. If two groups have the same token and different digests, the
    caller has used the token for different content.

    If the caller has set no token, return an empty text, because the token itself is then such a digest.
    """
    return str(group["parts"][0]["order"].get("content", ""))


def is_group(job_id: str) -> bool:
    """Return whether the id is the id of a group of jobs."""
    return job_id.startswith(PREFIX)


def _place(group_id: str) -> S3Location:
    location = S3Location.parse(group_id.removeprefix(PREFIX)) if is_group(group_id) else None
    if location is None or not location.key:
        raise ValueError(
            f"{group_id} is not the id of a group of jobs. Pass the id that create_job returned, in the form "
            f"{PREFIX}s3://BUCKET/PREFIX/{_FOLDERS}TOKEN"
        )
    return location._replace(key=f"{location.key.rstrip('/')}/{_STATE}")


def _combined(group_id: str, group: dict[str, Any], jobs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return one description for all jobs of the group, with the sums of their counts and the status of the group."""
    first = group["parts"][0]["order"]
    ends = [job["endTime"] for job in jobs if job.get("endTime")]
    status = _status([job["status"] for job in jobs])
    counts = {name: sum(job.get(name) or 0 for job in jobs) for name in _COUNTS}
    return {
        "jobArn": group_id,
        "jobName": first["name"],
        "modelId": first["model_id"],
        "status": status,
        "message": "; ".join(
            f"part {number} of {len(jobs)}, {job['jobArn']}: {job['message'].rstrip('.')}"
            for number, job in enumerate(jobs, 1)
            if job.get("message")
        ),
        "submitTime": datetime.fromtimestamp(group["submitted"], UTC),
        **({"endTime": max(ends)} if ends and has_ended(status) else {}),
        "inputDataConfig": {"s3InputDataConfig": {"s3Uri": group["parts"][0]["input"]}},
        "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": first["output_s3_uri"]}},
        **counts,
        "totalRecordCount": sum(part["records"] for part in group["parts"]),
    }


def _status(statuses: list[str]) -> str:
    """Return AWS's word for the status of a group whose jobs have these statuses.

    A job has its statuses in the order Submitted, Validating, Scheduled, InProgress, Stopping. While no job has ended,
    the group has the status of the most advanced job. Example: one job is Submitted and another is InProgress, so the
    group is InProgress. If only some jobs have ended, the group is InProgress, or Stopping if a job is stopping. If all
    jobs have ended and only some have results, the group is PartiallyCompleted.
    """
    running = [status for status in statuses if not has_ended(status)]
    if running:
        if len(running) < len(statuses) and "Stopping" not in running:
            return "InProgress"
        return max(running, key=lambda status: _RUNS.index(status) if status in _RUNS else 0)
    if len(kinds := set(statuses)) == 1:
        return statuses[0]
    if kinds & {"Completed", "PartiallyCompleted"}:
        return "PartiallyCompleted"
    return "Stopped" if "Stopped" in kinds else "Failed"
