"""Local jobs: they run on demand, another process can take them over, and no job runs twice."""

from __future__ import annotations

import contextlib
import io
import json
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError
from support.doubles import ROUTE, THROTTLE, World, failed, session

from aws_bedrock_inference.jobs.lease import STALE, VALID
from aws_bedrock_inference.jobs.local import LocalJobs, folder_of
from aws_bedrock_inference.knowledge.classify import answered
from aws_bedrock_inference.raising import error_of
from aws_bedrock_inference.s3 import S3Location

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aws_bedrock_inference.fault import Fault

OUTPUT = S3Location("answers", "out/")
MODEL = "amazon.nova-lite-v1:0"


def line(number: int) -> bytes:
    body = {"messages": [{"role": "user", "content": [{"text": f"question {number}"}]}]}
    return json.dumps({"recordId": f"r{number}", "modelInput": body}).encode() + b"\n"


def refused(fault: Fault) -> Exception:
    return error_of(failed(fault), "converse", ROUTE)


class Client:
    """A client that answers through `answer`, and records the records that it was asked."""

    def __init__(self, answer: Callable[[str], Any] = lambda text: f"answer to {text}") -> None:
        self.asked: list[str] = []
        self._answer = answer

    def converse(self, *, modelId: str, messages: Any) -> dict[str, Any]:  # noqa: N803 - boto3's name
        text = messages[0]["content"][0]["text"]
        self.asked.append(text)
        said = self._answer(text)
        if isinstance(said, Exception):
            raise said
        return {"output": {"message": {"content": [{"text": said}]}}, "ResponseMetadata": {"HTTPStatusCode": 200}}

    def invoke_model(self, *, modelId: str, body: str) -> dict[str, Any]:  # noqa: N803 - the same
        text = json.loads(body)["messages"][0]["content"][0]["text"]
        self.asked.append(text)
        return {"body": io.BytesIO(json.dumps({"completion": self._answer(text)}).encode())}


class Machine:
    """A process: its local jobs, its client and its clock."""

    def __init__(self, s3: Any, client: Client | None = None) -> None:
        self.world = World()
        self.client = client or Client()
        self.jobs = LocalJobs(s3, lambda _: self.client, clock=self.world.clock, wall=lambda: 1000.0)  # type: ignore[arg-type,return-value]

    def create(self, records: int, name: str = "t1", invocation: str = "Converse") -> str:
        lines = io.BytesIO(b"".join(line(number) for number in range(1, records + 1)))
        return self.jobs.create(
            OUTPUT, lines, token=name, model=MODEL, invocation=invocation, records=records, name=name
        )

    def run(self, records: int, name: str = "t1", invocation: str = "Converse") -> str:
        job_id = self.create(records, name, invocation)
        self.jobs.finish(job_id)
        return job_id

    def wait(self, job_id: str) -> dict[str, Any]:
        """Request the job every 30 seconds until it has ended."""
        for _ in range(10):
            job = self.jobs.status(job_id)
            self.jobs.finish(job_id)
            if "endTime" in job or job["status"] == "Failed":
                return job
            self.world.now += 30
        raise TimeoutError(job["status"])


@pytest.fixture
def s3(moto_url: str, alone: None) -> Iterator[Any]:
    config = Config(retries={"total_max_attempts": 1}, max_pool_connections=40)
    client = session().client("s3", endpoint_url=moto_url, config=config)
    client.create_bucket(Bucket=OUTPUT.bucket)
    yield client
    client.close()


def content(s3: Any, job_id: str, name: str) -> bytes:
    folder = folder_of(job_id)
    got: bytes = s3.get_object(Bucket=folder.bucket, Key=folder.key + name)["Body"].read()
    return got


def lines_of(s3: Any, job_id: str) -> list[dict[str, Any]]:
    return [json.loads(each) for each in content(s3, job_id, "input.jsonl.out").splitlines()]


def names(s3: Any) -> list[str]:
    return [item["Key"] for item in s3.list_objects_v2(Bucket=OUTPUT.bucket).get("Contents", ())]


@pytest.mark.parametrize("records", [1, 20])
def test_a_local_job_writes_the_same_output_as_a_job_of_aws(s3: Any, records: int) -> None:
    machine = Machine(s3)
    job_id = machine.run(records)
    job = machine.jobs.status(job_id)
    assert job["status"] == "Completed"
    assert (job["totalRecordCount"], job["successRecordCount"], job["errorRecordCount"]) == (records, records, 0)
    folder = f"{job['outputDataConfig']['s3OutputDataConfig']['s3Uri']}{job_id.rpartition('/')[2]}/"
    assert folder == str(folder_of(job_id))
    assert folder.startswith("s3://answers/out/local/")
    assert [each["recordId"] for each in lines_of(s3, job_id)] == [f"r{n}" for n in range(1, records + 1)]
    first = lines_of(s3, job_id)[0]
    assert first == json.loads(line(1)) | {
        "modelOutput": {"output": {"message": {"content": [{"text": "answer to question 1"}]}}}
    }
    assert json.loads(content(s3, job_id, "manifest.json.out")) == {
        "totalRecordCount": records,
        "processedRecordCount": records,
        "successRecordCount": records,
        "errorRecordCount": 0,
    }
    assert len(names(s3)) == 4, "the parts are removed"
    assert sorted(machine.client.asked) == sorted(f"question {n}" for n in range(1, records + 1))


def test_a_native_body_goes_to_invoke_model(s3: Any) -> None:
    machine = Machine(s3)
    job_id = machine.run(1, invocation="InvokeModel")
    assert lines_of(s3, job_id)[0]["modelOutput"] == {"completion": "answer to question 1"}


def test_a_failed_record_has_its_error_and_the_job_continues(s3: Any) -> None:
    bad = refused(answered("ValidationException", "the text is blank", status=400))
    machine = Machine(s3, Client(lambda text: bad if text.endswith("2") else "yes"))
    job_id = machine.run(3)
    job = machine.jobs.status(job_id)
    assert (job["status"], job["successRecordCount"], job["errorRecordCount"]) == ("Completed", 2, 1)
    assert lines_of(s3, job_id)[1] == json.loads(line(2)) | {
        "error": {"errorCode": 400, "errorMessage": "ValidationException: the text is blank"}
    }


def test_a_transient_fault_is_retried_before_it_becomes_an_error(s3: Any) -> None:
    busy = refused(replace(THROTTLE, retry_after=0.001))
    told: list[str] = []

    def answer(text: str) -> Any:
        told.append(text)
        return busy if text.endswith("1") or told.count(text) == 1 else "yes"

    machine = Machine(s3, Client(answer))
    job_id = machine.run(2)
    assert sorted(told) == ["question 1"] * 3 + ["question 2"] * 2
    first, second = lines_of(s3, job_id)
    assert first["error"] == {"errorCode": 429, "errorMessage": str(THROTTLE)}
    assert "modelOutput" in second


def test_a_model_without_access_fails_the_job_with_its_remedy(s3: Any) -> None:
    denied = refused(answered("AccessDeniedException", "You don't have access to the model", status=403))
    machine = Machine(s3, Client(lambda _: denied))
    job = machine.jobs.status(machine.run(50))
    assert job["status"] == "Failed"
    assert job["message"].startswith("AccessDeniedException: You don't have access to the model. ")
    assert len(job["message"]) > 80, "what to do is missing"
    assert len(machine.client.asked) <= 32, "it stops at the first"


def test_the_same_token_is_the_same_job(s3: Any) -> None:
    machine = Machine(s3)
    job_id = machine.run(2)
    assert machine.run(2) == job_id == Machine(s3).run(2)
    assert len(machine.client.asked) == 2
    assert machine.run(2, name="t2") != job_id


def test_a_job_that_failed_is_followed_by_a_new_one(s3: Any) -> None:
    denied = refused(answered("AccessDeniedException", "no access", status=403))
    first = Machine(s3, Client(lambda _: denied)).run(1)
    machine = Machine(s3)
    second = machine.run(1)
    assert second != first
    assert machine.jobs.status(second)["status"] == "Completed"
    assert machine.run(1) == second


def test_another_process_sees_a_job_and_takes_it_over_when_its_runner_is_killed(s3: Any) -> None:
    """It is killed before its first record, and the results of two are there."""
    killed = Machine(s3)
    killed.jobs._start = lambda *_: None  # type: ignore[method-assign]
    job_id = killed.create(5)
    for number in (1, 2):
        kept = json.loads(line(number)) | {"modelOutput": {"kept": number}}
        key = f"{folder_of(job_id).key}parts/{number:08}"
        s3.put_object(Bucket=OUTPUT.bucket, Key=key, Body=json.dumps(kept).encode() + b"\n")
    other = Machine(s3)
    assert other.jobs.status(job_id)["status"] == "InProgress"
    other.world.now += STALE - 1
    assert other.jobs.status(job_id)["status"] == "InProgress"
    other.jobs.finish(job_id)
    assert other.client.asked == [], "the runner may live"
    other.world.now += 1
    other.jobs.status(job_id)
    other.jobs.finish(job_id)
    assert other.jobs.status(job_id)["successRecordCount"] == 5
    assert sorted(other.client.asked) == ["question 3", "question 4", "question 5"]
    assert lines_of(s3, job_id)[0]["modelOutput"] == {"kept": 1}


def test_a_single_status_request_does_not_take_over_a_job(s3: Any) -> None:
    killed = Machine(s3)
    killed.jobs._start = lambda *_: None  # type: ignore[method-assign]
    job_id = killed.create(1)
    other = Machine(s3)
    for _ in range(5):
        other.world.now += STALE
        assert other.jobs.status(job_id, take_over=False)["status"] == "InProgress"
    assert other.client.asked == []


def test_one_of_ten_waiting_processes_takes_over_a_job(s3: Any) -> None:
    killed = Machine(s3)
    killed.jobs._start = lambda *_: None  # type: ignore[method-assign]
    job_id = killed.create(8)
    machines = [Machine(s3) for _ in range(10)]
    for machine in machines:
        machine.jobs.status(job_id)
        machine.world.now += STALE
    threads = [threading.Thread(target=machine.jobs.status, args=(job_id,)) for machine in machines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for machine in machines:
        machine.jobs.finish(job_id)
    assert machines[0].jobs.status(job_id)["status"] == "Completed"
    asked = [text for machine in machines for text in machine.client.asked]
    assert sorted(asked) == [f"question {n}" for n in range(1, 9)]


def test_a_suspended_runner_notices_that_another_process_runs_the_job(s3: Any) -> None:
    """The runner renews its lease while it runs, and another process sees that; then the runner is suspended."""
    seen, resumed = threading.Event(), threading.Event()
    slow = Machine(s3)

    def answer(text: str) -> str:
        if text == "question 30":
            seen.set()
            resumed.wait(10)
            slow.world.now += 2 * STALE
        else:
            slow.world.now += 1
        return "slow"

    slow.client = Client(answer)
    job_id = slow.create(40)
    assert seen.wait(10)
    other = Machine(s3)
    while other.jobs.status(job_id)["successRecordCount"] < 9:
        pass  # the heartbeat reports the finished records
    other.world.now += STALE
    other.jobs.status(job_id)
    other.jobs.finish(job_id)
    resumed.set()
    slow.jobs.finish(job_id)
    assert other.jobs.status(job_id)["successRecordCount"] == 40
    assert len(lines_of(s3, job_id)) == 40
    assert set(slow.client.asked) & set(other.client.asked) <= {f"question {number}" for number in range(15, 41)}


class Unreachable:
    """An S3 whose states cannot be written while it is `down`."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3
        self.down = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._s3, name)

    def put_object(self, **request: Any) -> Any:
        if self.down and request["Key"].endswith("state.json"):
            raise EndpointConnectionError(endpoint_url="https://s3.test")
        return self._s3.put_object(**request)


def test_a_runner_without_a_renewed_lease_sends_no_more_records(s3: Any) -> None:
    far = Unreachable(s3)
    machine = Machine(far)

    def answer(_: str) -> str:
        far.down = True
        machine.world.now += VALID / 20
        return "yes"

    machine.client = Client(answer)
    job_id = machine.run(50)
    assert 20 <= len(machine.client.asked) < 40
    other = Machine(s3)
    assert other.jobs.status(job_id)["status"] == "InProgress"
    other.world.now += STALE
    assert other.wait(job_id)["successRecordCount"] == 50
    assert not set(machine.client.asked) & set(other.client.asked)


class Dying:
    """The S3 of a process that is killed after `left` calls: nothing of it arrives any more."""

    def __init__(self, s3: Any, left: int) -> None:
        self._s3 = s3
        self.left = left

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._s3, name)

        def call(*arguments: Any, **request: Any) -> Any:
            self.left -= 1
            if self.left < 0:
                raise EndpointConnectionError(endpoint_url="https://s3.test")
            return method(*arguments, **request)

        return call


def test_another_process_completes_the_job_of_a_process_killed_at_any_moment(s3: Any) -> None:
    asked_again, left, completed = [], 0, False
    while not completed:
        dying = Dying(s3, left)
        first = Machine(dying)
        with contextlib.suppress(OSError):
            first.run(2, name=f"killed-{left}")
        second = Machine(s3)
        job_id = second.run(2, name=f"killed-{left}")
        assert second.wait(job_id)["successRecordCount"] == 2
        assert [each["recordId"] for each in lines_of(s3, job_id)] == ["r1", "r2"]
        both = first.client.asked + second.client.asked
        assert set(both) == {"question 1", "question 2"}
        asked_again.append(len(both) - 2)
        completed = dying.left >= 0
        left += 1
    assert 15 < left < 40, "the moments at which it was killed"
    assert max(asked_again) <= 2, "only what was in flight"
    assert asked_again[-1] == asked_again[0] == 0


def test_closing_releases_the_job_to_the_next_process_immediately(s3: Any) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def answer(_: str) -> str:
        begun.set()
        go_on.wait(10)
        return "first"

    first = Machine(s3, Client(answer))
    job_id = first.create(24)
    assert begun.wait(10)
    closing = threading.Thread(target=first.jobs.close)
    closing.start()
    while not next(iter(first.jobs._running.values())).run._ended.is_set():
        pass
    go_on.set()
    closing.join()
    assert len(first.client.asked) < 24
    second = Machine(s3)
    second.jobs.status(job_id)
    second.jobs.finish(job_id)
    assert second.jobs.status(job_id)["successRecordCount"] == 24
    assert not set(first.client.asked) & set(second.client.asked)


def test_a_job_can_be_cancelled_from_another_process_and_keeps_its_answers(s3: Any) -> None:
    begun, go_on = threading.Event(), threading.Event()
    machine = Machine(s3)

    def answer(_: str) -> str:
        begun.set()
        go_on.wait(10)
        machine.world.now += 11  # the heartbeat hears of it
        return "yes"

    machine.client = Client(answer)
    job_id = machine.create(40)
    assert begun.wait(10)
    other = Machine(s3)
    assert other.jobs.cancel(job_id)["status"] == "Stopping"
    go_on.set()
    machine.jobs.finish(job_id)
    job = other.wait(job_id)
    assert job["status"] == "Stopped"
    assert 1 <= len(lines_of(s3, job_id)) == job["successRecordCount"] == len(machine.client.asked) < 40
    assert other.jobs.cancel(job_id)["status"] == "Stopped"


def test_jobs_are_listed_the_newest_first(s3: Any) -> None:
    machine = Machine(s3)
    ids = [machine.run(1, name=token) for token in "abc"]
    assert {job["jobArn"] for job in machine.jobs.list(OUTPUT)} == set(ids)
    assert list(machine.jobs.list(S3Location(OUTPUT.bucket, "elsewhere"))) == []


class Unconditional:
    """An S3 that ignores the conditions of writes, or refuses them, as some endpoints do."""

    def __init__(self, s3: Any, *, refuses: bool) -> None:
        self._s3 = s3
        self._refuses = refuses

    def __getattr__(self, name: str) -> Any:
        return getattr(self._s3, name)

    def put_object(self, **request: Any) -> Any:
        conditions = [request.pop(name, None) for name in ("IfMatch", "IfNoneMatch")]
        if self._refuses and any(conditions):
            response = {"Error": {"Code": "NotImplemented", "Message": "a header is not implemented"}}
            raise self._s3.exceptions.ClientError(response, "PutObject")
        return self._s3.put_object(**request)


@pytest.mark.parametrize("refuses", [False, True])
def test_without_conditional_writes_only_the_creator_runs_a_job(s3: Any, *, refuses: bool) -> None:
    plain = Unconditional(s3, refuses=refuses)
    assert Machine(plain).run(3)
    killed = Machine(plain)
    killed.jobs._start = lambda *_: None  # type: ignore[method-assign]
    job_id = killed.create(3, name="t2")
    other = Machine(plain)
    job = other.wait(job_id)
    assert job["status"] == "Failed"
    assert "Create the job again" in job["message"]
    assert other.client.asked == []
    assert other.wait(other.run(3, name="t2"))["status"] == "Completed", "it can be created again"


@pytest.mark.parametrize("job_id", ["local:", "local:s3://b", "arn:aws:bedrock:x", "local:file"])
def test_an_invalid_id_is_refused(s3: Any, job_id: str) -> None:
    with pytest.raises(ValueError, match="is not the id of a local job"):
        Machine(s3).jobs.status(job_id)


def test_a_missing_job_and_a_job_of_a_newer_version_are_reported(s3: Any) -> None:
    machine = Machine(s3)
    with pytest.raises(LookupError, match="the job local:s3://answers/out/local/none does not exist"):
        machine.jobs.status("local:s3://answers/out/local/none")
    s3.put_object(Bucket=OUTPUT.bucket, Key="out/local/new/state.json", Body=b'{"format": 2}')
    with pytest.raises(ValueError, match="written by a newer version"):
        machine.jobs.status("local:s3://answers/out/local/new")


def test_a_missing_bucket_is_reported(s3: Any) -> None:
    with pytest.raises(OSError, match=r"s3://gone/local/.*NoSuchBucket") as caught:
        Machine(s3).jobs.create(
            S3Location("gone", ""),
            io.BytesIO(line(1)),
            token="t",
            model=MODEL,
            invocation="Converse",
            records=1,
            name="n",
        )
    assert len(str(caught.value)) > 100, "what to do is missing"
