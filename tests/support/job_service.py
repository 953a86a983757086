"""A scripted control plane of batch jobs, behind a real boto3 client; each test decides the course of its jobs."""

from __future__ import annotations

import json
import re
from collections import deque
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import boto3
from botocore.awsrequest import AWSResponse
from support.doubles import session

ACCOUNT = "123456789012"


class Raw:
    """The body of an answer, as urllib3 has it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> Any:
        yield self._body


class JobService:
    """Jobs by ARN. `statuses` are the answers to the polls of a new job, one after the other, the last one
    permanently: a status, a dictionary of a job's fields, or a tuple of an error code and an HTTP status."""

    def __init__(self, *statuses: Any) -> None:
        self.statuses = statuses or ("Completed",)
        self.jobs: dict[str, dict[str, Any]] = {}
        self.scripts: dict[str, deque[Any]] = {}
        self.asked: list[str] = []
        self.faults: deque[Any] = deque()
        self.stops: Any = None
        self.on_created: Any = lambda job: None
        self.s3: Any = None

    def session(self) -> Any:
        made = boto3.Session("AKIDEXAMPLE", "secret", region_name="us-east-1")
        core: Any = made._session
        core.register_component("data_loader", session()._session.get_component("data_loader"))  # reads its models once
        core.register("before-send.bedrock", self._answer)
        return made

    def _answer(self, request: Any, **_: Any) -> AWSResponse:
        parts = urlsplit(request.url)
        path = unquote(parts.path)
        body = json.loads(request.body) if request.body else {}
        if self.faults:
            code, status = self.faults.popleft()
            return answered(request.url, status, {"message": "scripted"}, code)
        if request.method == "POST" and path == "/model-invocation-job":
            return self._create(request.url, body)
        if path == "/model-invocation-jobs":
            self.asked.append("list")
            return self._list(request.url, {name: values[0] for name, values in parse_qs(parts.query).items()})
        job_id = path.removeprefix("/model-invocation-job/")
        if job_id.endswith("/stop"):
            return self._stop(request.url, job_id.removesuffix("/stop"))
        self.asked.append("get")
        return self._get(request.url, job_id)

    def _create(self, url: str, body: dict[str, Any]) -> AWSResponse:
        self.asked.append("create")
        for job in self.jobs.values():
            if job["clientRequestToken"] == body["clientRequestToken"]:
                return answered(url, 200, {"jobArn": job["jobArn"]})
        arn = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:model-invocation-job/job{len(self.jobs):09d}"
        time = f"2026-11-29T10:00:{len(self.jobs):02d}Z"
        self.jobs[arn] = {**body, "jobArn": arn, "status": "Submitted", "submitTime": time, "lastModifiedTime": time}
        self.scripts[arn] = deque(self.statuses)
        self.on_created(self.jobs[arn])
        return answered(url, 200, {"jobArn": arn})

    def _get(self, url: str, job_id: str) -> AWSResponse:
        job = next((job for arn, job in self.jobs.items() if arn.endswith(job_id)), None)
        if job is None:
            return answered(url, 404, {"message": "Could not find the job."}, "ResourceNotFoundException")
        script = self.scripts[job["jobArn"]]
        step = script.popleft() if len(script) > 1 else script[0]
        if isinstance(step, tuple):
            return answered(url, step[1], {"message": "scripted"}, step[0])
        job.update(step if isinstance(step, dict) else {"status": step})
        return answered(url, 200, job)

    def _list(self, url: str, query: dict[str, str]) -> AWSResponse:
        found = [job for job in self.jobs.values() if query.get("nameContains", "") in job["jobName"]]
        found = [job for job in found if query.get("statusEquals", job["status"]) == job["status"]]
        size, start = int(query.get("maxResults", 1000)), int(query.get("nextToken", 0))
        page = found[::-1][start : start + size]
        more = {"nextToken": str(start + size)} if start + size < len(found) else {}
        return answered(url, 200, {"invocationJobSummaries": page, **more})

    def _stop(self, url: str, job_id: str) -> AWSResponse:
        self.asked.append("stop")
        if self.stops:
            return answered(url, self.stops[1], {"message": "scripted"}, self.stops[0])
        job = next(job for arn, job in self.jobs.items() if arn.endswith(job_id))
        job["status"] = "Stopping"
        self.scripts[job["jobArn"]] = deque(["Stopping", "Stopped"])
        return answered(url, 200, {})


def answered(url: str, status: int, body: dict[str, Any], code: str = "") -> AWSResponse:
    headers: Any = {"x-amzn-errortype": code} if code else {}
    return AWSResponse(url, status, headers, Raw(json.dumps(body).encode()))


def run_job(s3: Any, job: dict[str, Any], answer: Any, *, shuffled: bool = True) -> None:
    """Write the outputs of a job. `answer` is called with the number of a record and its line, and returns the members
    of its output, or None for none.
    """
    bucket, key = location(job["inputDataConfig"]["s3InputDataConfig"]["s3Uri"])
    lines = s3.get_object(Bucket=bucket, Key=key)["Body"].read().splitlines()
    outputs = []
    for number, line in enumerate(lines):
        record = json.loads(line)
        members = answer(number, record)
        if members is not None:
            outputs.append(json.dumps({**record, **members}))
    if shuffled:
        outputs = outputs[::2] + outputs[1::2][::-1]
    bucket, prefix = location(job["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"])
    place = f"{prefix}{job['jobArn'].rpartition('/')[2]}/"
    s3.put_object(Bucket=bucket, Key=f"{place}{key.rpartition('/')[2]}.out", Body="\n".join(outputs).encode())
    s3.put_object(Bucket=bucket, Key=f"{place}manifest.json.out", Body=b'{"totalRecordCount": 0}')


def location(uri: str) -> tuple[str, str]:
    found = re.fullmatch(r"s3://([^/]+)/(.*)", uri)
    assert found is not None
    return found[1], found[2]


def echoed(number: int, record: dict[str, Any]) -> dict[str, Any]:
    """Return an answer of Converse that repeats the prompt."""
    text = record["modelInput"]["messages"][0]["content"][0]["text"]
    return {
        "modelOutput": {
            "output": {"message": {"role": "assistant", "content": [{"text": f"{text}!"}]}},
            "stopReason": "end_turn",
            "usage": {"inputTokens": 3, "outputTokens": 5, "totalTokens": 8},
        }
    }
