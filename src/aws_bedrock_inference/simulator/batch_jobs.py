"""The batch jobs of the simulated account: create, get, list and stop them.

Requests are answered from memory. The method `run` does the work of the jobs. `run` waits for S3, so it needs a
separate thread.
The fields of requests and answers are those of botocore 1.44.8 (service model bedrock, 2023-04-20).
"""

from __future__ import annotations

import logging
from base64 import urlsafe_b64decode, urlsafe_b64encode
from contextlib import suppress
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import cache, partial
from hashlib import blake2b
from math import floor, inf
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from aws_bedrock_inference.knowledge.models import split_profile
from aws_bedrock_inference.simulator import speech, validate
from aws_bedrock_inference.simulator.batch_job import Job
from aws_bedrock_inference.simulator.control_plane import ACCOUNT
from aws_bedrock_inference.simulator.error_texts import ServiceError, invalid, text
from aws_bedrock_inference.simulator.job_settings import JobRule
from aws_bedrock_inference.simulator.model_rules import is_id, matches
from aws_bedrock_inference.simulator.s3 import S3
from aws_bedrock_inference.simulator.service_shapes import CONTROL

if TYPE_CHECKING:
    from aws_bedrock_inference.simulator.control_plane import ControlPlane
    from aws_bedrock_inference.simulator.request import Asked, Request
    from aws_bedrock_inference.simulator.settings import Scenario

POOL = "batch"
"""The name of the quota pool for batch records, which use no on-demand quota. A batch job does not need an inference
profile, even if on-demand calls of its model need one.
"""

_PAGE = 100
_USUAL = JobRule()
_AS_GIVEN = ("jobName", "clientRequestToken", "roleArn", "inputDataConfig", "outputDataConfig", "vpcConfig")
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


class BatchJobs:
    """The batch jobs that were created since the scenario was loaded.

    `epoch` is the Unix time at which the scenario was loaded. The argument `now` of the methods is the current time,
    in seconds since `epoch`.
    """

    def __init__(self, scenario: Scenario, control_plane: ControlPlane, epoch: float) -> None:
        self._scenario = scenario
        self._control_plane = control_plane
        self._epoch = epoch
        self._jobs: dict[str, Job] = {}
        self._seen = [0] * len(scenario.jobs)
        self._running = Lock()
        self._s3 = cache(partial(S3, scenario.s3_endpoint))  # a client for each Region
        self._closed = False

    def answer(self, request: Request, asked: Asked, now: float) -> dict[str, Any]:
        """Return the body of the answer to a request about batch jobs. Raises ServiceError."""
        match asked.operation:
            case "CreateModelInvocationJob":
                return {"jobArn": self._create(request, asked, now).arn}
            case "ListModelInvocationJobs":
                return self._list(request.query, asked.region)
        job = self._job(asked)
        if asked.operation == "GetModelInvocationJob":
            return self._job_summary(job)
        if job.ended:
            raise ServiceError("ConflictException")
        job.stop(now)
        return {}

    def due(self) -> float:
        """Return the next time at which `run` has work to do."""
        return min((job.due() for job in list(self._jobs.values())), default=inf)

    def run(self, now: float) -> None:
        """Do the work that is due: read the inputs of jobs, answer their records, and write their outputs."""
        if self.due() > now:
            return
        with self._running:
            for job in list(self._jobs.values()):
                if self._closed:
                    return
                try:
                    job.run(now, self._s3(job.region))
                except Exception:
                    logging.getLogger(__name__).exception("the simulator has failed; this is a bug in the simulator")
                    job.fail(
                        "The simulator stopped this job because of a bug in the simulator. Report the traceback in its "
                        "log.",
                        now,
                    )

    def close(self) -> None:
        """Stop the work on all jobs."""
        self._closed = True
        for job in list(self._jobs.values()):
            job.stop(inf)

    def _create(self, request: Request, asked: Asked, now: float) -> Job:
        given = speech.parsed(request.body, asked)
        validate.check_shape(asked.operation, given, CONTROL)
        token = given.get("clientRequestToken")
        for job in self._jobs.values():
            if token and job.given.get("clientRequestToken") == token and job.region == asked.region:
                if self._scenario.batch.token_conflicts and job.given != given:
                    raise ServiceError("ConflictException")
                return job
        wanted = self._check(given, asked, now)
        digest = blake2b(f"{self._scenario.seed} {len(self._jobs)} {asked.region}".encode(), digest_size=12).digest()
        name = "".join(_LETTERS[byte % len(_LETTERS)] for byte in digest)
        arn = f"arn:aws:bedrock:{asked.region}:{ACCOUNT}:model-invocation-job/{name}"
        job = Job(arn, given, wanted, self._rule(given["jobName"], wanted.base), self._scenario, now)
        self._jobs[name] = job
        return job

    def _check(self, given: dict[str, Any], asked: Asked, now: float) -> Asked:
        """Check the request `given`, which creates a job. Return what all records of the job have in common: the
        operation, the model and the Region.

        Raises ServiceError if the service would refuse to create the job. Problems that the service finds later, in the
        input of the job, are not checked here.
        """
        settings, role, model = self._scenario.batch, given["roleArn"], given["modelId"]
        base, _ = split_profile(model)
        if not matches(base, self._scenario.models.known) or not is_id(base):
            raise invalid("model")
        operation = given.get("modelInvocationType", "InvokeModel")
        wanted = asked._replace(operation=operation, model=model, base=base, pool=POOL)
        self._control_plane.check(wanted, now, self._epoch + now)
        if matches(base, settings.unsupported):
            raise _refusal("unsupported")
        if not any(fnmatchcase(role, pattern) for pattern in settings.roles):
            raise _refusal("role", role=role)
        if not self._scenario.s3_endpoint:
            raise _refusal("no-s3")
        here = [job for job in self._jobs.values() if job.region == asked.region]
        if any(job.name == given["jobName"] for job in here):
            raise ServiceError("ConflictException")
        if settings.jobs is not None and sum(not job.ended and job.base == base for job in here) >= settings.jobs:
            raise ServiceError("ServiceQuotaExceededException")
        return wanted

    def _rule(self, name: str, model: str) -> JobRule:
        for number, rule in enumerate(self._scenario.jobs):
            if rule.covers(name, model):
                self._seen[number] += 1
                if rule.first is None or self._seen[number] <= rule.first:
                    return rule
        return _USUAL

    def _job(self, asked: Asked) -> Job:
        validate.check_parameters(asked.operation, {"jobIdentifier": asked.model})
        job = self._jobs.get(asked.model.rpartition("/")[2])
        if job is None or job.region != asked.region or asked.model not in (job.id, job.arn):
            raise ServiceError("ResourceNotFoundException", text("batch", "not-found"))
        return job

    def _list(self, query: str, region: str) -> dict[str, Any]:
        wanted = {name: values[-1] for name, values in parse_qs(query).items()}
        validate.check_parameters("ListModelInvocationJobs", wanted)
        after, before = _moment(wanted, "submitTimeAfter", -inf), _moment(wanted, "submitTimeBefore", inf)
        found = [
            (number, job)
            for number, job in enumerate(list(self._jobs.values()))
            if job.region == region
            and job.status == wanted.get("statusEquals", job.status)
            and wanted.get("nameContains", "") in job.name
            and after < self._time(job.submitted_at).timestamp() < before
        ]
        ascending = wanted.get("sortOrder") == "Ascending"
        if not ascending:
            found.reverse()
        if "nextToken" in wanted:
            last = _number(wanted["nextToken"])
            found = [each for each in found if (each[0] > last if ascending else each[0] < last)]
        size = int(wanted.get("maxResults", _PAGE))
        page: dict[str, Any] = {"invocationJobSummaries": [self._job_summary(job) for _, job in found[:size]]}
        if len(found) > size:
            page["nextToken"] = urlsafe_b64encode(str(found[size - 1][0]).encode()).decode()
        return page

    def _job_summary(self, job: Job) -> dict[str, Any]:
        """Return a job in the form in which GetModelInvocationJob and ListModelInvocationJobs describe it."""
        given = {name: job.given[name] for name in _AS_GIVEN if job.given.get(name) is not None}
        summary = {
            "jobArn": job.arn,
            **given,
            "modelId": _model_arn(job),
            "status": job.status,
            "submitTime": _written(self._time(job.submitted_at)),
            "lastModifiedTime": _written(self._time(job.changed_at)),
            "timeoutDurationInHours": job.hours,
            "jobExpirationTime": _written(self._time(job.expires_at)),
            "modelInvocationType": job.operation,
            **job.counts(),
        }
        if job.message:
            summary["message"] = job.message
        if job.ended_at is not None:
            summary["endTime"] = _written(self._time(job.ended_at))
        return summary

    def _time(self, seconds: float) -> datetime:
        return datetime.fromtimestamp(floor((self._epoch + seconds) * 1000) / 1000, UTC)


def _written(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def _refusal(name: str, **values: object) -> ServiceError:
    return ServiceError("ValidationException", text("batch", name, **values))


def _model_arn(job: Job) -> str:
    model: str = job.given["modelId"]
    if model.startswith("arn:"):
        return model
    if model == job.base:
        return f"arn:aws:bedrock:{job.region}::foundation-model/{model}"
    return f"arn:aws:bedrock:{job.region}:{ACCOUNT}:inference-profile/{model}"


def _moment(wanted: dict[str, str], name: str, default: float) -> float:
    if name not in wanted:
        return default
    try:
        moment = datetime.fromisoformat(wanted[name])
    except ValueError:
        raise ServiceError(
            "SerializationException", f"/{name}: a timestamp is expected, such as 2026-12-31T08:00:00Z"
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _number(token: str) -> int:
    with suppress(ValueError):
        return int(urlsafe_b64decode(token))
    raise invalid("constraint", place="/nextToken", constraint="Member must be a token of an earlier answer")
