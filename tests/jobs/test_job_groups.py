"""Several jobs under one ID: created once, also by the process that waits, and read as one."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from support.doubles import session

from aws_bedrock_inference.jobs import states
from aws_bedrock_inference.jobs.creating import Order
from aws_bedrock_inference.jobs.groups import Groups, is_group
from aws_bedrock_inference.jobs.limits import JobLimits, limits_of
from aws_bedrock_inference.jobs.parts import upload_parts
from aws_bedrock_inference.jobs.preparing import prepared
from aws_bedrock_inference.jobs.reading import Records
from aws_bedrock_inference.jobs.statuses import status_of
from aws_bedrock_inference.s3 import S3Location, listed, opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OUTPUT = S3Location("answers", "out/")
SMALL = JobLimits(least_records=3, most_records=10, file_records=10, file_bytes=10**6, job_bytes=10**7)
ORDER = Order(
    model_id="amazon.nova-lite-v1:0",
    role_arn="arn:aws:iam::111122223333:role/batch",
    output_s3_uri=str(OUTPUT),
    invocation="Converse",
    token="abc",
    name="night",
)


@pytest.fixture
def s3(moto_url: str, alone: None) -> Iterator[Any]:
    client = session().client("s3", endpoint_url=moto_url)
    client.create_bucket(Bucket=OUTPUT.bucket)
    yield client
    client.close()


def questions(number: int) -> Iterator[dict[str, Any]]:
    for index in range(number):
        yield {"id": f"r{index}", "prompt": f"question {index}"}


class Service:
    """AWS's jobs: each token has one; at most `room` of them run."""

    def __init__(self, s3: Any, room: int = 100) -> None:
        self.s3 = s3
        self.room = room
        self.jobs: dict[str, dict[str, Any]] = {}
        self.asked = 0

    def submit(self, order: dict[str, Any], uri: str) -> str:
        job_id = f"arn:aws:bedrock:us-east-1:111122223333:model-invocation-job/{order['token']}"
        while self.jobs.get(job_id, {}).get("status") in ("Failed", "Stopped"):
            job_id += "-2"
        if job_id not in self.jobs:
            if sum(job["status"] == "InProgress" for job in self.jobs.values()) >= self.room:
                error: Any = {"Code": "ServiceQuotaExceededException", "Message": "too many jobs are in progress"}
                raise ClientError({"Error": error}, "CreateModelInvocationJob")
            self.jobs[job_id] = {
                "jobArn": job_id,
                "jobName": order["name"],
                "modelId": order["model_id"],
                "status": "InProgress",
                "inputDataConfig": {"s3InputDataConfig": {"s3Uri": uri}},
                "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": order["output_s3_uri"]}},
            }
        return job_id

    def ask(self, job_id: str) -> dict[str, Any]:
        self.asked += 1
        return self.jobs[job_id]

    def stop(self, job_id: str) -> None:
        self.jobs[job_id]["status"] = "Stopping"

    def end(self, status: str = "Completed", *, only: int | None = None, message: str = "") -> None:
        """End the jobs that run, in the reverse order of their records, as AWS may write them."""
        for number, (job_id, job) in enumerate(self.jobs.items()):
            if job["status"] in ("InProgress", "Stopping") and only in (None, number):
                lines = list(self._lines(job))
                counted = {"totalRecordCount": len(lines), "processedRecordCount": len(lines)}
                ended = datetime(2026, 11, 29, number, tzinfo=UTC)
                job |= {"status": status, "endTime": ended, "message": message, **counted}
                if status == "Completed":
                    job["successRecordCount"] = len(lines)
                    body = b"".join(json.dumps({**line, "modelOutput": {"said": 1}}).encode() + b"\n" for line in lines)
                    key = f"{OUTPUT.key}{job_id.rpartition('/')[2]}/x.jsonl.out"
                    self.s3.put_object(Bucket=OUTPUT.bucket, Key=key, Body=body)

    def _lines(self, job: dict[str, Any]) -> Iterator[dict[str, Any]]:
        place = S3Location.parse(job["inputDataConfig"]["s3InputDataConfig"]["s3Uri"])
        assert place is not None
        for item in listed(self.s3, place):
            with opened(self.s3, item) as file:
                yield from reversed([json.loads(line) for line in file])


def groups(service: Service) -> Groups:
    return Groups(service.s3, service.submit, service.ask, service.stop, wall=lambda: 1000.0)


def uploaded(s3: Any, records: int, limits: JobLimits = SMALL, order: Order = ORDER) -> list[dict[str, Any]]:
    lines = prepared(questions(records), {})
    with lines.file:
        return upload_parts(s3, OUTPUT, lines, order, limits)


def created(service: Service, records: int) -> str:
    return groups(service).create(OUTPUT, ORDER.token, uploaded(service.s3, records))


def ids(s3: Any, group: Groups, group_id: str) -> list[str]:
    return [record.record_id for job in group.parts(group_id) for record in Records(s3, status_of(job))]


def test_jobs_of_a_group_are_read_as_one_in_the_order_of_the_records(s3: Any) -> None:
    service = Service(s3)
    group_id = created(service, 25)
    assert is_group(group_id)
    assert [job["jobName"] for job in service.jobs.values()] == ["night-p1", "night-p2", "night-p3"]
    anybody = groups(service)
    running = anybody.status(group_id)
    assert (running["status"], running["totalRecordCount"], "endTime" in running) == ("InProgress", 25, False)
    service.end(only=1)
    assert anybody.status(group_id)["status"] == "InProgress"
    service.end()
    job = status_of(anybody.status(group_id))
    assert (job["status"], job["total"], job["processed"], job["succeeded"]) == ("COMPLETED", 25, 25, 25)
    assert job["ended"] == datetime(2026, 11, 29, 2, tzinfo=UTC)
    assert ids(s3, anybody, group_id) == [f"r{index}" for index in range(25)]


def test_the_status_of_an_ended_job_is_requested_once(s3: Any) -> None:
    service = Service(s3)
    group_id = created(service, 25)
    service.end()
    one = groups(service)
    for _ in range(5):
        one.status(group_id)
    assert service.asked == 3


@pytest.mark.parametrize("at", [1, 2])
def test_the_waiting_process_creates_the_jobs_that_a_killed_process_did_not(s3: Any, at: int) -> None:
    """It dies before a job is created (1), or after AWS accepted it and before that was written (2)."""
    service = Service(s3)
    submit, calls = service.submit, 0

    def dying(order: dict[str, Any], uri: str) -> str:
        nonlocal calls
        calls += 1
        if calls == 2:
            if at == 2:
                submit(order, uri)
            raise KeyboardInterrupt
        return submit(order, uri)

    service.submit = dying  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        created(service, 25)
    service.submit = submit  # type: ignore[method-assign]
    group_id = "group:s3://answers/out/groups/ba7816bf8f01cfea"
    assert groups(service).status(group_id)["status"] == "InProgress"
    assert len(service.jobs) == 3
    service.end()
    assert len(ids(s3, groups(service), group_id)) == 25


class Dying:
    """A client, or a service, of a process that is killed after `left` calls of it and of its siblings."""

    left = 0

    def __init__(self, alive: Any) -> None:
        self._alive = alive

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._alive, name)

        def call(*arguments: Any, **request: Any) -> Any:
            Dying.left -= 1
            if Dying.left < 0:
                raise EndpointConnectionError(endpoint_url="https://aws.test")
            return method(*arguments, **request)

        return call


def test_another_process_completes_the_group_of_a_process_killed_at_any_moment(s3: Any) -> None:
    moments, completed = 0, False
    parts = uploaded(s3, 25)
    while not completed:
        service = Service(s3)
        token, Dying.left = f"killed-{moments}", moments
        first = Groups(Dying(s3), Dying(service).submit, service.ask, service.stop, wall=lambda: 1000.0)
        try:
            first.create(OUTPUT, token, parts)
            completed = True
        except (OSError, EndpointConnectionError):
            moments += 1
        group_id = groups(service).create(OUTPUT, token, parts)
        assert len(service.jobs) == 3
        service.end()
        assert groups(service).status(group_id)["successRecordCount"] == 25
    assert moments > 6


def test_creating_again_completes_the_group_and_uploads_nothing_again(s3: Any) -> None:
    service = Service(s3)
    group_id = created(service, 25)
    before = {item["Key"]: item["LastModified"] for item in s3.list_objects_v2(Bucket=OUTPUT.bucket)["Contents"]}
    assert created(service, 25) == group_id
    after = {item["Key"]: item["LastModified"] for item in s3.list_objects_v2(Bucket=OUTPUT.bucket)["Contents"]}
    assert after == before
    assert len(service.jobs) == 3


def test_a_group_that_failed_is_followed_by_a_new_one(s3: Any) -> None:
    service = Service(s3)
    first = created(service, 25)
    service.end("Failed")
    second = created(service, 25)
    assert second != first
    assert len(service.jobs) == 6
    assert created(service, 25) == second


def test_jobs_above_the_account_s_limit_wait_for_a_free_slot(s3: Any) -> None:
    service = Service(s3, room=1)
    group_id = created(service, 25)
    waiting = groups(service)
    for number in range(3):
        assert waiting.status(group_id)["status"] == "InProgress"
        assert len(service.jobs) == number + 1
        service.end()
    assert waiting.status(group_id)["status"] == "Completed"


def test_nothing_is_created_if_there_is_no_slot_for_the_first_job(s3: Any) -> None:
    with pytest.raises(ClientError, match="too many jobs"):
        created(Service(s3, room=0), 25)


def test_the_results_of_other_jobs_are_readable_if_one_job_failed(s3: Any) -> None:
    service = Service(s3)
    group_id = created(service, 25)
    service.end("Failed", only=1, message="the role could not read the input.")
    service.end()
    one = groups(service)
    job = status_of(one.status(group_id))
    assert (job["status"], job["aws_status"]) == ("COMPLETED", "PartiallyCompleted")
    assert str(job["error"]).startswith("part 2 of 3, arn:aws:bedrock:")
    records = [record for each in one.parts(group_id) for record in Records(s3, status_of(each))]
    assert [record.record_id for record in records] == [f"r{index}" for index in range(25)]
    assert [record.error is not None for record in records] == [False] * 10 + [True] * 10 + [False] * 5


@pytest.mark.parametrize(
    ("ends", "together"),
    [
        (["Failed", "Failed", "Failed"], "Failed"),
        (["Failed", "Expired", "Failed"], "Failed"),
        (["Stopped", "Failed", "Failed"], "Stopped"),
        (["Completed", "Completed", "Stopped"], "PartiallyCompleted"),
        (["Expired", "Expired", "Expired"], "Expired"),
        (["Completed", "Paused", "Completed"], "InProgress"),  # a word of later days is of a job that runs
        (["Paused", "Paused", "Paused"], "Paused"),
    ],
)
def test_the_status_of_a_group_combines_its_jobs(s3: Any, ends: list[str], together: str) -> None:
    service = Service(s3)
    group_id = created(service, 25)
    for number, status in enumerate(ends):
        service.end(status, only=number)
    assert groups(service).status(group_id)["status"] == together


def test_cancelling_a_group_stops_its_running_jobs_and_creates_no_more(s3: Any) -> None:
    service = Service(s3, room=2)
    group_id = created(service, 25)
    service.end(only=0)
    one = groups(service)
    assert one.cancel(group_id)["status"] == "Stopping"
    service.end("Stopped")
    assert one.status(group_id)["status"] == "PartiallyCompleted"
    assert len(service.jobs) == 2
    assert len(ids(s3, one, group_id)) == 25


def test_two_processes_that_record_jobs_simultaneously_lose_none(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(s3, room=1)
    group_id = created(service, 25)
    service.room = 3
    replaced: Callable[..., Any] = states.replace
    meddled = False

    def meddling(*arguments: Any) -> Any:
        nonlocal meddled
        if not meddled:
            meddled = True
            groups(service).status(group_id)
        return replaced(*arguments)

    monkeypatch.setattr(states, "replace", meddling)
    groups(service).status(group_id)
    service.end()
    assert len(service.jobs) == 3
    assert len(ids(s3, groups(service), group_id)) == 25


def test_50_001_records_are_two_jobs_under_one_id(s3: Any) -> None:
    service = Service(s3)
    parts = uploaded(s3, 50_001, limits_of(ORDER.model_id))
    assert [part["records"] for part in parts] == [49_901, 100]
    group_id = groups(service).create(OUTPUT, ORDER.token, parts)
    assert len(service.jobs) == 2
    assert groups(service).status(group_id)["totalRecordCount"] == 50_001


def test_an_input_of_several_files_is_one_job_over_a_folder(s3: Any) -> None:
    (part,) = uploaded(s3, 9, replace(SMALL, file_records=4))
    assert part["input"] == "s3://answers/out/inputs/abc/"
    assert part["order"]["token"] == "abc", "nothing is split"
    service = Service(s3)
    service.submit(part["order"], part["input"])
    service.end()
    (job,) = service.jobs.values()
    assert [record.record_id for record in Records(s3, status_of(job))] == [f"r{index}" for index in range(9)]


@pytest.mark.parametrize("group_id", ["group:", "group:s3://b", "local:s3://b/k"])
def test_an_invalid_id_is_refused(s3: Any, group_id: str) -> None:
    with pytest.raises(ValueError, match="is not the id of a group of jobs"):
        groups(Service(s3)).status(group_id)


def test_a_missing_group_is_reported(s3: Any) -> None:
    with pytest.raises(LookupError, match="the group of jobs group:s3://answers/out/groups/none does not exist"):
        groups(Service(s3)).status("group:s3://answers/out/groups/none")
