"""The states of a batch job over time, on the simulator's clock, which the tests advance."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from support.batch_desk import client, records
from support.simulated_account import Account

from aws_bedrock_inference.simulator.scenario import ScenarioError, tables

if TYPE_CHECKING:
    from support.batch_desk import BatchDesk

pytestmark = pytest.mark.newer_botocore  # older ones know neither Converse jobs nor counts

HOURS = {"submitted": 10, "validating": 20, "scheduled": 30, "in_progress": 100, "stopping": 5}


def stop(desk: BatchDesk, job: str) -> None:
    assert desk.bedrock.stop_model_invocation_job(jobIdentifier=job)["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_a_job_passes_through_its_states_in_the_configured_times(desk: BatchDesk) -> None:
    desk.scenario({**HOURS, "chunk": 50})
    desk.put(records(200))
    job = desk.create()
    seen = []
    for seconds in (0, 10, 20, 30, 37, 25, 38):  # more than 10 s from each change, for slow machines
        desk.sim.advance(seconds)
        seen.append((desk.status(job), *desk.counts(job)[:2]))
    assert seen == [
        ("Submitted", 0, 0),
        ("Validating", 0, 0),
        ("Scheduled", 0, 0),  # and no counts, though the records have been counted
        ("InProgress", 200, 0),
        ("InProgress", 200, 50),
        ("InProgress", 200, 100),
        ("Completed", 200, 200),
    ]
    assert desk.get(job)["lastModifiedTime"] == desk.get(job)["endTime"]
    passed = (desk.get(job)["endTime"] - desk.get(job)["submitTime"]).total_seconds()
    assert passed == pytest.approx(160)  # each change is of its own time, whenever somebody asks


def test_nothing_is_written_before_the_end(desk: BatchDesk) -> None:
    desk.scenario({"in_progress": 100, "chunk": 10})
    desk.put(records(100))
    job = desk.create()
    desk.sim.advance(50)
    assert desk.status(job) == "InProgress"
    assert desk.output(job) == {}
    desk.sim.advance(50)
    assert desk.status(job) == "Completed"
    assert len(desk.results(job)) == 100


@pytest.mark.parametrize("leaves", [True, False])
def test_a_stopped_job_leaves_its_finished_records_or_nothing(desk: BatchDesk, *, leaves: bool) -> None:
    desk.scenario({**HOURS, "chunk": 10, "stop_leaves_results": leaves})
    desk.put(records(100))
    job = desk.create()
    desk.sim.advance(60 + 41)
    stop(desk, job)
    assert desk.status(job) == "Stopping"
    stop(desk, job)  # once more changes nothing
    desk.sim.advance(5)
    assert (desk.status(job), desk.counts(job)) == ("Stopped", (100, 40, 40, 0))
    if leaves:
        assert len(desk.results(job)) == 40
        assert json.loads(desk.output(job)["manifest.json.out"])["processedRecordCount"] == 40
    else:
        assert desk.output(job) == {}


def test_a_job_stopped_before_its_start_has_no_output(desk: BatchDesk) -> None:
    desk.scenario({"scheduled": 100})
    desk.put(records(10))
    job = desk.create()
    stop(desk, job)
    assert (desk.status(job), desk.output(job)) == ("Stopped", {})
    with pytest.raises(ClientError, match="ConflictException"):
        stop(desk, job)


def test_a_stalled_job_never_completes_but_can_be_stopped(desk: BatchDesk) -> None:
    desk.scenario({"stalls": 0.4, "chunk": 10})
    desk.put(records(100))
    job = desk.create()
    desk.sim.advance(80_000)
    assert (desk.status(job), desk.counts(job)[1]) == ("InProgress", 40)
    stop(desk, job)
    assert (desk.status(job), len(desk.results(job))) == ("Stopped", 40)


def test_a_job_that_never_starts_expires(desk: BatchDesk) -> None:
    desk.scenario({"scheduled": 1e9})
    desk.put(records(10))
    short, long = desk.create("short"), desk.create("long", timeoutDurationInHours=168)
    desk.sim.advance(24 * 3600)
    assert (desk.status(short), desk.status(long)) == ("Expired", "Scheduled")
    assert desk.output(short) == {}
    desk.sim.advance(144 * 3600)
    assert desk.status(long) == "Expired"


def test_a_job_that_expires_while_it_runs_leaves_its_finished_records(desk: BatchDesk) -> None:
    desk.scenario({"in_progress": 100, "expires": 35, "chunk": 10})
    desk.put(records(100))
    job = desk.create()
    desk.sim.advance(50)
    assert (desk.status(job), desk.counts(job)) == ("PartiallyCompleted", (100, 30, 30, 0))
    assert len(desk.results(job)) == 30
    found = desk.get(job)
    assert found["endTime"] == found["jobExpirationTime"]


def test_the_first_matching_rule_applies_to_a_job(desk: BatchDesk) -> None:
    desk.scenario({"name": "nightly-*", "first": 1, "fails": "Out of luck."}, {"model": "amazon.nova-*", "stalls": 0})
    desk.put(records(1))
    jobs = [desk.create("nightly-1"), desk.create("nightly-2")]
    jobs.append(desk.create("hourly", modelId="us.meta.llama3-3-70b-instruct-v1:0"))
    assert [desk.status(job) for job in jobs] == ["Failed", "InProgress", "Completed"]
    assert desk.get(jobs[0])["message"] == "Out of luck."


LINE = records(1)
INVALID = {
    "few": (LINE * 7, {}, "contains less records (7) than the required minimum of: 10"),
    "none": (b"", {}, "contains less records (0) than the required minimum of: 10"),
    "many": (LINE * 51, {}, "contains more records (51) than the allowed maximum of: 50"),
    "json": (LINE * 20 + b"{'a': 1}\n", {}, "prompts.jsonl is not a valid JSONL file: line 21 is not a JSON object."),
    "input": (LINE * 20 + b'{"recordId": "x"}\n', {}, "line 21 is missing modelInput"),
    "size": (LINE * 20, {"file_bytes": 100}, "larger than the maximum input file size of 100 bytes"),
    "sum": (LINE * 20, {"job_bytes": 100}, "larger than the maximum batch inference job size of 100 bytes"),
}


@pytest.mark.parametrize("case", INVALID)
def test_the_input_is_validated_after_creation(desk: BatchDesk, case: str) -> None:
    body, limits, words = INVALID[case]
    desk.scenario({"validating": 10}, batch={"minimum": 10, "records": 50, **limits})
    desk.put(body)
    job = desk.create()
    assert desk.status(job) == "Validating"
    desk.sim.advance(10)
    assert words in desk.get(job)["message"]
    assert (desk.status(job), desk.counts(job), desk.output(job)) == ("Failed", (0, 0, 0, 0), {})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"source": "s3://records/in/absent.jsonl"}, "Could not access S3 with the role of the job"),
        ({"source": "s3://no-such-bucket/in/"}, "Could not access S3 with the role of the job"),
        ({"output": "s3://no-such-bucket/out/"}, "Could not access S3 with the role of the job"),
        ({"source": "s3://records/elsewhere/"}, "There are no .jsonl files at s3://records/elsewhere/"),
        ({"output": "s3://in-ireland/out/"}, "the bucket in-ireland is in eu-west-1, but the job is in us-east-1"),
    ],
)
def test_an_inaccessible_input_or_output_fails_the_job(desk: BatchDesk, change: dict[str, Any], words: str) -> None:
    s3 = client("s3", desk.s3_url, "eu-west-1")
    s3.create_bucket(Bucket="in-ireland", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.close()
    desk.put(records(1))
    job = desk.create(**change)
    assert desk.status(job) == "Failed"
    assert words in desk.get(job)["message"]


def test_an_unreachable_s3_endpoint_fails_the_job(desk: BatchDesk) -> None:
    desk.scenario(s3_endpoint="http://127.0.0.1:9")
    job = desk.create()
    assert desk.status(job) == "Failed"
    assert "http://127.0.0.1:9" in desk.get(job)["message"]


def test_loading_another_scenario_deletes_all_jobs(desk: BatchDesk) -> None:
    desk.scenario({"stalls": 0})
    desk.put(records(1))
    desk.create()
    desk.scenario()
    assert desk.bedrock.list_model_invocation_jobs()["invocationJobSummaries"] == []


def test_skipped_time_refills_quotas_too() -> None:
    account = Account(quota={"rpm": 1})
    assert [account.converse().status for _ in range(2)] == [200, 429]
    account.service.skip(60)
    assert account.converse().status == 200


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"jobs": [{"errors": 2}]}, "errors is 2.0; set the share of the records that fail, from 0 to 1"),
        ({"jobs": [{"chunk": 0}]}, "chunk is 0; set the number of records"),
        (
            {"jobs": [{"running": 5}]},
            r"\[\[jobs\]\] number 1 has no setting 'running'; allowed here: chunk, error_code",
        ),
        ({"batch": {"minimum": -1}}, r"\[batch\]: minimum must not be negative"),
        ({"s3_endpoint": "localhost:9000"}, "set a URL such as http://127.0.0.1:9000"),
    ],
)
def test_an_impossible_table_of_job_rules_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ScenarioError, match=words):
        tables(given)
