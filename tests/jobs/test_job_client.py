"""A batch job from creation to results, against a scripted control plane and moto's S3, in virtual time."""

from __future__ import annotations

import json
import pickle
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from support.job_account import ROLE
from support.job_service import echoed, run_job

from aws_bedrock_inference import BedrockJobClient, DeadLetterQueue, JobFailed
from aws_bedrock_inference.events import JobCreated, JobPollFailed, JobProgressed
from aws_bedrock_inference.jobs import uploading

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.doubles import World
from support.job_service import JobService

pytestmark = pytest.mark.newer_botocore  # prompts are bodies of Converse

PROMPTS = [f"Prompt {number}" for number in range(7)]


def texts(result: Any) -> list[str]:
    return [record.text for record in result.records]


def failing(*numbers: int, code: int = 400, message: str = "Input is too long for requested model.") -> Any:
    """Return answers, some of which are errors."""

    def answer(number: int, record: Any) -> Any:
        error = {"error": {"errorCode": code, "errorMessage": message}}
        return error if number in numbers else echoed(number, record)

    return answer


def test_a_job_is_created_waited_for_and_its_results_are_joined_with_its_records(
    jobs: BedrockJobClient, service: JobService
) -> None:
    job_id = jobs.create_job(prompts=iter(PROMPTS), max_tokens=50, system="Be brief.")
    (job,) = service.jobs.values()
    assert job_id == job["jobArn"]
    assert (job["timeoutDurationInHours"], job["modelInvocationType"]) == (168, "Converse")
    result = jobs.wait_for_job(job_id)
    assert texts(result) == [f"{prompt}!" for prompt in PROMPTS]
    assert texts(result) == [f"{prompt}!" for prompt in PROMPTS]  # read anew
    first = next(iter(result.records))
    assert first.record_id == "CALL0000001"
    assert first.input == {
        "messages": [{"role": "user", "content": [{"text": "Prompt 0"}]}],
        "system": [{"text": "Be brief."}],
        "inferenceConfig": {"maxTokens": 50},
    }
    assert first.usage is not None
    assert (first.usage.output_tokens, result.job["status"], result.job["error"]) == (5, "COMPLETED", None)


def test_native_records_keep_their_ids_and_format(jobs: BedrockJobClient, service: JobService) -> None:
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 5, "messages": [{"role": "user", "content": "?"}]}
    answer = {"modelOutput": {"content": [{"type": "text", "text": "Yes."}], "usage": {"input_tokens": 1}}}
    service.on_created = partial(run_job, service.s3, answer=lambda *_: answer)
    job_id = jobs.create_job(records=[{"recordId": "b", "modelInput": body}, {"recordId": "a", "modelInput": body}])
    records = list(jobs.wait_for_job(job_id).records)
    assert [(record.record_id, record.text, record.input) for record in records] == [(i, "Yes.", body) for i in "ba"]
    assert next(iter(service.jobs.values()))["modelInvocationType"] == "InvokeModel"


def test_an_input_in_s3_is_used_where_it_is(jobs: BedrockJobClient, service: JobService) -> None:
    line = {"recordId": "one", "modelInput": {"messages": [{"role": "user", "content": [{"text": "Hm"}]}]}}
    service.s3.put_object(Bucket="jobs", Key="mine/a.jsonl", Body=json.dumps(line))
    job_id = jobs.create_job(input_s3_uri="s3://jobs/mine/a.jsonl")
    assert texts(jobs.wait_for_job(job_id)) == ["Hm!"]
    assert jobs.create_job(input_s3_uri="s3://jobs/mine/a.jsonl") == job_id
    service.s3.put_object(Bucket="jobs", Key="mine/a.jsonl", Body=json.dumps({**line, "recordId": "two"}))
    assert jobs.create_job(input_s3_uri="s3://jobs/mine/a.jsonl") != job_id  # its content is another one
    with pytest.raises(ValueError, match=r"s3://jobs/none/ contains no .jsonl file"):
        jobs.create_job(input_s3_uri="s3://jobs/none/")


def test_a_large_input_is_uploaded_in_parts(
    jobs: BedrockJobClient, service: JobService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploading, "_PART", 5 << 20)
    prompts = [f"{number} {'x' * 1_000_000}" for number in range(12)]
    result = jobs.wait_for_job(jobs.create_job(prompts=prompts))
    assert texts(result) == [f"{prompt}!" for prompt in prompts]
    (item,) = service.s3.list_objects_v2(Bucket="jobs", Prefix="out/inputs/")["Contents"]
    assert item["ETag"].strip('"').endswith("-3")  # S3's mark of an upload in three parts


def test_the_error_of_a_record_is_explained(jobs: BedrockJobClient, service: JobService) -> None:
    service.on_created = partial(run_job, service.s3, answer=failing(2))
    service.statuses = ({"status": "PartiallyCompleted", "totalRecordCount": 7, "errorRecordCount": 1},)
    result = jobs.wait_for_job(jobs.create_job(prompts=PROMPTS))
    failed = [record for record in result.records if record.error is not None]
    assert [record.record_id for record in failed] == ["CALL0000003"]
    assert failed[0].error is not None
    assert (failed[0].error.code, failed[0].error.explanation.cause) == (400, "input-too-long")
    assert failed[0].error.explanation.remedies
    assert failed[0].output is None
    assert failed[0].input["messages"][0]["content"] == [{"text": "Prompt 2"}]
    assert (result.job["status"], result.job["error"]) == ("COMPLETED", "1 of 7 records failed")
    assert "too long" not in repr(failed[0])


def test_failed_records_become_dead_letters_once(jobs: BedrockJobClient, service: JobService, tmp_path: Path) -> None:
    service.on_created = partial(run_job, service.s3, answer=failing(0, 4))
    job_id = jobs.create_job(prompts=PROMPTS)
    queue = DeadLetterQueue(tmp_path / "dead.db")
    jobs.wait_for_job(job_id, dead_letters=queue)
    jobs.get_job_result(job_id, dead_letters=queue)
    letters = sorted(queue.letters(), key=lambda letter: letter.summary.tags["record"])
    assert [letter.summary.tags["record"] for letter in letters] == ["CALL0000001", "CALL0000005"]
    assert letters[1].request["messages"][0]["content"] == [{"text": "Prompt 4"}]
    assert {letter.summary.cause for letter in letters} == {"input-too-long"}
    queue.close()


def test_a_record_that_the_job_did_not_process_has_an_error(jobs: BedrockJobClient, service: JobService) -> None:
    service.on_created = partial(
        run_job, service.s3, answer=lambda number, record: echoed(number, record) if number < 3 else None
    )
    service.statuses = ("Expired",)
    job_id = jobs.create_job(prompts=PROMPTS)
    with pytest.raises(JobFailed, match="the job expired") as raised:
        jobs.wait_for_job(job_id)
    assert raised.value.explanation.cause == "batch-job-expired"
    records = list(jobs.get_job_result(job_id).records)
    assert [record.text for record in records] == ["Prompt 0!", "Prompt 1!", "Prompt 2!", "", "", "", ""]
    assert [record.error.code for record in records if record.error] == [0] * 4
    assert str(records[3].error) == "The batch job ended before all its records were processed (not reached)"


def test_a_job_without_output_has_an_error_for_every_record(jobs: BedrockJobClient, service: JobService) -> None:
    service.on_created = lambda job: None
    service.statuses = ("Stopped",)
    records = list(jobs.get_job_result(jobs.create_job(prompts=PROMPTS)).records)
    assert [record.error is not None for record in records] == [True] * 7


def test_outputs_without_their_input_keep_their_order(
    jobs: BedrockJobClient, service: JobService, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = jobs.create_job(prompts=PROMPTS)
    (item,) = service.s3.list_objects_v2(Bucket="jobs", Prefix="out/inputs/")["Contents"]
    service.s3.delete_object(Bucket="jobs", Key=item["Key"])
    result = jobs.wait_for_job(job_id)
    assert sorted(texts(result)) == [f"{prompt}!" for prompt in PROMPTS]


def test_no_record_is_returned_twice(jobs: BedrockJobClient, service: JobService) -> None:
    job_id = jobs.create_job(prompts=PROMPTS)
    key = next(
        item["Key"]
        for item in service.s3.list_objects_v2(Bucket="jobs", Prefix="out/job")["Contents"]
        if item["Key"].endswith(".jsonl.out")
    )
    lines = service.s3.get_object(Bucket="jobs", Key=key)["Body"].read()
    service.s3.put_object(Bucket="jobs", Key=key, Body=lines + b"\nno JSON\n\n" + lines)
    ids = [record.record_id for record in jobs.wait_for_job(job_id).records]
    assert ids == [f"CALL000000{number}" for number in range(1, 8)]


def test_the_same_content_creates_one_job(client: Callable[..., BedrockJobClient], service: JobService) -> None:
    heard: list[Any] = []
    first, second = client(), client()
    second.listen(heard.append)
    job_id = first.create_job(prompts=PROMPTS)
    assert second.create_job(prompts=PROMPTS) == job_id
    assert [event for event in heard if isinstance(event, JobCreated)] == [
        JobCreated(job_id, next(iter(service.jobs.values()))["jobName"], adopted=True)
    ]
    assert second.create_job(prompts=PROMPTS, max_tokens=9) != job_id
    assert second.create_job(prompts=PROMPTS, client_token="tonight") != job_id
    assert client(output_s3_uri="s3://jobs/other").create_job(prompts=PROMPTS) != job_id
    assert client("amazon.nova-lite-v1:0").create_job(prompts=PROMPTS) != job_id
    assert len(service.jobs) == 5


@pytest.mark.parametrize("status", ["Failed", "Stopped", "Expired"])
def test_a_job_that_ended_badly_is_followed_by_a_new_one(
    jobs: BedrockJobClient, service: JobService, status: str
) -> None:
    first = jobs.create_job(prompts=PROMPTS, name="nightly")
    service.jobs[first]["status"] = status
    second = jobs.create_job(prompts=PROMPTS, name="nightly")
    service.jobs[second]["status"] = status
    third = jobs.create_job(prompts=PROMPTS, name="nightly")
    assert len({first, second, third}) == 3
    assert [job["jobName"] for job in service.jobs.values()] == ["nightly", "nightly-2", "nightly-3"]
    assert jobs.create_job(prompts=PROMPTS, name="nightly") == third


def test_tokens_of_a_caller_that_end_with_a_number_belong_to_different_jobs(
    jobs: BedrockJobClient, service: JobService, caplog: pytest.LogCaptureFixture
) -> None:
    second = jobs.create_job(prompts=PROMPTS, client_token="report-2")
    first = jobs.create_job(prompts=PROMPTS[:2], client_token="report")
    assert first != second
    service.jobs[first]["status"] = "Failed"
    assert jobs.create_job(prompts=PROMPTS[:2], client_token="report") not in (first, second)
    assert "different records" not in caplog.text


def test_a_lost_answer_to_the_creation_causes_no_second_job(jobs: BedrockJobClient, service: JobService) -> None:
    def lost(job: Any) -> None:
        run_job(service.s3, job, echoed)
        service.on_created = lambda _: None
        raise ConnectionError("the answer is lost")

    service.on_created = lost
    with pytest.raises(ConnectionError):
        jobs.create_job(prompts=PROMPTS)
    assert texts(jobs.wait_for_job(jobs.create_job(prompts=PROMPTS))) == [f"{prompt}!" for prompt in PROMPTS]
    assert len(service.jobs) == 1


def test_without_permission_to_list_jobs_the_token_prevents_a_second_job(
    jobs: BedrockJobClient, service: JobService, caplog: pytest.LogCaptureFixture
) -> None:
    service.faults.append(("AccessDeniedException", 403))
    job_id = jobs.create_job(prompts=PROMPTS)
    service.faults.append(("AccessDeniedException", 403))
    assert jobs.create_job(prompts=PROMPTS) == job_id
    assert len(service.jobs) == 1
    assert "bedrock:ListModelInvocationJobs" in caplog.text


def test_the_input_is_uploaded_once(jobs: BedrockJobClient, service: JobService) -> None:
    service.faults.extend([("AccessDeniedException", 403), ("ValidationException", 400)])  # of the list and the job
    with pytest.raises(ClientError):
        jobs.create_job(prompts=PROMPTS)
    uploaded = service.s3.list_objects_v2(Bucket="jobs", Prefix="out/inputs/")["Contents"]
    jobs.create_job(prompts=PROMPTS)
    assert service.s3.list_objects_v2(Bucket="jobs", Prefix="out/inputs/")["Contents"] == uploaded


def test_poll_intervals_grow_by_half_up_to_30_seconds(
    jobs: BedrockJobClient, service: JobService, world: World
) -> None:
    service.statuses = (*["InProgress"] * 12, "Completed")
    jobs.wait_for_job(jobs.create_job(prompts=PROMPTS))
    assert world.sleeps == pytest.approx([min(1.5**number, 30.0) for number in range(1, 13)])


def test_transient_faults_while_polling_are_tolerated(
    jobs: BedrockJobClient, service: JobService, world: World
) -> None:
    heard: list[Any] = []
    jobs.listen(heard.append)
    service.statuses = (
        "Validating",
        *[("ThrottlingException", 429)] * 20,
        *[("InternalServerException", 500)] * 20,
        {"status": "InProgress", "totalRecordCount": 7, "processedRecordCount": 3},
        *[("ServiceUnavailableException", 503)] * 20,
        {"status": "Completed", "processedRecordCount": 7},
    )
    result = jobs.wait_for_job(jobs.create_job(prompts=PROMPTS))
    assert len(texts(result)) == 7
    progress = [(event.aws_status, event.processed) for event in heard if isinstance(event, JobProgressed)]
    assert progress == [("Validating", 0), ("InProgress", 3), ("Completed", 7)]
    assert {event.fault.code for event in heard if isinstance(event, JobPollFailed)} >= {"InternalServerException"}


def test_a_job_that_is_not_found_is_not_waited_for(jobs: BedrockJobClient, world: World) -> None:
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        jobs.wait_for_job("abcdefghijkl")
    assert world.sleeps == []


@pytest.mark.parametrize(("status", "word"), [("Failed", "FAILED"), ("Stopped", "STOPPED"), ("Expired", "FAILED")])
def test_a_failed_job_raises_immediately(
    jobs: BedrockJobClient, service: JobService, world: World, status: str, word: str
) -> None:
    service.statuses = ("InProgress", {"status": status, "message": "contains less records (7) than the required 100"})
    job_id = jobs.create_job(prompts=PROMPTS)
    with pytest.raises(JobFailed, match=r"Job failed: contains less records \(7\)") as raised:
        jobs.wait_for_job(job_id)
    assert world.now == 1.5
    again = pickle.loads(pickle.dumps(raised.value))  # noqa: S301 - our own
    assert (again.job["status"], str(again)) == (word, str(raised.value))


def test_a_failed_job_is_explained(jobs: BedrockJobClient, service: JobService) -> None:
    message = "Batch job abc contains less records (7) than the required minimum of: 100"
    service.statuses = ({"status": "Failed", "message": message},)
    with pytest.raises(JobFailed) as raised:
        jobs.wait_for_job(jobs.create_job(prompts=PROMPTS))
    assert raised.value.explanation.cause == "batch-job-too-few-records"
    assert raised.value.explanation.remedies[0].do in str(raised.value)


def test_a_wait_ends_at_its_timeout_and_can_be_resumed_by_id(
    client: Callable[..., BedrockJobClient], service: JobService, world: World
) -> None:
    service.statuses = (*["InProgress"] * 9, "Completed")
    job_id = client().create_job(prompts=PROMPTS)
    with pytest.raises(TimeoutError, match=r"Timeout waiting for job .* to complete"):
        client().wait_for_job(job_id, timeout=60)
    assert world.now == pytest.approx(60)
    assert len(texts(client().wait_for_job(job_id))) == 7
    with pytest.raises(ValueError, match="timeout="):
        client().wait_for_job(job_id, timeout=-1)


def test_a_running_job_has_no_results_and_no_counts_yet(jobs: BedrockJobClient, service: JobService) -> None:
    service.statuses = ("Validating",)
    job_id = jobs.create_job(prompts=PROMPTS)
    status = jobs.get_job_status(job_id)
    assert (status["status"], status["aws_status"], status["error"]) == ("VALIDATING", "Validating", None)
    assert [status["total"], status["processed"], status["succeeded"], status["failed"]] == [0, 0, 0, 0]
    with pytest.raises(ValueError, match=r"has not ended \(VALIDATING\). Use wait_for_job\(\) to wait"):
        jobs.get_job_result(job_id)


def test_jobs_are_listed_and_cancelled(jobs: BedrockJobClient, service: JobService) -> None:
    service.statuses = ("InProgress",)
    ids = [jobs.create_job(prompt=f"Why {number}?") for number in range(3)]
    assert [job["job_id"] for job in jobs.list_jobs()] == ids[::-1]
    assert [job["job_id"] for job in jobs.list_jobs(limit=2)] == ids[:0:-1]
    assert jobs.cancel_job(ids[0])["status"] == "STOPPING"
    with pytest.raises(JobFailed, match="the job was stopped"):
        jobs.wait_for_job(ids[0])
    asked = len(service.asked)
    assert jobs.cancel_job(ids[0])["status"] == "STOPPED"
    assert "stop" not in service.asked[asked:]  # it has ended
    assert [job["job_id"] for job in jobs.list_jobs(status="Stopped")] == ids[:1]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, "pass exactly one of prompt, prompts, records, input_s3_uri, not none"),
        ({"prompt": "a", "prompts": ["b"]}, "not prompt and prompts"),
        ({"prompts": []}, "a job needs at least one record"),
        ({"prompts": "Why?"}, "prompts=<str>: pass a list"),
        ({"prompts": ["a", ""]}, r"records\[1\]: prompt is blank"),
        ({"prompts": ["a", "\ud800"]}, r"records\[1\]: the record contains half of a character"),
        ({"records": ["a"]}, r"records\[0\]: <str> is not a record"),
        ({"records": [{"id": "a", "prompt": "a"}] * 2}, r"records\[1\]: an earlier record has the same id"),
        ({"records": [{"id": "a", "promt": "a"}]}, r"records\[0\]: 'promt' is not a field"),
        ({"records": [{"modelInput": {"modelId": "m"}}]}, r"records\[0\]: modelInput has a modelId"),
        (
            {"records": [{"modelInput": {"prompt": "p"}}, {"prompt": "p"}]},
            r"records\[1\]: the body is for Converse",
        ),
        ({"records": [{"modelInput": {"prompt": "p"}}], "max_tokens": 4}, "max_tokens applies only to prompts"),
        ({"prompt": "a", "name": "no name"}, "name: use at most 63 letters"),
        ({"prompt": "a", "client_token": "-"}, "client_token: use at most 240 letters"),
        ({"prompt": "a", "timeout_hours": 5}, "timeout_hours=5: use whole hours from 24 to 168"),
        ({"input_s3_uri": "s3://jobs/a.jsonl", "system": "Be brief."}, "system applies only to prompts"),
        ({"input_s3_uri": "inputs/x.jsonl"}, "input_s3_uri: pass the URL"),
    ],
)
def test_an_invalid_job_is_refused_with_a_sentence(
    jobs: BedrockJobClient, service: JobService, given: Any, problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        jobs.create_job(**given)
    assert service.jobs == {}


def test_the_role_may_come_from_the_environment(
    client: Callable[..., BedrockJobClient], service: JobService, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="no role: pass role_arn= or set BEDROCK_BATCH_ROLE_ARN"):
        client(role_arn=None).create_job(prompt="Why?")
    monkeypatch.setenv("BEDROCK_BATCH_ROLE_ARN", ROLE)
    client(role_arn=None).create_job(prompt="Why?")
    assert [job["roleArn"] for job in service.jobs.values()] == [ROLE]


@pytest.mark.parametrize("options", [{"output_s3_uri": "outputs/"}, {"output_s3_uri": "s3://"}, {"on_too_few": "wait"}])
def test_invalid_options_are_refused(client: Callable[..., BedrockJobClient], options: Any) -> None:
    with pytest.raises(ValueError, match=r"pass|use|Write"):
        client(**options)
    with pytest.raises(ValueError, match="model_id"):
        client("")


def test_a_failed_record_with_an_image_can_be_sent_again(
    jobs: BedrockJobClient, service: JobService, tmp_path: Path
) -> None:
    image = {"image": {"format": "png", "source": {"bytes": b"\x89PNG"}}}
    messages = [{"role": "user", "content": [{"text": "Hm?"}, image]}]
    service.on_created = partial(run_job, service.s3, answer=failing(0))
    job_id = jobs.create_job(records=[{"id": "one", "messages": messages}])
    queue = DeadLetterQueue(tmp_path / "dead.db")
    (record,) = jobs.wait_for_job(job_id, dead_letters=queue).records
    assert record.input["messages"][0]["content"][1]["image"]["source"] == {"bytes": "iVBORw=="}
    (letter,) = queue.letters()
    assert letter.request["messages"] == messages
    queue.close()


def test_a_job_that_ends_during_its_cancellation_keeps_its_status(jobs: BedrockJobClient, service: JobService) -> None:
    job_id = jobs.create_job(prompts=PROMPTS)
    service.scripts[job_id].extendleft(["InProgress"])
    service.stops = ("ConflictException", 409)
    assert jobs.cancel_job(job_id)["status"] == "COMPLETED"
    service.scripts[job_id].extendleft(["InProgress", "InProgress"])
    with pytest.raises(ClientError, match="ConflictException"):
        jobs.cancel_job(job_id)
