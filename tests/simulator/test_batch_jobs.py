"""The results of a batch job, and what boto3's own clients read of it; S3 is moto's."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, HTTPClientError
from botocore.session import get_session
from support.batch_desk import INPUT, ROLE, BatchDesk, client, records
from support.simulated_account import CLAUDE, HAIKU, NOVA, TITAN

from aws_bedrock_inference.testing import simulator

pytestmark = pytest.mark.newer_botocore  # older ones know neither Converse jobs nor counts

ACCOUNT = "arn:aws:bedrock:us-east-1:123456789012"


def refused(call: Any, *args: Any, **params: Any) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as caught:
        call(*args, **params)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Message"]


def native(text: str, **more: Any) -> bytes:
    body = {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 50,
        "messages": [{"role": "user", "content": text}],
        **more,
    }
    return json.dumps({"recordId": "n", "modelInput": body}).encode() + b"\n"


def test_a_job_answers_each_record_as_the_runtime_does(desk: BatchDesk) -> None:
    desk.put(records(250))
    job = desk.create()
    assert desk.status(job) == "Completed"
    found = desk.results(job)
    assert sorted(each["recordId"] for each in found) == sorted(f"r{number}" for number in range(250))
    assert [each["recordId"] for each in found] != [f"r{number}" for number in range(250)]  # never rely on the order
    one = found[0]
    runtime = client("bedrock-runtime", desk.sim.url)
    asked = runtime.converse(modelId=NOVA, **one["modelInput"])
    runtime.close()
    output = one["modelOutput"]
    assert output["usage"]["outputTokens"] == asked["usage"]["outputTokens"]
    assert output["stopReason"] == asked["stopReason"]
    block = output["output"]["message"]["content"][0]
    assert block.pop("text") == asked["output"]["message"]["content"][0]["text"]
    assert block
    assert not any(block.values())  # the other kinds of a block, as null
    manifest = json.loads(desk.output(job)["manifest.json.out"])
    assert manifest == {
        "totalRecordCount": 250,
        "processedRecordCount": 250,
        "successRecordCount": 250,
        "errorRecordCount": 0,
        "inputTokenCount": sum(each["modelOutput"]["usage"]["inputTokens"] for each in found),
        "outputTokenCount": sum(each["modelOutput"]["usage"]["outputTokens"] for each in found),
    }


def test_bodies_are_native_unless_the_job_sets_converse(desk: BatchDesk) -> None:
    desk.put(native("Hello") + native("Hello", modelId=HAIKU))
    job = desk.create(modelId=HAIKU, modelInvocationType="InvokeModel")
    assert desk.counts(job) == (2, 2, 1, 1)
    answers = [each for each in desk.results(job) if "modelOutput" in each]
    assert answers[0]["modelOutput"]["content"][0]["type"] == "text"
    (failed,) = (each for each in desk.results(job) if "error" in each)
    assert failed["error"]["errorCode"] == 400
    assert "[modelId] is not permitted" in failed["error"]["errorMessage"]
    assert "modelOutput" not in failed


def test_batch_jobs_support_embeddings(desk: BatchDesk) -> None:
    desk.put(b'{"modelInput": {"inputText": "sky", "dimensions": 256}}\n')
    job = desk.create(modelId="amazon.titan-embed-text-v2:0", modelInvocationType="InvokeModel")
    assert desk.status(job) == "Completed"
    (found,) = desk.results(job)
    assert len(found["modelOutput"]["embedding"]) == 256
    assert found["recordId"]  # made by the service where the caller gave none


def test_a_job_over_a_folder_has_an_output_file_for_each_input_file(desk: BatchDesk) -> None:
    desk.put(records(3), "s3://records/in/a.jsonl")
    desk.put(records(2, start=3), "s3://records/in/deep/b.jsonl")
    desk.put(b"not for the job", "s3://records/in/picture.png")
    job = desk.create(source="s3://records/in")
    assert desk.counts(job) == (5, 5, 5, 0)
    assert set(desk.output(job)) == {"a.jsonl.out", "deep/b.jsonl.out", "manifest.json.out"}
    assert {each["recordId"] for each in desk.results(job, "deep/b.jsonl")} == {"r3", "r4"}


def test_a_configured_share_of_the_records_has_an_error(desk: BatchDesk) -> None:
    desk.scenario({"errors": 0.01, "error_code": 429, "error_message": "Too many requests"})
    desk.put(records(1000))
    job = desk.create()
    assert desk.counts(job) == (1000, 1000, 990, 10)
    failed = [each for each in desk.results(job) if "error" in each]
    assert [each["error"] for each in failed] == [{"errorCode": 429, "errorMessage": "Too many requests"}] * 10
    assert all("modelOutput" not in each for each in failed)


def test_get_returns_every_field_of_the_service_model(desk: BatchDesk) -> None:
    desk.put(records(2))
    network = {"subnetIds": ["subnet-1"], "securityGroupIds": ["sg-1"]}
    job = desk.create(timeoutDurationInHours=168, vpcConfig=network, clientRequestToken="token-1")
    found = desk.get(job)
    shape: Any = get_session().get_service_model("bedrock").operation_model("GetModelInvocationJob").output_shape
    assert found.keys() - {"ResponseMetadata"} == shape.members.keys() - {"message"}
    assert (found["jobName"], found["roleArn"], found["vpcConfig"]) == ("nightly", ROLE, network)
    assert found["modelId"] == f"arn:aws:bedrock:us-east-1::foundation-model/{NOVA}"
    assert found["inputDataConfig"] == {"s3InputDataConfig": {"s3Uri": INPUT}}
    assert found["jobExpirationTime"] - found["submitTime"] == timedelta(hours=168)
    assert desk.get(job.rpartition("/")[2])["jobArn"] == job  # the id alone is as good
    summary = desk.bedrock.list_model_invocation_jobs()["invocationJobSummaries"][0]
    assert summary == {name: value for name, value in found.items() if name != "ResponseMetadata"}
    assert desk.get(desk.create("other", modelId=HAIKU))["modelId"] == f"{ACCOUNT}:inference-profile/{HAIKU}"


def test_the_list_is_filtered_sorted_and_paginated(desk: BatchDesk) -> None:
    desk.scenario({"name": "slow-*", "validating": 60})
    desk.put(records(1))
    names = ["a-1", "slow-2", "a-3", "slow-4", "a-5"]
    for name in names:
        desk.create(name)
        desk.sim.advance(10)

    def listed(**wanted: Any) -> list[str]:
        found = desk.bedrock.get_paginator("list_model_invocation_jobs").paginate(**wanted)
        return [each["jobName"] for page in found for each in page["invocationJobSummaries"]]

    assert listed() == names[::-1]
    assert listed(sortBy="CreationTime", sortOrder="Ascending", PaginationConfig={"PageSize": 2}) == names
    assert listed(PaginationConfig={"PageSize": 2}) == names[::-1]
    assert listed(nameContains="slow") == ["slow-4", "slow-2"]
    assert listed(statusEquals="Validating") == ["slow-4", "slow-2"]
    third = desk.bedrock.list_model_invocation_jobs(nameContains="a-3")["invocationJobSummaries"][0]["submitTime"]
    assert listed(submitTimeAfter=third) == ["a-5", "slow-4"]
    assert listed(submitTimeBefore=third) == ["slow-2", "a-1"]
    elsewhere = client("bedrock", desk.sim.url, "eu-west-1")
    assert elsewhere.list_model_invocation_jobs()["invocationJobSummaries"] == []
    elsewhere.close()
    wrong = refused(desk.bedrock.list_model_invocation_jobs, nextToken="x")
    assert wrong[:2] == ("ValidationException", 400)
    assert "nextToken" in wrong[2]


def test_the_same_token_creates_one_job(desk: BatchDesk) -> None:
    desk.put(records(1))
    job = desk.create(clientRequestToken="once")
    assert desk.create(clientRequestToken="once") == job
    assert desk.create("another", clientRequestToken="once") == job  # ignored without an error, as documented
    assert len(desk.bedrock.list_model_invocation_jobs()["invocationJobSummaries"]) == 1
    assert refused(desk.create)[:2] == ("ConflictException", 400)  # the name is taken
    desk.scenario(batch={"minimum": 1, "token_conflicts": True})
    job = desk.create(clientRequestToken="once")
    assert desk.create(clientRequestToken="once") == job
    assert refused(desk.create, "another", clientRequestToken="once")[0] == "ConflictException"


def test_a_job_whose_creation_answer_was_lost_is_found_by_its_token(desk: BatchDesk) -> None:
    desk.scenario(faults=[{"kind": "lost", "operation": "CreateModelInvocationJob", "first": 1}])
    desk.put(records(1))
    with pytest.raises(HTTPClientError):
        desk.create(clientRequestToken="mine")
    (lost,) = desk.bedrock.list_model_invocation_jobs()["invocationJobSummaries"]
    assert desk.create(clientRequestToken="mine") == lost["jobArn"]


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"jobName": "under_score"}, "ValidationException", "regular expression pattern"),
        ({"jobName": "a" + "-" * 50 + "_"}, "ValidationException", "regular expression pattern"),
        ({"roleArn": "batch-role"}, "ValidationException", "roleArn"),
        ({"timeoutDurationInHours": 23}, "ValidationException", "greater than or equal to 24"),
        ({"modelId": "acme.unknown-v1"}, "ValidationException", "The provided model identifier is invalid."),
        ({"modelId": "us.openai.gpt-5.6-sol"}, "ValidationException", "regular expression pattern"),
        ({"modelId": "anthropic.claude-opus-4-8"}, "ValidationException", "Batch inference is not supported"),
        ({"roleArn": "arn:aws:iam::123456789012:role/strange"}, "ValidationException", "assume role"),
        ({"inputDataConfig": {"s3InputDataConfig": {"s3Uri": "s3://records/a b"}}}, "ValidationException", "s3Uri"),
        ({"modelInvocationType": "Batch"}, "ValidationException", "enum value set"),
    ],
)
def test_an_invalid_creation_is_refused_immediately(
    desk: BatchDesk, change: dict[str, Any], code: str, words: str
) -> None:
    desk.scenario(batch={"minimum": 1, "roles": ["*:role/batch"]})
    got = refused(desk.create, **change)
    assert got[:2] == (code, 400)
    assert words in got[2]
    assert desk.bedrock.list_model_invocation_jobs()["invocationJobSummaries"] == []


def test_the_number_of_jobs_in_flight_is_limited(desk: BatchDesk) -> None:
    desk.scenario({"validating": 60}, batch={"minimum": 1, "jobs": 1})
    desk.put(records(1))
    first = desk.create("a")
    assert refused(desk.create, "b")[:2] == ("ServiceQuotaExceededException", 400)
    assert desk.create("c", modelId=TITAN, modelInvocationType="InvokeModel")  # another model
    desk.sim.advance(60)
    assert desk.status(first) == "Completed"
    assert desk.create("b")


def test_without_an_s3_endpoint_a_job_is_refused_with_a_message(desk: BatchDesk) -> None:
    desk.scenario(s3_endpoint="")
    assert "--s3-endpoint URL" in refused(desk.create)[2]


def test_a_missing_job_is_not_found(desk: BatchDesk) -> None:
    desk.put(records(1))
    job = desk.create()
    for call in (desk.bedrock.get_model_invocation_job, desk.bedrock.stop_model_invocation_job):
        assert refused(call, jobIdentifier="abcdefghij12")[:2] == ("ResourceNotFoundException", 404)
        assert refused(call, jobIdentifier=job.replace("us-east-1", "us-west-2"))[0] == "ResourceNotFoundException"
        assert refused(call, jobIdentifier="no-id")[:2] == ("ValidationException", 400)
    west = client("bedrock", desk.sim.url, "us-west-2")
    assert refused(west.get_model_invocation_job, jobIdentifier=job)[0] == "ResourceNotFoundException"
    west.close()


def test_faults_of_the_scenario_apply_to_polling(desk: BatchDesk) -> None:
    get = {"operation": "GetModelInvocationJob"}
    desk.scenario(
        faults=[
            {"kind": "throttle", "first": 1, **get},
            {"kind": "error", "code": "InternalServerException", "requests": [2], **get},
            {"kind": "outage", "requests": [3], **get},
        ]
    )
    desk.put(records(1))
    job = desk.create()
    codes = [refused(desk.get, job)[:2] for _ in range(3)]
    assert codes == [
        ("ThrottlingException", 429),
        ("InternalServerException", 500),
        ("ServiceUnavailableException", 503),
    ]
    assert desk.status(job) == "Completed"


def test_records_of_a_job_use_no_on_demand_quota(desk: BatchDesk) -> None:
    desk.scenario(quota={"rpm": 1, "tpm": 1000})
    desk.put(records(20))
    assert desk.counts(desk.create()) == (20, 20, 20, 0)
    assert desk.sim.stats()["tokens"]["charged"] == 0


def test_the_output_is_written_even_if_nobody_polls(moto_url: str, alone: None) -> None:
    with simulator() as sim:
        desk = BatchDesk(sim, moto_url)
        desk.scenario()
        desk.put(records(5))
        job = desk.create(modelId=CLAUDE)
        waiter = desk.s3.get_waiter("object_exists")
        key = f"out/{job.rpartition('/')[2]}/manifest.json.out"
        waiter.wait(Bucket="records", Key=key, WaiterConfig={"Delay": 0.02, "MaxAttempts": 500})
        assert len(desk.results(job)) == 5
        desk.close()
