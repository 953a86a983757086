"""Inputs and outputs of jobs that this package did not write, read from moto's S3."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from aws_bedrock_inference.jobs.reading import Records, found_input
from aws_bedrock_inference.jobs.statuses import status_of
from aws_bedrock_inference.jobs.values import JobRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.job_service import JobService

    from aws_bedrock_inference import BedrockJobClient


def line(number: int, **members: Any) -> dict[str, Any]:
    return {"recordId": f"r{number}", "modelInput": {"messages": [{"role": "user", "content": f"Q{number}"}]}} | members


def answer(number: int, **members: Any) -> dict[str, Any]:
    return line(number, modelOutput={"content": [{"type": "text", "text": f"A{number}"}]}, **members)


def unnamed(number: int) -> dict[str, Any]:
    return {"modelInput": line(number)["modelInput"]}


def lines(*values: Any) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


@pytest.fixture
def read(service: JobService) -> Callable[..., list[tuple[str, str]]]:
    """Reads the records of a job with this input and these outputs: id, and text or error of each."""

    def records(given: bytes, *outputs: bytes, status: str = "PartiallyCompleted", **members: Any) -> list[Any]:
        service.s3.put_object(Bucket="jobs", Key="in.jsonl", Body=given)
        for number, output in enumerate(outputs):
            service.s3.put_object(Bucket="jobs", Key=f"out/abc/{number}.jsonl.out", Body=output)
        job = {
            "jobArn": "arn:aws:bedrock:us-east-1:123456789012:model-invocation-job/abc",
            "jobName": "theirs",
            "modelId": "m",
            "status": status,
            "inputDataConfig": {"s3InputDataConfig": {"s3Uri": "s3://jobs/in.jsonl"}},
            "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": "s3://jobs/out"}},
            **members,
        }
        found = Records(service.s3, status_of(job))
        return [(each.record_id, each.error.message if each.error else each.text) for each in found]

    return records


LOST = "the job ended before it processed this record (PartiallyCompleted)"


def test_an_id_that_is_used_twice_keeps_both_answers(read: Callable[..., Any]) -> None:
    second = {"recordId": "r0"}
    assert read(lines(line(0), line(1) | second), lines(answer(1) | second, answer(0))) == [("r0", "A0"), ("r0", "A1")]


def test_records_without_an_id_are_joined_by_their_body(read: Callable[..., Any]) -> None:
    given = lines(unnamed(0), line(1), unnamed(2), {"recordId": None} | unnamed(3))
    outputs = lines(answer(3, recordId="G3"), answer(1), answer(0, recordId="G0"))
    assert read(given, outputs) == [("r1", "A1"), ("G0", "A0"), ("", LOST), ("G3", "A3")]


def test_a_line_that_is_repeated_is_one_record(read: Callable[..., Any]) -> None:
    assert read(lines(line(0), line(0), line(1)), lines(answer(1), answer(0)), lines(answer(0), answer(7))) == [
        ("r0", "A0"),
        ("r1", "A1"),
        ("r7", "A7"),
    ]


def test_an_output_that_does_not_repeat_the_body_is_joined_by_its_id(read: Callable[..., Any]) -> None:
    bare = [{"recordId": number, "modelOutput": answer(number)["modelOutput"]} for number in (1, 0)]
    assert read(lines(*(line(number, recordId=number) for number in (0, 1))), lines(*bare)) == [
        ("0", "A0"),
        ("1", "A1"),
    ]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"error": "boom"}, "boom"),
        ({"error": {"errorCode": "400", "errorMessage": "Too long."}}, "Too long."),
        ({"error": {"errorCode": 500}}, ""),
        ({}, "its output line has neither an output nor an error"),
        ({"modelOutput": None, "error": None}, "its output line has neither an output nor an error"),
        ({"modelOutput": {"type": "error", "error": {"type": "api_error", "message": "Internal"}}}, "Internal"),
    ],
)
def test_a_line_without_an_answer_does_not_count_as_one(
    read: Callable[..., Any], members: dict[str, Any], message: str
) -> None:
    assert read(lines(line(0)), lines(line(0) | members)) == [("r0", message)]


def test_a_byte_order_mark_windows_line_ends_and_a_truncated_line_are_read(
    read: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    given = b"\xef\xbb\xbf" + lines(line(0)).replace(b"\n", b"\r\n\r\n") + lines(line(1), line(2))
    assert read(given, lines(answer(2), answer(0), answer(1))[:-9]) == [("r0", "A0"), ("r1", LOST), ("r2", "A2")]
    assert "line 3 is not JSON" in caplog.text


def test_removed_output_files_are_reported_and_not_counted_as_failed_records(read: Callable[..., Any]) -> None:
    with pytest.raises(
        OSError, match=r"s3://jobs/out/abc/ contains no output, but AWS counts 2 records with an output"
    ):
        read(lines(line(0), line(1)), status="Completed", successRecordCount=2, totalRecordCount=2)


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ({"results": [{"outputText": "Titan", "tokenCount": 1}]}, "Titan"),
        ({"generation": "Llama"}, "Llama"),
        ({"outputs": [{"text": "Mistral"}]}, "Mistral"),
        ({"choices": [{"message": {"content": "OpenAI"}}]}, "OpenAI"),
        ({"generations": [{"text": "Cohere"}]}, "Cohere"),
        ({"output": {"message": {"content": [{"text": "Nova", "image": None}]}}}, "Nova"),
        ({"embedding": [0.1]}, ""),
        ("no body", ""),
        ([1], ""),
    ],
)
def test_a_record_has_the_text_of_any_body(output: Any, text: str) -> None:
    record = JobRecord("r0", {}, output)
    assert (record.text, record.error) == (text, None)
    _ = record.usage


def test_a_folder_without_its_slash_is_refused(service: JobService) -> None:
    service.s3.put_object(Bucket="jobs", Key="inner/a.jsonl", Body=lines(line(0)))
    with pytest.raises(ValueError, match="a folder that ends with /"):
        found_input(service.s3, "s3://jobs/in")


def test_a_token_of_other_records_sends_none_of_them(
    jobs: BedrockJobClient, service: JobService, caplog: pytest.LogCaptureFixture
) -> None:
    first = jobs.create_job(prompts=["one", "two"], client_token="nightly", name="a")
    with caplog.at_level(logging.WARNING):
        assert jobs.create_job(prompts=["one", "two"], client_token="nightly", name="a") == first
        assert "other records" not in caplog.text
        assert jobs.create_job(prompts=["six", "ten"], client_token="nightly", name="a") == first
    assert "client_token nightly already has a job with different records" in caplog.text
    service.jobs[first]["status"] = "Failed"
    second = jobs.create_job(prompts=["six", "ten"], client_token="nightly", name="a")
    texts = [record.text for record in jobs.wait_for_job(second).records]
    assert texts == ["six!", "ten!"]  # not those of the same length that were uploaded before


def test_a_new_name_does_not_return_the_failed_job(jobs: BedrockJobClient, service: JobService) -> None:
    first = jobs.create_job(prompts=["one"], name="monday")
    service.jobs[first]["status"] = "Failed"
    assert jobs.create_job(prompts=["one"], name="tuesday") != first


@pytest.mark.parametrize("job_id", [None, "", " ", 7])
def test_an_invalid_id_is_refused_with_a_sentence(jobs: BedrockJobClient, job_id: Any) -> None:
    for ask in (jobs.get_job_status, jobs.get_job_result, jobs.wait_for_job, jobs.cancel_job):
        with pytest.raises(ValueError, match="pass the id that create_job returned"):
            ask(job_id)


def test_jobs_are_listed_only_by_a_status_that_aws_has(jobs: BedrockJobClient) -> None:
    first = jobs.create_job(prompts=["one"])
    assert jobs.get_job_status(first)["status"] == "COMPLETED"
    for word in ("Completed", "COMPLETED"):
        assert [job["job_id"] for job in jobs.list_jobs(status=word)] == [first]
    assert not list(jobs.list_jobs(status="IN_PROGRESS"))
    with pytest.raises(ValueError, match=r"use one of Completed, Expired, .*, Validating"):
        jobs.list_jobs(status="done")
    with pytest.raises(ValueError, match="limit=0: use a whole number"):
        jobs.list_jobs(limit=0)
